"""The word pieces of texts, before anything is trained: how many they have, how many a training will read, and which it does not know."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from local.texts import corpus
from local.texts.problems import InvalidTexts

MOST_COUNTED = 2_000
"""Texts whose word pieces are counted, evenly chosen among all."""
_UNLIMITED = 1_000_000


@dataclass(frozen=True)
class WordPieces:
    """Word pieces of some texts.

    Attributes:
        lengths: of each text that was counted, with special pieces such as [CLS], (texts,).
        texts: all of them, counted or not.
        unknown: share of the pieces that the base model does not know, 0..1.
        positions: most pieces of a text that the base model can read.
    """

    lengths: NDArray[np.int32]
    texts: int
    unknown: float
    positions: int

    def chosen(self, device: Literal["cpu", "cuda"], longest: int | None = None) -> int:
        """What ``max_length: auto`` comes to on a device when it trains on these texts, at most ``longest``."""
        from model_code.lengths import PIECES_PER_EPOCH, chosen_length

        budget = PIECES_PER_EPOCH[device] * len(self.lengths) // max(1, self.texts)
        return chosen_length(self.lengths, min(self.positions, longest or self.positions), budget)

    def read(self, length: int) -> float:
        """Pieces of all texts together that one pass reads, about."""
        return float(np.minimum(self.lengths, length).sum()) * self.texts / len(self.lengths)

    def unread(self, length: int) -> tuple[float, float]:
        """The share of the texts that are cut when ``length`` pieces are read, and the share of all pieces that are not read."""
        beyond = np.maximum(self.lengths - length, 0)
        return float((beyond > 0).mean()), float(beyond.sum() / max(1, self.lengths.sum()))

    def said(self) -> str:
        """How long the texts are, in words."""
        middle, most, longest = (int(value) for value in np.quantile(self.lengths, (0.5, 0.95, 1.0), method="inverted_cdf"))
        counted = f" ({len(self.lengths):,} of {self.texts:,} texts counted)" if len(self.lengths) < self.texts else ""
        return f"word pieces of a text: {middle} in the median, {most} or fewer in 95 % of the texts, at most {longest:,}{counted}"

    def said_of(self, length: int) -> str:
        """How much of the texts is not read with this length, in words."""
        texts, pieces = self.unread(length)
        if not texts:
            return f"{length} word pieces of a text are read, and no text has more"
        shares = f"{100 * texts:.1f} % of the texts are cut, {100 * pieces:.1f} % of all pieces are not read"
        return f"{length} word pieces of a text are read: {shares}"


def word_pieces(texts: Sequence[str], folder: Path | None) -> WordPieces:
    """Count the word pieces of at most :data:`MOST_COUNTED` of these texts.

    Args:
        folder: the base model's; None is the one that comes with the project.

    Raises:
        InvalidTexts: nothing can be trained from this folder.
    """
    from model_code.base_model import unknown_share  # PyTorch takes seconds to import, and whoever reads no texts of a team does without
    from model_code.tokens import Tokens

    tokenizer, positions = _base_model(folder)
    chosen = [texts[int(index)] for index in np.unique(np.linspace(0, len(texts) - 1, min(len(texts), MOST_COUNTED)).astype(int))]
    tokens = Tokens(tokenizer, chosen, _UNLIMITED)
    return WordPieces(tokens.lengths, len(texts), unknown_share(tokenizer, tokens.flat), positions)


def lines(pieces: WordPieces, max_length: int | Literal["auto"], most_unknown: float) -> Iterator[str]:
    """What a training in an account will read of these texts, and what it will refuse.

    Args:
        max_length: ``tuning.max_length``.
        most_unknown: ``tuning.max_unknown_share``.
    """
    yield pieces.said()
    auto = pieces.chosen("cuda")
    if max_length == "auto":
        yield f"tuning.max_length auto: {pieces.said_of(auto)}"
    elif max_length > pieces.positions:
        yield f"tuning.max_length {max_length} will be refused: the base model reads at most {pieces.positions}"
    else:
        less = f"; auto would read {auto}" if auto > max_length and pieces.unread(max_length)[0] else ""
        yield f"tuning.max_length {max_length}: {pieces.said_of(max_length)}{less}"
    if pieces.unknown > most_unknown:
        yield (
            f"the base model does not know {100 * pieces.unknown:.0f} % of the word pieces, and training stops above "
            f"{100 * most_unknown:.0f} % (tuning.max_unknown_share): give a base model for this language with --base-model"
        )


@cache
def _base_model(folder: Path | None) -> tuple[Any, int]:
    """The tokenizer, and how many pieces the model reads. Read once: the project's own base model is compared with its hash first."""
    from transformers import AutoConfig

    from model_code.base_model import InvalidBaseModel, check_folder, load_tokenizer, longest

    base = folder or corpus.base_model_folder()
    try:
        check_folder(base)
        return load_tokenizer(base), longest(AutoConfig.from_pretrained(base, local_files_only=True))
    except InvalidBaseModel as error:
        raise InvalidTexts(f"--base-model: {error}") from None
