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
SETUP = """
import json, os, queue, threading, time
from types import SimpleNamespace
from ministack.core import lambda_runtime
from embedded_aws.lambda_.log_ends import for_its_request, install, to_the_mark

def mark(number):
    return f"\\x1e00000000-0000-4000-8000-00000000000{number}"

def log_of(worker, number):
    return drained(worker, None, mark(number)[1:])

found = []
"""
DRAIN = """
def stock(worker):
    return "stock\\n" + mark(1) + "\\nway" + mark(2)

drain, source = to_the_mark(stock), queue.Queue()
drained = for_its_request(lambda worker, event, request_id: drain(worker))
worker = SimpleNamespace(_stderr_queue=source, _proc=SimpleNamespace(poll=lambda: None), config={"Runtime": "python3.11"})
rounds = ["one", "", "raw\\x1e", "two" + mark(1), "later"], [mark(2)], [mark(3)], ["no mark in time"], [mark(4), "next", mark(5)]
for number, lines in enumerate(rounds, 1):
    for line in lines:
        source.put(line)
    found.append(log_of(worker, number))
worker._proc = None
found.append(log_of(worker, 6))
print(json.dumps(found))
"""
LATE = """
install()
drained = for_its_request(lambda worker, event, request_id: worker._drain_stderr_bounded())
worker = lambda_runtime.Worker("late", {"Runtime": "python3.11"}, b"")

def process():
    reading, writing = os.pipe()
    worker._stderr_queue = queue.Queue()
    worker._proc = SimpleNamespace(stderr=os.fdopen(reading), poll=lambda: None)
    reader = threading.Thread(target=worker._read_stderr, daemon=True)
    reader.start()
    os.write(writing, b"begins\\n")
    assert worker._stderr_queue.get(timeout=10) == "begins"
    return writing, reader

old, old_reader = process()
new, _ = process()
for line in ("of the old", mark(1), mark(2)):
    os.write(old, f"{line}\\n".encode())
os.close(old)
old_reader.join(10)
for line in ("of the new", mark(2), "of the next", mark(3)):
    os.write(new, f"{line}\\n".encode())
print(json.dumps([log_of(worker, 2), log_of(worker, 3)]))
"""
KILLED = """
drain, source = to_the_mark(None), queue.Queue()
drained = for_its_request(lambda worker, event, request_id: drain(worker))

class Killed:
    config = {"Runtime": "python3.11"}
    _stderr_queue = source
    processes = iter([SimpleNamespace(poll=lambda: None)])

    @property
    def _proc(self):
        return next(self.processes, None)

source.put("done" + mark(1))
print(json.dumps(log_of(Killed(), 1)))
"""


def drained(code: str) -> Any:
    done = in_emulator(SETUP + code)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_log_is_read_up_to_its_mark_at_once_and_a_late_mark_ends_no_other_log() -> None:
    assert drained(DRAIN) == ["one\n\nraw\x1e\ntwo", "later", "", "no mark in time", "next", "stock\nway"]


def test_a_reader_of_an_old_process_adds_nothing_to_the_log_of_the_new_one() -> None:
    assert drained(LATE) == ["of the new", "of the next"]


def test_a_process_that_is_killed_while_its_log_is_read_does_no_harm() -> None:
    assert drained(KILLED) == "done"


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
        text = base64.b64decode(told.get("LogResult", "")).decode()
        lines = text.removesuffix("\n").split("\n") if text else []
        return [line for line in lines if not line.startswith(("START ", "END ", "REPORT "))]

    many = [f"line {number}" for number in range(20)]
    assert log(lines=many, rest="") == many
    assert log(lines=[], rest="") == []
    assert log(lines=["raw\x1e"], rest="more\x1e") == ["raw\x1e", "more\x1e"]
    assert log(lines=["a", "", "b"], rest="the rest") == ["a", "", "b", "the rest"]
    failed = log(lines=["before"], rest="", raises=True)
    assert (failed[0], "\x1e" in "".join(failed)) == ("before", False)
