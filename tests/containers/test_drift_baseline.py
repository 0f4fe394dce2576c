"""What is normal for served texts: thresholds that quiet windows cross as rarely as they should, and foreign texts do not keep."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dataset_files import render
from numpy.typing import NDArray
from toy_training import read, toy_rows, train, write_split

from contracts.dataset import InvalidDataset, Manifest, ReferenceText, Row
from lambdas.monitoring.detect_drift.statistics import LabelCounts, assess
from model_code import evaluate
from model_code.drift_baseline import (
    CHARACTERS,
    STATISTICS,
    WORDS,
    compute_baseline,
    jensen_shannon,
    largest_divergence,
    out_of_vocabulary,
    read_reference,
    unusable,
    vocabulary_basis,
    window_count,
)
from model_code.inference import model_fn

LABELS = ("a", "b", "c")
ALPHA = 0.1


class Traffic:
    """Texts that resemble each other within a group of ``together``, endlessly."""

    def __init__(self, together: int, seed: int) -> None:
        self._together, self._rng = together, np.random.default_rng(seed)

    def draw(self, size: int, *, oov: float = 0.05, confidence: float = 0.8) -> dict[str, Any]:
        groups = np.repeat(np.arange(-(-size // self._together)), self._together)[:size]
        own = self._rng.beta(2, 2 / oov - 2, groups.max() + 1)[groups]
        return {
            "groups": [str(group) for group in groups],
            "tokens": np.full(size, 20),
            "oov_tokens": self._rng.binomial(20, own),
            "confidence": np.clip(self._rng.normal(confidence, 0.1, groups.max() + 1)[groups] + self._rng.normal(0, 0.1, size), 0, 1),
            "predicted": self._rng.choice(3, p=[0.5, 0.3, 0.2], size=groups.max() + 1)[groups],
        }


def score(texts: dict[str, Any], baseline: dict[str, Any]) -> float:
    """As the drift check scores a window."""
    rows = []
    for index, label in enumerate(LABELS):
        chosen: NDArray[np.bool_] = texts["predicted"] == index
        sums = [float(texts[name][chosen].sum()) for name in ("confidence", "tokens", "oov_tokens")]
        rows.append(LabelCounts(label, int(chosen.sum()), sums[0], int(sums[1]), int(sums[2])))
    found = assess(rows, baseline).score
    assert found is not None
    return found


def baseline_of(texts: dict[str, Any], *, window: int = 60, alpha: float = ALPHA) -> dict[str, Any]:
    return compute_baseline(**texts, labels=LABELS, window=window, alpha=alpha)


@pytest.mark.parametrize("together", [1, 6])
def test_quiet_windows_cross_about_as_often_as_asked_though_the_baseline_has_few_texts(together: int) -> None:
    """A new sample and a new window each time: what a sample of 90 does not know of its population counts too."""
    traffic = Traffic(together, seed=90 + together)
    alarms = [score(traffic.draw(60), baseline_of(traffic.draw(90))) > 1 for _ in range(150)]
    assert sum(alarms) / len(alarms) < 1.6 * ALPHA + 0.03  # three standard errors of 150 draws, and a small sample's own optimism


def test_foreign_texts_cross_even_a_small_samples_thresholds() -> None:
    traffic = Traffic(1, seed=3)
    baseline = baseline_of(traffic.draw(90), alpha=0.01)
    assert score(traffic.draw(60, oov=0.2), baseline) > 1
    assert score(traffic.draw(60, confidence=0.6), baseline) > 1


def test_fewer_texts_and_larger_groups_both_widen_the_thresholds() -> None:
    def span(size: int, together: int) -> float:
        oov = baseline_of(Traffic(together, seed=5).draw(size))["oov_rate"]
        return float(oov["threshold"] - oov["mean"])

    assert span(90, 1) > 1.2 * span(900, 1)
    assert span(900, 6) > 1.5 * span(900, 1)


def test_a_baseline_says_what_it_rests_on() -> None:
    texts = Traffic(6, seed=7).draw(300)
    baseline = baseline_of(texts, window=100, alpha=0.05)
    assert (baseline["window"], baseline["alpha"], baseline["texts"]) == (100, 0.05, 300)
    assert baseline["oov_rate"]["mean"] == pytest.approx(texts["oov_tokens"].sum() / texts["tokens"].sum())
    assert baseline["mean_confidence"]["mean"] == pytest.approx(texts["confidence"].mean())
    assert baseline["class_share"] == pytest.approx(dict(zip(LABELS, np.bincount(texts["predicted"]) / 300, strict=True)))
    assert baseline["mean_confidence"]["threshold"] < baseline["mean_confidence"]["mean"]
    assert 0 < baseline["class_divergence"]["mean"] < baseline["class_divergence"]["threshold"] < 1
    assert baseline == baseline_of(texts, window=100, alpha=0.05)


@pytest.mark.parametrize(("alpha", "windows"), [(0.2, 2_000), (0.01, 3_000), (0.001, 30_000)])
def test_a_rarer_alarm_takes_more_windows(alpha: float, windows: int) -> None:
    assert window_count(alpha) == windows
    assert windows * alpha / len(STATISTICS) >= 10


def test_words_outside_the_vocabulary_are_counted() -> None:
    assert out_of_vocabulary("Great phone, GR8!", {"great", "phone"}) == (3, 1)


# -- statistics that cannot be used -------------------------------------------------------------------


def test_a_baseline_without_words_has_no_rate_of_unknown_ones() -> None:
    texts = Traffic(1, seed=11).draw(90)
    texts |= {"tokens": np.zeros(90, dtype=np.int64), "oov_tokens": np.zeros(90, dtype=np.int64)}
    baseline = baseline_of(texts)
    assert baseline["oov_rate"] == {
        "mean": None, "threshold": None, "direction": "above", "basis": "words", "unusable": "the baseline's texts have no words"
    }  # fmt: skip
    assert unusable(baseline) == ["oov_rate: the baseline's texts have no words"]
    assert "oov_rate" not in assess([LabelCounts("a", 60, 48.0, 100, 90)], baseline).scores
    json.dumps(baseline, allow_nan=False)


@pytest.mark.parametrize(
    ("change", "name", "limit"),
    [
        ({"oov_tokens": np.full(90, 20)}, "oov_rate", 1.0),
        ({"confidence": np.full(90, 1 / 3)}, "mean_confidence", 1 / 3),
        ({"predicted": np.repeat([0, 1], [60, 30]), "groups": ["g"] * 60 + ["h"] * 30}, "class_divergence", None),
    ],
)
def test_a_threshold_that_can_never_be_passed_is_marked(change: dict[str, Any], name: str, limit: float | None) -> None:
    texts = Traffic(1, seed=12).draw(90) | change
    baseline = baseline_of(texts)
    assert "can never be passed" in baseline[name]["unusable"]
    if limit is not None:
        assert f"{limit:.4f}" in baseline[name]["unusable"]
    others = set(STATISTICS) - {name}
    assert not [other for other in others if "unusable" in baseline[other]]


def test_ordinary_texts_leave_every_statistic_its_say() -> None:
    assert unusable(baseline_of(Traffic(1, seed=5).draw(200))) == []


def test_the_largest_divergence_is_that_of_a_window_of_the_rarest_class() -> None:
    assert largest_divergence(np.array([1.0, 0.0])) == pytest.approx(1)
    share = np.array([0.6, 0.3, 0.1])
    assert largest_divergence(share) == pytest.approx(float(jensen_shannon(share[None], np.array([[0.0, 0, 1]]))[0]))


def test_a_constant_statistic_has_its_mean_as_threshold() -> None:
    texts = Traffic(1, seed=13).draw(90) | {"confidence": np.full(90, 0.8123456)}
    found = baseline_of(texts)["mean_confidence"]
    assert found["threshold"] == found["mean"] == pytest.approx(0.8123456)


@pytest.mark.parametrize(
    ("train", "held_out", "basis"),
    [
        (["good phone", "bad phone"], ["good screen", "bad phone"], WORDS),
        (["😀😀", "😡"], ["😀", "😡"], CHARACTERS),
        (["很好", "这个手机很好", "屏幕坏了"], ["手机坏了", "屏幕很好"], CHARACTERS),
        (["good", "😀", "😡"], ["😀", "😡", "good"], CHARACTERS),
        (["good", "good 😀"], ["good", "😡", "good"], WORDS),
    ],
)
def test_words_are_counted_where_they_say_something_else_characters(train: list[str], held_out: list[str], basis: str) -> None:
    assert vocabulary_basis(train, held_out) == basis


def test_characters_that_are_new_are_counted() -> None:
    assert out_of_vocabulary("Good 😀!", set("dgo!"), CHARACTERS) == (6, 1)


def test_a_model_of_texts_without_words_counts_characters_and_says_so(base: Path, tmp_path: Path) -> None:
    """Held-out texts whose words were never seen, as where a word is a whole clause. A retraining goes on with the same count."""
    write_split(tmp_path, "train", toy_rows("train", 30, text="good phone"))
    write_split(tmp_path, "validation", toy_rows("validation", 9, text="bad screen"))
    model = train(base, tmp_path, tmp_path / "first", "--epochs", "1")
    assert read(model, "metrics")["oov_basis"] == CHARACTERS
    (answer,) = model_fn(str(model)).predict(["good Bed"])
    assert (answer["tokens"], answer["oov_tokens"]) == (7, 1)
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as tar:
        tar.add(model, arcname=".")
    write_split(tmp_path / "more", "train", toy_rows("train", 9, text="bad phone"))
    write_split(tmp_path / "more", "validation", toy_rows("validation", 9, text="bad phone"))
    again = train(base, tmp_path / "more", tmp_path / "second", "--epochs", "1", "--parent", str(tmp_path))
    assert read(again, "metrics")["oov_basis"] == CHARACTERS
    assert set(json.loads((again / "vocabulary.json").read_text(encoding="utf-8"))) == set("goodphneba")


# -- from a version's reference sample ---------------------------------------------------------------


def version(folder: Path, reference: list[ReferenceText]) -> Path:
    """A dataset version as a retraining freezes it."""
    labels = ("negative", "neutral", "positive")
    rows = [
        Row(f"r{n}", f"{('bad', 'the', 'good')[n % 3]} phone {n}", labels[n % 3], {labels[n % 3]: 3}, f"g{n}", "toy", "test", n > 50)
        for n in range(60)
    ]
    splits = {"train": rows, "validation": rows[:20], "test": rows[20:]}
    manifest, files = render(splits, labels, parent=None, watermark=None, reference=reference)
    for name, content in {**files, "manifest.json": manifest.to_json().encode()}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize("with_reference", [True, False])
def test_the_baseline_is_of_the_served_texts_where_a_version_has_some_else_of_the_test_set(
    base: Path,
    channels: Path,
    tmp_path: Path,
    *,
    with_reference: bool,
) -> None:
    served = [ReferenceText(f"unheard of words {n}", f"subject:s{n // 2}") for n in range(40)]
    version(tmp_path / "dataset", served if with_reference else [])
    (tmp_path / "model").mkdir()
    with tarfile.open(tmp_path / "model" / "model.tar.gz", "w:gz") as tar:
        tar.add(train(base, channels, tmp_path / "training", "--trained_layers", "1", "--epochs", "1"), arcname=".")
    evaluate.main(["--input-dir", str(tmp_path), "--output-dir", str(tmp_path / "out"), "--window", "50"])
    report = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    baseline = report["drift_baseline"]
    assert report["rows"] == 40
    assert (baseline["source"], baseline["texts"]) == (("reference" if with_reference else "test"), 40)
    assert (baseline["oov_rate"]["mean"] == 1) is with_reference
    assert len((tmp_path / "out" / "predictions.jsonl").read_text().splitlines()) == 40, "the test set's answers only"


def test_a_reference_that_the_manifest_does_not_name_is_not_read(tmp_path: Path) -> None:
    folder = version(tmp_path, [ReferenceText("x", "g")])
    manifest = Manifest(**json.loads((folder / "manifest.json").read_text()))
    assert [item.text for item in read_reference(folder, manifest)] == ["x"]
    unnamed = {name: digest for name, digest in manifest.files.items() if "reference" not in name}
    assert read_reference(folder, Manifest(**{**vars(manifest), "files": unnamed})) == []


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("not json", "is not JSON"),
        ('{"text": "x"}', "field 'group' must be a string, not null"),
        ("[]", "must be an object, not a list"),
        ('{"text": "a\\u0000", "group": "g"}', r"field 'text' has U\+0000 at position 1"),
    ],
)
def test_a_line_that_is_no_reference_text_is_named(tmp_path: Path, line: str, problem: str) -> None:
    folder = version(tmp_path, [ReferenceText("x", "g")])
    (folder / "reference" / "data.jsonl").write_text(f'{{"text": "x", "group": "g"}}\n{line}\n')
    manifest = Manifest(**json.loads((folder / "manifest.json").read_text()))
    with pytest.raises(InvalidDataset, match=rf"reference/data\.jsonl:2: {problem}"):
        read_reference(folder, manifest)
