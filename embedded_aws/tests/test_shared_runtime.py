"""A function finds its SDK and the libraries of its layers imported, and sees no difference but the time."""

from __future__ import annotations

import io
import json
import subprocess
import uuid
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from embedded_aws.core import shared_imports
from embedded_aws.tools.launcher import EMULATOR_PYTHON

pytestmark = pytest.mark.skipif(not shared_imports.AVAILABLE, reason="imports are shared on Linux only")

Invoke = Callable[..., dict[str, Any]]
HANDLER = """
import os
from pathlib import Path

FORKED = b"fork_server.py" in Path(f"/proc/{os.getppid()}/cmdline").read_bytes()

def handler(event, context):
    import botocore
    return {"forked": FORKED, "botocore": str(Path(botocore.__file__).parent), "name": context.function_name, "X": os.environ.get("X"),
            **details()}
"""
NO_DETAILS = "def details():\n    return {}\n"
LAYER_DETAILS = """
def details():
    from aws_lambda_powertools import logging, metrics
    return {"imported here": logging.PID == os.getpid(), "text": logging.TEXT, "file": os.path.realpath(logging.__file__)}
"""


def archive(files: Mapping[str, str]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as stream:
        for name, content in files.items():
            stream.writestr(name, content)
    return file.getvalue()


@pytest.fixture
def invoke(aws: Callable[..., Any], make_role: Callable[..., str]) -> Invoke:
    """Create a function and return its answer."""
    unique = uuid.uuid4().hex[:8]
    role = make_role(f"shared-{unique}", [], ["lambda.amazonaws.com"])
    made = iter(range(100))

    def answer(files: Mapping[str, str], *, layers: tuple[str, ...] = (), variables: Mapping[str, str] | None = None) -> dict[str, Any]:
        name = f"shared-{unique}-{next(made)}"
        aws("lambda").create_function(
            FunctionName=name, Runtime="python3.11", Handler="index.handler", Role=role, Layers=list(layers), Timeout=30,
            Code={"ZipFile": archive(files)}, Environment={"Variables": dict(variables or {})},
        )  # fmt: skip
        told = aws("lambda").invoke(FunctionName=name)
        body: dict[str, Any] = json.loads(told["Payload"].read())
        assert "FunctionError" not in told, body
        assert body["name"] == name
        return body

    return answer


@pytest.fixture
def layer(aws: Callable[..., Any]) -> Callable[[str], str]:
    """Publish a layer whose Powertools are ``logging``'s text and nothing more; returns its ARN."""

    def publish(logging: str) -> str:
        files = {f"python/aws_lambda_powertools/{name}.py": "" for name in ("__init__", "metrics", "tracing")}
        content = {"ZipFile": archive({**files, "python/aws_lambda_powertools/logging.py": logging})}
        return str(aws("lambda").publish_layer_version(LayerName=f"tools-{uuid.uuid4().hex[:8]}", Content=content)["LayerVersionArn"])

    return publish


def test_a_function_without_layers_is_forked_with_its_own_variables(invoke: Invoke) -> None:
    for value in ("1", "2"):
        told = invoke({"index.py": HANDLER + NO_DETAILS}, variables={"X": value})
        assert (told["forked"], told["X"]) == (True, value)


def test_what_a_layer_has_is_imported_once_for_all_functions_with_that_layer(invoke: Invoke, layer: Callable[[str], str]) -> None:
    for text in ("first", "second"):
        arn = layer(f"import os\nPID = os.getpid()\nTEXT = {text!r}\n")
        answers = [invoke({"index.py": HANDLER + LAYER_DETAILS}, layers=(arn,)) for _ in range(2)]
        assert [(told["forked"], told["imported here"], told["text"]) for told in answers] == [(True, False, text)] * 2
        assert answers[0]["file"] == answers[1]["file"]


def test_a_function_that_brings_a_library_gets_its_own(invoke: Invoke) -> None:
    told = invoke({"index.py": HANDLER + NO_DETAILS, "botocore/__init__.py": "", "botocore/handlers.py": "BUILTIN_HANDLERS = []\n"})
    assert not told["forked"]
    assert told["botocore"].endswith("/code/botocore") or "/packages/" in told["botocore"]


def test_a_function_that_brings_a_module_named_like_one_of_pythons_gets_its_own(invoke: Invoke) -> None:
    details = "def details():\n    import getpass\n    return {'found': getpass.MARK}\n"
    told = invoke({"index.py": HANDLER + details, "getpass.py": "MARK = 'own'\n"})
    assert (told["forked"], told["found"]) == (False, "own")


@pytest.mark.parametrize("name", ["AWS_XRAY_TRACING_NAME", "AWS_NEW_RETRIES_2026", "BOTO_DISABLE_CRT"])
def test_variables_that_a_library_reads_while_it_is_imported_get_a_python_of_their_own(invoke: Invoke, name: str) -> None:
    assert not invoke({"index.py": HANDLER + NO_DETAILS}, variables={name: "true"})["forked"]


def test_a_function_with_a_hash_seed_has_the_hashes_of_that_seed(invoke: Invoke) -> None:
    command = [str(EMULATOR_PYTHON), "-c", "print(hash('one text'))"]
    wanted = subprocess.run(command, env={"PYTHONHASHSEED": "0"}, capture_output=True, text=True, check=True).stdout
    details = "def details():\n    return {'hash': hash('one text')}\n"
    assert invoke({"index.py": HANDLER + details}, variables={"PYTHONHASHSEED": "0"})["hash"] == int(wanted)


def test_a_layer_that_cannot_be_imported_harms_only_who_imports_it(invoke: Invoke, layer: Callable[[str], str]) -> None:
    arn = layer("raise RuntimeError('not on this machine')\n")
    assert not invoke({"index.py": HANDLER + NO_DETAILS}, layers=(arn,))["forked"]
