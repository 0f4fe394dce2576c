"""Training on a tiny random encoder: what is learnt is served alike, resumed after a stop, and continued from a parent."""

from __future__ import annotations

import json
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from toy_training import LABELS, WORDS, read, toy_rows, train, write_split

from contracts.dataset import InvalidDataset, Manifest, Row
from model_code.activations import FrozenActivations
from model_code.archive import InvalidArtifact, unpacked
from model_code.arguments import InvalidHyperparameter
from model_code.base_model import load_tokenizer
from model_code.inference import model_fn
from model_code.network import TextClassifier, native_bf16
from model_code.review_threshold import threshold_for_share
from model_code.tokens import Tokens
from model_code.train import METRIC_LINE
from model_code.trainer import Diverged, Trainer


def held_out(channels: Path) -> tuple[list[str], list[str]]:
    rows = [json.loads(line) for line in (channels / "validation" / "data.jsonl").read_text(encoding="utf-8").split("\n") if line]
    return [row["text"] for row in rows], [row["label"] for row in rows]


def accuracy_of(model: Path, channels: Path) -> float:
    """Of what the artifact serves, on the validation texts."""
    texts, labels = held_out(channels)
    answers = model_fn(str(model)).predict(texts)
    return float(np.mean([answer["label"] == label for answer, label in zip(answers, labels, strict=True)]))


@pytest.mark.parametrize("trained_layers", ["1", "2", "all"])
def test_the_reported_accuracy_is_what_the_artifact_serves(base: Path, channels: Path, tmp_path: Path, trained_layers: str) -> None:
    model = train(base, channels, tmp_path, "--trained_layers", trained_layers, "--epochs", "3")
    assert 0.8 < accuracy_of(model, channels) == read(model, "metrics")["accuracy"] < 1
    answers = model_fn(str(model)).predict(held_out(channels)[0])
    below = np.mean([answer["confidence"] < answer["review_threshold"] for answer in answers])
    assert below == pytest.approx(0.2, abs=0.05)


def test_the_threshold_of_a_promise_is_certified_or_sends_everything_to_people(base: Path, channels: Path, tmp_path: Path) -> None:
    def trained(name: str, error: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        model = train(base, channels, tmp_path / name, "--trained_layers", "1", "--epochs", "2", "--review_max_error", error)
        return read(model, "calibration"), model_fn(str(model)).predict(held_out(channels)[0])

    found, answers = trained("kept", "0.4")
    alone = np.mean([answer["confidence"] >= found["review_threshold"] for answer in answers])
    assert found["review_promise"]["kept"]
    assert found["review_promise"]["share"] == pytest.approx(alone, abs=0.02)
    assert found["review_promise"]["error_bound"] <= 0.4
    found, _ = trained("broken", "0.001")
    assert (found["review_threshold"], found["review_promise"]["kept"]) == (1.0, False)


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

        patch.setattr("model_code.checkpoint.save", save_once)
        train(base, channels, stopped, *flags)
    capsys.readouterr()
    resumed = train(base, channels, stopped, *flags)
    assert "resuming at epoch 3" in capsys.readouterr().out
    texts, _ = held_out(channels)
    answers = [model_fn(str(model)).predict(texts) for model in (whole, resumed)]
    assert answers[0] == answers[1]
    assert read(whole, "metrics") == read(resumed, "metrics")


def test_a_job_that_is_stopped_after_it_had_ended_early_trains_no_further_epoch(
    base: Path, channels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = ("--trained_layers", "2", "--epochs", "12", "--patience", "1")
    ended = read(train(base, channels, tmp_path, *flags), "metrics")
    assert len(ended["history"]) < 12
    trained: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "epoch", lambda _, number: trained.append(number) or 0.5)
        assert read(train(base, channels, tmp_path, *flags), "metrics") == ended
    assert not trained


@pytest.mark.parametrize("epochs_left", [1, 0])
def test_a_job_that_resumes_after_its_best_epoch_still_writes_it(
    base: Path, channels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], epochs_left: int
) -> None:
    flags = ("--trained_layers", "2", "--patience", "9")
    best = read(train(base, channels, tmp_path, *flags, "--epochs", "5"), "metrics")["epoch"]
    assert best < 5
    shutil.rmtree(tmp_path / "model")
    capsys.readouterr()
    model = train(base, channels, tmp_path, *flags, "--epochs", str(5 + epochs_left))
    assert read(model, "metrics")["epoch"] == best
    assert last_metric_line(capsys) == METRIC_LINE.format(**read(model, "metrics"))
    assert accuracy_of(model, channels) == read(model, "metrics")["accuracy"]


def last_metric_line(capsys: pytest.CaptureFixture[str]) -> str:
    return [line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch=")][-1]


def test_the_last_metric_line_is_that_of_the_kept_epoch(
    base: Path, channels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = train(base, channels, tmp_path, "--trained_layers", "2", "--epochs", "6")
    metrics = read(model, "metrics")
    assert metrics["epoch"] < len(metrics["history"]) < 6  # later epochs were no better, and it stopped early
    assert last_metric_line(capsys) == METRIC_LINE.format(**metrics)
    assert accuracy_of(model, channels) == metrics["accuracy"]


@pytest.mark.parametrize("write", [1, 2])
def test_a_job_killed_while_it_writes_leaves_the_artifact_of_before(
    base: Path, channels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: int
) -> None:
    writes = 0

    def killed(*places: Path) -> None:
        nonlocal writes
        writes += 1
        if writes == write:
            raise KeyboardInterrupt
        shutil.copyfile(*places)

    monkeypatch.setattr("model_code.artifact.shutil.copy", killed)
    with pytest.raises(KeyboardInterrupt):
        train(base, channels, tmp_path, "--trained_layers", "2", "--epochs", "3")
    model = tmp_path / "model"
    if write == 1:
        assert [path.name for path in model.iterdir()] == [".partial"]
    else:
        assert read(model, "metrics")["epoch"] == 1
        assert accuracy_of(model, channels) == read(model, "metrics")["accuracy"]


@pytest.mark.parametrize("moves", [0, 1, 5])
def test_a_job_killed_between_two_moves_leaves_no_artifact_that_mixes_two_epochs(
    base: Path, channels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moves: int
) -> None:
    flags = ("--trained_layers", "2", "--epochs", "1")
    model = train(base, channels, tmp_path, *flags)
    shutil.rmtree(tmp_path / "checkpoints")
    move, done = Path.replace, 0

    def killed(path: Path, target: Path) -> Path:
        nonlocal done
        if done == moves:
            raise KeyboardInterrupt
        done += 1
        return move(path, target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "replace", killed)
        train(base, channels, tmp_path, *flags)
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as tar:
        tar.add(model, arcname=".")
    refused = pytest.raises(InvalidArtifact, match=r"has no calibration\.json: .* its job was stopped meanwhile")
    with refused, unpacked(tmp_path / "model.tar.gz"):
        pass


def test_an_epoch_is_in_the_artifact_before_the_next_one_is_trained(
    base: Path, channels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    trained = Trainer.epoch

    def epoch(trainer: Trainer, number: int) -> float:
        seen.append(read(tmp_path / "model", "metrics")["epoch"] if number > 1 else None)
        return trained(trainer, number)

    monkeypatch.setattr(Trainer, "epoch", epoch)
    train(base, channels, tmp_path, "--trained_layers", "2", "--epochs", "2")
    assert seen == [None, 1]


def test_a_label_that_only_votes_name_is_no_class(base: Path, tmp_path: Path) -> None:
    rows = toy_rows("train", 30)
    write_split(tmp_path, "train", [replace(rows[0], votes={"negative": 2, "negativ": 1}), *rows[1:]])
    write_split(tmp_path, "validation", toy_rows("validation", 9))
    with pytest.raises(InvalidDataset, match=r"row 'train0' has the votes for the label 'negativ', .* no training text has this label"):
        train(base, tmp_path, tmp_path / "job", "--epochs", "1")


@pytest.mark.parametrize("trained_layers", ["1", "all"])
def test_a_loss_that_is_not_finite_ends_the_trial_by_name(base: Path, channels: Path, tmp_path: Path, trained_layers: str) -> None:
    broken = Path(shutil.copytree(base, tmp_path / "base"))
    weights = load_file(broken / "model.safetensors")
    weights["encoder.layer.2.output.dense.weight"][0, 0] = torch.nan
    save_file(weights, broken / "model.safetensors")
    with pytest.raises(Diverged, match=r"epoch 1, step 1 of 20: the loss is nan with learning_rate = 0\.003: .* lower learning rate"):
        train(broken, channels, tmp_path / "job", "--trained_layers", trained_layers, "--epochs", "1")
    assert not (tmp_path / "job" / "model").exists()


def test_outputs_that_are_not_finite_after_an_epoch_end_the_trial_too(
    base: Path, channels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = Trainer.epoch

    def last_step_breaks(trainer: Trainer, number: int) -> float:
        loss = trained(trainer, number)
        with torch.no_grad():
            trainer.model.head.weight.fill_(torch.inf)
        return loss

    monkeypatch.setattr(Trainer, "epoch", last_step_breaks)
    with pytest.raises(Diverged, match="epoch 1: 60 of 60 validation texts have no finite output"):
        train(base, channels, tmp_path, "--trained_layers", "1", "--epochs", "1")
    assert not (tmp_path / "model").exists()


# -- from a parent ---------------------------------------------------------------------------------


def test_a_parent_is_continued_and_its_words_stay_known(base: Path, channels: Path, parent: Path, tmp_path: Path) -> None:
    first = parent / "model"
    second = train(base, channels, tmp_path / "second", "--trained_layers", "1", "--epochs", "1", "--parent", str(parent))
    weights = [load_file(folder / "model.safetensors") for folder in (first, second)]
    names = [f"encoder.encoder.layer.{layer}.attention.self.query.weight" for layer in (1, 2)]
    assert torch.equal(weights[0][names[0]], weights[1][names[0]])  # trained by the parent, frozen now
    assert not torch.equal(weights[0][names[1]], weights[1][names[1]])
    assert set(WORDS[2:]) <= set(json.loads((second / "vocabulary.json").read_text(encoding="utf-8")))
    texts = [set(json.loads((folder / "trained_texts.json").read_text(encoding="utf-8"))) for folder in (first, second)]
    assert texts[0] and texts[0] <= texts[1], "a model was trained on its parent's texts, too"
    # All layers are the parent's, however many the flag names for a model from the base.
    whole = train(base, channels, tmp_path / "third", "--layers", "1", "--trained_layers", "all", "--epochs", "1", "--parent", str(parent))
    assert not any(torch.equal(weights[0][name], load_file(whole / "model.safetensors")[name]) for name in names)


def retrained(base: Path, channels: Path, parent: Path, folder: Path, rows: list[Row], *flags: str) -> Path:
    """The parent goes on with these rows; the validation texts stay as they are."""
    write_split(folder, "train", rows)
    shutil.copytree(channels / "validation", folder / "validation")
    return train(base, folder, folder, "--trained_layers", "2", "--parent", str(parent), *flags)


def test_labels_are_the_parents_though_a_replay_has_lost_one(base: Path, channels: Path, parent: Path, tmp_path: Path) -> None:
    rows = [row for row in toy_rows("few", 30) if row.label != "neutral"]
    model = retrained(base, channels, parent, tmp_path, rows, "--epochs", "1")
    assert list(read(model, "label_map")) == list(LABELS)
    assert accuracy_of(model, channels) > 0.5


@pytest.mark.parametrize("change", [{"label": "sarcastic", "votes": {}}, {"votes": {"positive": 2, "sarcastic": 1}}])
def test_a_label_that_the_parent_does_not_know_is_named(
    base: Path, channels: Path, parent: Path, tmp_path: Path, change: dict[str, Any]
) -> None:
    rows = toy_rows("few", 6)
    with pytest.raises(
        InvalidDataset, match=r"'few5' has the (votes for the )?label 'sarcastic', the model knows negative, neutral, positive: train"
    ):
        retrained(base, channels, parent, tmp_path, [*rows[:5], replace(rows[5], **change)], "--epochs", "1")


def write_manifest(folder: Path, names: dict[str, str]) -> Path:
    """The channel ``manifest`` of a version with these names of labels; returns its folder."""
    folder.mkdir(parents=True)
    files = {"train/data.jsonl": "0" * 64}
    manifest = Manifest("0" * 16, None, LABELS, {}, {}, {}, files, label_names=names)
    (folder / "manifest.json").write_text(manifest.to_json(), encoding="utf-8")
    return folder


def test_answers_have_the_names_of_the_dataset_version_and_a_retraining_without_a_manifest_keeps_them(
    base: Path, channels: Path, tmp_path: Path
) -> None:
    manifest = write_manifest(tmp_path / "manifest", {"positive": "良い", "negative": "Sehr schlecht!", "gone": "Gone"})
    first = train(base, channels, tmp_path / "first", "--trained_layers", "1", "--epochs", "1", "--manifest", str(manifest))
    assert read(first, "label_names") == {"positive": "良い", "negative": "Sehr schlecht!"}
    model = model_fn(str(first))
    for answer in model.predict(held_out(channels)[0]):
        assert answer["label_name"] == {"positive": "良い", "negative": "Sehr schlecht!"}.get(answer["label"], answer["label"])
        assert set(answer["probabilities"]) == set(LABELS)
    parent = tmp_path / "parent"
    parent.mkdir()
    with tarfile.open(parent / "model.tar.gz", "w:gz") as tar:
        tar.add(first, arcname=".")
    again = retrained(base, channels, parent, tmp_path / "again", toy_rows("few", 12), "--epochs", "1")
    assert read(again, "label_names") == read(first, "label_names")
    renamed = write_manifest(tmp_path / "renamed", {"positive": "Very good"})
    flags = ("--epochs", "1", "--manifest", str(renamed))
    assert read(retrained(base, channels, parent, tmp_path / "renamed-job", toy_rows("few", 12), *flags), "label_names") == {
        "positive": "Very good",
        "negative": "Sehr schlecht!",
    }


def test_a_model_of_before_there_were_names_answers_with_ids(base: Path, channels: Path, tmp_path: Path) -> None:
    model = train(base, channels, tmp_path, "--trained_layers", "1", "--epochs", "1")
    (model / "label_names.json").unlink()
    (answer,) = model_fn(str(model)).predict(["good phone"])
    assert answer["label_name"] == answer["label"]


def test_a_retraining_keeps_the_last_epoch_and_does_not_stop_early(
    base: Path, channels: Path, parent: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    turned = toy_rows("turned", 60, ("positive", "neutral", "negative"))
    model = retrained(base, channels, parent, tmp_path, turned, "--epochs", "4", "--patience", "1")
    metrics = read(model, "metrics")
    history = [epoch["macro_f1"] for epoch in metrics["history"]]
    assert history[0] > history[-1]  # the old texts speak for the epoch that moved least
    assert metrics["epoch"] == len(history) == 4
    assert last_metric_line(capsys) == METRIC_LINE.format(**metrics)
    assert accuracy_of(model, channels) == metrics["accuracy"]


def test_the_objective_of_a_retraining_counts_slices_as_training_does(
    base: Path, channels: Path, parent: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    meaning = ("positive", "neutral", "negative")
    new = toy_rows("recent", 120, meaning, slice="recent", new=True)
    write_split(tmp_path, "train", [*toy_rows("old", 60), *new])
    write_split(tmp_path, "validation", [*toy_rows("held", 57), *toy_rows("fresh", 6, meaning, slice="recent")])
    flags = ("--trained_layers", "2", "--epochs", "1", "--replay_rows", "30", "--parent", str(parent))
    model = train(base, tmp_path, tmp_path, *flags)
    metrics = read(model, "metrics")
    texts, labels = held_out(tmp_path)
    right = np.array([answer["label"] == label for answer, label in zip(model_fn(str(model)).predict(texts), labels, strict=True)])
    confidences = np.array([answer["confidence"] for answer in model_fn(str(model)).predict(texts)])
    shares = np.array([0.2 / 57] * 57 + [0.8 / 6] * 6)
    assert read(model, "calibration")["review_threshold"] == pytest.approx(threshold_for_share(confidences, 0.2, shares), abs=2e-3)
    assert threshold_for_share(confidences, 0.2) != pytest.approx(threshold_for_share(confidences, 0.2, shares), abs=2e-3)
    # 30 replayed rows beside 120 new ones: the six new validation texts are four fifths of the measure.
    assert metrics["accuracy"] == pytest.approx(0.2 * right[:57].mean() + 0.8 * right[57:].mean())
    assert metrics["training_rows"] == 150
    assert metrics["effective_validation_rows"] == pytest.approx(1 / (0.2**2 / 57 + 0.8**2 / 6), abs=0.1)
    assert f"training on 150 of 180 rows, validation counts as {metrics['effective_validation_rows']} rows" in capsys.readouterr().out


def test_a_first_training_counts_every_validation_row_once_and_leaves_no_row_out(base: Path, tmp_path: Path) -> None:
    write_split(tmp_path, "train", [*toy_rows("old", 30), *toy_rows("recent", 30, slice="recent", new=True)])
    write_split(tmp_path, "validation", [*toy_rows("held", 57), *toy_rows("fresh", 6, slice="recent")])
    metrics = read(train(base, tmp_path, tmp_path, "--trained_layers", "2", "--epochs", "1", "--replay_rows", "5"), "metrics")
    assert (metrics["training_rows"], metrics["effective_validation_rows"]) == (60, 63)


def test_words_of_rows_that_are_not_replayed_are_known_still(base: Path, channels: Path, parent: Path, tmp_path: Path) -> None:
    old = [replace(row, text=f"{row.text} word{number}") for number, row in enumerate(toy_rows("old", 30))]
    model = retrained(base, channels, parent, tmp_path, [*old, *toy_rows("new", 9, new=True)], "--epochs", "1", "--replay_rows", "1")
    assert read(model, "metrics")["training_rows"] == 10
    assert {f"word{number}" for number in range(30)} <= set(json.loads((model / "vocabulary.json").read_text(encoding="utf-8")))


# -- parts -----------------------------------------------------------------------------------------


def test_an_answer_says_when_the_model_did_not_read_all_of_a_text(base: Path, channels: Path, tmp_path: Path) -> None:
    model = train(base, channels, tmp_path, "--trained_layers", "1", "--epochs", "1", "--max_length", "8")
    # Six words beside the two marks that begin and end a text.
    texts = ["good phone and the screen bad", "good phone and the screen so very bad"]
    fits, cut = model_fn(str(model)).predict(texts)
    assert (fits["truncated"], cut["truncated"]) == (False, True)
    assert [(answer["pieces"], answer["unread_pieces"]) for answer in (fits, cut)] == [(6, 0), (8, 2)]
    assert cut["probabilities"] == fits["probabilities"]  # three quarters from the beginning, one from the end


def test_a_model_of_before_the_ends_of_texts_were_read_goes_on_reading_their_beginnings(base: Path, channels: Path, tmp_path: Path) -> None:
    flags = ("--trained_layers", "1", "--epochs", "1", "--max_length", "8")
    model = train(base, channels, tmp_path, *flags)
    version = read(model, "model_version")
    assert version.pop("truncation") == "head+tail"
    (model / "model_version.json").write_text(json.dumps(version), encoding="utf-8")
    fits, cut = model_fn(str(model)).predict(["good phone and the screen so", "good phone and the screen so very bad"])
    assert cut["probabilities"] == fits["probabilities"]
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as tar:
        tar.add(model, arcname=".")
    again = train(base, channels, tmp_path / "again", *flags, "--parent", str(tmp_path))
    assert read(again, "model_version")["truncation"] == "head"


def test_a_job_says_how_much_of_the_texts_is_not_read(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    long = " ".join(["good", *["phone"] * 15])
    write_split(tmp_path, "train", [*toy_rows("train", 27, text="good phone and screen"), *toy_rows("long", 3, text=long)])
    write_split(tmp_path, "validation", toy_rows("validation", 9))
    metrics = read(train(base, tmp_path, tmp_path / "job", "--epochs", "1", "--max_length", "12"), "metrics")
    assert metrics["max_length"] == 12
    # 27 texts of four pieces and three of sixteen, of which ten are read.
    unread = {"train": {"cut_texts": 0.1, "unread_pieces": round(18 / 156, 4)}, "validation": {"cut_texts": 0.0, "unread_pieces": 0.0}}
    assert metrics["unread"] == unread
    said = "max_length=12: 10.0% of the train texts are cut, 11.5% of their word pieces are not read; 0.0% of the validation texts are cut"
    assert said in capsys.readouterr().out


def test_more_word_pieces_than_the_base_model_reads_are_refused(base: Path, channels: Path, tmp_path: Path) -> None:
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    short = shutil.copytree(base, tmp_path / "base")
    (short / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 32}), encoding="utf-8")
    weights = load_file(short / "model.safetensors")
    weights["embeddings.position_embeddings.weight"] = weights["embeddings.position_embeddings.weight"][:32].contiguous()
    save_file(weights, short / "model.safetensors")
    with pytest.raises(InvalidHyperparameter, match="max_length = 64: this base model reads at most 32"):
        train(short, channels, tmp_path, "--max_length", "64")


def test_a_job_reads_as_much_as_its_texts_need_and_a_retraining_as_much_as_its_parent(base: Path, tmp_path: Path) -> None:
    long = " ".join(["good", *["phone"] * 100])
    write_split(tmp_path / "long", "train", [*toy_rows("train", 27), *toy_rows("long", 3, text=long)])
    write_split(tmp_path / "short", "train", toy_rows("train", 27))
    for folder in ("long", "short"):
        write_split(tmp_path / folder, "validation", toy_rows("validation", 9))
    short = train(base, tmp_path / "short", tmp_path / "first", "--epochs", "1")
    model = train(base, tmp_path / "long", tmp_path / "second", "--epochs", "1")
    assert [read(folder, "model_version")["max_length"] for folder in (short, model)] == [64, 128]
    assert read(model, "metrics")["unread"]["train"] == {"cut_texts": 0.0, "unread_pieces": 0.0}
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as tar:
        tar.add(model, arcname=".")
    for flags, expected in (((), 128), (("--max_length", "32"), 32)):
        again = train(base, tmp_path / "short", tmp_path / str(expected), "--epochs", "1", "--parent", str(tmp_path), *flags)
        assert read(again, "model_version")["max_length"] == expected


def test_activations_beyond_the_memory_limit_are_computed_anew_with_the_same_result(
    base: Path, channels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = ("--trained_layers", "1", "--epochs", "1")
    kept: list[list[bool]] = []
    losses = []
    for limit in (10**9, 0):
        monkeypatch.setattr("model_code.trainer.MOST_BYTES", limit)
        found: list[bool] = []
        held_out_of = Trainer.held_out

        def watched(trainer: Trainer, *arguments: Any, seen: list[bool] = found, of: Any = held_out_of) -> Any:
            held = of(trainer, *arguments)
            seen.extend((trainer.cache is not None, held.cache is not None))
            return held

        with monkeypatch.context() as patch:
            patch.setattr(Trainer, "held_out", watched)
            losses.append(read(train(base, channels, tmp_path / str(limit), *flags), "metrics")["loss"])
        kept.append(found)
    assert kept == [[True, True], [False, False]]
    assert losses[0] == pytest.approx(losses[1], abs=0.01)


@pytest.mark.parametrize("kind", ["none", "balanced"])
def test_a_rare_class_is_found_when_classes_are_balanced(base: Path, tmp_path: Path, kind: str) -> None:
    """Of fifty texts of the same words three are negative: only their weight can make the model name them."""
    frequent = toy_rows("frequent", 47, text="good phone", label="positive", votes={})
    write_split(tmp_path, "train", [*frequent, *toy_rows("rare", 3, text="good phone", label="negative", votes={})])
    write_split(tmp_path, "validation", toy_rows("held", 4, text="good phone", label="positive", votes={}))
    model = train(base, tmp_path, tmp_path / "job", "--epochs", "3", "--class_weights", kind, "--seed", "1")
    (answer,) = model_fn(str(model)).predict(["good phone"])
    assert (answer["probabilities"]["negative"] > 0.25) is (kind == "balanced")


@pytest.mark.parametrize("native", [True, False])
def test_a_gpu_that_only_emulates_bfloat16_computes_in_float32(monkeypatch: pytest.MonkeyPatch, native: bool) -> None:
    """As torch answers for a T4 (not native): yes, if emulation counts."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: native or including_emulation)
    assert native_bf16() is native


def test_cached_activations_give_the_logits_of_the_whole_model(base: Path, channels: Path) -> None:
    model = TextClassifier.from_base(base, 3, layers=3, trained=1).eval()
    tokens = Tokens(load_tokenizer(base), held_out(channels)[0], 64)
    cache = FrozenActivations(model, tokens, bf16=False, dtype=torch.float32)
    indices = [5, 0, 17]
    ids, mask = tokens.batch(indices)
    with torch.no_grad():
        assert torch.allclose(model.upper(cache.batch(indices, ids.shape[1]), mask), model(ids, mask), atol=1e-5)
