"""A Python where imports are shared: runs its arguments in a process that ``fork_server.py`` forks, and stands for it.

``python -IS fork_client.py NAME SOCKET SAME ARGUMENT...``. ``NAME`` is the path it was called by. ``SAME`` is ``VARIABLE=value,...``: with
other values the imports would have gone otherwise. The same goes for variables that Python itself reads when it starts. Signals are passed
on, the exit status is the process's own. Whatever the server cannot do, or when there is none, a Python of its own does: only slower.
"""

import contextlib
import json
import os
import signal
import socket
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

_LONGEST_PATH = 100
_HONOURED = frozenset({"PYTHONPATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"})
"""What ``fork_server.py`` does as the interpreter would; any other variable of Python's own comes too late for a process that is forked."""
_PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class NotForkedError(Exception):
    """The server ended before it forked anything."""


def can_be_forked(arguments: list[str], same: str) -> bool:
    """``-m module ...`` or ``program.py ...``, with the variables that the server has; an empty value is one that is not set."""
    program = arguments[0] if arguments else ""
    starts = program.endswith(".py") or (program == "-m" and len(arguments) > 1)
    pairs = (pair.partition("=") for pair in filter(None, same.split(",")))
    return starts and all(os.environ.get(name, "") == value for name, _, value in pairs) and not any(map(_python_reads, os.environ))


def _python_reads(name: str) -> bool:
    """Whether the interpreter reads the variable when it starts. All of its names go on with a letter before Python 3.13; ``PYTHON`` alone
    is what people call the interpreter, as the Makefile does.
    """
    return name.startswith("PYTHON") and name[len("PYTHON") :][:1].isalpha() and name not in _HONOURED and os.environ[name] != ""


def connect(path: str) -> socket.socket:
    """A socket's address is short: a long path goes by its folder's descriptor."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        if len(path) <= _LONGEST_PATH:
            connection.connect(path)
            return connection
        folder, _, name = path.rpartition("/")
        descriptor = os.open(folder, os.O_PATH)
        try:
            connection.connect(f"/proc/self/fd/{descriptor}/{name}")
        finally:
            os.close(descriptor)
    except OSError:
        connection.close()
        raise
    return connection


def stand_for(connection: socket.socket, name: str, arguments: list[str]) -> int:
    """Have the process forked and wait for its end; returns its status, negative for a signal. Raises NotForkedError."""
    process: int = 0
    waiting: list[int] = []

    def pass_on(number: int, _frame: FrameType | None = None) -> None:
        if process:
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                os.kill(process, number)
        else:
            waiting.append(number)

    for number in _PASSED_ON:
        signal.signal(number, pass_on)
    request = {"python": name, "arguments": arguments, "environment": dict(os.environ), "folder": str(Path.cwd())}
    with contextlib.suppress(ConnectionError):  # which the next line finds out
        socket.send_fds(connection, [json.dumps(request).encode()], [0, 1, 2])
    while True:
        try:
            message = connection.recv(4_096)
        except ConnectionError:
            message = b""
        if not message and not process:
            for number in _PASSED_ON:
                signal.signal(number, signal.SIG_DFL)
            for early in waiting:
                os.kill(os.getpid(), early)
            raise NotForkedError
        if not message:
            return -int(signal.SIGKILL)  # the server is gone, and took the process along
        answer = json.loads(message)
        if "status" in answer:
            return int(answer["status"])
        process = answer["pid"]
        for early in waiting:
            pass_on(early)


def end_like(status: int) -> NoReturn:
    if status < 0:
        if -status != signal.SIGKILL:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


def main() -> None:
    name, path, same, arguments = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
    if can_be_forked(arguments, same):
        with contextlib.suppress(OSError, NotForkedError):
            end_like(stand_for(connect(path), name, arguments))
    os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606  (this is the caller's own command)


if __name__ == "__main__":
    main()
