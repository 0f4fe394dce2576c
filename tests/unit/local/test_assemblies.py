"""An assembly is used again only while everything that it is made of is the same."""

from __future__ import annotations

import ast
import os
from pathlib import Path
from typing import Any

import pytest

from local import assemblies
from stacks.settings import Settings, load_settings

DEV = load_settings(assemblies.ROOT / "settings" / "dev.yaml")
OTHER = DEV.model_copy(update={"stage": "other"})


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """A project of one input, whose synthesis writes the settings; the folders that were synthesised."""
    calls: list[Path] = []

    def synthesise(document: str, output: Path) -> None:
        calls.append(output)
        output.mkdir(parents=True)
        (output / "manifest.json").write_text(document)
        (output / "asset").write_text((tmp_path / "stacks" / "a.py").read_text())

    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks" / "a.py").write_text("first")
    (tmp_path / "kept").mkdir()
    monkeypatch.setattr(assemblies, "ROOT", tmp_path)
    monkeypatch.setattr(assemblies, "KEPT", tmp_path / "kept")
    monkeypatch.setattr(assemblies, "INPUTS", ("stacks",))
    monkeypatch.setattr(assemblies, "_synthesise", synthesise)
    return calls


def write(tmp_path: Path, name: str, settings: Settings = DEV) -> bool:
    return assemblies.assembly(settings, tmp_path / name)


def test_the_same_input_is_synthesised_once(tmp_path: Path, made: list[Path]) -> None:
    assert [write(tmp_path, "one"), write(tmp_path, "two")] == [False, True]
    assert (tmp_path / "one" / "manifest.json").read_bytes() == (tmp_path / "two" / "manifest.json").read_bytes()
    assert len(made) == 1


def test_a_changed_file_and_changed_settings_are_synthesised(tmp_path: Path, made: list[Path]) -> None:
    write(tmp_path, "one")
    assert not write(tmp_path, "two", OTHER)
    (tmp_path / "stacks" / "a.py").write_text("second")
    assert not write(tmp_path, "three")
    (tmp_path / "stacks" / "b.py").write_text("")
    assert not write(tmp_path, "four")
    assert len(set(made)) == 4


def stages(count: int) -> list[Settings]:
    return [DEV.model_copy(update={"stage": f"s{number}"}) for number in range(count)]


def test_those_that_were_used_last_are_kept(tmp_path: Path, made: list[Path]) -> None:
    *full, one_more = stages(assemblies.MOST_KEPT + 1)
    for number, settings in enumerate(full):
        write(tmp_path, f"out-{number}", settings)
    assert write(tmp_path, "again", full[0])
    assert not write(tmp_path, "one-more", one_more)
    assert len(kept(tmp_path)) == assemblies.MOST_KEPT
    assert write(tmp_path, "first", full[0])
    assert not write(tmp_path, "second", full[1])


def kept(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "kept").iterdir() if path.is_dir()]


def test_what_was_changed_while_it_was_read_is_not_kept(tmp_path: Path, made: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    source, synthesise = tmp_path / "stacks" / "a.py", assemblies._synthesise

    def edited(document: str, output: Path) -> None:
        source.write_text("edited meanwhile")
        synthesise(document, output)
        source.write_text("edited again")

    monkeypatch.setattr(assemblies, "_synthesise", edited)
    assert not write(tmp_path, "one")
    source.write_text("first")
    monkeypatch.setattr(assemblies, "_synthesise", synthesise)
    assert not write(tmp_path, "two")
    assert (tmp_path / "two" / "asset").read_text() == "first"


@pytest.mark.parametrize("name", assemblies.INSTALLED)
def test_what_is_installed_anew_is_synthesised_anew(tmp_path: Path, made: list[Path], name: str) -> None:
    write(tmp_path, "one")
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).touch()
    assert not write(tmp_path, "two")
    assert write(tmp_path, "three")
    os.utime(tmp_path / name, ns=(1, 1))
    assert not write(tmp_path, "four")


@pytest.mark.parametrize("way", ["copytree", "rmtree"])
def test_an_interruption_leaves_nothing_that_looks_whole(
    tmp_path: Path, made: list[Path], monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """At a copy, and at the removal of an old one; each has one file of two."""
    *full, one_more = stages(assemblies.MOST_KEPT + 1)
    for number, settings in enumerate(full):
        write(tmp_path, f"out-{number}", settings)

    def interrupted(folder: Path, *others: Any, **options: Any) -> None:
        if way == "copytree":
            others[0].mkdir()
            (others[0] / "manifest.json").touch()
        else:
            (folder / "asset").unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(assemblies.shutil, way, interrupted)
        with pytest.raises(KeyboardInterrupt):
            write(tmp_path, "interrupted", one_more if way == "rmtree" else full[0])
    assert (tmp_path / "interrupted").exists() == (way == "rmtree")
    before = len(made)
    assert not write(tmp_path, "next", full[0] if way == "rmtree" else one_more)
    assert len(made) == before + 1
    assert {len(list(path.iterdir())) for path in kept(tmp_path)} == {2}


def test_everything_that_synthesis_imports_is_an_input() -> None:
    files = [path for path in assemblies.inputs() if path.suffix == ".py"]
    packages = {path.name for path in assemblies.ROOT.iterdir() if (path / "__init__.py").exists()}
    modules = {name for path in files for node in ast.walk(ast.parse(path.read_bytes())) for name in imported(node)}
    ours = {name.replace(".", "/") for name in modules if name.partition(".")[0] in packages}
    assert {name for name in ours if not name.startswith(assemblies.INPUTS)} == set()


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []


def test_the_command_for_lint_names_a_refused_setting_and_an_output_that_is_there(
    tmp_path: Path, made: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    refused = tmp_path / "own.yaml"
    refused.write_text("stage: dev\nregion: us-east-1\nstages: 2\n")
    assert assemblies.main([str(refused), str(tmp_path / "one" / "cdk.out")]) == 2
    assert "stages" in capsys.readouterr().err
    whole = str(Path(__file__).resolve().parents[3] / "settings" / "dev.yaml")
    assert assemblies.main([whole, str(tmp_path / "one" / "cdk.out")]) == 0
    assert len(made) == 1
    with pytest.raises(SystemExit) as ended:
        assemblies.main([whole, str(tmp_path / "one" / "cdk.out")])
    assert ended.value.code == 2
    assert "is there already" in capsys.readouterr().err
