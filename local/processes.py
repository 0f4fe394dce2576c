"""Processes by id, safely: a process id is reused, so a process is known by its id *and* its start time."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

_PROC = Path("/proc")
_HAS_PROC = (_PROC / "self" / "stat").exists()


def identity(pid: int) -> str | None:
    """When the process started, in a form that only serves comparison; None when it is gone (or a zombie)."""
    fields = _stat(pid) if _HAS_PROC else _ps(pid)
    if fields is None or fields[0].startswith("Z"):
        return None
    return fields[2]


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


def running(module: str, variable: str, value: str) -> list[int]:
    """Python processes of ``-m module`` that were started with this environment variable; none where there is no /proc."""
    if not _HAS_PROC:
        return []
    wanted = f"{variable}={value}".encode()
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
    """SIGTERM, then SIGKILL after ``grace_seconds`` (at once when 0); nothing if the process is no longer the expected one."""
    for sent, wait in ((signal.SIGTERM, grace_seconds), (signal.SIGKILL, 5.0)):
        if wait == 0:
            continue
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


def _still(pid: int, mark: str) -> bool:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)  # our own child: reap it
    return identity(pid) == mark


def _stat(pid: int) -> tuple[str, int, str] | None:
    """``(state, parent, start time)`` from Linux's /proc: fields 3, 4 and 22 of ``stat``; the name before may hold anything."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return None
    return fields[0], int(fields[1]), fields[19]


def _ps(pid: int) -> tuple[str, int, str] | None:
    done = subprocess.run(["ps", "-o", "stat=,ppid=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    fields = done.stdout.split(None, 2)
    return (fields[0], int(fields[1]), fields[2].strip()) if len(fields) == 3 else None


def _parents() -> dict[int, int]:
    if _HAS_PROC:
        found = {int(entry.name): _stat(int(entry.name)) for entry in _PROC.iterdir() if entry.name.isdigit()}
        return {pid: fields[1] for pid, fields in found.items() if fields}
    done = subprocess.run(["ps", "-axo", "pid=,ppid="], capture_output=True, text=True, check=True)
    return {int(pid): int(parent) for pid, parent in (line.split() for line in done.stdout.splitlines())}
