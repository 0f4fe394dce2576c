"""The report's words follow the figures, whatever they are."""

from __future__ import annotations

import html
from pathlib import Path

import pytest

from local.demo import plots
from local.demo.plots import before_after, confidence_bins, confidence_histogram
from local.demo.report import compared_with, write_report
from local.demo.retraining import what_became_of
from local.demo.summary import DriftPoint, Interval, Score, Summary

LABELS = {"new": 270, "trained_on": 170, "held_out": 31, "frozen": 66, "unusable": 3}


def score(accuracy: float) -> Score:
    interval = Interval(accuracy, accuracy - 0.02, accuracy + 0.02)
    return Score(interval, interval)


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.03, 0.07, "5 points above TF-IDF"),
        (0.001, 0.019, "1 point above TF-IDF"),
        (0.0005, 0.0035, "less than a point above TF-IDF"),
        (-0.004, 0.04, "not shown to be above or below TF-IDF (-0.4 to +4.0 points)"),
        (0.0, 0.04, "not shown to be above or below TF-IDF (+0.0 to +4.0 points)"),
        (-0.17, -0.13, "15 points below TF-IDF"),
    ],
)
def test_the_champion_is_compared_by_the_interval_of_the_same_texts(low: float, high: float, words: str) -> None:
    scores = {"champion": score(0.8), "tfidf": score(0.75)}
    assert compared_with(scores, "tfidf", "TF-IDF", {"value": (low + high) / 2, "low": low, "high": high}) == words
    assert compared_with({"champion": score(0.8)}, "tfidf", "TF-IDF") == ""


@pytest.mark.parametrize(("people", "words"), [(0.77, "3 points above one person"), (0.78, "not shown to be above or below one person")])
def test_without_such_an_interval_the_two_intervals_decide(people: float, words: str) -> None:
    """Each reaches two points to either side, and so 2.8 points for the difference."""
    assert compared_with({"champion": score(0.8), "human_1": score(people)}, "human_1", "one person").startswith(words)


def test_a_champion_that_is_better_than_people_is_not_said_to_be_below_them(tmp_path: Path) -> None:
    summary = Summary(scores={"champion": score(0.9), "tfidf": score(0.7), "human_1": score(0.85)})
    matrix = {"labels": ["a", "b"], "matrix": [[3, 1], [1, 3]]}
    summary.evaluation = {"confusion": matrix, "difference_to_tfidf": {"accuracy": {"value": 0.2, "low": 0.18, "high": 0.22}}}
    write_report(summary, tmp_path / "report.html")
    assert "The champion is 20 points above TF-IDF and 5 points above one person" in (tmp_path / "report.html").read_text()


def test_the_histogram_has_a_colour_for_every_status_that_occurs() -> None:
    drawing = confidence_histogram({"requested": [0.4, 0.9], "not_required": [0.7] * 9}, 0.6)
    assert "#d97706" in drawing
    assert "#2563eb" in drawing
    assert "#dc2626" not in drawing
    assert "#dc2626" in confidence_histogram({"requested": [0.4], "unavailable": [0.5]}, None)


def test_labels_are_told_with_what_became_of_them() -> None:
    assert what_became_of(LABELS) == (
        "270 new labels: 170 trained on, 31 held out for validation and test, 66 left out, their texts are in validation or test already, "
        "3 not usable"
    )
    assert what_became_of({**LABELS, "frozen": 0, "unusable": 0}).endswith("31 held out for validation and test")


@pytest.mark.parametrize(("alarm", "words"), [("OK", "the alarm is OK"), ("ALARM", "the alarm is ALARM")])
def test_the_alarm_after_the_retraining_is_told_as_it_is(tmp_path: Path, alarm: str, words: str) -> None:
    summary = Summary(drift=[DriftPoint("tweets", 50, 2.0, {}, "ALARM")], drift_detected_after=50, drift_alarm_after=50)
    summary.source = {"name": "amazon", "later": "tweets", "drifts": True, "people": "replayed raters"}
    summary.drift_score_after_retraining, summary.drift_alarm_after_retraining = 0.42, alarm
    write_report(summary, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "Tweets score 0.42" in page
    assert words in page


@pytest.mark.parametrize(
    ("person", "people", "labels"),
    [
        ("replayed rater", "replayed raters", "people's"),
        ("held-back label", "held-back labels (the file's label answers as one person would)", "held-back"),
    ],
)
def test_who_answers_is_called_what_it_is(tmp_path: Path, person: str, people: str, labels: str) -> None:
    one = Interval(0.7, 0.6, 0.8)
    summary = Summary(scores={"champion": score(0.9)}, confidences={"requested": [0.4]}, review_rate=0.2)
    summary.evaluation = {"confusion": {"labels": ["a", "b"], "matrix": [[3, 1], [1, 3]]}}
    summary.before_after = {"tweets": {"before": one, "after": one, "gain": Interval(0.0, -0.1, 0.1)}}
    summary.source = {"name": "amazon", "later": "tweets", "people": people, "person": person, "asked": 1}
    write_report(summary, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert f"The people are {html.escape(people)}." in page
    assert html.escape(f"Retraining on {labels} labels changed accuracy on tweets") in page
    assert "People are compared" not in page


@pytest.mark.parametrize(("labels", "drawn"), [(3, True), (77, False)])
def test_confusions_are_drawn_while_they_can_be_read(tmp_path: Path, labels: int, drawn: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    monkeypatch.setattr(plots, "confusion", lambda names, _: seen.append(list(names)) or "<svg/>")
    summary = Summary(scores={"champion": score(0.9)})
    ids = [f"l{number}" for number in range(labels)]
    summary.evaluation = {"confusion": {"labels": ids, "matrix": [[1] * labels] * labels}, "label_names": {"l1": "Schön & gut"}}
    write_report(summary, tmp_path / "report.html")
    assert seen == ([["l0", "Schön & gut", "l2"]] if drawn else [])


def test_the_threshold_that_the_settings_fix_is_the_one_that_is_spoken_of(tmp_path: Path) -> None:
    summary = Summary(confidences={"requested": [0.4], "not_required": [0.9]}, review_rate=0.5, review_threshold=0.8)
    summary.evaluation = {"review": {"auto_error": {"value": 0.14, "low": 0.1, "high": 0.2}, "promise": None}}
    write_report(summary, tmp_path / "report.html")
    assert "14.0 % (10.0 to 20.0) are wrong" in (tmp_path / "report.html").read_text()
    summary.serving_review = {"threshold": 0.8, "texts": 871, "alone": 480, "wrong": 38}
    write_report(summary, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "The settings fix the review threshold at 0.8 for all models" in page
    assert "480 of 871 test texts are answered without people, and 38 of these answers are wrong" in page
    assert "14.0 %" not in page


def test_a_figure_says_of_how_many_or_how_sure(tmp_path: Path) -> None:
    summary = Summary(scores={"champion": score(0.786)}, confidences={"requested": [0.4], "not_required": [0.9] * 2}, review_rate=0.3333)
    summary.evaluation = {"confusion": {"labels": ["a"], "matrix": [[1]]}, "rows": 1_871, "groups": 75}
    summary.predictions, summary.iam = {"accepted": 1_362, "unaccounted": 0}, {"calls": 31_919, "denied": 0}
    one = Interval(0.7, 0.6, 0.8)
    summary.before_after = {"tweets": {"before": one, "after": one, "gain": Interval(0.103, 0.07, 0.137)}}
    summary.compared_texts = {"tweets": 600}
    write_report(summary, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    for said in (
        "test accuracy<b>78.6 %</b><small>76.6 to 80.6, 1,871 texts</small>", "sent to people<b>33 %</b><small>1 of 3 texts</small>",
        "answers unaccounted for<b>0</b><small>of 1,362</small>", "calls denied by IAM<b>0</b><small>of 31,919</small>",
        "accuracy on tweets<b>+10.3 points</b><small>+7.0 to +13.7</small>", "On the test set of 1,871 texts in 75 groups.",
        "both models (600 of tweets); none",
    ):  # fmt: skip
        assert said in page, said


@pytest.mark.parametrize(("low", "said"), [(-0.005, True), (0.005, False)])
def test_a_change_that_may_be_none_is_not_told_as_one(tmp_path: Path, low: float, said: bool) -> None:
    one = Interval(0.7, 0.6, 0.8)
    summary = Summary(before_after={"tweets": {"before": one, "after": one, "gain": Interval(0.055, low, 0.115)}})
    write_report(summary, tmp_path / "report.html")
    assert ("do not show whether there is any" in (tmp_path / "report.html").read_text()) == said


def test_low_confidences_and_accuracies_are_drawn_too() -> None:
    assert confidence_bins([0.9, 0.02])[0] <= 0.02
    assert confidence_bins([0.9])[-1] == 1
    low, high = Interval(0.1, 0.05, 0.2), Interval(0.9, 0.85, 0.95)
    assert before_after({"x": {"before": low, "after": low}}) != before_after({"x": {"before": high, "after": high}})


def test_a_lead_over_tfidf_that_may_be_chance_is_no_lead_in_the_heading(tmp_path: Path) -> None:
    summary = Summary(scores={"champion": score(0.72), "tfidf": score(0.7)})
    matrix = {"labels": ["a", "b"], "matrix": [[3, 1], [1, 3]]}
    summary.evaluation = {"confusion": matrix, "difference_to_tfidf": {"accuracy": {"value": 0.02, "low": -0.01, "high": 0.05}}}
    write_report(summary, tmp_path / "report.html")
    assert "The champion is not shown to be above or below TF-IDF (-1.0 to +5.0 points)" in (tmp_path / "report.html").read_text()
