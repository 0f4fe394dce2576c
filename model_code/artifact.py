"""The model artifact: everything that inference and evaluation need, code included."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from model_code.network import TextClassifier

PARTIAL = ".partial"
LAST = "calibration.json"
"""The file that is removed before the others are replaced, and moved into place last. No artifact without it is read."""


def write_artifact(folder: Path, model: TextClassifier, tokenizer: Any, documents: dict[str, Any]) -> None:
    """Write or replace the artifact; ``documents`` are JSON files by name.

    A stopped job's model folder is uploaded as it is, so files are built in a folder of their own inside it and moved into place whole:
    a kill leaves the artifact of before. Inside, since ``/opt/ml/model`` may be a mount, and no move is atomic across two. A kill between
    two of the moves, which take milliseconds together, leaves an artifact without :data:`LAST`. It is refused by name, and never serves
    the weights of one epoch with the calibration of another.
    """
    partial = folder / PARTIAL
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    model.save(partial)
    tokenizer.save_pretrained(partial)
    for name, content in documents.items():
        (partial / f"{name}.json").write_text(json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    source = Path(__file__).resolve().parent
    for package in (source, source.parent / "contracts"):
        shutil.copytree(package, partial / "code" / package.name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    shutil.copy(source / "entrypoints" / "inference.py", partial / "code" / "inference.py")
    (folder / LAST).unlink(missing_ok=True)
    for path in sorted((path for path in partial.rglob("*") if path.is_file()), key=lambda path: path.name == LAST):
        target = folder / path.relative_to(partial)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
    shutil.rmtree(partial)
