"""The log of an invocation has its own lines and ends with them; nobody waits for lines that do not come."""

from __future__ import annotations

import base64
import io
import json
import uuid
import zipfile
from collections.abc import Callable
from typing import Any

from embedded_aws.tests.test_hooks import in_emulator

HANDLER = """
import sys

def handler(event, context):
    for line in event["lines"]:
        print(line)
    print(event["rest"], end="")
    if event.get("raises"):
        raise ValueError("no")
    return len(event["lines"])
"""
DRAIN = """
import json, queue
from types import SimpleNamespace
from embedded_aws.lambda_.log_ends import MARK, to_the_mark

def stock(worker):
    return "stock\\n" + MARK + "\\nway" + MARK

drain, source = to_the_mark(stock), queue.Queue()
worker = SimpleNamespace(_stderr_queue=source, _proc=SimpleNamespace(poll=lambda: None), config={"Runtime": "python3.11"})
found = []
for lines in (["one", "", "two" + MARK, "later"], [MARK], [MARK]):
    for line in lines:
        source.put(line)
    found.append(drain(worker))
source.put("no mark in time")
found.append(drain(worker))
for line in (MARK, "next", MARK):
    source.put(line)
found.append(drain(worker))
worker._proc = None
found.append(drain(worker))
print(json.dumps(found))
"""


def test_a_log_is_read_up_to_its_mark_at_once_and_a_late_mark_ends_no_other_log() -> None:
    done = in_emulator(DRAIN)
    assert json.loads(done.stdout) == ["one\n\ntwo", "later", "", "no mark in time", "next", "stock\nway"], done.stderr


def test_the_log_has_all_lines_of_its_invocation_and_no_mark(aws: Callable[..., Any], make_role: Callable[..., str]) -> None:
    name, code = f"logs-{uuid.uuid4().hex[:8]}", io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("index.py", HANDLER)
    role = make_role(name, [], ["lambda.amazonaws.com"])
    aws("lambda").create_function(
        FunctionName=name, Runtime="python3.11", Handler="index.handler", Role=role, Code={"ZipFile": code.getvalue()}, Timeout=30
    )

    def log(**event: Any) -> list[str]:
        told = aws("lambda").invoke(FunctionName=name, LogType="Tail", Payload=json.dumps(event))
        lines = base64.b64decode(told.get("LogResult", "")).decode().splitlines()
        return [line for line in lines if not line.startswith(("START ", "END ", "REPORT "))]

    many = [f"line {number}" for number in range(20)]
    assert log(lines=many, rest="") == many
    assert log(lines=[], rest="") == []
    assert log(lines=["a", "", "b"], rest="the rest") == ["a", "", "b", "the rest"]
    failed = log(lines=["before"], rest="", raises=True)
    assert (failed[0], "\x1e" in "".join(failed)) == ("before", False)
