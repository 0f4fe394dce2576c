"""Kills the processes of deployed functions: at any moment, or in the middle of an invocation, right after a call of AWS that it names.

A function that :class:`KillingGate` guards reaches AWS through a server of the gate. When AWS has answered the chosen call, the gate keeps
the answer to itself and kills the function: what the call did is done, and the function never hears of it.
"""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from deployed_app import DeployedApp

from embedded_aws.tools import processes

_DIES_WITHIN_SECONDS = 30.0
_OF_ONE_CONNECTION = ("connection", "keep-alive", "transfer-encoding", "content-length")


def kill(app: DeployedApp, function: str) -> int:
    """SIGKILL to every process of a function; how many there were.

    A process that was forked (``embedded_aws/lambda_/shared_runtime.py``) has the command line of the fork server, which serves other
    functions too. It is killed by the one that stands for it: the server kills what has lost its stand-in.
    """
    mark, killed = f"ministack-lambda-{app.names.function(function)}-", 0
    for pid in processes.descendants(app.emulator.pid):
        try:
            if mark in Path(f"/proc/{pid}/cmdline").read_text():
                os.kill(pid, signal.SIGKILL)
                killed += 1
        except (FileNotFoundError, ProcessLookupError):
            continue
    return killed


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """The functions at the other end die: all processes of one, whichever made the call."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]  # as it was given


class KillingGate:
    """Between some functions and AWS: kills each of them once after the call that :meth:`aim` names.

    Attributes:
        killed: function -> the call after which it was killed, since :meth:`aim`.
        calls: function -> the calls that it has made so far, for the message of a test that failed.
        survived: functions that went on after their SIGKILL.
    """

    def __init__(self, app: DeployedApp, functions: tuple[str, ...]) -> None:
        self._app, self._functions = app, functions
        self._lock = threading.Lock()
        self._aims: dict[str, str] = {}
        self.killed: dict[str, str] = {}
        self.calls: dict[str, list[str]] = {function: [] for function in functions}
        self.survived: list[str] = []
        self._servers: list[ThreadingHTTPServer] = []

    def open(self) -> None:
        """Start a server for each function, and make it the function's way to AWS."""
        lambda_ = self._app.client("lambda")
        for function in self._functions:
            server = _Server(("127.0.0.1", 0), _handler(self, function, self._app.emulator.url))
            threading.Thread(target=server.serve_forever, name=f"gate-{function}", daemon=True).start()
            self._servers.append(server)
            name = self._app.names.function(function)
            variables = lambda_.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
            variables["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{server.server_port}"
            lambda_.update_function_configuration(FunctionName=name, Environment={"Variables": variables})

    def close(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def aim(self, calls: Mapping[str, str]) -> None:
        """Kill each of these functions the next time that it makes this call, such as ``PutParameter``."""
        with self._lock:
            self._aims, self.killed = dict(calls), {}

    def shall_die(self, function: str, call: str) -> bool:
        """True once, for the call that was named."""
        with self._lock:
            self.calls[function].append(call)
            if self._aims.get(function) != call:
                return False
            del self._aims[function]
            return True

    def end(self, function: str, call: str, connection: socket.socket) -> None:
        """Kill the function, and return when the process at the other end of the connection is dead."""
        kill(self._app, function)
        connection.settimeout(_DIES_WITHIN_SECONDS)
        try:
            dead = connection.recv(1) == b""
        except ConnectionResetError:
            dead = True
        except TimeoutError:
            dead = False
        with self._lock:
            self.killed[function] = call
            if not dead:
                self.survived.append(function)


def _handler(gate: KillingGate, function: str, aws: str) -> type[BaseHTTPRequestHandler]:
    upstream = urlsplit(aws)

    class Handler(BaseHTTPRequestHandler):
        """Hands each request on as it is, since it is signed."""

        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            connection = http.client.HTTPConnection(upstream.hostname or "", upstream.port, timeout=60)
            try:
                connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    if name.lower() not in ("connection", "expect"):
                        connection.putheader(name, value)
                connection.endheaders(body)
                answer = connection.getresponse()
                content = answer.read()
            finally:
                connection.close()
            call = _call(self.command, self.path, self.headers.get("X-Amz-Target"), body)
            if gate.shall_die(function, call):
                gate.end(function, call, self.connection)
                self.close_connection = True
                return
            self.send_response_only(answer.status, answer.reason)
            for name, value in answer.getheaders():
                if name.lower() not in _OF_ONE_CONNECTION:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    for method in ("GET", "POST", "PUT", "DELETE"):
        setattr(Handler, f"do_{method}", Handler.handle_any)
    return Handler


def _call(method: str, path: str, target: str | None, body: bytes) -> str:
    """The operation's name; of a REST service that is neither SageMaker's nor CBOR, the method and the first part of the path."""
    if target:
        return target.rpartition(".")[2]
    if found := re.search(r"/operation/(\w+)$", path):  # smithy-rpc-v2-cbor
        return found[1]
    if path.endswith("/invocations"):
        return "InvokeEndpoint"
    if action := parse_qs(body.decode(errors="replace")).get("Action"):
        return action[0]
    return f"{method} {urlsplit(path).path.split('/')[1]}"
