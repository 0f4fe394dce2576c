"""The whole app: same bytes each time, and no finding unanswered. `make lint` asks cfn-lint about the same templates."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from synthesis import synth

from embedded_aws.tools import processes
from stacks.synthesis import QUICKLY, SynthesisFailed, synthesise

ROOT = Path(__file__).resolve().parents[2]
STAGES = sorted(path.stem for path in (ROOT / "settings").glob("*.yaml"))
LISTED = ", ".join(STAGES)


def contents(assembly: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(assembly.glob("*.template.json"))}


@pytest.fixture(scope="module", params=STAGES)
def stage(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def templates(stage: str, synthesised: Callable[[str], Path]) -> Path:
    return synthesised(stage)


@pytest.mark.parametrize("one", ["dev", *(pytest.param(name, marks=pytest.mark.slow) for name in STAGES if name != "dev")])
def test_same_input_gives_the_same_bytes(one: str, synthesised: Callable[[str], Path], tmp_path: Path) -> None:
    """Once with the CDK's own validator, as ``cdk deploy`` has it, and once without."""
    synth(one, tmp_path / "cdk.out")
    assert contents(tmp_path / "cdk.out") == contents(synthesised(one)) != {}


def test_cloudformation_waits_longer_for_a_custom_resource_than_its_function_may_take(templates: Path) -> None:
    """Without a limit it waits an hour for an answer that never comes; with the function's own it gives up while the function explains."""
    waits = {}
    for path in templates.glob("*.template.json"):
        found = json.loads(path.read_bytes())["Resources"]
        for name, item in found.items():
            if "ServiceToken" in item.get("Properties", {}):
                given = item["Properties"]
                function, _ = given["ServiceToken"]["Fn::GetAtt"]
                waits[name] = int(given.get("ServiceTimeout", 3_600)) - found[function]["Properties"]["Timeout"]
    assert len(waits) >= 2
    assert {name: seconds for name, seconds in waits.items() if not 60 <= seconds <= 600} == {}


def test_unknown_stage_stops_with_exit_code_2(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "app.py", "--stage", "nowhere", "--output", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert LISTED in done.stderr


def test_a_refused_settings_file_fails_with_its_message_and_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("stage: dev\nregion: us-east-1\nstages: 2\n")
    with pytest.raises(SynthesisFailed, match="stages"):
        synthesise(tmp_path / "cdk.out", settings=tmp_path / "own.yaml")
    assert not (tmp_path / "cdk.out").exists()


def test_a_finding_of_the_audit_fails_a_synthesis_without_the_cdks_own_validator(tmp_path: Path) -> None:
    work = f"""
from pathlib import Path
from aws_cdk import Stack, aws_s3
from stacks.application import new_app

app = new_app(Path({str(tmp_path / "out")!r}))
aws_s3.Bucket(Stack(app, "one"), "Bucket")
app.synth()
"""
    done = subprocess.run(
        [sys.executable, "-c", work], cwd=ROOT, env={**os.environ, **QUICKLY}, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "AwsSolutions-S10" in done.stderr
    assert "CloudFormation Validate" not in done.stderr


def test_an_interrupted_synthesis_leaves_no_process_and_no_file(tmp_path: Path) -> None:
    # A process that a shell has started in the background would ignore SIGINT.
    work = f"""
import signal
from pathlib import Path
from stacks.synthesis import synthesise

signal.signal(signal.SIGINT, signal.default_int_handler)
synthesise(Path({str(tmp_path / "out")!r}), stage="dev")
"""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    run = subprocess.Popen([sys.executable, "-c", work], cwd=ROOT, env={**os.environ, "TMPDIR": str(temporary)}, stderr=subprocess.PIPE)
    try:
        while len(children := processes.descendants(run.pid)) < 2:  # app.py and its Node.js
            assert run.poll() is None
            time.sleep(0.05)
        assert list(temporary.rglob("*.js")) != []
        run.send_signal(signal.SIGINT)
        _, errors = run.communicate(timeout=30)
    finally:
        run.kill()
    assert b"KeyboardInterrupt" in errors
    assert [pid for pid, identity in children.items() if processes.identity(pid) == identity] == []
    assert list(temporary.iterdir()) == []
