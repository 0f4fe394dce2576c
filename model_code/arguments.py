"""Hyper-parameters of a training job: SageMaker passes every one as a string."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NoReturn

from contracts import bounds
from contracts.review_promise import Promise


class InvalidHyperparameter(ValueError):
    """A hyper-parameter is out of its range; the text names it, its value and what is allowed."""


def _refusal(name: str, value: object, allowed: str) -> InvalidHyperparameter:
    return InvalidHyperparameter(f"hyper-parameter {name} = {value!r}: allowed is {allowed}")


_BOUNDS = {
    "learning_rate": bounds.LEARNING_RATE,
    "layers": bounds.LAYERS,
    "epochs": bounds.EPOCHS,
    "batch_size": bounds.BATCH_SIZE,
    "soft_labels": bounds.Bounds(0, 1),
    "seed": bounds.SEED,
    "review_share": bounds.REVIEW_SHARE,
    "review_max_error": bounds.Bounds(0.0, bounds.PROMISED_ERROR.high),
    "review_confidence": bounds.PROMISED_CONFIDENCE,
    "patience": bounds.PATIENCE,
    "replay_rows": bounds.REPLAY_ROWS,
    "max_unknown_share": bounds.UNKNOWN_SHARE,
}


@dataclass(frozen=True)
class Hyperparameters:
    """What a tuning job may vary or fix.

    ``layers`` of the base model are kept; a model that goes on learning keeps the layers it has. ``trained_layers`` is a number
    (the last ones) or ``all``; ``max_length`` is a number or ``auto``; ``soft_labels`` 1 learns from vote shares. ``patience`` is for
    a first training, ``replay_rows`` (most old rows, 0 for all) for one that goes on from a parent.
    ``review_max_error`` above 0 is a promise, with the probability ``review_confidence``, which the review threshold then keeps instead of
    ``review_share``. ``max_unknown_share``: of the pieces of the training texts that the base model's tokenizer may not know.
    """

    learning_rate: float = 1e-4
    layers: int = 4
    trained_layers: str = "2"
    epochs: int = 3
    batch_size: int = 32
    soft_labels: int = 1
    seed: int = 20_240_601
    max_length: str = bounds.AUTO
    class_weights: str = "none"
    review_share: float = 0.2
    review_max_error: float = 0.0
    review_confidence: float = 0.95
    patience: int = 2
    replay_rows: int = 0
    max_unknown_share: float = 0.3

    def __post_init__(self) -> None:
        for name, allowed in _BOUNDS.items():
            if getattr(self, name) not in allowed:
                raise _refusal(name, getattr(self, name), str(allowed))
        for name, word, allowed in (("trained_layers", "all", bounds.TRAINED_LAYERS), ("max_length", bounds.AUTO, bounds.MAX_LENGTH)):
            value = getattr(self, name)
            if value != word and not (value.isdecimal() and int(value) in allowed):
                raise _refusal(name, value, f"{word!r}, or {allowed}")
        if self.class_weights not in bounds.CLASS_WEIGHTS:
            raise _refusal("class_weights", self.class_weights, " or ".join(map(repr, bounds.CLASS_WEIGHTS)))

    @property
    def promise(self) -> Promise | None:
        """What the review threshold promises; None where it follows ``review_share``."""
        return Promise(self.review_max_error, self.review_confidence) if self.review_max_error else None

    @property
    def trained(self) -> int | None:
        """How many of the last layers are trained; None for all of them."""
        return None if self.trained_layers == "all" else int(self.trained_layers)

    @property
    def longest_text(self) -> int | None:
        """Most word pieces that are read; None where the training texts decide."""
        return None if self.max_length == bounds.AUTO else int(self.max_length)


@dataclass(frozen=True)
class Folders:
    """Where SageMaker puts things.

    Attributes:
        parent: holds a model.tar.gz to continue from, when the channel is given.
        manifest: holds the dataset version's manifest.json, when the channel is given.
    """

    base: Path
    train: Path
    validation: Path
    model: Path
    checkpoints: Path
    parent: Path | None = None
    manifest: Path | None = None


class _Parser(argparse.ArgumentParser):
    """A value of another type is an error like any other, which the job's failure can name, and no exit with code 2."""

    def error(self, message: str) -> NoReturn:
        raise InvalidHyperparameter(f"hyper-parameters: {message}")


def read_arguments(arguments: Sequence[str] | None = None) -> tuple[Hyperparameters, Folders]:
    """Flags ``--name value``; unknown ones are ignored, since a tuning job injects ``_tuning_objective_metric``.

    Raises:
        InvalidHyperparameter: naming the field.
    """
    parser = _Parser(description="Fine-tune the text classifier", allow_abbrev=False)
    for item in fields(Hyperparameters):
        parser.add_argument(f"--{item.name}", default=item.default)
    for name, fallback in (("base", "base"), ("train", "train"), ("validation", "validation"), ("parent", ""), ("manifest", "")):
        default = os.environ.get(f"SM_CHANNEL_{name.upper()}", f"/opt/ml/input/data/{fallback}" if fallback else "")
        parser.add_argument(f"--{name}", default=default)
    parser.add_argument("--model-dir", default=os.environ.get("SM_MODEL_DIR", "/opt/ml/model"))
    parser.add_argument("--checkpoint-dir", default=os.environ.get("SM_CHECKPOINT_DIR", "/opt/ml/checkpoints"))
    known, _ = parser.parse_known_args(arguments)
    values = vars(known)
    hyperparameters = Hyperparameters(
        **{item.name: _value(item.name, str(item.type), values[item.name]) for item in fields(Hyperparameters)}
    )
    folders = Folders(
        base=Path(known.base),
        train=Path(known.train),
        validation=Path(known.validation),
        model=Path(known.model_dir),
        checkpoints=Path(known.checkpoint_dir),
        parent=Path(known.parent) if known.parent else None,
        manifest=Path(known.manifest) if known.manifest else None,
    )
    return hyperparameters, folders


def _value(name: str, kind: str, text: Any) -> Any:
    try:
        return {"float": float, "int": int, "str": str}[kind](text)
    except ValueError:
        raise _refusal(name, text, f"a number, {_BOUNDS[name]}") from None
