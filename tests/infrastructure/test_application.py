"""The whole app: same bytes each time, no finding unanswered, nothing that cfn-lint objects to."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def synth(stage: str, output: Path) -> dict[str, bytes]:
    """A fresh process without credentials or AWS variables; audit findings make it fail."""
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(output.parent), "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "1"}
    done = subprocess.run(
        [sys.executable, "app.py", "--stage", stage, "--output", str(output)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    return {path.name: path.read_bytes() for path in sorted(output.glob("*.template.json"))}


@pytest.fixture(scope="module", params=["dev", "prod"])
def stage(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def templates(stage: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp(stage) / "cdk.out"
    assert synth(stage, output)
    return output


def test_same_input_gives_the_same_bytes(stage: str, templates: Path, tmp_path: Path) -> None:
    again = synth(stage, tmp_path / "cdk.out")
    assert again == {path.name: path.read_bytes() for path in templates.glob("*.template.json")}


def test_cfn_lint_has_nothing_to_say(templates: Path) -> None:
    files = [str(path) for path in sorted(templates.glob("*.template.json"))]
    done = subprocess.run(
        [str(Path(sys.executable).parent / "cfn-lint"), "--regions", "us-east-1", "--", *files],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3_000:]


def test_unknown_stage_stops_with_exit_code_2(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "app.py", "--stage", "nowhere", "--output", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "dev, prod" in done.stderr
