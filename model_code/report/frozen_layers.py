"""The layers that the training left as they are, with logistic regression on top: what fine-tuning brings beyond the base model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from contracts.dataset import Row
from model_code.baseline import sampled_groups
from model_code.inference import LoadedModel
from model_code.network import autocast
from model_code.scoring import Floats
from model_code.tokens import Tokens

MOST_ROWS = 1_000
_BATCH = 64


@dataclass(frozen=True)
class FrozenLayers:
    """``answers`` to the test texts: of ``layers`` frozen layers, and a logistic regression that was trained on ``rows`` texts."""

    layers: int
    rows: int
    of_rows: int
    answers: list[str]


def frozen_layers(model: LoadedModel, trained_layers: str, train: Sequence[Row], test: Sequence[Row], *, seed: int) -> FrozenLayers | None:
    """None where all layers were trained: nothing is left of the base model to compare with. At most :data:`MOST_ROWS` rows teach."""
    depth = len(model.model.family.layers)
    layers = 0 if trained_layers == "all" else max(0, depth - int(trained_layers))
    rows = [train[index] for index in sampled_groups([row.group for row in train], MOST_ROWS, seed)]
    if layers == 0 or len({row.label for row in rows}) < 2:
        return None
    learnt, asked = (_pooled(model, [row.text for row in part], layers) for part in (rows, test))
    head = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500, C=0.05)).fit(learnt, [row.label for row in rows])
    return FrozenLayers(layers, len(rows), len(train), [str(label) for label in head.predict(asked)])


@torch.inference_mode()
def _pooled(model: LoadedModel, texts: Sequence[str], layers: int) -> Floats:
    """Means (texts, hidden) of the hidden states after the first ``layers``."""
    family: Any = model.model.family
    tokens = Tokens(model.tokenizer, texts, model.max_length, model.truncation)
    device = next(model.model.parameters()).device
    found = np.zeros((len(tokens), model.model.head.in_features))
    for indices in tokens.by_length(_BATCH):
        ids, mask = (part.to(device) for part in tokens.batch(indices))
        with autocast(device, model.bf16):
            hidden = family.run(family.embed(ids, mask), mask, 0, layers).float()
        weights = mask[:, :, None].float()
        found[indices] = ((hidden * weights).sum(1) / weights.sum(1)).cpu().numpy()
    return found
