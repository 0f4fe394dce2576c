"""What an epoch of training costs with and without the cached activations of the frozen layers."""

from __future__ import annotations

import torch

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
    tokens = Tokens(load_tokenizer(base), [row.text for row in rows], settings.max_length)
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
