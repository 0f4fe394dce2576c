"""A Python that has imported what many programs import, and forks a process for each one that asks.

``python -I fork_server.py SOCKET FOLDERS MODULE...``. ``FOLDERS`` come first while modules are looked for, separated as in ``PATH``.
Importing torch and transformers takes five seconds of a core, the libraries of a Lambda function up to one, and one run of the loop starts
over twenty containers and sixty functions. ``fork_client.py`` is their ``python3``: it hands its arguments, variables, folder and standard
streams over, and stands for the forked process from then on. Linux only.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import threading
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

MESSAGE_BYTES = 1 << 20
_STREAMS = 3
_PAUSE_SECONDS = 0.05
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass
class Asked:
    """A connection that has not said yet what to run."""

    connection: socket.socket


@dataclass
class Running:
    """A forked process, and the connection of the client that stands for it."""

    pid: int
    pid_descriptor: int
    connection: socket.socket


class Server:
    """Forks on request, tells the client the process id and, at its end, the status; a client that dies takes its process along."""

    def __init__(self, path: str) -> None:
        """Listen. Whoever asks before :meth:`serve` waits."""
        self._libraries = list(sys.path)
        self._selector = selectors.DefaultSelector()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        mask = os.umask(0o077)  # whoever may connect may run code as this user
        self._listener.bind(f"{path}.new")
        os.umask(mask)
        self._listener.listen(64)
        Path(f"{path}.new").rename(path)  # from the first moment on, whoever finds it can connect
        self._selector.register(self._listener, selectors.EVENT_READ, None)

    def serve(self) -> None:
        """Answer requests until this process is killed."""
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    self._accept()
                elif isinstance(key.data, Asked):
                    self._fork(key.data.connection)
                elif key.fileobj == key.data.pid_descriptor:
                    self._ended(key.data)
                else:
                    self._left(key.data)

    def _accept(self) -> None:
        try:
            connection = self._listener.accept()[0]
            self._selector.register(connection, selectors.EVENT_READ, Asked(connection))
        except OSError as error:
            print(f"cannot accept: {error}", file=sys.stderr, flush=True)
            time.sleep(_PAUSE_SECONDS)  # the client waits until a process ends and leaves its descriptors

    def _fork(self, connection: socket.socket) -> None:
        """Start what the connection asks for. Where that fails, the connection closes without an answer: nothing has run."""
        self._selector.unregister(connection)
        streams: list[int] = []
        running = None
        try:
            message, streams, _, _ = socket.recv_fds(connection, MESSAGE_BYTES, _STREAMS)
            if len(streams) == _STREAMS:
                running = self._start(connection, message, streams)
        except OSError as error:
            print(f"cannot fork: {error}", file=sys.stderr, flush=True)
        for stream in streams:
            os.close(stream)
        if running is None:
            connection.close()
            return
        with contextlib.suppress(OSError):
            connection.send(json.dumps({"pid": running.pid}).encode())

    def _start(self, connection: socket.socket, message: bytes, streams: list[int]) -> Running:
        """Fork. The process touches its streams only once the server watches it, so until then the client can still do without it."""
        sys.stdout.flush()
        sys.stderr.flush()
        gate, opener = os.pipe()
        pid = descriptor = 0
        try:
            pid = os.fork()
            if pid == 0:
                os.close(opener)
                connection.close()
                self._become(gate, message, streams)
            descriptor = os.pidfd_open(pid)
            running = Running(pid, descriptor, connection)
            self._selector.register(descriptor, selectors.EVENT_READ, running)
            self._selector.register(connection, selectors.EVENT_READ, running)
            os.write(opener, b"1")
        except OSError:
            for watched in (descriptor, connection):
                with contextlib.suppress(KeyError):
                    self._selector.unregister(watched)
            if descriptor:
                os.close(descriptor)
            if pid:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            raise
        finally:
            os.close(gate)
            os.close(opener)
        return running

    def _ended(self, running: Running) -> None:
        """What the process has left running ends with it, as in a container; until it is waited for, its id is no other's."""
        with contextlib.suppress(ProcessLookupError):  # it ended before it had a group of its own
            os.killpg(running.pid, signal.SIGKILL)
        _, status = os.waitpid(running.pid, 0)
        self._selector.unregister(running.pid_descriptor)
        os.close(running.pid_descriptor)
        with contextlib.suppress(OSError):
            running.connection.send(json.dumps({"status": os.waitstatus_to_exitcode(status)}).encode())
        with contextlib.suppress(KeyError):
            self._selector.unregister(running.connection)
        running.connection.close()

    def _left(self, running: Running) -> None:
        """The client has ended, so nobody needs the process any more."""
        if running.connection.fileno() < 0:  # the process ended just before
            return
        self._selector.unregister(running.connection)
        os.kill(running.pid, signal.SIGKILL)  # it may not have a group of its own yet; its id is its own until it is waited for
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)

    # -- in the forked process ---------------------------------------------------------------------------

    def _become(self, gate: int, message: bytes, streams: list[int]) -> NoReturn:
        """Be the process that was asked for: nothing of the server is left but its imports."""
        code = 1
        try:
            os.setsid()
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if not os.read(gate, 1):  # the server has ended before that call, or cannot watch this process
                os._exit(code)
            os.close(gate)
            for target, stream in enumerate(streams):
                os.dup2(stream, target)
                os.close(stream)
            for key in list(self._selector.get_map().values()):
                os.close(key.fd)
            self._selector.close()
            code = _run(json.loads(message), self._libraries)
        except BaseException:
            traceback.print_exc()
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)


def _run(request: dict[str, Any], libraries: list[str]) -> int:
    """Run the program as the interpreter would, to the end of its threads and exit functions; returns its exit code."""
    environment, arguments = request["environment"], request["arguments"]
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    os.chdir(request["folder"])
    sys.executable = request["python"]
    sys.dont_write_bytecode = bool(environment.get("PYTHONDONTWRITEBYTECODE"))
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, write_through=bool(environment.get("PYTHONUNBUFFERED")))  # type: ignore[union-attr]  # a TextIOWrapper
    is_module = arguments[0] == "-m"
    first = Path.cwd() if is_module else Path(arguments[0]).resolve().parent
    sys.path[:] = [str(first), *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep)), *libraries]
    sys.argv[:] = arguments[1:] if is_module else arguments
    try:
        if is_module:
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(arguments[0], run_name="__main__")
        code = 0
    except SystemExit as error:
        code = _exit_code(error.code)
    except BaseException:
        traceback.print_exc()
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]  # what the interpreter calls at its end; not in the stubs
    atexit._run_exitfuncs()
    return code


def _exit_code(value: object) -> int:
    if value is None or isinstance(value, int):
        return value or 0
    print(value, file=sys.stderr)
    return 1


def main() -> None:
    path, folders, modules = sys.argv[1], sys.argv[2], sys.argv[3:]
    server = Server(path)
    own = list(sys.path)
    sys.path[:0] = filter(None, folders.split(os.pathsep))
    for name in modules:
        importlib.import_module(name)
    sys.path[:] = own
    threads = threading.active_count()
    if threads > 1:
        raise SystemExit(f"cannot fork safely: importing {' '.join(modules)} started {threads - 1} thread(s)")
    gc.collect()
    gc.freeze()  # the children do not touch, and so do not copy, what was imported
    server.serve()


if __name__ == "__main__":
    main()
