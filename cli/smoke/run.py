"""How legs are run: in order, each with its outcome, and whatever they made is removed at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from cli.account import Account
from cli.executions import passes
from contracts.dataset import InvalidDataset, Manifest
from lambdas.common.s3_uri import read_bytes
from stacks.settings import Settings

_OWN_LABELS = ("smoke-one", "smoke-two")
_MOST_LABELS = 5
"""Made-up texts are written for each; more would only take longer."""


class LegFailed(RuntimeError):
    """A leg did not do what it must; the text says what happened, and where to look."""


class LegSkipped(Exception):
    """The stage has no such part, or an earlier leg left nothing to work with; the text says which."""


@dataclass(frozen=True)
class Outcome:
    """How one leg ended. ``status`` is ``passed``, ``failed`` or ``skipped``; ``seconds`` are wall time."""

    leg: str
    status: str
    message: str
    seconds: float


@dataclass
class Run:
    """One run of ``smoke``.

    Args:
        id: letters and digits that mark everything of this run.
        minutes: how long one leg may wait for AWS.
        say: tells a person what is waited for.
    """

    account: Account
    settings: Settings
    id: str
    minutes: float
    say: Callable[[str], None]
    made: dict[str, Any] = field(default_factory=dict)
    """What earlier legs left for later ones."""
    _undo: list[tuple[str, Callable[[], None]]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The name of this run's resources: ``<prefix>-smoke-<id>``."""
        return f"{self.account.names.prefix}-smoke-{self.id}"

    def table(self) -> Any:
        """The prediction table as a boto3 resource."""
        resource = self.account.session.resource("dynamodb", endpoint_url=self.account.client("dynamodb").meta.endpoint_url)
        return resource.Table(self.account.names.predictions_table)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Labels for what this run makes up: the pinned ones, those of the current dataset version, or two of its own; at most five."""
        found = self.settings.dataset.labels
        if not found and self.has_dataset:
            uri = str(self.account.parameter("dataset")).rstrip("/")
            where = f"{uri}/manifest.json"
            try:
                found = Manifest.parse(read_bytes(self.account.client("s3"), where), where).labels
            except InvalidDataset as error:
                raise LegFailed(f"{error}: upload the version that the parameter dataset names again") from None
        return (found or _OWN_LABELS)[:_MOST_LABELS]

    @property
    def has_dataset(self) -> bool:
        """Whether a first dataset version is there."""
        return self.account.parameter("dataset") not in (None, "none")

    def undo(self, what: str, remove: Callable[[], None]) -> None:
        """Note something for removal. Call this right before making the thing, so that nothing is left over when a call fails half-way."""
        self._undo.append((what, remove))

    def wait(self, what: str, probe: Callable[[], Any]) -> Any:
        """The first truthy value of ``probe()``.

        Raises:
            LegFailed: nothing came within :attr:`minutes`.
        """
        self.say(what)
        deadline, pause = time.monotonic() + 60 * self.minutes, 0.2
        while not (value := _tried(probe)):
            if time.monotonic() > deadline:
                raise LegFailed(f"{what}: nothing came within {self.minutes:g} minutes; --minutes waits longer")
            time.sleep(pause)
            pause = min(pause * 1.5, 10)
        return value

    def clean_up(self) -> list[str]:
        """Remove everything, newest first; returns a sentence for each thing that is still there."""
        left = []
        while self._undo:
            what, remove = self._undo.pop()
            self.say(f"removing {what}")
            try:
                remove()
            except (ClientError, BotoCoreError, LegFailed) as error:
                if not _is_gone(error):
                    left.append(f"{what} is still there ({error})")
        return left


@dataclass(frozen=True)
class Leg:
    """``run`` does the work and returns one sentence about what was seen."""

    name: str
    title: str
    run: Callable[[Run], str]


def run_legs(run: Run, legs: Iterable[Leg], on_end: Callable[[Outcome], None]) -> list[Outcome]:
    """Run every leg and return the outcomes. A failed leg does not keep the others from running."""
    outcomes = []
    for leg in legs:
        began = time.monotonic()
        try:
            status, message = "passed", leg.run(run)
        except LegSkipped as skipped:
            status, message = "skipped", str(skipped)
        except (LegFailed, ClientError, BotoCoreError) as error:
            status, message = "failed", str(error)
        outcome = Outcome(leg.name, status, message, round(time.monotonic() - began, 1))
        on_end(outcome)
        outcomes.append(outcome)
    return outcomes


def _tried(probe: Callable[[], Any]) -> Any:
    """What it finds; None while AWS is out of reach or busy."""
    try:
        return probe()
    except (BotoCoreError, ClientError) as error:
        if not passes(error):
            raise
        return None


def _is_gone(error: Exception) -> bool:
    """Whether a removal failed because the thing was never made."""
    code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
    return "NotFound" in code or "NoSuch" in code or "Could not find" in str(error) or "does not exist" in str(error)
