"""What ``--help`` shows, and which stage a command takes."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.testing import CliRunner

from cli.console import WRONG_OPTIONS
from cli.examples import CALL, EXAMPLES
from cli.main import app


def commands(command: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Path -> command, of all that are no groups."""
    found = getattr(command, "commands", None)
    if found is None:
        yield path, command
        return
    for name, one in found.items():
        yield from commands(one, f"{path} {name}".strip())


COMMANDS = dict(commands(typer.main.get_command(app)))


@pytest.mark.parametrize("path", COMMANDS)
def test_the_help_of_each_command_ends_with_an_example_that_it_takes(path: str) -> None:
    command, example = COMMANDS[path], EXAMPLES[path]
    assert command.epilog == f"Example: {CALL} {example}"
    begin = path.removesuffix(" start") if path == "label start" else path
    assert example.startswith(f"{begin} ") or example == begin
    command.make_context(path, shlex.split(example.removeprefix(begin)))


def test_each_example_is_of_a_command() -> None:
    assert set(EXAMPLES) == set(COMMANDS)


@pytest.mark.parametrize("options", [[], ["--stage", "imported"]])
def test_a_command_takes_the_stage_that_the_cdk_takes(options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "settings").mkdir()
    team = "arn:aws:sagemaker:us-east-1:000000000000:workteam/private-crowd/ours"
    for stage, review in (("dev", {}), ("imported", {"workforce": {"mode": "import", "workteam_arn": team}})):
        (tmp_path / "settings" / f"{stage}.yaml").write_text(yaml.safe_dump({"stage": stage, "review": review}), encoding="utf-8")
    monkeypatch.setattr("cli.console.ROOT", tmp_path)
    done = CliRunner().invoke(app, ["review", "people", "list", *options], env={} if options else {"REVIEWLOOP_STAGE": "imported"})
    assert (done.exit_code, "stage imported imports the work team" in done.output) == (WRONG_OPTIONS, True), done.output


def test_a_stage_may_be_a_settings_file(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(yaml.safe_dump({"stage": "mine", "review": {"backend": "hosted"}, "labeling": {"enabled": False}}), encoding="utf-8")
    texts = tmp_path / "texts.csv"
    texts.write_text("text\nfine\n", encoding="utf-8")
    done = CliRunner().invoke(app, ["label", str(texts), "--stage", str(file)])
    assert (done.exit_code, "labeling.enabled false" in done.output) == (WRONG_OPTIONS, True), done.output
