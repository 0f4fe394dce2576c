"""Threads that keep the account and region of the request that started them, and child processes that never outlive the embedded AWS."""

from __future__ import annotations

import contextlib
import contextvars
import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from embedded_aws.tools import processes

log = logging.getLogger("embedded_aws")

RUN_DIR = Path(os.environ.get("EMBEDDED_AWS_RUN_DIR", ".run")).resolve()
"""Where jobs, variants and logs of this embedded AWS live; removed on a clean start."""

_children: set[subprocess.Popen[bytes]] = set()
_lock = threading.Lock()
_KILLED_SECONDS = 5.0
"""How long to wait for a killed process that the kernel does not end."""


class Overtaken(RuntimeError):
    """The thread was started before everything was stopped: it has nothing to start a process for."""


_era = 0
_born: contextvars.ContextVar[int | None] = contextvars.ContextVar("embedded_aws_era", default=None)


def start(function: Callable[[], None], name: str) -> threading.Thread:
    """Run ``function`` in a daemon thread with the caller's account and region; an exception is logged, not lost."""
    context = contextvars.copy_context()
    context.run(_born.set, _era)

    def body() -> None:
        try:
            context.run(function)
        except Overtaken:
            log.info("background task %s ends: everything was stopped", name)
        except Exception:
            log.exception("background task %s failed", name)

    thread = threading.Thread(target=body, name=name, daemon=True)
    thread.start()
    return thread


def is_overtaken() -> bool:
    """Whether everything was stopped since this thread of :func:`start` began."""
    return _born.get() not in (None, _era)


# A child dies with the *thread* that started it: children are started by one thread that lives as long as the process.
_spawner = ThreadPoolExecutor(1, thread_name_prefix="spawner")


def spawn(arguments: Sequence[str], *, environment: Mapping[str, str], cwd: Path, log_file: Path) -> subprocess.Popen[bytes]:
    """Start a child process in its own session, logging to ``log_file``; it dies with the embedded AWS.

    Raises:
        OSError: it cannot be started.
        Overtaken: from a thread of :func:`start` that :func:`stop_all` has overtaken.
    """
    born = _born.get()
    log_file.parent.mkdir(parents=True, exist_ok=True)

    def popen() -> subprocess.Popen[bytes]:
        with log_file.open("ab") as stream, _lock:
            if born not in (None, _era):
                raise Overtaken
            process = subprocess.Popen(
                list(arguments), env=dict(environment), cwd=cwd, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=processes.die_with_parent,  # noqa: PLW1509  (one C call into a library loaded beforehand)
            )  # fmt: skip
            _children.add(process)
            return process

    return _spawner.submit(popen).result()


def stop(process: subprocess.Popen[bytes], grace_seconds: float = 5) -> None:
    """End a container as ``docker stop`` does: SIGTERM to its first process, and at that one's end, or after ``grace_seconds``,
    SIGKILL to everything that it started. Returns when nothing of its process group is left; sweeps up after one that has ended, once.
    """
    with _lock:
        if process not in _children:
            return  # its id may be another's by now
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace_seconds)
    deadline = time.monotonic() + _KILLED_SECONDS
    with contextlib.suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            os.killpg(process.pid, signal.SIGKILL)
            if process.poll() is not None and not processes.group(process.pid):
                break
            time.sleep(0.01)
    with _lock:
        _children.discard(process)


def stop_all() -> None:
    """End every child process; no thread that :func:`start` has started so far starts another."""
    global _era  # noqa: PLW0603  (of the process)
    with _lock:
        _era += 1
        children = list(_children)
    for child in children:
        stop(child, grace_seconds=1)
