"""Training on a tiny random encoder: what is learnt is served alike, resumed after a stop, and continued from a parent."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import BertConfig, BertModel, BertTokenizerFast

from model_code.activations import FrozenActivations
from model_code.data import Row
from model_code.inference import model_fn
from model_code.network import TextClassifier, Tokens, load_tokenizer
from model_code.train import main

WORDS = ("good", "bad", "so", "very", "the", "phone", "and", "screen")
LABELS = ("negative", "neutral", "positive")


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
    """Texts whose label is the first word's."""
    folder, rng = tmp_path_factory.mktemp("channels"), np.random.default_rng(0)
    for split, size in (("train", 160), ("validation", 60)):
        rows = []
        for number in range(size):
            label = LABELS[number % 3]
            first = {"negative": "bad", "neutral": "the", "positive": "good"}[label]
            text = " ".join((first, *rng.choice(WORDS[2:], rng.integers(1, 6))))
            rows.append(Row(f"{split}{number}", text, label, {label: 3}, f"{split}{number}", "toy", "test").to_json())
        (folder / split).mkdir()
        (folder / split / "data.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


def train(base: Path, channels: Path, folder: Path, *flags: str) -> Path:
    """Runs the training program; returns the artifact's folder."""
    places = {"base": base, "train": channels / "train", "validation": channels / "validation", "model-dir": folder / "model"}
    arguments = [part for name, path in {**places, "checkpoint-dir": folder / "checkpoints"}.items() for part in (f"--{name}", str(path))]
    main([*arguments, "--layers", "3", "--learning_rate", "0.003", *flags])
    return folder / "model"


def read(folder: Path, name: str) -> dict[str, object]:
    document: dict[str, object] = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    return document


def held_out(channels: Path) -> tuple[list[str], list[str]]:
    rows = [json.loads(line) for line in (channels / "validation" / "data.jsonl").read_text(encoding="utf-8").splitlines()]
    return [row["text"] for row in rows], [row["label"] for row in rows]


@pytest.mark.parametrize("trained_layers", ["1", "2", "all"])
def test_the_reported_accuracy_is_what_the_artifact_serves(base: Path, channels: Path, tmp_path: Path, trained_layers: str) -> None:
    model = train(base, channels, tmp_path, "--trained_layers", trained_layers, "--epochs", "2")
    texts, labels = held_out(channels)
    answers = model_fn(str(model)).predict(texts)
    assert np.mean([answer["label"] == label for answer, label in zip(answers, labels, strict=True)]) == read(model, "metrics")["accuracy"]
    below = np.mean([answer["confidence"] < answer["review_threshold"] for answer in answers])
    assert below == pytest.approx(0.2, abs=0.05)


def test_weights_are_stored_in_half_precision_and_the_frozen_ones_are_the_base_models(base: Path, channels: Path, tmp_path: Path) -> None:
    model = train(base, channels, tmp_path, "--trained_layers", "1", "--epochs", "1")
    saved, original = load_file(model / "model.safetensors"), load_file(base / "model.safetensors")
    assert {value.dtype for value in saved.values()} == {torch.float16}
    name = "encoder.layer.{}.attention.self.query.weight"
    for layer, moved in ((0, False), (1, False), (2, True)):
        difference = (saved[f"encoder.{name.format(layer)}"].float() - original[name.format(layer)]).abs().max()
        assert (float(difference) > 1e-3) == moved


def test_a_stopped_job_resumes_and_ends_as_if_it_had_not_been_stopped(
    base: Path, channels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--trained_layers", "2", "--epochs", "3")
    whole = train(base, channels, tmp_path / "whole", *flags)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    stopped = tmp_path / "stopped"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        saved = 0

        def save_once(state: dict[str, object], path: Path) -> None:
            nonlocal saved
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.save(state, path)
            saved += 1
            if saved == 2:
                stop()

        patch.setattr("model_code.train._save_atomically", save_once)
        train(base, channels, stopped, *flags)
    capsys.readouterr()
    resumed = train(base, channels, stopped, *flags)
    assert "resuming at epoch 3" in capsys.readouterr().out
    texts, _ = held_out(channels)
    confidences = [[answer["confidence"] for answer in model_fn(str(model)).predict(texts)] for model in (whole, resumed)]
    assert confidences[0] == pytest.approx(confidences[1], abs=5e-3)


def test_a_parent_is_continued_and_its_words_stay_known(base: Path, channels: Path, tmp_path: Path) -> None:
    first = train(base, channels, tmp_path / "first", "--trained_layers", "2", "--epochs", "3")
    parent, other = tmp_path / "parent", tmp_path / "other"
    parent.mkdir()
    with tarfile.open(parent / "model.tar.gz", "w:gz") as tar:
        tar.add(first, arcname=".")
    shutil.copytree(channels / "validation", other / "validation")
    row = Row("n", "screen bad", "negative", {"negative": 3}, "n", "toy", "test")
    (other / "train").mkdir()
    (other / "train" / "data.jsonl").write_text(row.to_json() + "\n", encoding="utf-8")
    flags = ("--trained_layers", "1", "--epochs", "1", "--parent", str(parent))
    # One row has one label: the parent knows more labels than the new rows show, which is refused with both lists.
    with pytest.raises(ValueError, match=r"the parent model knows the labels .* train from the base model"):
        train(base, other, tmp_path / "refused", *flags)
    second = train(base, channels, tmp_path / "second", *flags)
    weights = [load_file(folder / "model.safetensors") for folder in (first, second)]
    names = [f"encoder.encoder.layer.{layer}.attention.self.query.weight" for layer in (1, 2)]
    assert torch.equal(weights[0][names[0]], weights[1][names[0]])  # trained by the parent, frozen now
    assert not torch.equal(weights[0][names[1]], weights[1][names[1]])
    assert set(WORDS[2:]) <= set(json.loads((second / "vocabulary.json").read_text(encoding="utf-8")))
    # All layers are the parent's, however many the flag names for a model from the base.
    whole = train(base, channels, tmp_path / "third", "--layers", "1", "--trained_layers", "all", "--epochs", "1", "--parent", str(parent))
    assert not any(torch.equal(weights[0][name], load_file(whole / "model.safetensors")[name]) for name in names)


def test_cached_activations_give_the_logits_of_the_whole_model(base: Path, channels: Path) -> None:
    model = TextClassifier.from_base(base, 3, layers=3, trained=1).eval()
    tokens = Tokens(load_tokenizer(base), held_out(channels)[0], 64)
    cache = FrozenActivations(model, tokens, bf16=False, dtype=torch.float32)
    indices = [5, 0, 17]
    ids, mask = tokens.batch(indices)
    with torch.no_grad():
        assert torch.allclose(model.upper(cache.batch(indices, ids.shape[1]), mask), model(ids, mask), atol=1e-5)
