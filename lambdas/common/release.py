"""The release record: which model packages serve as champion and challenger.

It is one SSM StringList parameter ``<champion ARN>,<challenger ARN>``, read by the endpoint stack as a
CloudFormation parameter. With no challenger both fields hold the champion's package; before the first
release both hold ``none``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from contracts.shared_words import NO_RELEASE

_PACKAGE_ARN = re.compile(r"^arn:aws[a-z-]*:sagemaker:[a-z0-9-]+:\d{12}:model-package/[a-z0-9-]{1,63}/\d+$")


class InvalidRelease(ValueError):
    """The record or a requested release is not of the documented form."""


@dataclass(frozen=True)
class Release:
    """Champion and challenger model package ARNs."""

    champion: str
    challenger: str

    @property
    def exists(self) -> bool:
        return self.champion != NO_RELEASE

    @property
    def has_challenger(self) -> bool:
        return self.exists and self.challenger != self.champion

    @classmethod
    def parse(cls, record: str) -> Release:
        """Read the record's text.

        Raises:
            InvalidRelease: not two comma-separated versioned model package ARNs, nor ``none,none``.
        """
        parts = [part.strip() for part in record.split(",")]
        if len(parts) != 2:
            raise InvalidRelease(f"release record {record!r} must be '<champion>,<challenger>'")
        release = cls(*parts)
        release.check()
        return release

    def format(self) -> str:
        self.check()
        return f"{self.champion},{self.challenger}"

    def check(self) -> None:
        """Raises InvalidRelease, naming the field."""
        if self == Release(NO_RELEASE, NO_RELEASE):
            return
        for field, value in (("champion", self.champion), ("challenger", self.challenger)):
            if not _PACKAGE_ARN.fullmatch(value):
                raise InvalidRelease(
                    f"release.{field} {value!r} is not a versioned model package ARN (arn:...:model-package/<group>/<version>)"
                )

    def promoted(self) -> Release:
        """The challenger becomes the champion and serves alone."""
        return Release(self.challenger, self.challenger)

    def without_challenger(self) -> Release:
        return Release(self.champion, self.champion)


EMPTY_RELEASE = Release(NO_RELEASE, NO_RELEASE)
