"""A function's process that ends, while it starts or half-way, is told of as on AWS: ``Runtime.ExitError`` and how it ended."""

from __future__ import annotations

import base64
import io
import json
import re
import uuid
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

KILLED = "os.kill(os.getpid(), signal.SIGKILL)"
ENDS = (
    (KILLED, "Runtime exited with error: signal: killed"),
    ("os._exit(3)", "Runtime exited with error: exit status 3"),
    ("sys.exit(0)", "Runtime exited without providing a reason"),
)


@pytest.fixture
def invoke(aws: Callable[..., Any], make_role: Callable[..., str]) -> Callable[..., tuple[dict[str, Any], dict[str, Any]]]:
    """Create a function with this code and invoke it: the answer, and what its payload says."""
    role = make_role(f"exits-{uuid.uuid4().hex[:8]}", [], ["lambda.amazonaws.com"])

    def told(at_start: str, in_handler: str, *, own_python: bool = False) -> tuple[dict[str, Any], dict[str, Any]]:
        name, file = f"exits-{uuid.uuid4().hex[:8]}", io.BytesIO()
        code = f"import os, signal, sys\n{at_start}\ndef handler(event, context):\n    {in_handler}\n"
        with zipfile.ZipFile(file, "w") as stream:
            stream.writestr("index.py", code)
        aws("lambda").create_function(
            FunctionName=name, Runtime="python3.11", Handler="index.handler", Role=role, Timeout=30, Code={"ZipFile": file.getvalue()},
            Environment={"Variables": {"AWS_XRAY_TRACING_NAME": "mine"} if own_python else {}},
        )  # fmt: skip
        answer = aws("lambda").invoke(FunctionName=name, LogType="Tail")
        return answer, json.loads(answer["Payload"].read())

    return told


@pytest.mark.parametrize("own_python", [False, True], ids=["forked", "own"])
@pytest.mark.parametrize(("statement", "message"), ENDS, ids=["killed", "failed", "left"])
def test_a_process_that_ends_while_it_starts(invoke: Callable[..., Any], statement: str, message: str, own_python: bool) -> None:
    answer, told = invoke(f"print('so far')\n{statement}", "pass", own_python=own_python)
    require_told(answer, told, message)
    assert "so far" in base64.b64decode(answer["LogResult"]).decode()


@pytest.mark.parametrize("own_python", [False, True], ids=["forked", "own"])
@pytest.mark.parametrize(("statement", "message"), ENDS, ids=["killed", "failed", "left"])
def test_a_process_that_ends_half_way(invoke: Callable[..., Any], statement: str, message: str, own_python: bool) -> None:
    answer, told = invoke("", statement, own_python=own_python)
    require_told(answer, told, message)


def require_told(answer: dict[str, Any], told: dict[str, Any], message: str) -> None:
    assert answer["FunctionError"] == "Unhandled"
    assert told.keys() == {"errorType", "errorMessage"}
    assert told["errorType"] == "Runtime.ExitError"
    assert re.fullmatch(rf"RequestId: [0-9a-f-]{{36}} Error: {message}", told["errorMessage"])


def test_an_exception_keeps_its_name(invoke: Callable[..., Any]) -> None:
    answer, told = invoke("", "raise BrokenPipeError(32, 'Broken pipe')")
    assert (answer["FunctionError"], told["errorType"]) == ("Unhandled", "BrokenPipeError")
