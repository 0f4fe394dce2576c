"""Starting, finding and stopping the emulator: quickly, surely, and never someone else's process."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import boto3
import pytest

from embedded_aws.testing import platform_template as platform
from embedded_aws.tools import launcher, processes


@pytest.fixture
def running(tmp_path: Path) -> Iterator[launcher.Emulator]:
    started = launcher.start(tmp_path / "run", port=launcher.free_port())
    yield started
    started.stop()


def busy(emulator: launcher.Emulator) -> None:
    """Leave a warm Lambda worker behind, by way of a custom resource."""
    session = boto3.Session("test", "test", region_name="us-east-1")
    parts = platform.code()
    kept = {name: parts[name] for name in ("Logs", "FunctionRole", "Function", "Echo")}
    kept["Logs"]["Properties"].pop("KmsKeyId")
    client = session.client("cloudformation", endpoint_url=emulator.url)
    client.create_stack(StackName="busy", TemplateBody=json.dumps(platform.template(kept)), Capabilities=["CAPABILITY_IAM"])
    client.get_waiter("stack_create_complete").wait(StackName="busy", WaiterConfig={"Delay": 1, "MaxAttempts": 60})


def gone(pids: set[int]) -> bool:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and any(processes.identity(pid) for pid in pids):
        time.sleep(0.02)
    return not any(processes.identity(pid) for pid in pids)


def test_stopping_ends_the_emulator_and_what_it_started(running: launcher.Emulator) -> None:
    busy(running)
    started = set(processes.descendants(running.pid))
    assert started, "a Lambda worker"
    with socket.create_connection(("127.0.0.1", running.port)):  # a client that never hangs up
        running.stop()
    assert gone(started | {running.pid})
    assert not running.is_alive()
    assert launcher.find(running.run_dir) is None
    assert not (running.run_dir / "tmp").exists()
    running.stop()


def test_a_killed_emulator_leaves_nothing_outside_its_folder(running: launcher.Emulator) -> None:
    before = {path.name for path in Path(tempfile.gettempdir()).glob("ministack*")}
    busy(running)
    started = set(processes.descendants(running.pid))
    os.kill(running.pid, signal.SIGKILL)
    assert gone(started | {running.pid}), "workers end with the emulator"
    assert {path.name for path in Path(tempfile.gettempdir()).glob("ministack*")} == before
    assert launcher.find(running.run_dir) is None
    again = launcher.start(running.run_dir, port=running.port)
    try:
        assert again.is_alive()
        assert not list((again.run_dir / "tmp").glob("ministack-lambda*"))
    finally:
        again.stop()


def test_it_is_found_again_by_its_folder(running: launcher.Emulator) -> None:
    assert launcher.find(running.run_dir) == running
    for damage in ("{broken", '{"port": 1, "pid": 1, "identity": "of init, long ago"}'):
        (running.run_dir / "emulator.json").write_text(damage)
        assert launcher.find(running.run_dir) == running, "by its environment"
    (running.run_dir / "emulator.json").unlink()
    assert launcher.find(running.run_dir) == running, "its command was killed before it had written the record"
    assert launcher.find(running.run_dir.parent / "other") is None


def test_an_interrupted_start_leaves_no_process_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []

    def interrupt(emulator: launcher.Emulator) -> bool:
        started.append(emulator.pid)
        raise KeyboardInterrupt

    monkeypatch.setattr(launcher.Emulator, "_answers", interrupt)
    with pytest.raises(KeyboardInterrupt):
        launcher.start(tmp_path / "run", port=launcher.free_port())
    assert gone(set(started))
    assert launcher.find(tmp_path / "run") is None


def test_one_that_ends_while_it_comes_up_is_reported_with_its_log(tmp_path: Path) -> None:
    launched = launcher.start(tmp_path / "run", port=launcher.free_port(), wait=False)
    os.kill(launched.pid, signal.SIGKILL)
    launched.log_file.write_text("the last words")
    with pytest.raises(launcher.EmulatorError, match=r"did not start[^\n]*\nthe last words"):
        launched.wait()
    assert launcher.find(tmp_path / "run") is None


def test_a_later_process_with_the_same_id_is_left_alone(tmp_path: Path) -> None:
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        stale = launcher.Emulator(1, other.pid, tmp_path, identity="of a process that ended long ago")
        assert not stale.is_alive()
        stale.stop()
        processes.end(other.pid, stale.identity, grace_seconds=1)
        assert other.poll() is None
        assert replace(stale, identity=processes.identity(other.pid) or "").is_alive()
    finally:
        other.kill()
        other.wait()


def test_a_taken_port_is_named_with_the_way_out(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(
            launcher.EmulatorError, match=rf"port {port} is taken: stop what listens there .*`make down`.* EMBEDDED_AWS_PORT"
        ):
            launcher.start(tmp_path / "run", port=port)


def test_only_the_loopback_interface_listens(running: launcher.Emulator) -> None:
    listening = subprocess.run(["cat", f"/proc/{running.pid}/net/tcp"], capture_output=True, text=True, check=False).stdout
    port = f"{running.port:04X}"
    bound = {line.split()[1] for line in listening.splitlines()[1:] if line.split()[3] == "0A" and line.split()[1].endswith(f":{port}")}
    assert bound == {f"0100007F:{port}"}
