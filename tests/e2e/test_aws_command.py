"""``make aws`` as its user runs it, in a folder with a space, letters beyond ASCII and ``&``, without a home folder to write to."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from working_copy import copy_to

from embedded_aws import __main__ as aws
from embedded_aws.tools import launcher
from embedded_aws.tools.launcher import Emulator

NO_HOME = "/dev/null/home"
"""Not even root can make this folder."""


class Folder:
    """A copy of the project, and commands in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.port = launcher.free_port()

    @property
    def variables(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MAKE"))}
        return {**kept, "HOME": NO_HOME, "EMBEDDED_AWS_PORT": str(self.port), "AWS_PROFILE": "of-a-real-account", "COLUMNS": "400"}

    def bash(self, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", script], cwd=self.path, env={**self.variables, **variables}, capture_output=True, text=True, timeout=240,
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Folder]:
    made = Folder(copy_to(tmp_path_factory.mktemp("aws") / "plät form & x"))
    try:
        yield made
    finally:
        running = launcher.find(made.path / ".run")
        if running is not None:
            running.stop()


def test_a_shell_that_evaluates_what_it_prints_talks_to_it_until_make_down(folder: Folder) -> None:
    done = folder.bash('eval "$(make -s aws)"; .venv/bin/aws s3 mb s3://mine >&2; .venv/bin/aws sts get-caller-identity')
    assert '"Account": "000000000000"' in done.stdout, done.stderr
    assert f"is up at http://127.0.0.1:{folder.port}" in done.stderr

    again = folder.bash("make -s aws")
    assert again.returncode == 2
    assert again.stdout == ""
    assert f"`python -m embedded_aws start` is up (port {folder.port})" in again.stderr
    assert "make down" in again.stderr
    assert "ARGS=--replace" in again.stderr

    variables = ".venv/bin/python -m embedded_aws variables"
    assert "mine" in folder.bash(f'eval "$({variables})"; .venv/bin/aws s3 ls').stdout
    replaced = folder.bash('eval "$(make -s aws ARGS="--replace --region eu-west-1")"; .venv/bin/aws s3 ls')
    assert (replaced.stdout, "starting clean" in replaced.stderr) == ("", True), replaced.stderr
    assert "export AWS_DEFAULT_REGION=eu-west-1\n" in folder.bash(variables).stdout

    assert f"stopped the embedded AWS (port {folder.port})" in folder.bash("make -s down").stderr
    gone = folder.bash(variables)
    assert (gone.returncode, gone.stdout, "nothing runs" in gone.stderr) == (1, "", True)


def test_help_is_its_own(folder: Folder) -> None:
    said = folder.bash("make -s aws ARGS=--help").stdout
    assert all(option in said for option in ("--port", "--time-scale", "--region", "--replace", "embedded_aws stop"))


ALLOWED = {"--port": "from 1 to 65535", "--time-scale": "from 0.001 to 1"}


@pytest.mark.parametrize("command", ["aws", "demo"])
@pytest.mark.parametrize("given", ["--port=99999", "--port=0", "--port=abc", *(f"--time-scale={x}" for x in ("0", "-1", "nan", "fast"))])
def test_a_wrong_value_is_named_with_what_is_allowed(
    command: str, given: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    option, _, value = given.partition("=")
    said = refused(command, [given], capsys, monkeypatch)
    assert option in said
    assert repr(value) in said
    assert ALLOWED[option] in said


@pytest.mark.parametrize("command", ["aws", "demo"])
def test_a_wrong_port_of_the_environment_is_named_by_its_variable(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMBEDDED_AWS_PORT", "70000")
    said = refused(command, [], capsys, monkeypatch)
    assert "EMBEDDED_AWS_PORT: '70000'" in said
    assert "from 1 to 65535" in said


@pytest.mark.parametrize("seed", ["-1", "4294967296", "one"])
def test_a_wrong_seed_is_named_with_what_is_allowed(seed: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert f"{seed!r} is not a seed: a whole number from 0 to 4294967295" in refused("demo", ["--seed", seed], capsys, monkeypatch)


def test_a_region_that_is_none_is_named_with_those_there_are(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    said = refused("aws", ["--region", "eu-west-9"], capsys, monkeypatch)
    assert "'eu-west-9' is not a region" in said
    assert "eu-west-1" in said


def refused(command: str, arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    """What a command says of arguments that it refuses; the exit code of a wrong option is 2."""
    from local.demo import __main__ as demo

    monkeypatch.setattr(sys, "argv", ["local", *arguments])
    with pytest.raises(SystemExit) as ended:
        aws.parse(["start", *arguments]) if command == "aws" else demo.parse()
    assert ended.value.code == 2
    return capsys.readouterr().err


# -- what somebody uses is ended only when they agree ----------------------------------------------


@pytest.fixture
def in_use(tmp_path: Path) -> Iterator[Emulator]:
    """What ``make up`` leaves, for who looks into the folder: alive, and kept for its user."""
    running = launcher.start(tmp_path / "run", port=launcher.free_port(), command="make up").keep()
    yield running
    running.stop()


def demo_at_a_terminal(running: Emulator, answer: str) -> tuple[int, str]:
    """A demo in the same folder, whose user answers its question; without Node.js it ends as soon as it begins."""
    port = str(launcher.free_port())
    command = [sys.executable, "-m", "local.demo", "--quick", "--run-dir", str(running.run_dir), "--port", port]
    command += ["--output", str(running.run_dir.parent / "out")]
    screen, terminal = pty.openpty()
    process = subprocess.Popen(
        command, cwd=launcher.ROOT, env={**os.environ, "PATH": "/nowhere"}, stdin=terminal, stdout=terminal, stderr=terminal
    )
    os.close(terminal)
    said = ""
    while True:
        try:
            part = os.read(screen, 4_096)
        except OSError:  # the terminal was closed at the other end
            break
        if not part:
            break
        said += part.decode(errors="replace")
        if said.endswith("[y/N] "):
            os.write(screen, answer.encode() + b"\n")
    os.close(screen)
    return process.wait(timeout=60), said


def test_a_demo_asks_before_it_ends_make_up(in_use: Emulator) -> None:
    code, said = demo_at_a_terminal(in_use, "n")
    assert code == 2
    assert f"`make up` is up (port {in_use.port})" in said
    assert launcher.find(in_use.run_dir) == in_use
    assert not (in_use.run_dir.parent / "out").exists(), "the report of the other run is left alone"
    code, said = demo_at_a_terminal(in_use, "y")
    assert (code, "starting clean" in said) == (1, True), "node is not on the PATH"
    assert not in_use.is_alive()


def test_where_nobody_can_be_asked_a_demo_says_how_to_end_it(in_use: Emulator) -> None:
    where = ["--run-dir", str(in_use.run_dir), "--output", str(in_use.run_dir.parent / "out")]
    command = [sys.executable, "-m", "local.demo", "--quick", *where, "--port", str(launcher.free_port())]
    done = subprocess.run(command, cwd=launcher.ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 2
    assert re.search(r"make down.*--replace", done.stdout, re.DOTALL)
    assert in_use.is_alive()
    command.append("--replace")
    done = subprocess.run(command, cwd=launcher.ROOT, env={**os.environ, "PATH": "/nowhere"}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert not in_use.is_alive()
