"""The package by itself: its README's commands and script, in a folder with nothing else of the project; and its generated page."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from embedded_aws.tools import launcher
from embedded_aws.tools.launcher import EMULATOR_PYTHON, ROOT

README = (ROOT / "embedded_aws" / "README.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    """The one code block of the README in this language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return str(found)


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    """A folder with the package, the page that it serves, and its environment."""
    for package in ("embedded_aws", "review_page"):
        if (ROOT / package).exists():
            shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__", "tests"))
    (tmp_path / ".venv-emulator").symlink_to((ROOT / ".venv-emulator").resolve())
    return tmp_path


def test_the_readme_s_commands_start_use_and_stop_an_empty_account(alone: Path) -> None:
    (alone / "use.py").write_text(block("python"), encoding="utf-8")
    script = f"set -e\n{block('sh')}\npython use.py\npython -m embedded_aws variables\npython -m embedded_aws stop\n"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "EMBEDDED_AWS_", "PYTHON"))}
    variables = {
        **kept,
        "PATH": f"{Path(sys.executable).parent}:{kept['PATH']}",
        "EMBEDDED_AWS_PORT": str(launcher.free_port()),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    try:
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=alone,
            env=variables,
            capture_output=True,
            text=True,
            timeout=240,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    finally:
        left = launcher.find(alone / ".run")
        if left is not None:
            left.stop()
    assert done.returncode == 0, done.stderr
    assert '"Account": "000000000000"' in done.stdout
    assert block("text") in done.stdout, done.stderr
    assert "export AWS_ENDPOINT_URL=" in done.stdout
    assert "stopped the embedded AWS" in done.stderr
    assert left is None, "`stop` stopped it"


def test_the_coverage_page_is_what_the_code_does() -> None:
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [str(EMULATOR_PYTHON), "-m", "embedded_aws.tools.coverage", "--check"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_no_name_of_the_project_is_in_the_package() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in sorted((ROOT / "embedded_aws").rglob("*"))
        if path.is_file() and path.suffix not in (".pyc", ".lock") and path.name not in ("README.md", Path(__file__).name)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if "reviewloop" in line.lower()
    ]
    assert found == []
