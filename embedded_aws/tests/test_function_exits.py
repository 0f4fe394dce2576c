"""A function's process that ends, while it starts or half-way, is told of as on AWS: ``Runtime.ExitError`` and how it ended. So are
exceptions, of the handler and of its import."""

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

THREAD = "import threading; threading.Thread(target=threading.Event().wait).start()"
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


def test_a_handler_that_speaks_of_an_end_has_not_ended(invoke: Callable[..., Any]) -> None:
    message = "RequestId: 1 Error: Runtime exited with error: signal: killed"
    _, told = invoke("", f"raise ValueError({message!r})")
    assert (told["errorType"], told["errorMessage"]) == ("ValueError", message)


def test_a_process_that_ends_after_an_exception_that_it_caught_has_ended(invoke: Callable[..., Any]) -> None:
    caught = "try:\n        raise ValueError('no')\n    except ValueError:\n        import traceback; traceback.print_exc()\n    "
    answer, told = invoke("", caught + KILLED)
    require_told(answer, told, ENDS[0][1])


@pytest.mark.parametrize("own_python", [False, True], ids=["forked", "own"])
@pytest.mark.parametrize(
    ("at_start", "in_handler", "said"),
    [
        ("raise ValueError('no settings')", "pass", ("ValueError", "no settings")),
        ("import absent", "pass", ("Runtime.ImportModuleError", "Unable to import module 'index': No module named 'absent'")),
        ("def broken(:", "pass", ("Runtime.UserCodeSyntaxError", "Syntax error in module 'index': invalid syntax (index.py, line 3)")),
        ("", "pass\ndel handler", ("Runtime.HandlerNotFound", "Handler 'handler' missing on module 'index'")),
        (f"{THREAD}\n1 / 0", "pass", ("ZeroDivisionError", "division by zero")),
    ],
    ids=["exception", "no module", "syntax", "no handler", "with a thread"],
)
def test_a_module_that_cannot_be_imported(
    invoke: Callable[..., Any], at_start: str, in_handler: str, said: tuple[str, str], own_python: bool
) -> None:
    answer, told = invoke(f"print('so far')\n{at_start}", in_handler, own_python=own_python)
    assert (answer["FunctionError"], told["errorType"], told["errorMessage"]) == ("Unhandled", *said)
    log = base64.b64decode(answer["LogResult"]).decode()
    assert ("so far" in log, "Traceback (most recent call last)" in log) == ("broken" not in at_start, True)


def test_an_exception_keeps_its_name(invoke: Callable[..., Any]) -> None:
    answer, told = invoke("", "raise BrokenPipeError(32, 'Broken pipe')")
    assert (answer["FunctionError"], told["errorType"]) == ("Unhandled", "BrokenPipeError")
