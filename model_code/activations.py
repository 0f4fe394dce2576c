"""Hidden states after the frozen layers, computed once per text: what is frozen gives the same in every epoch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from model_code.network import TextClassifier, autocast
from model_code.tokens import Tokens

_BATCH = 64


class FrozenActivations:
    """The frozen part's hidden states of all texts, on the CPU.

    Args:
        dtype: bfloat16 halves the memory and is near enough to learn from; float32 gives what serving will see.
    """

    @torch.no_grad()
    def __init__(self, model: TextClassifier, tokens: Tokens, *, bf16: bool, dtype: torch.dtype) -> None:
        self._hidden: list[Tensor] = [torch.empty(0)] * len(tokens)
        device = next(model.parameters()).device
        model.eval()
        for indices in tokens.by_length(_BATCH):
            ids, mask = (part.to(device) for part in tokens.batch(indices))
            with autocast(device, bf16):
                hidden = model.lower(ids, mask)
            for row, index in enumerate(indices):
                self._hidden[index] = hidden[row, : tokens.lengths[index]].to(dtype).cpu().clone()

    def batch(self, indices: Sequence[int], length: int) -> Tensor:
        """Hidden states (batch, length, hidden) in float32, padded with zeros."""
        result = torch.zeros(len(indices), length, self._hidden[indices[0]].shape[1])
        for row, index in enumerate(indices):
            hidden = self._hidden[index]
            result[row, : len(hidden)] = hidden
        return result
