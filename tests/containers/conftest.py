"""What the tests of the training code share: a base model, texts, and a model that was trained on them."""

from __future__ import annotations

import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from toy_training import WORDS, toy_rows, train, write_split
from transformers import BertConfig, BertModel, BertTokenizerFast


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base model's files: three layers, random weights."""
    folder = tmp_path_factory.mktemp("base")
    vocabulary = folder / "vocab.txt"
    vocabulary.write_text("\n".join(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS)))
    BertTokenizerFast(str(vocabulary)).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(vocab_size=13, hidden_size=32, num_hidden_layers=3, num_attention_heads=2, intermediate_size=64)
    BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def channels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts whose label is the first word's; a tenth of the validation texts has another label, which nobody can know."""
    folder = tmp_path_factory.mktemp("channels")
    write_split(folder, "train", toy_rows("train", 160))
    rows = toy_rows("validation", 60)
    unknowable = [replace(row, label="neutral", votes={"neutral": 3}) if number % 10 == 0 else row for number, row in enumerate(rows)]
    write_split(folder, "validation", unknowable)
    return folder


@pytest.fixture(scope="module")
def parent(base: Path, channels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The channel ``parent`` of a model that has learnt these texts; its artifact lies beside the archive, in ``model``."""
    folder = tmp_path_factory.mktemp("parent")
    first = train(base, channels, folder, "--trained_layers", "2", "--epochs", "3")
    with tarfile.open(folder / "model.tar.gz", "w:gz") as tar:
        tar.add(first, arcname=".")
    return folder
