"""What training costs: an epoch with and without the cached activations of the frozen layers, and a whole job by text length."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from contracts.dataset import Row
from embedded_aws.tools import launcher
from local.bench.measure import Comparison, Way
from local.texts import corpus
from local.texts.vader import LABELS
from model_code.activations import FrozenActivations
from model_code.arguments import Hyperparameters
from model_code.base_model import load_tokenizer
from model_code.network import TextClassifier
from model_code.tokens import Tokens
from model_code.trainer import Trainer, targets

TEXTS = 384


def epoch() -> Comparison:
    """The demo's usual choice: four layers of the base model, the last two of them trained; one thread, as a job has."""
    torch.set_num_threads(1)
    rows = [rated.row for rated in corpus.rated_texts("amazon")[:TEXTS]]
    base = corpus.base_model_folder()
    settings = Hyperparameters(layers=4, trained_layers="2", epochs=100)
    tokens = Tokens(load_tokenizer(base), [row.text for row in rows], 64)
    goal = targets(rows, LABELS, soft=True)

    def trainer() -> Trainer:
        torch.manual_seed(settings.seed)
        model = TextClassifier.from_base(base, len(LABELS), layers=settings.layers, trained=settings.trained)
        return Trainer(model, settings, tokens, goal)

    cached, plain = trainer(), trainer()
    plain.cache = None
    return Comparison(
        "epoch",
        f"an epoch over {TEXTS} reviews, two of four layers trained",
        "epoch",
        (
            Way("all layers computed", lambda: plain.epoch(1)),
            Way("frozen layers cached", lambda: cached.epoch(1)),
            Way("filling the cache, once", lambda: FrozenActivations(cached.model, tokens, bf16=cached.bf16, dtype=torch.bfloat16)),
        ),
    )


@dataclass(frozen=True)
class Job:
    """One whole training job in a process of its own.

    ``seconds`` are those of the processor, so that other programs do not count.

    ``megabytes`` is the most memory that it had (peak RSS).
    """

    rows: int
    pieces: int
    seconds: float
    megabytes: int


def jobs(rows: int, lengths: Sequence[int], code: Path = launcher.ROOT) -> Iterator[Job]:
    """A first training with the demo's hyper-parameters for each length: all texts have as many word pieces as are read.

    Args:
        code: where the training code is; another checkout's can be measured the same way.
    """
    for length in lengths:
        with tempfile.TemporaryDirectory() as folder:
            _write_rows(Path(folder), rows, length)
            yield _run(Path(folder), rows, length, code)


def _write_rows(folder: Path, rows: int, length: int) -> None:
    """Texts made of reviews, longer than ``length`` word pieces; a tenth as many are for validation."""
    reviews = [rated.row for rated in corpus.rated_texts("amazon")]
    rng = np.random.default_rng(length)
    for split, count in (("train", rows), ("validation", rows // 10)):
        (folder / split).mkdir()
        with (folder / split / "data.jsonl").open("w", encoding="utf-8") as stream:
            for number in range(count):
                first = reviews[int(rng.integers(len(reviews)))]
                words = first.text.split()
                while len(words) < length:  # a word has at least one piece
                    words += reviews[int(rng.integers(len(reviews)))].text.split()
                stream.write(replace(_alone(first, f"{split}{number}"), text=" ".join(words)).to_json() + "\n")


def _alone(row: Row, name: str) -> Row:
    return replace(row, id=name, group=name)


def _run(folder: Path, rows: int, length: int, code: Path) -> Job:
    places = {"base": corpus.base_model_folder(), "train": folder / "train", "validation": folder / "validation",
              "model-dir": folder / "model", "checkpoint-dir": folder / "checkpoints"}  # fmt: skip
    flags = {**places, "learning_rate": 1.7e-4, "layers": 4, "trained_layers": 2, "epochs": 2, "max_length": length}
    command = [sys.executable, "-m", "model_code.train", *(part for name, value in flags.items() for part in (f"--{name}", str(value)))]
    process = subprocess.Popen(command, cwd=code, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)  # unlike Popen.wait it tells this one process's memory
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Job(rows, length, usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1_024)
