"""Texts as word pieces, in compact arrays: a list of Python integers would need nine times the memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

HEAD, HEAD_AND_TAIL = "head", "head+tail"
"""What is read of a text with more than ``max_length`` word pieces: its beginning, or three quarters from there and one from its end.

docs/benchmarks.md has the measurement."""
_CHUNK = 1_024
"""Texts that are tokenized at once: the tokenizer's own answer is large."""

Counts = NDArray[np.int32]


class Tokens:
    """Tokenized texts and their padded batches.

    Attributes:
        lengths: Pieces of each text that the model reads, with special ones such as [CLS], (texts,).
        pieces: Pieces that each text has, without special ones, (texts,).
        unread: Those of them that the model does not read, (texts,).
    """

    def __init__(self, tokenizer: Any, texts: Sequence[str], max_length: int, truncation: str = HEAD) -> None:
        special = tokenizer.num_special_tokens_to_add()
        self.lengths, self.pieces = np.zeros(len(texts), dtype=np.int32), np.zeros(len(texts), dtype=np.int32)
        chunks = [np.zeros(0, dtype=np.int32)]
        for start in range(0, len(texts), _CHUNK):
            encoded = tokenizer(list(texts[start : start + _CHUNK]), verbose=False).encodings
            read = [_cut(one, max_length, truncation) for one in encoded]
            self.pieces[start : start + _CHUNK] = [len(one.ids) - special for one in encoded]
            self.lengths[start : start + _CHUNK] = [len(ids) for ids in read]
            chunks.append(np.concatenate(read, dtype=np.int32))
        self.unread: Counts = self.pieces + special - self.lengths
        self.flat: NDArray[np.int32] = np.concatenate(chunks)
        """What is read of all texts, one after the other; text i begins at ``starts[i]``."""
        self.starts: NDArray[np.int64] = np.concatenate([[0], np.cumsum(self.lengths, dtype=np.int64)])

    def __len__(self) -> int:
        return len(self.lengths)

    def of(self, index: int) -> NDArray[np.int32]:
        """Ids of what is read of one text, (length,)."""
        return self.flat[self.starts[index] : self.starts[index + 1]]

    def batch(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Ids and mask (batch, longest of the batch)."""
        longest = int(self.lengths[indices].max())
        ids, mask = np.zeros((len(indices), longest), dtype=np.int64), np.zeros((len(indices), longest), dtype=np.int64)
        for row, index in enumerate(indices):
            ids[row, : self.lengths[index]] = self.of(index)
            mask[row, : self.lengths[index]] = 1
        return torch.from_numpy(ids), torch.from_numpy(mask)

    def by_length(self, size: int) -> list[list[int]]:
        """Indices in batches of similar length, for inference."""
        order: list[int] = np.argsort(self.lengths, kind="stable").tolist()
        return [order[start : start + size] for start in range(0, len(order), size)]


def unread_shares(tokens: Tokens) -> dict[str, float]:
    """How much is not read: the share of texts that are cut, and the share of all their word pieces."""
    return {
        "cut_texts": round(float((tokens.unread > 0).mean()), 4) if len(tokens) else 0.0,
        "unread_pieces": round(float(tokens.unread.sum() / max(1, tokens.pieces.sum())), 4),
    }


def _cut(encoding: Any, max_length: int, truncation: str) -> list[int]:
    """The ids that the model reads, with the special ones that begin and end every text."""
    ids: list[int] = encoding.ids
    if len(ids) <= max_length:
        return ids
    marks: list[int] = encoding.special_tokens_mask
    end = marks[::-1].index(0)
    if truncation == HEAD_AND_TAIL:
        end += (max_length - sum(marks)) // 4
    return ids[: max_length - end] + ids[len(ids) - end :]
