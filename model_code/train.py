"""Fine-tune the classifier and write the model artifact: the entry point of a training job.

Soft labels: the target of a text is the share of raters per label, which calibrates the model about as well as
temperature scaling after hard labels does, at equal accuracy.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from model_code.activations import FrozenActivations
from model_code.arguments import Folders, Hyperparameters, read_arguments
from model_code.calibration import fit_temperature, review_threshold, softmax
from model_code.data import Row, read_rows
from model_code.drift_baseline import words
from model_code.network import TextClassifier, Tokens, autocast, load_tokenizer, native_bf16
from model_code.scoring import accuracy, macro_f1

METRIC_LINE = "epoch={epoch} train:loss={loss:.4f} validation:accuracy={accuracy:.4f} validation:macro_f1={macro_f1:.4f}"
HEAD_LEARNING_RATE = 1e-3
WARM_UP_SHARE = 0.1


def targets(rows: Sequence[Row], labels: Sequence[str], *, soft: bool) -> Tensor:
    """Target distributions (rows, labels): vote shares, or the label alone."""
    result = torch.zeros(len(rows), len(labels))
    for index, row in enumerate(rows):
        total = sum(row.votes.values())
        if soft and total:
            result[index] = torch.tensor([row.votes.get(label, 0) / total for label in labels])
        else:
            result[index, labels.index(row.label)] = 1.0
    return result


@dataclass(frozen=True)
class HeldOut:
    """Texts that are not trained on, with the activations of the frozen layers when there are any."""

    tokens: Tokens
    cache: FrozenActivations | None


class Trainer:
    """One training run: epochs with cached lower activations, validation after each, the best epoch kept."""

    def __init__(self, model: TextClassifier, settings: Hyperparameters, train: Tokens, goal: Tensor) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = model.to(self.device)
        self.settings = settings
        self.train, self.goal = train, goal.to(self.device)
        self.bf16 = native_bf16()
        self.cache = self._activations(train, torch.bfloat16)
        body = [p for p in model.encoder.parameters() if p.requires_grad]
        head = list(model.head.parameters())
        self.trainable = body + head
        groups = [{"params": body, "lr": settings.learning_rate}, {"params": head, "lr": max(HEAD_LEARNING_RATE, settings.learning_rate)}]
        self.optimizer = torch.optim.AdamW(groups, weight_decay=0.01, fused=True)
        steps = settings.epochs * math.ceil(len(train.ids) / settings.batch_size)
        warm_up = max(1, int(WARM_UP_SHARE * steps))
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: min(1.0, (step + 1) / warm_up) * max(0.0, (steps - step) / steps)
        )

    def _activations(self, tokens: Tokens, dtype: torch.dtype) -> FrozenActivations | None:
        return FrozenActivations(self.model, tokens, bf16=self.bf16, dtype=dtype) if self.model.frozen_layers else None

    def _logits(self, tokens: Tokens, indices: Sequence[int], cache: FrozenActivations | None) -> Tensor:
        ids, mask = (part.to(self.device) for part in tokens.batch(indices))
        with autocast(self.device, self.bf16):
            if cache is None:
                return self.model(ids, mask)  # type: ignore[no-any-return]  # a module's call is untyped
            return self.model.upper(cache.batch(indices, ids.shape[1]).to(self.device), mask)

    def held_out(self, tokens: Tokens) -> HeldOut:
        """Texts to measure on after every epoch."""
        return HeldOut(tokens, self._activations(tokens, torch.float32))

    @torch.inference_mode()
    def predict(self, texts: HeldOut) -> np.ndarray[Any, Any]:
        """Logits (texts, labels), in the order of the texts."""
        self.model.eval()
        logits = torch.zeros(len(texts.tokens.ids), self.model.head.out_features)
        for indices in texts.tokens.by_length(64):
            logits[indices] = self._logits(texts.tokens, indices, texts.cache).float().cpu()
        return logits.numpy()

    def epoch(self, number: int) -> float:
        """One pass in a seeded order, batches of similar length; returns the mean loss."""
        self.model.train()
        rng = np.random.default_rng((self.settings.seed, number))
        losses = []
        for indices in _shuffled_batches(self.train, self.settings.batch_size, rng):
            logits = self._logits(self.train, indices, self.cache)
            loss = functional.cross_entropy(logits.float(), self.goal[indices])
            self.optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            torch.nn.utils.clip_grad_norm_(self.trainable, 1.0)
            self.optimizer.step()
            self.schedule.step()
            losses.append(float(loss.detach()))
        return float(np.mean(losses))

    def weights(self) -> dict[str, Tensor]:
        """A copy of what is trained; the frozen weights are the base model's or the parent's still."""
        return {name: value.detach().cpu().clone() for name, value in self.model.named_parameters() if value.requires_grad}

    def load_weights(self, weights: dict[str, Tensor]) -> None:
        self.model.load_state_dict(weights, strict=False)

    def state(self) -> dict[str, Any]:
        return {"weights": self.weights(), "optimizer": self.optimizer.state_dict(), "schedule": self.schedule.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        self.load_weights(state["weights"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])


def _shuffled_batches(tokens: Tokens, size: int, rng: np.random.Generator) -> list[list[int]]:
    order = rng.permutation(len(tokens.ids)).tolist()
    chunk = size * 16
    batches = []
    for start in range(0, len(order), chunk):
        part = sorted(order[start : start + chunk], key=lambda i: len(tokens.ids[i]))
        batches += [part[at : at + size] for at in range(0, len(part), size)]
    return [batches[i] for i in rng.permutation(len(batches))]


def fit(
    trainer: Trainer, validation: HeldOut, truth: np.ndarray[Any, Any], checkpoints: Path
) -> tuple[dict[str, Any], np.ndarray[Any, Any]]:
    """Train with early stopping; resumes from ``checkpoints/last.pt`` when a stopped job left one.

    Returns:
        The metrics of the best epoch, and its validation logits (texts, labels). The model holds the best weights.
    """
    settings = trainer.settings
    progress: dict[str, Any] = {"next": 1, "best": None, "logits": None, "weights": None, "history": []}
    checkpoint = checkpoints / "last.pt"
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=False)
        trainer.restore(saved["trainer"])
        progress = saved["progress"]
        print(f"resuming at epoch {progress['next']} from the checkpoint", flush=True)
    for epoch in range(progress["next"], settings.epochs + 1):
        loss = trainer.epoch(epoch)
        logits = trainer.predict(validation)
        predicted = logits.argmax(axis=1)
        metrics = {"epoch": epoch, "loss": loss, "accuracy": accuracy(truth, predicted), "macro_f1": macro_f1(truth, predicted)}
        print(METRIC_LINE.format(**metrics), flush=True)
        progress["history"].append(metrics)
        if progress["best"] is None or metrics["macro_f1"] > progress["best"]["macro_f1"]:
            progress |= {"best": metrics, "logits": logits, "weights": trainer.weights()}
        progress["next"] = epoch + 1
        _save_atomically({"trainer": trainer.state(), "progress": progress}, checkpoint)
        if epoch - progress["best"]["epoch"] >= settings.patience:
            print(f"stopping early: no better macro-F1 since epoch {progress['best']['epoch']}", flush=True)
            break
    trainer.load_weights(progress["weights"])
    return {**progress["best"], "history": progress["history"]}, progress["logits"]


def _save_atomically(state: dict[str, Any], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    torch.save(state, partial)
    partial.replace(path)


def start_model(settings: Hyperparameters, folders: Folders, labels: Sequence[str]) -> tuple[TextClassifier, Any, set[str]]:
    """Model, tokenizer and known vocabulary: from the parent model when its channel is given, else from the base model."""
    if folders.parent is None:
        model = TextClassifier.from_base(folders.base, len(labels), layers=settings.layers, trained=settings.trained)
        return model, load_tokenizer(folders.base), set()
    with tempfile.TemporaryDirectory() as unpacked:
        with tarfile.open(folders.parent / "model.tar.gz") as archive:
            archive.extractall(unpacked, filter="data")
        parent = Path(unpacked)
        known = json.loads((parent / "label_map.json").read_text(encoding="utf-8"))
        if list(known) != list(labels):
            raise ValueError(f"the parent model knows the labels {list(known)}, the dataset has {list(labels)}: train from the base model")
        model = TextClassifier.load(parent, trained=settings.trained)
        return model, load_tokenizer(parent), set(json.loads((parent / "vocabulary.json").read_text(encoding="utf-8")))


def write_artifact(folder: Path, model: TextClassifier, tokenizer: Any, documents: dict[str, Any]) -> None:
    """Everything that inference and evaluation need, code included; ``documents`` are JSON files by name."""
    folder.mkdir(parents=True, exist_ok=True)
    model.cpu().save(folder)
    tokenizer.save_pretrained(folder)
    for name, content in documents.items():
        (folder / f"{name}.json").write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    source = Path(__file__).resolve().parent
    shutil.copytree(source, folder / "code" / "model_code", ignore=shutil.ignore_patterns("__pycache__", "*.pyc"), dirs_exist_ok=True)
    shutil.copy(source / "entrypoints" / "inference.py", folder / "code" / "inference.py")


def main(arguments: Sequence[str] | None = None) -> None:
    settings, folders = read_arguments(arguments)
    torch.manual_seed(settings.seed)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or os.environ.get("SM_NUM_CPUS") or 1))
    rows, held_out = read_rows(folders.train), read_rows(folders.validation)
    labels = sorted({row.label for row in rows} | {label for row in rows for label in row.votes})
    model, tokenizer, vocabulary = start_model(settings, folders, labels)
    train = Tokens(tokenizer, [row.text for row in rows], settings.max_length)
    validation = Tokens(tokenizer, [row.text for row in held_out], settings.max_length)
    truth = np.array([labels.index(row.label) for row in held_out])
    trainer = Trainer(model, settings, train, targets(rows, labels, soft=bool(settings.soft_labels)))
    metrics, logits = fit(trainer, trainer.held_out(validation), truth, folders.checkpoints)
    temperature = fit_temperature(logits.astype(np.float64), truth)
    confidence = softmax(logits.astype(np.float64), temperature).max(axis=1)
    vocabulary |= {word for row in rows for word in words(row.text)}
    documents = {
        "label_map": {label: index for index, label in enumerate(labels)},
        "calibration": {
            "temperature": temperature,
            "review_threshold": review_threshold(confidence, settings.review_share),
            "review_share": settings.review_share,
        },
        "vocabulary": sorted(vocabulary),
        "metrics": metrics,
        "model_version": {"model_version": os.environ.get("TRAINING_JOB_NAME", "local"), "max_length": settings.max_length},
        "hyperparameters": asdict(settings),
    }
    write_artifact(folders.model, trainer.model, tokenizer, documents)


if __name__ == "__main__":
    main()
