"""Lambda: the processes of Python functions find their SDK and the libraries of their layers imported.

A function that uses botocore and Powertools imports for up to a second of a core before its first line, and a run of the loop starts some
sixty processes. So for each set of layers one process imports what most functions import, and the functions are forked from it. A function
whose own archive has one of these packages, or a module named like one of Python's own, gets a Python of its own, because in AWS its copy
comes first.

Hook: ``subprocess`` of ``lambda_runtime``.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ministack.core import lambda_runtime

from embedded_aws.core import background
from embedded_aws.core.shared_imports import AVAILABLE, SharedPython

MODULES = (
    "botocore.session", "botocore.client", "botocore.httpsession", "botocore.retries.standard", "botocore.handlers",
    "aws_lambda_powertools.logging", "aws_lambda_powertools.metrics", "aws_lambda_powertools.tracing",
    "aws_xray_sdk.core",
)  # fmt: skip
"""What functions find imported, as far as the runtime or their layers have it."""

_VARIABLES = {"LAMBDA_TASK_ROOT": "/var/task", lambda_runtime.HOST_PREFIX_ENV: "true"}
"""The X-Ray SDK asks for the first one while it is imported."""
_SAME = (
    "AWS_XRAY_DAEMON_ADDRESS", "AWS_XRAY_TRACING_NAME", "AWS_XRAY_CONTEXT_MISSING", "POWERTOOLS_DEBUG", "POWERTOOLS_DEV",
    "AWS_EXECUTION_ENV", "AWS_LAMBDA_INITIALIZATION_TYPE", "BOTO_DISABLE_CRT", "AWS_NEW_RETRIES_2026",
)  # fmt: skip
_LAYERS = "_LAMBDA_LAYERS_DIRS"
_WITH_THE_SDK = frozenset({"botocore", "urllib3", "jmespath", "dateutil", "six"})
_COMES_FIRST = _WITH_THE_SDK | sys.stdlib_module_names
_lock = threading.Lock()
_programs: dict[str, Path] = {}


def install() -> None:
    """Put the hook in place. After a reset it is called again, since the processes that import were stopped."""
    with _lock:
        _programs.clear()
    if AVAILABLE:
        lambda_runtime.subprocess = SimpleNamespace(**{**vars(subprocess), "Popen": _popen})


def _popen(arguments: list[str], **options: Any) -> subprocess.Popen[Any]:
    """Start a Python function's worker by the shared program, and everything else as it is."""
    if arguments[0] == sys.executable:
        arguments = [str(_program(options["env"], Path(options["cwd"]))), *arguments[1:]]
    return subprocess.Popen(arguments, **options)


def _program(environment: Mapping[str, str], code: Path) -> Path:
    """What runs a function with these variables and this unpacked archive."""
    folders = _folders(environment.get(_LAYERS, ""))
    brought = {entry.name.partition(".")[0] for entry in code.iterdir()}
    if brought & (_COMES_FIRST | {entry.name.partition(".")[0] for folder in folders for entry in folder.iterdir()}):
        return Path(sys.executable)
    key = hashlib.sha256(os.pathsep.join(map(str, folders)).encode()).hexdigest()[:12]
    with _lock:
        if key not in _programs:
            program = background.RUN_DIR / "bin" / f"functions-{key}"
            modules = [name for name in MODULES if _is_there(name.partition(".")[0], folders)]
            SharedPython(
                name=f"functions-{key}", python=Path(sys.executable), modules=modules, program=program, folders=folders,
                variables=_VARIABLES, same=_SAME,
            ).start()  # fmt: skip
            _programs[key] = program
        return _programs[key]


def _folders(layers: str) -> list[Path]:
    """Where Python looks for the modules of the layers, first place first: their one unpacked copy, not each process's link to it."""
    found: list[Path] = []
    for layer in filter(None, layers.split(os.pathsep)):
        unpacked = Path(layer).resolve()
        places = (unpacked, unpacked / "python", *sorted((unpacked / "python").glob("lib/*/site-packages")))
        found[:0] = [place for place in places if place.is_dir()]
    return found


def _is_there(package: str, folders: list[Path]) -> bool:
    return any((folder / package).exists() for folder in folders) or importlib.util.find_spec(package) is not None
