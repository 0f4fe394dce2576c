"""Hidden states after the frozen layers, computed once per text: what is frozen gives the same in every epoch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from model_code.network import TextClassifier, autocast
from model_code.tokens import Tokens

MOST_BYTES = 600_000_000
"""Memory for the hidden states of one training run. Texts that would need more are computed anew in every epoch."""
_BATCH = 64


def bytes_needed(model: TextClassifier, tokens: Tokens, dtype: torch.dtype) -> int:
    """The memory that :class:`FrozenActivations` of these texts has."""
    return len(tokens.flat) * model.head.in_features * dtype.itemsize


class FrozenActivations:
    """The frozen part's hidden states of all texts, on the CPU, one text after the other in one block of memory.

    Args:
        dtype: bfloat16 halves the memory and is near enough to learn from; float32 gives what serving will see.
    """

    @torch.no_grad()
    def __init__(self, model: TextClassifier, tokens: Tokens, *, bf16: bool, dtype: torch.dtype) -> None:
        self._starts, self._lengths = tokens.starts.tolist(), tokens.lengths.tolist()
        self._hidden = torch.empty(len(tokens.flat), model.head.in_features, dtype=dtype)
        device = next(model.parameters()).device
        model.eval()
        for indices in tokens.by_length(_BATCH):
            ids, mask = (part.to(device) for part in tokens.batch(indices))
            with autocast(device, bf16):
                hidden = model.lower(ids, mask).to(dtype).cpu()
            for row, index in enumerate(indices):
                self._of(index).copy_(hidden[row, : self._lengths[index]])

    def batch(self, indices: Sequence[int], length: int) -> Tensor:
        """Hidden states (batch, length, hidden) in float32, padded with zeros."""
        result = torch.zeros(len(indices), length, self._hidden.shape[1])
        for row, index in enumerate(indices):
            result[row, : self._lengths[index]] = self._of(index)
        return result

    def _of(self, index: int) -> Tensor:
        """(length, hidden), a view."""
        start = self._starts[index]
        return self._hidden[start : start + self._lengths[index]]
