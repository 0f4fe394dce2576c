"""Processes by id, safely: a process id is reused, so a process is known by its id *and* its start time."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc")
_HAS_PROC = (_PROC / "self" / "stat").exists()
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if os.uname().sysname == "Linux" else None


def identity(pid: int) -> str | None:
    """When the process started, in a form that only serves comparison; None when it is gone (or a zombie)."""
    fields = _stat(pid) if _HAS_PROC else _ps(pid)
    return None if fields is None or fields.is_zombie else fields.started


def descendants(pid: int) -> dict[int, str]:
    """Living processes that the process started, directly or not, with their identities."""
    parents = _parents()
    found: dict[int, str] = {}
    level = {pid}
    while level:
        level = {child for child, parent in parents.items() if parent in level and child not in found}
        for child in level:
            found[child] = identity(child) or ""
    return {child: mark for child, mark in found.items() if mark}


def group(leader: int) -> list[int]:
    """Living processes of the process group that this process leads or led."""
    if _HAS_PROC:
        return [pid for pid, fields in _all().items() if fields.group == leader and not fields.is_zombie]
    done = subprocess.run(["ps", "-axo", "pid=,pgid=,stat="], capture_output=True, text=True, check=True)
    rows = [line.split() for line in done.stdout.splitlines()]
    return [int(pid) for pid, leading, state, *_ in rows if int(leading) == leader and not state.startswith("Z")]


def die_with_parent() -> None:
    """In a child, between fork and exec: the kernel kills it when the *thread* that started it ends. Linux only."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def running(module: str, variable: str, value: str) -> list[int]:
    """Python processes of ``-m module`` that were started with this environment variable; none where there is no /proc."""
    if not _HAS_PROC:
        return []
    wanted = os.fsencode(f"{variable}={value}")
    found = []
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):  # it has ended, or is another user's
                command = (entry / "cmdline").read_bytes().split(b"\0")
                if command[1:3] == [b"-m", module.encode()] and wanted in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return found


def variable(pid: int, name: str) -> str | None:
    """The value that an environment variable had when the process was started."""
    with contextlib.suppress(OSError):
        for item in (_PROC / str(pid) / "environ").read_text(errors="replace").split("\0"):
            if item.startswith(f"{name}="):
                return item.partition("=")[2]
    return None


def end(pid: int, expected: str, *, grace_seconds: float) -> None:
    """SIGTERM, then SIGKILL after ``grace_seconds``; nothing if the process is no longer the expected one."""
    for sent, wait in ((signal.SIGTERM, grace_seconds), (signal.SIGKILL, 5.0)):
        found = identity(pid)
        if found is None or (expected and found != expected):
            return
        try:
            os.kill(pid, sent)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + wait
        while time.monotonic() < deadline and _still(pid, found):
            time.sleep(0.01)


def kill_all(found: Mapping[int, str], *, wait_seconds: float = 5.0) -> None:
    """SIGKILL to every process that is still the expected one, and only then wait until all are gone.

    Args:
        found: identities by process id, as :func:`descendants` gives them.
    """
    mine = {pid: mark for pid, mark in found.items() if identity(pid) == mark}
    for pid in mine:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + wait_seconds
    while time.monotonic() < deadline and any(_still(pid, mark) for pid, mark in mine.items()):
        time.sleep(0.01)


def _still(pid: int, mark: str) -> bool:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)  # our own child: reap it
    return identity(pid) == mark


class _Fields(NamedTuple):
    state: str
    parent: int
    group: int
    started: str

    @property
    def is_zombie(self) -> bool:
        return self.state.startswith("Z")


def _stat(pid: int) -> _Fields | None:
    """Fields 3, 4, 5 and 22 of ``stat`` in Linux's /proc. They are counted from the end of the name, which may have any characters."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return None
    return _Fields(fields[0], int(fields[1]), int(fields[2]), fields[19])


def _all() -> dict[int, _Fields]:
    found = {int(entry.name): _stat(int(entry.name)) for entry in _PROC.iterdir() if entry.name.isdigit()}
    return {pid: fields for pid, fields in found.items() if fields}


def _ps(pid: int) -> _Fields | None:
    done = subprocess.run(["ps", "-o", "stat=,ppid=,pgid=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    fields = done.stdout.split(None, 3)
    return _Fields(fields[0], int(fields[1]), int(fields[2]), fields[3].strip()) if len(fields) == 4 else None


def _parents() -> dict[int, int]:
    if _HAS_PROC:
        return {pid: fields.parent for pid, fields in _all().items()}
    done = subprocess.run(["ps", "-axo", "pid=,ppid="], capture_output=True, text=True, check=True)
    return {int(pid): int(parent) for pid, parent in (line.split() for line in done.stdout.splitlines())}
