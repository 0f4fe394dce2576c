"""Threads that keep the account and region of the request that started them, and child processes that never outlive the emulator."""

from __future__ import annotations

import contextvars
import ctypes
import logging
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

log = logging.getLogger("reviewloop.emulator")

RUN_DIR = Path(os.environ.get("REVIEWLOOP_RUN_DIR", ".run")).resolve()
"""Where jobs, variants and logs of this emulator live; removed on a clean start."""

_children: set[subprocess.Popen[bytes]] = set()
_lock = threading.Lock()


def start(function: Callable[[], None], name: str) -> threading.Thread:
    """Run ``function`` in a daemon thread with the caller's account and region; an exception is logged, not lost."""
    context = contextvars.copy_context()

    def body() -> None:
        try:
            context.run(function)
        except Exception:
            log.exception("background task %s failed", name)

    thread = threading.Thread(target=body, name=name, daemon=True)
    thread.start()
    return thread


_libc = ctypes.CDLL("libc.so.6", use_errno=True) if os.uname().sysname == "Linux" else None
# PR_SET_PDEATHSIG follows the parent *thread*: children are started by one thread that lives as long as the process.
_spawner = ThreadPoolExecutor(1, thread_name_prefix="spawner")


def _die_with_parent() -> None:
    """Linux: the kernel kills the child when the emulator dies, however it dies."""
    if _libc is not None:
        _libc.prctl(1, signal.SIGKILL)


def spawn(arguments: Sequence[str], *, environment: Mapping[str, str], cwd: Path, log_file: Path) -> subprocess.Popen[bytes]:
    """Start a child process in its own session, logging to ``log_file``; it dies with the emulator."""
    log_file.parent.mkdir(parents=True, exist_ok=True)

    def popen() -> subprocess.Popen[bytes]:
        with log_file.open("ab") as stream:
            return subprocess.Popen(
                list(arguments), env=dict(environment), cwd=cwd, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509  (one C call into a library loaded beforehand)
            )  # fmt: skip

    process = _spawner.submit(popen).result()
    with _lock:
        _children.difference_update({child for child in _children if child.poll() is not None})
        _children.add(process)
    return process


def stop(process: subprocess.Popen[bytes], grace_seconds: float = 5) -> None:
    """SIGTERM, then SIGKILL after ``grace_seconds``, to the child's whole process group."""
    for sent, wait in ((signal.SIGTERM, grace_seconds), (signal.SIGKILL, 5.0)):
        if process.poll() is not None:
            return
        try:
            os.killpg(process.pid, sent)
        except ProcessLookupError:
            return
        try:
            process.wait(wait)
        except subprocess.TimeoutExpired:
            continue


def stop_all() -> None:
    with _lock:
        children = list(_children)
    for child in children:
        stop(child, grace_seconds=1)
