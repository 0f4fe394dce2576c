"""One training run over token ids: a pass, a measurement on held-out texts, and the state to go on from.

Soft labels: the target of a text is the share of raters per label, which calibrates the model about as well as
temperature scaling after hard labels does, at equal accuracy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from contracts.dataset import Row
from model_code.activations import MOST_BYTES, FrozenActivations, bytes_needed
from model_code.arguments import Hyperparameters
from model_code.network import TextClassifier, autocast, native_bf16
from model_code.scoring import Floats, Labels, accuracy, macro_f1
from model_code.tokens import Tokens

Logits = NDArray[np.float32]
HEAD_LEARNING_RATE = 1e-3
WARM_UP_SHARE = 0.1


class Diverged(ArithmeticError):
    """The loss or an output is not a finite number: the trial is over. The text says where, and what to try."""


def _diverged(what: str, learning_rate: float) -> Diverged:
    return Diverged(
        f"{what} with learning_rate = {learning_rate:g}: the training has diverged. Try a lower learning rate "
        "(tuning.learning_rate.high), or look for damaged weights in the base model"
    )


def require_finite(logits: Logits, epoch: int, learning_rate: float) -> None:
    """Raises Diverged when an output (texts, labels) is not finite: the last step may have broken the weights."""
    bad = int((~np.isfinite(logits)).any(axis=1).sum())
    if bad:
        raise _diverged(f"epoch {epoch}: {bad} of {len(logits)} validation texts have no finite output", learning_rate)


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


def class_weights(goal: Tensor, kind: str) -> Tensor | None:
    """Weights (labels,) of the classes in the loss; None when all count alike.

    ``balanced``: inversely proportional to a class's share of the target distributions (rows, labels), so that every class counts
    as much as any other. The mean weight of the rows is 1, which keeps the loss comparable with the unweighted one.
    """
    if kind == "none":
        return None
    share = goal.sum(0) / goal.sum()
    weights = torch.where(share > 0, 1 / share.clamp(min=torch.finfo(share.dtype).tiny), 0.0)
    return weights / (weights * share).sum()


@dataclass(frozen=True)
class HeldOut:
    """Texts that are not trained on, with the activations of the frozen layers when there are any."""

    tokens: Tokens
    cache: FrozenActivations | None
    truth: Labels
    weights: Floats
    """How much each text counts, (texts,)."""

    def scores(self, logits: Logits) -> dict[str, float]:
        """Weighted accuracy and macro-F1 of logits (texts, labels)."""
        predicted = logits.argmax(axis=1)
        return {"accuracy": accuracy(self.truth, predicted, self.weights), "macro_f1": macro_f1(self.truth, predicted, self.weights)}


class Trainer:
    """One training run: epochs with cached lower activations, validation after each."""

    def __init__(self, model: TextClassifier, settings: Hyperparameters, train: Tokens, goal: Tensor) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = model.to(self.device)
        self.settings = settings
        self.train, self.goal = train, goal.to(self.device)
        self.class_weights = class_weights(self.goal, settings.class_weights)
        self.bf16 = native_bf16()
        self._bytes_left = MOST_BYTES
        self.cache = self._activations(train, torch.bfloat16)
        body = [p for p in model.encoder.parameters() if p.requires_grad]
        head = list(model.head.parameters())
        self.trainable = body + head
        groups = [{"params": body, "lr": settings.learning_rate}, {"params": head, "lr": max(HEAD_LEARNING_RATE, settings.learning_rate)}]
        self.optimizer = torch.optim.AdamW(groups, weight_decay=0.01, fused=True)
        steps = settings.epochs * math.ceil(len(train) / settings.batch_size)
        warm_up = max(1, int(WARM_UP_SHARE * steps))
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: min(1.0, (step + 1) / warm_up) * max(0.0, (steps - step) / steps)
        )

    def _activations(self, tokens: Tokens, dtype: torch.dtype) -> FrozenActivations | None:
        """None where no layer is frozen, or where the memory of this run does not suffice: the results are the same, later."""
        needed = bytes_needed(self.model, tokens, dtype)
        if not self.model.frozen_layers or needed > self._bytes_left:
            return None
        self._bytes_left -= needed
        return FrozenActivations(self.model, tokens, bf16=self.bf16, dtype=dtype)

    def _logits(self, tokens: Tokens, indices: Sequence[int], cache: FrozenActivations | None) -> Tensor:
        ids, mask = (part.to(self.device) for part in tokens.batch(indices))
        with autocast(self.device, self.bf16):
            if cache is None:
                return self.model(ids, mask)  # type: ignore[no-any-return]  # a module's call is untyped
            return self.model.upper(cache.batch(indices, ids.shape[1]).to(self.device), mask)

    def held_out(self, tokens: Tokens, truth: Labels, weights: Floats) -> HeldOut:
        """Texts to measure on after every epoch; ``truth`` and ``weights`` are (texts,)."""
        return HeldOut(tokens, self._activations(tokens, torch.float32), truth, weights)

    @torch.inference_mode()
    def predict(self, texts: HeldOut) -> Logits:
        """Logits (texts, labels), in the order of the texts."""
        self.model.eval()
        logits = torch.zeros(len(texts.tokens), self.model.head.out_features)
        for indices in texts.tokens.by_length(64):
            logits[indices] = self._logits(texts.tokens, indices, texts.cache).float().cpu()
        return logits.numpy()

    def epoch(self, number: int) -> float:
        """One pass in a seeded order, batches of similar length; returns the mean loss.

        Raises:
            Diverged: a batch's loss is not finite.
        """
        self.model.train()
        rng = np.random.default_rng((self.settings.seed, number))
        losses = []
        batches = _shuffled_batches(self.train, self.settings.batch_size, rng)
        for step, indices in enumerate(batches, 1):
            logits = self._logits(self.train, indices, self.cache)
            loss = functional.cross_entropy(logits.float(), self.goal[indices], weight=self.class_weights)
            self.optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            torch.nn.utils.clip_grad_norm_(self.trainable, 1.0)
            self.optimizer.step()
            self.schedule.step()
            losses.append(float(loss.detach()))
            if not math.isfinite(losses[-1]):
                where = f"epoch {number}, step {step} of {len(batches)}: the loss is {losses[-1]}"
                raise _diverged(where, self.settings.learning_rate)
        return float(np.mean(losses))

    def weights(self) -> dict[str, Tensor]:
        """A copy of what is trained; the frozen weights are the base model's or the parent's still."""
        return {name: value.detach().cpu().clone() for name, value in self.model.named_parameters() if value.requires_grad}

    def load_weights(self, weights: dict[str, Tensor]) -> None:
        self.model.load_state_dict(weights, strict=False)

    def state(self) -> dict[str, Any]:
        """All that the next epoch depends on, the generators that dropout draws from among it."""
        return {
            "weights": self.weights(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "generators": (torch.get_rng_state(), torch.cuda.get_rng_state_all()),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on as the run whose :meth:`state` this is would have."""
        self.load_weights(state["weights"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        own, of_gpus = state["generators"]
        torch.set_rng_state(own)
        if len(of_gpus) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all(of_gpus)


def _shuffled_batches(tokens: Tokens, size: int, rng: np.random.Generator) -> list[list[int]]:
    order, lengths = rng.permutation(len(tokens)).tolist(), tokens.lengths.tolist()
    chunk = size * 16
    batches = []
    for start in range(0, len(order), chunk):
        part = sorted(order[start : start + chunk], key=lengths.__getitem__)
        batches += [part[at : at + size] for at in range(0, len(part), size)]
    return [batches[i] for i in rng.permutation(len(batches))]
