"""``app.py`` as a command, for the tests that need what it writes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from stacks import home
from stacks.synthesis import QUICKLY

ROOT = Path(__file__).resolve().parents[1]
home.ensure()
UNPACKED = Path(os.environ["HOME"]) / ".cache" / "aws" / "jsii" / "package-cache"
"""Where the CDK's libraries are unpacked once, 200 MB of them, for every home folder."""


def synth(stage: str, output: Path) -> None:
    """The stacks of a stage, with the CDK's own validator, as ``cdk deploy`` makes them. Audit findings make it fail."""
    run_app(["--stage", stage], output, {})


def run_app(arguments: Sequence[str], output: Path, variables: Mapping[str, str] = QUICKLY) -> None:
    """``app.py`` in a fresh process without credentials or AWS variables; audit findings make it fail."""
    environment = {
        **variables,
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": str(output.parent),
        "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "20",
        "JSII_RUNTIME_PACKAGE_CACHE_ROOT": str(UNPACKED),
    }
    command = [sys.executable, "app.py", *arguments, "--output", str(output)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3_000:]
