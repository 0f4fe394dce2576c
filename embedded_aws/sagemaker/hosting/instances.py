"""One serving process stands for one instance of a production variant."""

from __future__ import annotations

import contextvars
import http.client
import logging
import os
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from embedded_aws.containers import image_python
from embedded_aws.core import background, clock
from embedded_aws.sagemaker import container_logs
from embedded_aws.sagemaker.hosting.models import ServedModel

log = logging.getLogger("embedded_aws")

_PROJECT = Path(__file__).resolve().parents[3]
_OF_THE_HOST = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "PYTHONDONTWRITEBYTECODE")
_INVOCATION_SECONDS = max(10.0, clock.scaled(60.0))
"""A container must answer within 60 seconds (InvokeEndpoint's documentation), a wait that is scaled.

Never below ten real seconds: the work of a model is not scaled, and callers such as the prediction API give up before hosting does.
"""
_START_SECONDS = 180.0
_starting = threading.BoundedSemaphore(2)
"""Loading a model is processor work: more than two at a time only slow each other down."""


class InstanceFailed(RuntimeError):
    """The container ended, or did not answer ``/ping`` in time."""


class Instance:
    """A process that serves one model on a local port; restarted in place when it dies."""

    def __init__(self, model: ServedModel, log_name: str) -> None:
        self.model = model
        self.instance_id = uuid.uuid4().hex[:12]
        self.log_file = background.RUN_DIR / "logs" / "endpoints" / log_name / f"{self.instance_id}.log"
        self.healthy = False
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._in_flight = 0
        self._lock = threading.Condition()
        self._stopped = False
        endpoint, _, variant = log_name.partition("/")
        self._log = container_logs.of_instance(endpoint, variant, self.instance_id, model.role_arn, self.log_file)
        self._is_logged = False

    def start(self) -> None:
        """Start the process and wait until it answers ``/ping``.

        Raises:
            InstanceFailed: it ended or stayed silent.
        """
        if self._process is not None:
            background.stop(self._process)  # what the one that died has left running
        with _starting:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self._port = int(probe.getsockname()[1])
            process = background.spawn(self._command(), environment=self._environment(), cwd=_PROJECT, log_file=self.log_file)
            self._process = process
            if not self._is_logged:
                self._is_logged = True
                self._log.start()
            if self._stopped:
                self.stop()
            deadline = time.monotonic() + _START_SECONDS
            while process.poll() is None and time.monotonic() < deadline:
                if self._answers_ping():
                    self.healthy = True
                    return
                time.sleep(0.05)
        background.stop(process, grace_seconds=1)
        tail = self.log_file.read_text(errors="replace")[-1_000:]
        log.warning("a container of model %s did not come up; the end of %s:\n%s", self.model.name, self.log_file, tail)
        raise InstanceFailed(self.model.name)

    def _command(self) -> list[str]:
        serving = [image_python.PYTHON, "-m", "embedded_aws.containers.serving"]
        return [*serving, "--model-dir", str(self.model.folder), "--port", str(self._port)]

    def _environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if key in _OF_THE_HOST}
        offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"} if self.model.isolated else {}
        return {
            **kept,
            "PYTHONPATH": str(_PROJECT),
            "PYTHONUNBUFFERED": "1",
            "OMP_NUM_THREADS": "1",
            "SM_MODEL_DIR": str(self.model.folder),
            **offline,
            **self.model.environment,
        }

    def _answers_ping(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=2)
        try:
            connection.request("GET", "/ping")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def has_died(self) -> bool:
        return not self._stopped and self._process is not None and self._process.poll() is not None

    def acquire(self) -> None:
        """Count a request in before it is sent, so that :meth:`stop` waits for it."""
        with self._lock:
            self._in_flight += 1

    def invoke(self, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        """Send an acquired request; response headers are lower case.

        Raises:
            TimeoutError: the process takes too long.
            OSError: the process does not answer.
            http.client.HTTPException: it answers with something that is not HTTP.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_INVOCATION_SECONDS)
        try:
            connection.request("POST", "/invocations", body, headers)
            response = connection.getresponse()
            return response.status, {key.lower(): value for key, value in response.getheaders()}, response.read()
        finally:
            connection.close()
            with self._lock:
                self._in_flight -= 1
                self._lock.notify_all()

    def stop(self) -> None:
        """Let requests in flight end, then end the process."""
        self._stopped = True
        self.healthy = False
        with self._lock:
            self._lock.wait_for(lambda: self._in_flight == 0, _INVOCATION_SECONDS if self._process and self._process.poll() is None else 0)
        if self._process is not None:
            background.stop(self._process, grace_seconds=2)
            self._log.stop()


def start_all(instances: Sequence[Instance]) -> None:
    """Start instances side by side; when one fails, all of them are stopped.

    Raises:
        InstanceFailed: of the first that failed.
    """
    if not instances:
        return
    with ThreadPoolExecutor(len(instances), thread_name_prefix="instance") as pool:
        starts = [pool.submit(contextvars.copy_context().run, instance.start) for instance in instances]
    failures = [failure for failure in (start.exception() for start in starts) if failure is not None]
    if failures:
        stop_all(instances)
        raise failures[0]


def stop_all(instances: Sequence[Instance]) -> None:
    if instances:
        with ThreadPoolExecutor(len(instances), thread_name_prefix="instance") as pool:
            list(pool.map(Instance.stop, instances))
