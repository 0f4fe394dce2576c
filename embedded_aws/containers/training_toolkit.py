"""What the SageMaker training toolkit does inside the container, for a job whose ``/opt/ml`` is a folder.

``python -m embedded_aws.containers.training_toolkit --root DIR`` reads ``input/config``, unpacks the submitted code into ``DIR/code``,
sets the SM_* variables, runs the program with the hyper-parameters as flags, and writes ``output/failure`` when it
fails. Without Docker nothing is mounted at ``/opt/ml``, so that prefix is rewritten to the folder in every
hyper-parameter: the one liberty this takes.

Source of the contract: SageMaker developer guide, "How Amazon SageMaker AI provides training information".
"""

from __future__ import annotations

import argparse
import builtins
import json
import os
import shlex
import signal
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from embedded_aws.tools import processes

PREFIX = "/opt/ml"
_TOOLKIT_KEYS = ("sagemaker_program", "sagemaker_submit_directory")
_FAILURE_LIMIT = 1_024
SUBMITTED = "submitted.tar.gz"
"""Where in the folder the archive is that ``sagemaker_submit_directory`` names in S3; the toolkit reads it with the role's credentials."""
PYTHON_ERRORS = tuple(name for name in dir(builtins) if "Error" in name or "Exception" in name)
"""Names of Python's built-in errors, chosen as the toolkit chooses them."""


def _read(root: Path, name: str) -> dict[str, Any]:
    path = root / "input" / "config" / f"{name}.json"
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return content


def environment(root: Path, hyperparameters: dict[str, str]) -> dict[str, str]:
    """The variables that the toolkit gives to the program."""
    channels = _read(root, "inputdataconfig")
    resources = _read(root, "resourceconfig")
    variables = {
        **os.environ,
        "SM_MODEL_DIR": str(root / "model"),
        "SM_OUTPUT_DIR": str(root / "output"),
        "SM_OUTPUT_DATA_DIR": str(root / "output" / "data"),
        "SM_CHECKPOINT_DIR": str(root / "checkpoints"),
        "SM_CHANNELS": json.dumps(sorted(channels)),
        "SM_HPS": json.dumps(hyperparameters),
        "SM_CURRENT_HOST": resources.get("current_host", "algo-1"),
        "SM_HOSTS": json.dumps(resources.get("hosts", ["algo-1"])),
        "SM_NUM_GPUS": "0",
        "PYTHONUNBUFFERED": "1",
    }
    for name in channels:
        variables[f"SM_CHANNEL_{name.upper()}"] = str(root / "input" / "data" / name)
    for name, value in hyperparameters.items():
        variables[f"SM_HP_{name.upper()}"] = value
    return variables


def run(root: Path) -> int:
    """Run the job's program; returns its exit code."""
    raw = {key: str(value) for key, value in _read(root, "hyperparameters").items()}
    # The SDK quotes strings as JSON; the toolkit takes both forms.
    decoded = {key: json.loads(value) if value.startswith('"') else value for key, value in raw.items()}
    values = {key: value.replace(PREFIX, str(root)) for key, value in decoded.items()}
    missing = [key for key in _TOOLKIT_KEYS if key not in values]
    if missing:
        return _fail(root, f"hyper-parameter {' and '.join(missing)} must be set: the toolkit does not know what to run", 1)
    code = root / "code"
    code.mkdir(exist_ok=True)
    submitted = values["sagemaker_submit_directory"]
    with tarfile.open(root / SUBMITTED if submitted.startswith("s3://") else submitted) as archive:
        archive.extractall(code, filter="data")
    for folder in ("model", "output/data", "checkpoints"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    parameters = {key: value for key, value in values.items() if not key.startswith("sagemaker_")}
    flags = [part for key, value in sorted(parameters.items()) for part in (f"--{key}", value)]
    command = [sys.executable, values["sagemaker_program"], *flags]
    print("running", shlex.join(command), flush=True)
    returncode, said = _run_program(command, code, environment(root, parameters))
    sys.stderr.write(said)
    if returncode:
        return _fail(root, failure_message(said, returncode, command), returncode)
    return 0


def failure_message(said: str, returncode: int, command: Sequence[str]) -> str:
    """What the toolkit makes of a failed program: its standard error from the first line that names one of Python's exceptions.

    Source: aws/sagemaker-training-toolkit, ``process.py`` (``watch``) and ``errors.py`` (``_CalledProcessError``). The toolkit watches
    standard output as well, which goes straight to the log here.
    """
    lines = said.strip().splitlines()
    first = next((number for number, line in enumerate(lines) if any(name in line for name in PYTHON_ERRORS)), len(lines))
    told = "\n ".join(dict.fromkeys(line.strip(" :\n") for line in lines[first:]))
    return f'ExecuteUserScriptError:\nExitCode {returncode}\nErrorMessage "{told}"\nCommand "{shlex.join(command)}"'


def _run_program(command: list[str], folder: Path, variables: dict[str, str]) -> tuple[int, str]:
    """The program's exit code and standard error. It dies with this process; a SIGTERM is its own to act on, so it is passed on."""
    asked_to_end: list[int] = []
    program: subprocess.Popen[str] | None = None

    def pass_on(number: int, _frame: FrameType | None) -> None:
        asked_to_end.append(number)
        if program is not None:
            program.send_signal(number)

    signal.signal(signal.SIGTERM, pass_on)
    program = subprocess.Popen(
        command, cwd=folder, env=variables, stderr=subprocess.PIPE, text=True,
        preexec_fn=processes.die_with_parent,  # noqa: PLW1509  (one C call into a library loaded beforehand)
    )  # fmt: skip
    if asked_to_end:
        program.send_signal(signal.SIGTERM)
    _, said = program.communicate()
    return program.returncode, said


def _fail(root: Path, reason: str, code: int) -> int:
    (root / "output").mkdir(parents=True, exist_ok=True)
    (root / "output" / "failure").write_text(reason[:_FAILURE_LIMIT], encoding="utf-8")
    print(reason, file=sys.stderr, flush=True)
    return code


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Run one training job")
    parser.add_argument("--root", type=Path, required=True, help="the folder that stands for /opt/ml")
    sys.exit(run(parser.parse_args().root.resolve()))
