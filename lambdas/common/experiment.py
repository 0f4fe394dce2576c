"""The experiment that runs now: which two models are compared, and the challenger's share of the calls.

It is one SSM String parameter, ``<prefix>/experiment``: ``none``, or a JSON object with the fields of :class:`Experiment`. The rollout
writes it once the challenger's fleet is in place, again with every share, and ``none`` before the next release record is applied.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cache
from typing import Any

from contracts.shared_words import NO_EXPERIMENT
from lambdas.common.clients import client
from lambdas.common.observability import logger

NONE = NO_EXPERIMENT
"""The parameter's value while no experiment runs."""
KEPT_SECONDS = 30.0
"""So long a process goes on with what it has read, where nothing else is said."""
LONGEST_WAIT_SECONDS = 0.9
"""So long a caller waits for the parameter at most."""
OUTDATED_SECONDS = 300.0
"""After so long without a successful read a process acts as if no experiment ran."""

_ID = re.compile(r"[A-Za-z0-9_.+!@()=-]{1,80}")


class InvalidExperiment(ValueError):
    """The record is not of the documented form; the text names the field."""


@dataclass(frozen=True)
class Experiment:
    """Champion and challenger answer side by side.

    Attributes:
        id: name of the rollout's execution. It has no ``#``.
        champion, challenger: model versions, as the models' answers name them. The variants of these names run them.
        share: the challenger's share of the calls now, from 0 (nobody is answered by it) to 1.
        started: ISO 8601 UTC.
    """

    id: str
    champion: str
    challenger: str
    share: float
    started: str

    def __post_init__(self) -> None:
        if not isinstance(self.id, str) or not _ID.fullmatch(self.id):
            raise InvalidExperiment(f"experiment.id {self.id!r} must be the name of an execution: 1 to 80 letters, digits and -_.+!@()=")
        for field, value in (("champion", self.champion), ("challenger", self.challenger)):
            if not isinstance(value, str) or not value:
                raise InvalidExperiment(f"experiment.{field} {value!r} must be a model version")
        if isinstance(self.share, bool) or not isinstance(self.share, int | float) or not 0 <= self.share <= 1:
            raise InvalidExperiment(f"experiment.share {self.share!r} must be a number within 0..1")
        try:
            moment = datetime.fromisoformat(self.started)
        except (TypeError, ValueError):
            moment = None
        if moment is None or moment.tzinfo is None:
            raise InvalidExperiment(f"experiment.started {self.started!r} must be a time in ISO 8601 with its offset")

    @classmethod
    def parse(cls, record: str) -> Experiment | None:
        """Read the parameter's value; None for :data:`NONE`.

        Raises:
            InvalidExperiment: neither ``none`` nor a JSON object with exactly these fields.
        """
        if record.strip() == NONE:
            return None
        try:
            fields = json.loads(record)
            return cls(**fields)
        except InvalidExperiment:
            raise
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidExperiment(f"experiment record {record[:200]!r} must be {NONE!r} or an object of five fields: {error}") from None

    def format(self) -> str:
        """The parameter's value."""
        return json.dumps(asdict(self), allow_nan=False)


class CurrentExperiment:
    """The experiment, at most ``kept_seconds`` old, for a caller who must not wait.

    A read runs beside the caller: :meth:`begin` starts it, and :meth:`get` waits for it until it has run for
    :data:`LONGEST_WAIT_SECONDS`, then goes on with what was read before. A read that fails changes nothing, until what was read is
    :data:`OUTDATED_SECONDS` old.

    Args:
        read: gives the parameter's value; whatever it raises is logged.
        clock: seconds, monotonic.
        patience: seconds that a caller waits for a read.
        kept_seconds: so long a process goes on with what it has read.
    """

    def __init__(
        self,
        read: Callable[[], str],
        *,
        clock: Callable[[], float] = time.monotonic,
        patience: float = LONGEST_WAIT_SECONDS,
        kept_seconds: float = KEPT_SECONDS,
    ) -> None:
        self._read, self._clock, self._patience, self._kept_seconds = read, clock, patience, kept_seconds
        self._kept: Experiment | None = None
        self._asked_at = self._read_at = float("-inf")
        self._reading: threading.Thread | None = None

    def begin(self) -> None:
        """Start a read when one is due. It waits for nothing."""
        now = self._clock()
        running = self._reading is not None and self._reading.is_alive()
        if not running and now - self._asked_at >= self._kept_seconds:
            self._asked_at = now
            self._reading = threading.Thread(target=self._refresh, args=(now,), daemon=True)
            self._reading.start()

    def get(self) -> Experiment | None:
        self.begin()
        left = self._asked_at + self._patience - self._clock()
        if self._reading is not None and left > 0:
            self._reading.join(left)
        return self._kept if self._clock() - self._read_at < OUTDATED_SECONDS else None

    def _refresh(self, asked_at: float) -> None:
        try:
            self._kept = Experiment.parse(self._read())
            self._read_at = asked_at
        except Exception:
            logger.exception("experiment not read")


@cache
def experiment_at(parameter: str, config: Any = None, *, kept_seconds: float = KEPT_SECONDS) -> CurrentExperiment:
    """The reader of this process for one SSM parameter. ``config``: of the client, where it is not the usual one."""

    def read() -> str:
        ssm = client("ssm") if config is None else client("ssm", config)
        return str(ssm.get_parameter(Name=parameter)["Parameter"]["Value"])

    return CurrentExperiment(read, kept_seconds=kept_seconds)
