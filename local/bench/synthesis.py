"""What synthesis costs, and how much of it is importing libraries."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from local.bench.measure import Comparison, Way

ROOT = Path(__file__).resolve().parents[2]


def synth(folder: Path) -> Comparison:
    """Time synthesis and its imports in processes of their own. The assembly goes to ``folder``."""

    def run(*arguments: str) -> None:
        subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, capture_output=True)

    return Comparison(
        "synth",
        "synthesis of the stage dev, and what importing has of it",
        "process",
        (
            Way("app.py, all stacks", lambda: run("app.py", "--stage", "dev", "--output", str(folder))),
            Way("import aws_cdk", lambda: run("-c", "import aws_cdk")),
            Way("import stacks.application", lambda: run("-c", "import stacks.application")),
        ),
        rounds=3,
    )
