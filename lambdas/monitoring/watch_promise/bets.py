"""One bet against the review promise for each model version, as it stands after the last day that is counted: pure.

It is one SSM String parameter, ``<prefix>/promise-bets``: ``none``, or a JSON object with the fields of :class:`Bets`. A run reads the days
after ``day`` and writes the record again. So each day counts once, however often a run is repeated or breaks off: what a record counts is
what it says.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from contracts.review_promise import Evidence, Promise, evidence
from contracts.shared_words import NO_BETS
from lambdas.monitoring.watch_promise.audits import Audit

MOST_BETS = 16
"""So many fit into the 4,096 characters of a standard parameter (SSM user guide, "Managing parameter tiers"). A model version is the name
of a training job, of 63 characters at most."""
FINAL_AFTER = timedelta(hours=1)
"""So long after its end a day has all its labels. A label has the day on which a function began to store it, a function runs for 15 minutes
at most, and the index is a little behind its table."""


class InvalidBets(ValueError):
    """The record is not of the documented form, or says what cannot be; the text names the field."""


@dataclass(frozen=True)
class Champion:
    """The model that gave the newest audited answer as champion, and when: ISO 8601 UTC."""

    model_version: str
    answered_at: str


@dataclass(frozen=True)
class Bets:
    """Where the bets stand.

    Attributes:
        promise: what they bet against.
        day: the last day that is counted.
        of: by model version. The one whose label came last is the last one.
    """

    promise: Promise
    day: date
    champion: Champion | None = None
    of: Mapping[str, Evidence] = field(default_factory=dict)

    @property
    def champions(self) -> Evidence | None:
        """None: no answer of a champion has been audited yet."""
        return None if self.champion is None else self.of[self.champion.model_version]

    def with_day(self, day: date, audits: Iterable[Audit]) -> Bets:
        """These bets after a day more.

        A model that comes back goes on with its own bet. Of more than :data:`MOST_BETS`, those whose last label is oldest are dropped; the
        champion's stays.
        """
        champion, wrong = self.champion, dict[str, list[bool]]()
        for audit in audits:
            wrong[audit.model_version] = labels = wrong.pop(audit.model_version, [])
            labels.append(audit.wrong)
            if audit.as_champion and (champion is None or audit.answered_at >= champion.answered_at):
                champion = Champion(audit.model_version, audit.answered_at)
        bets = dict(self.of)
        for version, own in wrong.items():
            bets[version] = evidence(own, self.promise, bets.pop(version, None))
        leaving = [version for version in bets if champion is None or version != champion.model_version]
        for version in leaving[: max(0, len(bets) - MOST_BETS)]:
            del bets[version]
        return Bets(self.promise, day, champion, bets)

    @classmethod
    def parse(cls, record: str) -> Bets | None:
        """Read the parameter's value; None for :data:`NO_BETS`.

        Raises:
            InvalidBets: neither ``none`` nor a JSON object of these fields, or no labels can have led to it.
        """
        if record.strip() == NO_BETS:
            return None
        try:
            return cls._of(**json.loads(record))
        except (ArithmeticError, AttributeError, TypeError, ValueError, RecursionError) as error:
            raise InvalidBets(f"record of the bets {record[:200]!r}: {error}") from None

    @classmethod
    def _of(cls, *, max_error: float, confidence: float, day: str, champion: dict[str, str] | None, bets: list[dict[str, Any]]) -> Bets:
        promise, of = Promise(max_error, confidence), dict[str, Evidence]()
        for bet in bets:
            version = _version(bet.get("model_version"))
            if version in of:
                raise ValueError(f"bets has the model version {version!r} twice")
            of[version] = Evidence.read({name: value for name, value in bet.items() if name != "model_version"}, promise)
        found = None if champion is None else Champion(**champion)
        if found is not None:
            _version(found.model_version)
            if found.model_version not in of:
                raise ValueError(f"champion {found.model_version!r} has no bet")
            if datetime.fromisoformat(found.answered_at).tzinfo is None:
                raise ValueError(f"champion.answered_at {found.answered_at!r} must be a time with its offset")
        return cls(promise, date.fromisoformat(day), found, of)

    def format(self) -> str:
        """The parameter's value."""
        document = {
            **vars(self.promise),
            "day": self.day.isoformat(),
            "champion": None if self.champion is None else vars(self.champion),
            "bets": [{"model_version": version, **vars(bet)} for version, bet in self.of.items()],
        }
        return json.dumps(document, allow_nan=False)


def _version(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"model_version {value!r} must be a text")
    return value


def last_final_day(now: datetime) -> date:
    """The newest day that has all its labels."""
    return (now - FINAL_AFTER).date() - timedelta(days=1)


def begun(record: str, promise: Promise, today: date, days: int) -> tuple[Bets, str | None]:
    """The bets to go on with, and why they are new ones; None where they are those of the record.

    Args:
        days: new bets begin that many days before today.
    """
    new = Bets(promise, today - timedelta(days=days + 1))
    try:
        kept = Bets.parse(record)
    except InvalidBets as error:
        return new, str(error)
    if kept is None:
        return new, "there is no record yet"
    if kept.promise != promise:
        return new, f"the record is about another promise: {kept.promise}"
    if kept.day > today:
        return new, f"the record says that {kept.day} is counted, which is not over"
    return kept, None
