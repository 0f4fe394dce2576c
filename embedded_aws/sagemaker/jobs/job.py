"""What every job is: a record that Describe shows, an event when its status changes, and one end.

A job is in progress, perhaps Stopping, then Completed, Failed or Stopped for ever. Training, processing, tuning and labelling jobs are
subclasses. Source: SageMaker API reference, the Describe operations of these jobs.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self, cast

from embedded_aws.core import background
from embedded_aws.core.api import ApiError, Records, Request, Response, validation_error
from embedded_aws.core.clock import now
from embedded_aws.eventbridge import service_events
from embedded_aws.sagemaker.jobs.job_files import REASON_LIMIT, JobFailed, public

log = logging.getLogger("embedded_aws")

TERMINAL = ("Completed", "Failed", "Stopped")


class Job:
    """One job; thread-safe as far as its status goes.

    Attributes:
        record: what Describe shows, in the service's own members.
    """

    records: ClassVar[Records]
    prefix: ClassVar[str]
    """Begins the names of its members: ``TrainingJob`` for ``TrainingJobName``, ``TrainingJobArn`` and ``TrainingJobStatus``."""
    word: ClassVar[str]
    """How messages name it."""
    first_status: ClassVar[str] = "InProgress"
    has_secondary_status: ClassVar[bool] = False
    ended_at: ClassVar[str | None] = None
    """The member with the time of the end."""
    event: ClassVar[str]
    """The event's detail type."""
    event_members: ClassVar[tuple[str, ...]]
    """Members of the record in the event's detail."""
    event_statuses: ClassVar[tuple[str, ...]] = ("InProgress", "Stopping", *TERMINAL)
    """Those that send an event."""
    cannot_stop: ClassVar[str] = "The {word} is in status {status} and cannot be stopped."

    def __init__(self, members: Request) -> None:
        self.name: str = members[f"{self.prefix}Name"]
        self.arn = self.records.arn(self.name)
        self.record: dict[str, Any] = {
            **members,
            f"{self.prefix}Arn": self.arn,
            f"{self.prefix}Status": self.first_status,
            "CreationTime": now(),
            "LastModifiedTime": now(),
        }
        self._stop = threading.Event()
        self._lock = threading.RLock()

    @classmethod
    def need(cls, name: str) -> Self:
        """Raises ApiError when there is no such job."""
        return cast(Self, cls.records.need(name)["Job"])

    @classmethod
    def all(cls) -> list[Self]:
        return [cast(Self, entry["Job"]) for _, entry in cls.records.items()]

    # -- its way -------------------------------------------------------------------------------------

    def begin(self, body: Callable[[], None], secondary: str | None = None) -> None:
        """Register the job, send its first event, and run ``body`` in the background; whatever that raises becomes the failure reason.

        Raises:
            ApiError: ResourceInUse: a job's name is taken for ever.
        """
        if secondary:
            self._enter(secondary)
        with self.records.lock:
            if self.records.find(self.name) is not None:
                names = f"{self.word.capitalize()} names must be unique within an AWS account and region"
                raise ApiError("ResourceInUse", f"{names}, and {self.arn} already exists.")
            self.records.add(self.name, {"Job": self})
        self._emit()
        background.start(lambda: self._run_to_the_end(body), f"{self.records.kind}-{self.name}")

    def _run_to_the_end(self, body: Callable[[], None]) -> None:
        """No job is under way for ever."""
        try:
            body()
        except JobFailed as error:
            self.change("Failed", reason=str(error))
        except Exception as error:
            log.exception("the %s %s failed by a fault of the embedded AWS", self.word, self.name)
            self.change("Failed", reason=f"InternalServerError: {type(error).__name__}: {error}")

    def change(self, status: str, secondary: str | None = None, *, reason: str | None = None) -> None:
        """Go on to a status, with an event if it is another one.

        A job that is asked to stop is Stopping until it ends, and one that has ended stays so.

        Args:
            secondary: the secondary status, where jobs of this kind have one; by default it has the status's own name.
            reason: FailureReason.
        """
        with self._lock:
            before = self.status
            if before in TERMINAL:
                return
            if status not in TERMINAL and self.is_stopping:
                status = "Stopping"
            if reason is not None:
                self.record["FailureReason"] = reason[:REASON_LIMIT]
            if status in TERMINAL and self.ended_at:
                self.record.setdefault(self.ended_at, now())
            if self.has_secondary_status:
                self._enter(secondary or status)
            self.record |= {f"{self.prefix}Status": status, "LastModifiedTime": now()}
        if status != before:
            self._emit()

    def stop(self) -> None:
        """Ask the job to end. Asked again, it goes on stopping.

        Raises:
            ApiError: it has ended already.
        """
        with self._lock:
            if self.is_over:
                raise validation_error(self.cannot_stop.format(word=self.word, status=self.status))
            asked_before = self.is_stopping
            self._stop.set()
        if not asked_before:
            self.change("Stopping")

    def _enter(self, secondary: str) -> None:
        transitions = self.record.setdefault("SecondaryStatusTransitions", [])
        if transitions:
            transitions[-1]["EndTime"] = now()
        transitions.append({"Status": secondary, "StartTime": now(), "StatusMessage": self.record.get("FailureReason", secondary)})
        self.record["SecondaryStatus"] = secondary

    # -- what is seen of it --------------------------------------------------------------------------

    @property
    def status(self) -> str:
        return str(self.record[f"{self.prefix}Status"])

    @property
    def is_over(self) -> bool:
        return self.status in TERMINAL

    @property
    def is_stopping(self) -> bool:
        """Somebody has asked it to stop."""
        return self._stop.is_set()

    def describe(self) -> Response:
        """The record; its tags are listed by ListTags."""
        return public(self.record)

    def members(self, names: Sequence[str]) -> dict[str, Any]:
        """Those of the named members that the record has."""
        return {name: self.record[name] for name in names if name in self.record}

    def event_detail(self) -> dict[str, Any]:
        return self.members(self.event_members)

    def _emit(self) -> None:
        if self.status in self.event_statuses:
            service_events.emit("aws.sagemaker", self.event, self.event_detail(), [self.arn])
