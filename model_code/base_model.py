"""The base model's folder, checked before anything is trained: what is missing or does not fit is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from transformers import AutoModel, AutoTokenizer

from model_code.archive import CONFIG, WEIGHTS
from model_code.families import FAMILIES

_TOKENIZER_FILES = (("tokenizer.json",), ("vocab.txt",), ("vocab.json", "merges.txt"))
MOST_PADDED_ROWS = 127
"""Embedding rows beyond the vocabulary: weights are often padded to a multiple of 8, 64 or 128."""
_UNLEARNT = ("pooler.", "embeddings.position_ids", "embeddings.token_type_ids")
"""Beginnings of weights that a base model need not have: they are not used, or are no weights."""


class InvalidBaseModel(ValueError):
    """The base model cannot be trained from; the text names the file or field, what is allowed, and what to do."""


def check_folder(folder: Path) -> None:
    """Raises InvalidBaseModel when a file is missing, or the configuration is of a family that is not computed right."""
    there = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    for needed in (CONFIG, WEIGHTS):
        if needed not in there:
            raise InvalidBaseModel(
                f"base model folder {folder} has no {needed}, only {', '.join(there) or 'nothing'}: "
                "upload config.json, model.safetensors and the tokenizer's files"
            )
    if not any(set(files) <= set(there) for files in _TOKENIZER_FILES):
        kinds = ", or ".join(" and ".join(files) for files in _TOKENIZER_FILES)
        raise InvalidBaseModel(f"base model folder {folder} has no tokenizer: upload its {kinds}")
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidBaseModel(f"base model file {CONFIG} is no JSON ({error}): upload it again") from None
    if not isinstance(config, dict):
        raise InvalidBaseModel(f"base model file {CONFIG} holds no object: upload it again")
    check_family(config)


def check_family(config: dict[str, Any]) -> None:
    """Raises InvalidBaseModel: the model code would compute this architecture wrongly, and nobody would notice.

    Args:
        config: the content of ``config.json``.
    """
    family = config.get("model_type")
    if family not in FAMILIES:
        raise InvalidBaseModel(
            f"base model: model_type = {family!r} in {CONFIG}: allowed are {', '.join(FAMILIES)}; "
            "another architecture would be computed wrongly"
        )
    for field, allowed in (("position_embedding_type", "absolute"), ("is_decoder", False), ("add_cross_attention", False)):
        if config.get(field, allowed) != allowed:
            raise InvalidBaseModel(f"base model: {field} = {config[field]!r} in {CONFIG}: allowed is {allowed!r}")


def longest(config: Any) -> int:
    """How many word pieces an encoder of this configuration can read."""
    taken = config.pad_token_id + 1 if FAMILIES[config.model_type].positions_begin_after_padding else 0
    return int(config.max_position_embeddings - taken)


def load_encoder(folder: Path) -> Any:
    """The encoder with its trained weights, in float32 whatever the file has: half precision loses most of what a step changes.

    Raises:
        InvalidBaseModel: the folder does not fit (:func:`check_folder`), or its weights are damaged or not all there.
    """
    check_folder(folder)
    try:
        encoder, info = AutoModel.from_pretrained(folder, local_files_only=True, output_loading_info=True, dtype=torch.float32)
    except (SafetensorError, OSError, RuntimeError, ValueError) as error:
        first = str(error).strip().partition("\n")[0]
        raise InvalidBaseModel(
            f"base model: {WEIGHTS} does not load with {CONFIG} ({type(error).__name__}: {first}): upload both again"
        ) from None
    missing = sorted(name for name in info["missing_keys"] if not name.startswith(_UNLEARNT))
    if missing:
        raise InvalidBaseModel(
            f"base model: {WEIGHTS} has no {missing[0]} ({len(missing)} missing of what {CONFIG} names): "
            "they would be random; upload the weights that belong to the configuration"
        )
    return encoder


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer of a base model or an artifact. Raises InvalidBaseModel when its files are damaged."""
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # the tokenizers library raises plain Exceptions for a broken tokenizer.json
        first = str(error).strip().partition("\n")[0]
        raise InvalidBaseModel(
            f"the tokenizer in {folder} does not load ({type(error).__name__}: {first}): upload its files again"
        ) from None


def check_vocabulary(tokenizer: Any, rows: int) -> None:
    """Raises InvalidBaseModel unless the tokenizer's vocabulary and the ``rows`` of the embedding belong together."""
    size = len(tokenizer)
    if not size <= rows <= size + MOST_PADDED_ROWS:
        raise InvalidBaseModel(
            f"base model: the tokenizer has {size} pieces, the embedding {rows} rows: allowed are as many, or up to "
            f"{MOST_PADDED_ROWS} more rows; upload the tokenizer that belongs to the weights"
        )


def unknown_share(tokenizer: Any, ids: NDArray[np.int32]) -> float:
    """Share of unknown pieces among these pieces (pieces,); special ones such as [CLS] do not count."""
    special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    pieces = ids[~np.isin(ids, list(special))]
    return float((pieces == tokenizer.unk_token_id).mean()) if len(pieces) else 1.0


def check_readable(share: float, most: float) -> None:
    """Raises InvalidBaseModel when more than ``most`` of the pieces of the training texts are unknown to the tokenizer.

    Then it is of another language or script, or is broken.
    """
    if share > most:
        raise InvalidBaseModel(
            f"base model: {share:.0%} of the pieces of the training texts are unknown to its tokenizer, at most {most:.0%} may be "
            "(tuning.max_unknown_share): use a base model for the language and script of these texts"
        )
