"""The kinds of decision about one member of a request."""

from __future__ import annotations

import re
from typing import Any, Final


class Ignored(str):
    """Kept for Describe, without an effect here; the text says why nothing that a local run proves depends on it."""


class Refused(str):
    """ValidationException; the text says what to do instead."""


class Only:
    """Honoured for some values, refused for the others."""

    def __init__(self, said: str, *values: Any, pattern: str = "") -> None:
        """
        Args:
            said: what is allowed, as the end of a sentence.
            values: the allowed values.
            pattern: or what an allowed text looks like, in whole.
        """
        self.said, self._values, self._pattern = said, values, pattern

    def allows(self, given: Any) -> bool:
        return given in self._values or bool(self._pattern and isinstance(given, str) and re.fullmatch(self._pattern, given))


class Handled:
    """The member has its effect."""


HONOURED: Final = Handled()

BY_THE_OPERATION: Final = Handled()
"""The operation itself refuses it, with a sentence of its own."""

Decision = Any
"""``HONOURED``, ``BY_THE_OPERATION``, :class:`Ignored`, :class:`Refused`, :class:`Only`, or the table of the members of a structure, or of
each structure in a list."""
Table = dict[str, Any]

TAGS: Final = Ignored("tags are listed with what ListTags knows; no policy here decides by them")
ONE_INSTANCE: Final = Only("every job runs as one process here: 1", 1)
INSTANCE_TYPE: Final = Ignored("processes share the machine's cores and memory whatever the type")
VOLUME: Final = Ignored("a job's folder is on the machine's own disk")
NETWORK: Final = Ignored("processes have the machine's network (README.md says what that does not prove)")
NOT_HERE: Final = Refused("leave it out, or run it on AWS")
IMAGE: Final = Only(
    "processes stand for AWS's PyTorch images here: <registry>/{pytorch,huggingface-pytorch}-{training,inference}:<tag>",
    pattern=r"\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/(huggingface-)?pytorch-(training|inference)(:[\w.-]+|@sha256:[0-9a-f]{64})?",
)
