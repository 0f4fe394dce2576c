"""An assembly is used again only while everything that it is made of is the same."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from local.demo import synthesis
from stacks.settings import Settings, load_settings

DEV = load_settings(synthesis.ROOT / "settings" / "dev.yaml")
OTHER = DEV.model_copy(update={"stage": "other"})


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """A project of one input, whose synthesis writes the settings; the folders that were synthesised."""
    calls: list[Path] = []

    def synthesise(document: str, kept: Path) -> None:
        calls.append(kept)
        synthesis._make_room()
        kept.mkdir(parents=True)
        (kept / "manifest.json").write_text(document)

    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks" / "a.py").write_text("first")
    (tmp_path / "kept").mkdir()
    monkeypatch.setattr(synthesis, "ROOT", tmp_path)
    monkeypatch.setattr(synthesis, "KEPT", tmp_path / "kept")
    monkeypatch.setattr(synthesis, "INPUTS", ("stacks",))
    monkeypatch.setattr(synthesis, "_synthesise", synthesise)
    return calls


def write(tmp_path: Path, name: str, settings: Settings = DEV) -> bool:
    return synthesis.assembly(settings, tmp_path / name)


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


def test_only_the_newest_are_kept(tmp_path: Path, made: list[Path]) -> None:
    for number in range(synthesis.MOST_KEPT + 2):
        write(tmp_path, f"out-{number}", DEV.model_copy(update={"stage": f"s{number}"}))
    assert len(list((tmp_path / "kept").iterdir())) == synthesis.MOST_KEPT
    assert made[-1].exists()


def test_everything_that_synthesis_imports_is_an_input() -> None:
    files = [path for path in synthesis.inputs() if path.suffix == ".py"]
    packages = {path.name for path in synthesis.ROOT.iterdir() if (path / "__init__.py").exists()}
    modules = {name for path in files for node in ast.walk(ast.parse(path.read_bytes())) for name in imported(node)}
    ours = {name.replace(".", "/") for name in modules if name.partition(".")[0] in packages}
    assert {name for name in ours if not name.startswith(synthesis.INPUTS)} == set()


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []
