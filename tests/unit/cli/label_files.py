"""A file as ``label`` reads it, for several tests."""

from __future__ import annotations

from pathlib import Path

from cli.label.texts import Texts, read_texts


def read(tmp_path: Path, content: str, name: str = "texts.csv", **columns: str) -> Texts:
    file = tmp_path / name
    file.write_text(content, encoding="utf-8")
    return read_texts(file, columns, header="auto", longest=50)
