"""The report of the data: what it finds in texts whose faults are known, and the page."""

from __future__ import annotations

import html
import json
import shutil
import tarfile
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy_training import LABELS, toy_rows, train

from contracts.dataset import Row
from contracts.dataset_files import write_dataset
from contracts.groups import text_digest
from contracts.report.page import margin, page, said_of_intervals, verdict
from contracts.shared_words import RECENT_UNSURE
from model_code.evaluate import evaluate, ordinary
from model_code.evaluate import main as evaluate_main
from model_code.inference import model_fn
from model_code.references import label_indices
from model_code.report.content import Evaluated, report_content
from model_code.report.errors import by_rule, confusions
from model_code.report.frozen_layers import FrozenLayers, frozen_layers
from model_code.report.labels_in_doubt import labels_in_doubt
from model_code.report.learning_curve import next_point
from model_code.report.reliability import reliability

RNG = np.random.default_rng(0)
TOPICS = {"sport": "ball goal match team", "money": "bank price market fund", "food": "bread salt oven meal"}


def row(number: int, label: str, words: str, **fields: Any) -> Row:
    text = " ".join((*RNG.choice(words.split(), 3), *RNG.choice(("the", "a", "of", "and"), 3)))
    return replace(Row(f"r{number}", text, label, {}, f"g{number}", "all", "test"), **fields)


def rows(count: int) -> list[Row]:
    names = list(TOPICS)
    return [row(number, names[number % 3], TOPICS[names[number % 3]]) for number in range(count)]


def answers(test: list[Row], labels: list[str]) -> list[dict[str, Any]]:
    shared = {
        "model_version": "m-1",
        "review_threshold": 0.5,
        "tokens": 6,
        "oov_tokens": 0,
        "truncated": False,
        "pieces": 8,
        "unread_pieces": 0,
    }
    return [
        {"label": one.label if number % 4 else labels[0], "confidence": 0.6 + 0.3 * (number % 4 > 0), **shared}
        for number, one in enumerate(test)
    ]


def made(train: list[Row], test: list[Row], names: dict[str, str]) -> Evaluated:
    labels = sorted({one.label for one in train})
    said = answers(test, labels)
    evaluation = evaluate(said, None, train, test, labels, seed=1)
    wrong = [{"id": "k", "text": "<b>never</b>", "label": labels[0], "answer": labels[1], "confidence": 0.9}]
    more = {"dataset_version": "0" * 16, "label_names": names, "key_examples": {"rows": 2, "right": 1, "wrong": wrong}}
    splits = {"train": train, "validation": train[:9], "test": test}
    return Evaluated(
        rows=splits,
        truth={name: label_indices(part, labels) for name, part in splits.items()},
        labels=labels,
        answers=said,
        predicted=np.array([labels.index(one["label"]) for one in said]),
        ordinary=ordinary(test),
        evaluation={**evaluation, **more},
        lengths={name: np.full(len(part), 8, dtype=np.int32) for name, part in splits.items()},
        max_length=64,
        frozen=FrozenLayers(2, 50, len(train), [labels[0]] * len(test)),
        seed=1,
    )


def test_labels_that_were_turned_are_in_doubt_with_the_right_suggestion() -> None:
    clean, labels = rows(240), list(TOPICS)
    turned = {5, 50, 100, 151, 200}
    dirty = [replace(one, label=labels[(labels.index(one.label) + 1) % 3]) if number in turned else one for number, one in enumerate(clean)]
    found = labels_in_doubt(dirty, label_indices(dirty, labels), 3, seed=1)
    assert {one["row"] for one in found["texts"][:5]} == turned
    assert all(labels[one["suggested"]] == clean[one["row"]].label for one in found["texts"][:5])
    assert found["found"] <= 8
    assert (found["rows"], found["of_rows"]) == (240, 240)


def test_the_suggested_label_is_the_one_that_puts_a_label_in_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model is 90 % sure of texts about sport and 30 % of those about food: 50 % for sport is little, 40 % for food is much."""
    confidence = {"sport": (0.9, 0.05, 0.05), "food": (0.35, 0.3, 0.35), "money": (0.1, 0.1, 0.8)}
    many = [row(number, label, TOPICS[label]) for number, label in enumerate(("sport", "food", "money") * 10)]
    by_row = {one.id: confidence[one.label] for one in many} | {many[2].id: (0.5, 0.4, 0.1)}
    monkeypatch.setattr("model_code.report.labels_in_doubt._out_of_fold", lambda chosen, *_: np.array([by_row[one.id] for one in chosen]))
    found = labels_in_doubt(many, label_indices(many, ["sport", "food", "money"]), 3, seed=1)
    (doubt,) = (one for one in found["texts"] if one["row"] == 2)
    assert (doubt["suggested"], doubt["confidence"], doubt["own_confidence"]) == (1, 0.4, 0.1)


def test_a_model_is_never_asked_about_a_group_that_it_was_trained_on() -> None:
    # The words of a group are its own: a model that had been trained on one of its texts would be sure of the others.
    own = [replace(one, text=f"unique{number // 4} words{number // 4}", group=f"g{number // 4}") for number, one in enumerate(rows(60))]
    same = [replace(one, label=list(TOPICS)[number // 4 % 3]) for number, one in enumerate(own)]
    found = labels_in_doubt(same, label_indices(same, list(TOPICS)), 3, seed=1)
    assert max(one["own_confidence"] for one in found["texts"]) < 0.5


def test_only_a_stated_number_of_rows_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model_code.report.labels_in_doubt.MOST_ROWS", 60)
    many = rows(240)
    found = labels_in_doubt(many, label_indices(many, list(TOPICS)), 3, seed=1)
    assert (found["rows"], found["of_rows"]) == (60, 240)


def test_the_power_law_says_how_many_rows_the_next_point_needs() -> None:
    sizes = [500, 1_000, 2_000]
    accuracy = 1 - 2.0 * np.array(sizes, dtype=float) ** -0.3
    needed = next_point(sizes, accuracy, np.tile(accuracy, (50, 1)), 2_000)
    error = 2.0 * 2_000**-0.3
    exact = 2_000 * ((1 - 0.01 / error) ** (-1 / 0.3) - 1)
    assert needed is not None
    assert needed["rows"] == needed["low"] == needed["high"] == pytest.approx(exact, rel=0.06)
    flat = np.array([0.8, 0.8, 0.79])
    assert next_point(sizes, flat, np.tile(flat, (50, 1)), 2_000) is None
    unsure = np.vstack([np.tile(accuracy, (40, 1)), np.tile(flat, (10, 1))])
    assert next_point(sizes, accuracy, unsure, 2_000) == {**needed, "high": None}


def test_the_next_point_is_counted_from_all_training_rows_where_a_sample_was_trained_on() -> None:
    sizes = [500, 1_000, 2_000]
    accuracy = 1 - 2.0 * np.array(sizes, dtype=float) ** -0.3
    needed = next_point(sizes, accuracy, np.tile(accuracy, (50, 1)), 32_000)
    exact = 32_000 * ((1 - 0.01 / (2.0 * 32_000**-0.3)) ** (-1 / 0.3) - 1)
    assert needed is not None
    assert needed["rows"] == pytest.approx(exact, rel=0.06)


def test_errors_are_counted_by_rules_that_divide_the_texts() -> None:
    texts = ["It is not good", "I can't say", "fine", "good good good"]
    test = [Row(f"r{number}", text, "a", {}, f"g{number}", "all", "t") for number, text in enumerate(texts)]
    said = [{"tokens": 4, "oov_tokens": 0, "truncated": False, "pieces": 3 + number} for number in range(4)]
    found = by_rule(test, said, np.array([False, False, True, True]))
    parts = {(one["rule"], one["part"]): (one["texts"], one["accuracy"]["value"]) for one in found}
    assert parts["English negation", "with"] == (2, 0)
    assert parts["English negation", "without"] == (2, 1)
    assert not [rule for rule, _ in parts if rule in ("unknown words", "read to its end")]
    assert [part for rule, part in parts if rule == "length in word pieces"] == ["3 to 3", "4 to 4", "5 to 5", "6 to 6"]


def test_confused_pairs_are_counted_in_both_directions_and_one() -> None:
    truth, predicted = np.array([0, 0, 0, 1, 1, 2]), np.array([1, 1, 0, 0, 1, 3])  # 3: a label that is gone
    found = confusions(truth, predicted, 3)
    assert found["matrix"] == [[1, 2, 0], [1, 1, 0], [0, 0, 0]]
    assert [(one["truth"], one["answer"], one["texts"]) for one in found["pairs"]] == [(0, 1, 2), (1, 0, 1)]
    assert [(one["labels"], one["texts"], one["share"]) for one in found["confusable"]] == [([0, 1], 3, pytest.approx(0.75, abs=0.2))]
    assert confusions(np.arange(13), np.arange(13), 13)["matrix"] is None


def test_a_model_that_is_calibrated_is_within_what_chance_allows_and_a_sure_one_is_not() -> None:
    confidence, groups = RNG.uniform(0.5, 1, 600), [f"g{number // 2}" for number in range(600)]
    good = reliability(confidence, RNG.random(600) < confidence, groups, seed=1)
    assert good["ece"]["value"] <= good["ece_if_perfect"]["high"] * 1.3
    assert good["ece"]["low"] <= good["ece"]["value"] <= good["ece"]["high"]
    sure = reliability(np.full(600, 0.99), RNG.random(600) < 0.7, groups, seed=1)
    assert sure["ece"]["low"] > sure["ece_if_perfect"]["high"]
    assert [one["texts"] for one in sure["bins"]] == [600]


def test_the_accuracy_of_a_bin_has_an_exact_interval() -> None:
    """Of independent texts it is Clopper and Pearson's, here from their tables; texts of one group widen it."""
    confidence, correct = np.full(20, 0.9), np.arange(20) < 18
    (apart,) = reliability(confidence, correct, [str(number) for number in range(20)], seed=1)["bins"]
    assert (apart["accuracy_low"], apart["accuracy_high"]) == pytest.approx((0.6830, 0.9877), abs=0.002)
    (together,) = reliability(confidence, correct, [str(number // 4) for number in range(20)], seed=1)["bins"]
    assert together["accuracy_low"] < 0.6 < together["accuracy"] < together["accuracy_high"]
    (none,) = reliability(confidence, np.zeros(20, dtype=bool), [str(number) for number in range(20)], seed=1)["bins"]
    assert (none["accuracy_low"], none["accuracy_high"]) == (0, pytest.approx(0.1684, abs=1e-4))


class Reader(HTMLParser):
    """Counts tags and keeps the text; fails on a tag that is closed out of turn."""

    EMPTY = ("meta", "rect", "line", "circle", "polyline")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.EMPTY:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read_page(content: dict[str, Any]) -> Reader:
    reader = Reader()
    reader.feed(page(content))
    assert reader.open == []
    return reader


def test_the_frozen_layers_read_of_a_long_text_what_the_model_reads(base: Path, channels: Path, tmp_path: Path) -> None:
    """The texts differ in their last word alone, which ``head+tail`` reads."""
    model = model_fn(str(train(base, channels, tmp_path, "--trained_layers", "1", "--epochs", "1", "--max_length", "8")))
    ends = {"positive": "good", "negative": "bad"}
    long = [
        Row(f"r{number}", f"{'the ' * 20}{ends[label]}", label, {}, f"g{number}", "toy", "test")
        for number, label in enumerate([*ends] * 30)
    ]
    found = frozen_layers(model, "1", long, long[:2], seed=0)
    assert found is not None
    assert found.answers == ["positive", "negative"]


def test_the_page_shows_names_in_any_script_and_escapes_everything() -> None:
    attack = '<script>alert("x")</script>'
    train, test = rows(60), rows(24)
    test[0] = replace(test[0], text=attack, slice=attack)
    content = report_content(made(train, test, {"sport": "体育 & <игра>", "money": "कीमत"}), full=True)
    json.dumps(content, allow_nan=False)
    shown = read_page(content)
    assert "体育 & <игра>" in shown.text
    assert "the 2 layers that were not trained, with logistic regression" in shown.text
    assert "The logistic regression on the 2 layers that were not trained learnt from 50 of 60 training texts." in shown.text
    assert "कीमत" in shown.text
    assert attack in shown.text
    assert "script" not in shown.tags
    assert not [one for one in ("src=", "href=", "http") if one in page(content)]
    assert html.escape("<b>never</b>") in page(content)


def test_what_the_one_who_runs_it_knows_is_shown_where_it_is_given() -> None:
    content = report_content(made(rows(60), rows(24), {}), full=False)
    assert (content["labels_in_doubt"], content["learning_curve"]) == (None, None)
    assert "trials" not in read_page(content).text
    trials = [
        {"name": f"job-{number}", "objective": 0.7 + number / 1000, "hyperparameters": {"layers": "4"}, "seconds": 30.0}
        for number in range(2)
    ]
    given = {"trials": trials, "seed_noise": 0.008, "cost": [{"what": "a trial", "amount": "$0.10", "basis": "6 minutes"}]}
    shown = read_page({**content, **given, "next_steps": [{"what": "Deploy", "command": "cdk deploy --all"}]})
    for words in ("2 trials", "less than the noise of a seed", "$0.10", "cdk deploy --all"):
        assert words in shown.text


def test_a_figure_has_its_interval_its_unit_and_its_scale() -> None:
    content = report_content(made(rows(60), rows(24), {}), full=True)
    shown = read_page(content).text
    macro_f1, ece = content["overall"]["macro_f1"], content["calibration"]["ece"]
    assert f"{macro_f1['value']:.3f} ({macro_f1['low']:.3f} to {macro_f1['high']:.3f})" in shown
    assert f"Confidence and accuracy are {100 * ece['value']:.1f} points apart on average" in shown
    assert f"interval is {100 * ece['low']:.1f} to {100 * ece['high']:.1f} points" in shown
    assert "On the test set of 24 texts in 24 groups." in shown
    assert "People are compared" not in shown, "there were no votes"
    assert page(content).count(">0 to 100 %</th>") == 3, "over the bars of models, errors without people, and labels"
    for axis in ("accuracy, 95 % interval", "training texts"):
        assert axis in shown
    assert "About the model m-1." in shown


def test_few_groups_are_said_to_be_few() -> None:
    assert "and 24 groups are few" in said_of_intervals(24)
    assert "few" not in said_of_intervals(75)


def test_precision_and_the_bins_of_confidence_have_intervals() -> None:
    content = report_content(made(rows(60), rows(24), {}), full=False)
    precision, bins = content["classes"][0]["precision_interval"], content["calibration"]["bins"]
    assert precision["low"] < precision["high"]
    assert all(one["accuracy_low"] <= one["accuracy"] <= one["accuracy_high"] for one in bins)
    shown = read_page(content).text
    assert f"({100 * precision['low']:.1f} to {100 * precision['high']:.1f})" in shown
    assert f"({100 * bins[0]['accuracy_low']:.1f} to {100 * bins[0]['accuracy_high']:.1f})" in shown
    for one in bins:
        del one["accuracy_low"], one["accuracy_high"]
    del content["classes"][0]["precision_interval"]
    assert read_page(content).text, "a report of an earlier version of the app"


def test_one_slice_alone_has_no_table() -> None:
    train, test = rows(60), rows(24)
    assert {row.slice for row in test} == {"all"}
    assert ">slice</th>" not in page(report_content(made(train, test, {}), full=False))
    test[0] = replace(test[0], slice="letters")
    assert ">slice</th>" in page(report_content(made(train, test, {}), full=False))


def test_texts_that_a_model_was_unsure_of_are_a_slice_and_in_no_other_figure() -> None:
    train, test = rows(60), rows(36)
    hard = [replace(one, id=f"h{number}", group=f"h{number}", slice=RECENT_UNSURE) for number, one in enumerate(rows(50))]
    alone, both = (report_content(made(train, part, {}), full=True) for part in (test, [*test, *hard]))
    of_all = {"splits", "by_slice", "left_out", "lengths"}
    assert {name: value for name, value in both.items() if name not in of_all} == {
        name: value for name, value in alone.items() if name not in of_all
    }
    assert [split["rows"] for split in both["splits"] if split["split"] == "test"] == [86]
    assert both["by_slice"][RECENT_UNSURE]["rows"] == 50
    shown = read_page(both).text
    assert "On 36 of the 86 texts of the test set, in 36 groups" in shown
    assert "recent-unsure (in no other figure)" in shown
    assert "On the test set of 36 texts in 36 groups." in read_page(alone).text


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [(0.001, 0.1, "better than"), (-0.02, 0.1, "not shown to be better or worse than"), (-0.1, -0.001, "worse than")],
)
def test_what_a_comparison_shows_follows_from_its_interval(low: float, high: float, words: str) -> None:
    interval = {"value": (low + high) / 2, "low": low, "high": high}
    difference = {"rows": 36, "groups": 36, "accuracy": interval, "macro_f1": interval}
    assert verdict(difference) == words
    content = report_content(made(rows(60), rows(36), {}), full=False)
    shown = read_page({**content, "differences": {"champion": None, "best": None, "tfidf": difference}}).text
    assert f", {words} TF-IDF (" in shown
    assert f"{interval['value']:+.3f} ({low:+.3f} to {high:+.3f})" in shown


def test_a_report_of_a_version_without_intervals_is_shown_as_it_was() -> None:
    content = report_content(made(rows(60), rows(36), {}), full=False)
    earlier = {name: value for name, value in content.items() if name not in ("differences", "left_out")}
    assert "above TF-IDF (" in read_page(earlier).text


def test_a_margin_is_compared_with_the_noise_of_two_seeds() -> None:
    two = [{"objective": 0.76}, {"objective": 0.75}]
    words = "The best two differ by 0.0100 on validation, less than the noise of a seed (0.0113 on the demo's reviews)."
    assert margin(two, 0.008).startswith(words)
    assert "more than the noise" in margin(two, 0.005)
    assert margin(two, None) == "The best two differ by 0.0100 on validation."
    assert margin(two[:1], 0.005) == ""


def test_a_hundred_and_fifty_labels_stay_readable() -> None:
    words = [f"{first}{second}" for first in "abcdefghij" for second in "klmnopqrstuvwxy"]
    many = [Row(f"r{n}", f"{words[n % 150]} text {n % 7}", f"c{n % 150}", {}, f"g{n}", "all", "t") for n in range(450)]
    content = report_content(made(many, many[:300], {}), full=False)
    assert content["confusions"]["matrix"] is None
    assert len(content["confusions"]["pairs"]) == 20
    assert all(one["needed"] == 25 for one in content["classes"])
    shown = read_page(content)
    assert "details" in shown.tags
    assert "120 more" in shown.text
    assert "150 of 150 labels have too few test texts" in shown.text


@pytest.mark.parametrize(("flags", "kind"), [((), "full"), (("--report", "short"), "short"), (("--report", "none"), "none")])
def test_an_evaluation_writes_the_report_beside_its_figures(parent: Path, tmp_path: Path, flags: tuple[str, ...], kind: str) -> None:
    splits = {"train": toy_rows("train", 90), "validation": toy_rows("validation", 30), "test": toy_rows("test", 45)}
    key = [*toy_rows("key", 3), replace(toy_rows("keys", 1)[0], id="wrong", label="positive", votes={})]
    write_dataset(tmp_path / "in" / "dataset", splits, LABELS, label_names={"positive": "好评"}, key_examples=key)
    (tmp_path / "in" / "model").mkdir()
    with tarfile.open(tmp_path / "in" / "model" / "model.tar.gz", "w:gz") as tar:
        tar.add(parent / "model", arcname=".")
    evaluate_main(["--input-dir", str(tmp_path / "in"), "--output-dir", str(tmp_path / "out"), "--window", "30", *flags])
    evaluation = json.loads((tmp_path / "out" / "evaluation.json").read_text(encoding="utf-8"))
    assert (evaluation["key_examples"]["rows"], evaluation["key_examples"]["right"]) == (4, 3)
    assert evaluation["key_examples"]["wrong"][0]["id"] == "wrong"
    written = {path.name for path in (tmp_path / "out").iterdir()} - {"evaluation.json", "predictions.jsonl"}
    if kind == "none":
        assert written == set()
        return
    assert written == {"report.json", "report.html"}
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert (report["learning_curve"] is not None, report["labels_in_doubt"] is not None) == (kind == "full", kind == "full")
    assert report["lengths"]["splits"]["train"]["texts"] == 90
    if kind == "full":  # the first of three layers was not trained, and the words of the texts say enough
        assert (report["frozen_layers"]["layers"], report["frozen_layers"]["rows"]) == (1, 90)
        assert report["frozen_layers"]["accuracy"]["value"] > 0.8
    assert "好评" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def of_an_earlier_version(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Without the texts that the model was trained on: nobody knows them then."""
    return None if member.name.endswith("trained_texts.json") else member


def test_an_evaluation_reads_champion_and_best_from_their_channels_and_marks_the_ordinary_texts(parent: Path, tmp_path: Path) -> None:
    hard = [replace(one, slice=RECENT_UNSURE) for one in toy_rows("hard", 15)]
    splits = {"train": toy_rows("train", 90), "validation": toy_rows("validation", 30), "test": [*toy_rows("test", 45), *hard]}
    write_dataset(tmp_path / "in" / "dataset", splits, LABELS)
    for name in ("model", "champion", "best"):
        (tmp_path / "in" / name).mkdir()
        with tarfile.open(tmp_path / "in" / name / "model.tar.gz", "w:gz") as tar:
            tar.add(parent / "model", arcname=".", filter=of_an_earlier_version)
    evaluate_main(["--input-dir", str(tmp_path / "in"), "--output-dir", str(tmp_path / "out"), "--window", "30"])
    found = json.loads((tmp_path / "out" / "evaluation.json").read_text(encoding="utf-8"))
    assert found["best_version"] == found["champion_version"] == found["model_version"]
    assert found["references"]["best"] == found["references"]["champion"]
    assert [found[f"difference_to_{name}"]["macro_f1"]["value"] for name in ("champion", "best")] == [0, 0]
    assert (found["rows"], found["overall"]["rows"], found["drift_baseline"]["texts"]) == (60, 45, 45)
    assert found["trained_on"] is None
    lines = (tmp_path / "out" / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    assert sum(json.loads(line)["ordinary"] for line in lines) == 45
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert (report["left_out"], set(report["differences"])) == (RECENT_UNSURE, {"champion", "best", "tfidf"})


def test_a_new_first_version_is_not_judged_by_texts_that_the_champion_learnt(parent: Path, tmp_path: Path) -> None:
    splits = {"train": toy_rows("train", 90), "validation": toy_rows("validation", 30), "test": toy_rows("test", 45)}
    write_dataset(tmp_path / "in" / "dataset", splits, LABELS)
    learnt = [text_digest(one.text) for one in splits["test"][:10]]
    for name in ("model", "champion"):
        (tmp_path / "in" / name).mkdir()
        folder = tmp_path / name
        shutil.copytree(parent / "model", folder)
        (folder / "trained_texts.json").write_text(json.dumps(learnt if name == "champion" else []), encoding="utf-8")
        with tarfile.open(tmp_path / "in" / name / "model.tar.gz", "w:gz") as tar:
            tar.add(folder, arcname=".")
    evaluate_main(["--input-dir", str(tmp_path / "in"), "--output-dir", str(tmp_path / "out"), "--window", "30", "--report", "short"])
    found = json.loads((tmp_path / "out" / "evaluation.json").read_text(encoding="utf-8"))
    assert found["trained_on"] == {"rows": 45 - found["rows"], "models": ["champion"]}
    assert 35 <= found["rows"] < 45, "toy texts may be in both splits"
    assert "in no figure, because a model was trained on them" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
