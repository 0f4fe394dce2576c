"""Temporary passwords that Cognito chooses: long enough for any pool's policy, and of all four kinds of character.

Stock ministack makes them of twelve characters, so AdminCreateUser without a password of its own fails in a pool that asks for more.
Hook: ``cognito._generate_temp_password``. Source: Cognito developer guide, "Adding user pool password requirements" (6 to 99 characters;
lower case, upper case, numbers, symbols).
"""

from __future__ import annotations

import secrets
import string

from ministack.services import cognito

LENGTH = 99
"""Characters; the longest minimum that a pool's policy may have."""
_KINDS = (string.ascii_lowercase, string.ascii_uppercase, string.digits, "!@#$%^&*-_=+")


def generate() -> str:
    """A password that every policy takes."""
    drawn = [secrets.choice(kind) for kind in _KINDS] + [secrets.choice("".join(_KINDS)) for _ in range(LENGTH - len(_KINDS))]
    secrets.SystemRandom().shuffle(drawn)
    return "".join(drawn)


def install() -> None:
    cognito._generate_temp_password = generate
