"""No file, message or answer of ours can hold ``NaN`` or ``Infinity``: JSON has neither, and strict readers refuse the whole document."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(path for folder in ("lambdas", "model_code") for path in (ROOT / folder).rglob("*.py") if "layer" not in path.parts)


def unguarded(source: str) -> list[int]:
    """Lines that write JSON without ``allow_nan=False``; inside an f-string it is words for people."""
    tree = ast.parse(source)
    words = {inner for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for inner in ast.walk(node)}
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in {"json.dumps", "json.dump"}
        and node not in words
        and not any(key.arg == "allow_nan" and ast.unparse(key.value) == "False" for key in node.keywords)
    ]


@pytest.mark.parametrize("path", [path for path in SOURCES if "json.dump" in path.read_text(encoding="utf-8")], ids=lambda path: path.stem)
def test_what_is_written_as_json_is_finite(path: Path) -> None:
    assert unguarded(path.read_text(encoding="utf-8")) == []


def test_a_call_without_the_guard_is_found() -> None:
    assert unguarded('import json\njson.dumps(x)\njson.dumps(x, allow_nan=False)\nf"{json.dumps(x)}"') == [2]
