"""What containers print, in CloudWatch Logs, where SageMaker puts it, written with the container's execution role.

``/aws/sagemaker/TrainingJobs`` and ``/aws/sagemaker/ProcessingJobs`` hold a stream ``<job>/algo-1-<epoch>`` per job,
``/aws/sagemaker/Endpoints/<endpoint>`` a stream ``<variant>/<instance id>`` per instance. A role that may not write logs has none, and its
job goes on. Source: SageMaker developer guide, "CloudWatch Logs for Amazon SageMaker AI".
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from embedded_aws.core import background, sessions
from embedded_aws.core.api import ApiError
from embedded_aws.core.clock import now
from embedded_aws.sagemaker.service_output import SAGEMAKER

log = logging.getLogger("embedded_aws")

_LOOK_EVERY = 0.5
"""Seconds between two looks at what was printed."""
_LONGEST = 250_000
"""Bytes of one event; CloudWatch Logs takes 256 KiB with its overhead."""
_AT_ONCE = 1_000
"""Events of one PutLogEvents."""


def of_job(kind: str, name: str, role_arn: str, log_file: Path) -> ContainerLog:
    """The log of a job's container; ``kind`` is ``TrainingJobs`` or ``ProcessingJobs``."""
    return ContainerLog(f"/aws/sagemaker/{kind}", f"{name}/algo-1-{int(now())}", role_arn, log_file)


def of_instance(endpoint: str, variant: str, instance_id: str, role_arn: str, log_file: Path) -> ContainerLog:
    """The log of an endpoint's instance."""
    return ContainerLog(f"/aws/sagemaker/Endpoints/{endpoint}", f"{variant}/{instance_id}", role_arn, log_file)


class ContainerLog:
    """Copies the lines of a growing file into a log stream."""

    def __init__(self, group: str, stream: str, role_arn: str, log_file: Path) -> None:
        self._names = {"logGroupName": group, "logStreamName": stream}
        self._role_arn, self._file = role_arn, log_file
        self._position, self._refused = 0, False
        self._client: Any = None
        self._ended = threading.Event()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Copy in the background until :meth:`stop`."""
        background.start(self._run, f"log-{self._names['logStreamName']}")

    def stop(self) -> None:
        """Copy what is left. The container has ended, so its last line is whole."""
        self._ended.set()
        self._copy(last=True)

    @contextlib.contextmanager
    def following(self) -> Iterator[None]:
        """Copy while the body runs, and what is left after it."""
        self.start()
        try:
            yield
        finally:
            self.stop()

    def _run(self) -> None:
        while not self._ended.wait(_LOOK_EVERY) and not self._refused and not background.is_overtaken():
            self._copy(last=False)

    def _copy(self, *, last: bool) -> None:
        with self._lock:
            if self._refused or not self._file.exists():
                return
            with self._file.open("rb") as stream:
                stream.seek(self._position)
                found = stream.read()
            whole = found if last else found[: found.rfind(b"\n") + 1]
            if not whole:
                return
            self._position += len(whole)
            lines = [line for line in whole.decode(errors="replace").split("\n") if line.strip()]
            at = int(now() * 1_000)
            events = [{"timestamp": at, "message": line.rstrip("\r")[:_LONGEST]} for line in lines]
            try:
                self._put(events)
            except (ApiError, ClientError, BotoCoreError) as error:
                self._refused = True
                log.warning("no container log in %s: %s", self._names["logGroupName"], error)

    def _put(self, events: list[dict[str, Any]]) -> None:
        if self._client is None:
            self._client = client = sessions.role_session(self._role_arn, SAGEMAKER).client("logs")
            with contextlib.suppress(client.exceptions.ResourceAlreadyExistsException):
                client.create_log_group(logGroupName=self._names["logGroupName"])
            with contextlib.suppress(client.exceptions.ResourceAlreadyExistsException):
                client.create_log_stream(**self._names)
        for start in range(0, len(events), _AT_ONCE):
            self._client.put_log_events(**self._names, logEvents=events[start : start + _AT_ONCE])
