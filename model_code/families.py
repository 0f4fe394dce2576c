"""The encoder architectures that can be trained: where each keeps its embeddings and layers, and what its layers are given.

Training keeps the first layers of a base model and computes the frozen ones once per text. So an encoder is called layer by layer,
through transformers' own modules. A test compares each family with transformers' own output, for padded batches. An architecture that
is not listed would train without an error and answer wrongly, because it may add positions inside its attention.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Family:
    """BERT, and what has its form: embeddings, then layers that get an additive attention mask."""

    positions_begin_after_padding = False
    """The first position's number is the padding's number plus one, so that fewer pieces fit than there are positions."""

    def __init__(self, encoder: Any) -> None:
        self.encoder = encoder

    @property
    def layers(self) -> nn.ModuleList:
        found: nn.ModuleList = self._owner().layer
        return found

    def keep(self, count: int) -> None:
        """Drop all layers but the first ``count``."""
        self._owner().layer = self.layers[:count]
        self.encoder.config.num_hidden_layers = count

    def embed(self, ids: Tensor, mask: Tensor) -> Tensor:  # noqa: ARG002  (some families need the mask)
        """Hidden states (batch, length, hidden) before the first layer."""
        hidden: Tensor = self.encoder.embeddings(input_ids=ids)
        return hidden

    def run(self, hidden: Tensor, mask: Tensor, start: int, stop: int | None) -> Tensor:
        """Hidden states (batch, length, hidden) after the layers from ``start`` to before ``stop``; None: to the end."""
        additive = additive_mask(mask[:, None, None, :], hidden.dtype)
        for layer in self.layers[start:stop]:
            hidden = _first(layer(hidden, attention_mask=additive))
        return hidden

    def _owner(self) -> Any:
        """The module that has the layers in its attribute ``layer``."""
        return self.encoder.encoder


class Roberta(Family):
    positions_begin_after_padding = True


class Electra(Family):
    """Its embeddings may be narrower than its layers."""

    def embed(self, ids: Tensor, mask: Tensor) -> Tensor:
        hidden = super().embed(ids, mask)
        return self.encoder.embeddings_project(hidden) if hasattr(self.encoder, "embeddings_project") else hidden


class DistilBert(Family):
    def _owner(self) -> Any:
        return self.encoder.transformer


class MPNet(Family):
    """All layers share one bias of the attention, by the distance of two pieces."""

    positions_begin_after_padding = True

    def run(self, hidden: Tensor, mask: Tensor, start: int, stop: int | None) -> Tensor:
        additive = additive_mask(mask[:, None, None, :], hidden.dtype)
        bias = self.encoder.encoder.compute_position_bias(hidden)
        for layer in self.layers[start:stop]:
            hidden = _first(layer(hidden, additive, bias))
        return hidden


class DebertaV2(Family):
    """Its layers take the distances of all pieces and their embeddings; a convolution may follow the first layer."""

    def embed(self, ids: Tensor, mask: Tensor) -> Tensor:
        hidden: Tensor = self.encoder.embeddings(input_ids=ids, mask=mask)
        return hidden

    def run(self, hidden: Tensor, mask: Tensor, start: int, stop: int | None) -> Tensor:
        encoder = self.encoder.encoder
        pairs, distances = encoder.get_attention_mask(mask), encoder.get_rel_pos(hidden)
        embeddings = encoder.get_rel_embedding()
        for number, layer in enumerate(self.layers[start:stop], start):
            out = _first(layer(hidden, pairs, relative_pos=distances, rel_embeddings=embeddings))
            hidden = encoder.conv(hidden, out, mask) if number == 0 and encoder.conv is not None else out
        return hidden


class ModernBert(Family):
    """Rotary positions; most layers see only near pieces; a norm follows the last layer."""

    @property
    def layers(self) -> nn.ModuleList:
        found: nn.ModuleList = self.encoder.layers
        return found

    def keep(self, count: int) -> None:
        self.encoder.layers = self.layers[:count]
        self.encoder.config.num_hidden_layers = count
        self.encoder.config.layer_types = self.encoder.config.layer_types[:count]

    def run(self, hidden: Tensor, mask: Tensor, start: int, stop: int | None) -> Tensor:
        positions = torch.arange(hidden.shape[1], device=hidden.device)
        seen = mask[:, None, None, :].bool()
        near = (positions[:, None] - positions[None, :]).abs() <= self.encoder.config.local_attention // 2
        masks = {
            "full_attention": additive_mask(seen, hidden.dtype),
            "sliding_attention": additive_mask(seen & near[None, None], hidden.dtype),
        }
        rotations = {kind: self.encoder.rotary_emb(hidden, positions[None], kind) for kind in sorted(set(self.encoder.config.layer_types))}
        for layer in self.layers[start:stop]:
            kind = str(layer.attention_type)
            hidden = _first(layer(hidden, attention_mask=masks[kind], position_embeddings=rotations[kind]))
        return self.encoder.final_norm(hidden) if stop is None else hidden


FAMILIES: dict[str, type[Family]] = {
    "bert": Family,
    "camembert": Roberta,
    "deberta-v2": DebertaV2,
    "distilbert": DistilBert,
    "electra": Electra,
    "modernbert": ModernBert,
    "mpnet": MPNet,
    "roberta": Roberta,
    "xlm-roberta": Roberta,
}
"""Families by ``model_type`` of the configuration."""


def family_of(encoder: Any) -> Family:
    return FAMILIES[encoder.config.model_type](encoder)


def additive_mask(seen: Tensor, dtype: torch.dtype) -> Tensor:
    """0 where a piece is seen (1, or true), else the lowest number.

    The lowest number of bfloat16 is used for float32, too. The lowest number of float32 becomes minus infinity in bfloat16; a padded
    piece, which sees no other, would then get NaN.
    """
    return (1.0 - seen.to(dtype)) * torch.finfo(torch.bfloat16).min


def _first(out: Any) -> Tensor:
    """A layer's hidden states: some layers answer with a tuple, in some versions of transformers."""
    return out[0] if isinstance(out, tuple) else out  # type: ignore[no-any-return]  # transformers is untyped
