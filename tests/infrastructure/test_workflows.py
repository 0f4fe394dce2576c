"""The workflows of GitHub Actions: what GitHub's schema and zizmor say of them, and that each step is a command of this repository."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".github" / "workflows"
WORKFLOWS = sorted(FOLDER.glob("*.yml"))
PROGRAMS = Path(sys.executable).parent

on_every_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)


def jobs(path: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]
    return found


def steps(path: Path) -> Iterator[dict[str, Any]]:
    for job in jobs(path).values():
        yield from job.get("steps", [])


def audit(*paths: Path) -> subprocess.CompletedProcess[str]:
    """zizmor's strictest audits that need no network; its exit code is 0 without findings."""
    command = [str(PROGRAMS / "zizmor"), "--offline", "--pedantic", "--strict-collection", "--no-config", "--quiet", *map(str, paths)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_githubs_schema_accepts_every_workflow() -> None:
    command = [str(PROGRAMS / "check-jsonschema"), "--builtin-schema", "vendor.github-workflows", *map(str, WORKFLOWS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_zizmor_finds_nothing() -> None:
    done = audit(*WORKFLOWS)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("good", "bad", "audit_id"),
    [
        (r"@[0-9a-f]{40} # v[\d.]+", "@main", "unpinned-uses"),
        (r" +with:\n +persist-credentials: false\n", "", "artipacked"),
        (r"permissions: \{\}", "permissions: write-all", "excessive-permissions"),
        (r'make "\$TARGET"', "make ${{ github.head_ref }}", "template-injection"),
    ],
)
def test_zizmor_would_find_it(good: str, bad: str, audit_id: str, tmp_path: Path) -> None:
    text, changes = re.subn(good, bad, (FOLDER / "verify.yml").read_text(encoding="utf-8"), count=1)
    assert changes == 1
    (tmp_path / "changed.yml").write_text(text, encoding="utf-8")
    done = audit(tmp_path / "changed.yml")
    assert done.returncode != 0
    assert f"[{audit_id}]" in done.stdout


def test_one_action_has_one_pin_in_all_workflows() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in WORKFLOWS)
    pins = dict[str, set[str]]()
    for action, pin in re.findall(r"uses: ([\w./-]+)@(\S+ # v[\d.]+)\n", text):
        pins.setdefault(action, set()).add(pin)
    assert sum(len(found) for found in pins.values()) == len(pins) > 0
    assert text.count("uses: ") == len(re.findall(r"uses: (?:[\w./-]+@[0-9a-f]{40} # v[\d.]+|\$/\.github/workflows/verify\.yml)\n", text))


@on_every_workflow
def test_every_make_target_exists(path: Path) -> None:
    matrices = [job.get("strategy", {}).get("matrix", {}).get("target", []) for job in jobs(path).values()]
    named = re.findall(r"\bmake ([a-z][a-z-]*)", "\n".join(step.get("run", "") for step in steps(path)))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {*named, *(target for matrix in matrices for target in matrix)} - targets == set()


def test_verify_runs_what_a_change_must_pass() -> None:
    """The same list as ``.ci/run``."""
    (job,) = jobs(FOLDER / "verify.yml").values()
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    words = [word for line in lines if line.startswith("make ") for word in line.partition("#")[0].split()[1:]]
    assert {*job["strategy"]["matrix"]["target"], "install"} == {word for word in words if not word.startswith("-")}


def test_prod_is_deployed_after_dev_was_verified_deployed_and_tested() -> None:
    found = jobs(FOLDER / "deploy.yml")
    assert [(name, job.get("needs"), job.get("environment")) for name, job in found.items()] == [
        ("verify", None, None), ("dev", "verify", "dev"), ("smoke", "dev", "dev"), ("prod", "smoke", "prod"),
    ]  # fmt: skip
    assert "cli smoke" in found["smoke"]["steps"][-1]["run"]
    assert found["dev"]["steps"][-1] == found["prod"]["steps"][-1]
    assert [found[stage]["env"] for stage in ("dev", "prod")] == [{"REVIEWLOOP_STAGE": "dev"}, {"REVIEWLOOP_STAGE": "prod"}]


def test_the_exit_code_of_a_rollout_is_the_jobs() -> None:
    (job,) = jobs(FOLDER / "rollout.yml").values()
    assert re.fullmatch(r"\.venv/bin/python -m cli release start [^|;&]* --watch", job["steps"][-1]["run"])
    assert "continue-on-error" not in str(job)


@on_every_workflow
def test_only_a_job_with_a_role_can_get_a_token(path: Path) -> None:
    for job in jobs(path).values():
        takes_a_role = any("role-to-assume" in step.get("with", {}) for step in job.get("steps", []))
        assert (job["permissions"].get("id-token") == "write") == takes_a_role
        assert set(job["permissions"]) <= {"contents", "id-token"}
        assert job["permissions"]["contents"] == "read"


@on_every_workflow
def test_no_workflow_holds_a_key(path: Path) -> None:
    assert "secrets." not in path.read_text(encoding="utf-8")
    assert [step for step in steps(path) if {"aws-access-key-id", "aws-secret-access-key"} & set(step.get("with", {}))] == []
