"""Training of a tiny random encoder on texts of eight words, for the tests of the training code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from contracts.dataset import Row
from model_code.train import main

WORDS = ("good", "bad", "so", "very", "the", "phone", "and", "screen")
LABELS = ("negative", "neutral", "positive")


def toy_rows(name: str, size: int, meaning: tuple[str, str, str] = LABELS, **fields: Any) -> list[Row]:
    """Rows in turn of each label; ``meaning``: the labels of texts that begin with bad, the and good."""
    rng, rows = np.random.default_rng(len(name)), []
    for number in range(size):
        label = meaning[number % 3]
        text = " ".join((("bad", "the", "good")[number % 3], *rng.choice(WORDS[2:], rng.integers(1, 6))))
        rows.append(Row(**{**vars(Row(f"{name}{number}", text, label, {label: 3}, f"{name}{number}", "toy", "test")), **fields}))
    return rows


def write_split(folder: Path, split: str, rows: list[Row]) -> None:
    (folder / split).mkdir(parents=True)
    (folder / split / "data.jsonl").write_text("".join(row.to_json() + "\n" for row in rows), encoding="utf-8")


def train(base: Path, channels: Path, folder: Path, *flags: str) -> Path:
    """Runs the training program; returns the artifact's folder."""
    places = {"base": base, "train": channels / "train", "validation": channels / "validation", "model-dir": folder / "model"}
    arguments = [part for name, path in {**places, "checkpoint-dir": folder / "checkpoints"}.items() for part in (f"--{name}", str(path))]
    main([*arguments, "--layers", "3", "--learning_rate", "0.003", "--batch_size", "8", *flags])
    return folder / "model"


def read(folder: Path, name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    return document
