"""The evaluation report: sizes, who is compared with whom on which texts, and that the functions read what the container writes."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from contracts.dataset import InvalidDataset, Row
from contracts.groups import text_digest
from contracts.shared_words import RECENT_UNSURE
from lambdas.tuning.check_gates.gates import GatePolicy, check_gates
from lambdas.tuning.evaluation import Evaluation
from model_code.baseline import BOTH
from model_code.evaluate import evaluate, evenly, key_example_result, without_trained
from model_code.references import label_indices, people, tfidf

LABELS = ("negative", "neutral", "positive")


def always(_: Row) -> bool:
    return True


def row(number: int, slice_: str, group: str, raters: int = 9) -> Row:
    label = LABELS[number % 3]
    return Row(f"{slice_}{number}", f"text {label} {number}", label, {label: raters}, group, slice_, "test")


# Two sentences a review; a live text is a group of its own.
OLD = [row(number, "amazon", f"a{number // 2}") for number in range(60)]
AUDITED = [row(number, "recent", f"r{number}", raters=3) for number in range(15)]
UNSURE = [row(number, "recent-unsure", f"u{number}", raters=3) for number in range(30)]


def answers(rows: list[Row], right: Callable[[Row], bool] = always) -> list[dict[str, Any]]:
    found = []
    for one in rows:
        label = one.label if right(one) else LABELS[(LABELS.index(one.label) + 1) % 3]
        found.append({"label": label, "confidence": 0.8, "model_version": "m-1", "review_threshold": 0.5, "tokens": 3, "oov_tokens": 0})
    return found


Model = Callable[[Row], bool]


def report(test: list[Row], candidate: Model = always, champion: Model | None = None, best: Model | None = None) -> dict[str, Any]:
    other, earlier = (None if model is None else answers(test, model) for model in (champion, best))
    result = evaluate(answers(test, candidate), other, OLD, test, LABELS, seed=1, best=earlier)
    return {**result, "dataset_version": "0123456789abcdef", "key_examples": None, "label_names": {}}


def test_every_size_is_told_in_texts_and_in_groups() -> None:
    found = report([*OLD, *AUDITED, *UNSURE], champion=always)
    assert (found["rows"], found["groups"]) == (105, 75)
    sizes = {"amazon": (60, 30), "recent": (15, 15), "recent-unsure": (30, 30)}
    for part in ("by_slice", "difference_by_slice"):
        assert {name: (one["rows"], one["groups"]) for name, one in found[part].items()} == sizes
    assert (found["difference_to_champion"]["rows"], found["difference_to_champion"]["groups"]) == (75, 45)


def test_texts_that_were_chosen_since_the_champion_was_unsure_do_not_compare_with_it() -> None:
    found = report([*OLD, *AUDITED, *UNSURE], champion=lambda one: one.slice != "recent-unsure")
    assert found["difference_to_champion"]["macro_f1"] == {"value": 0, "low": -0.0847, "high": 0.0847}  # of 45 groups of two sizes
    assert found["difference_by_slice"]["recent-unsure"]["macro_f1"] == {"value": 1, "low": 0.8843, "high": 1}  # of 30
    assert found["overall"]["accuracy"]["value"] == found["references"]["champion"]["accuracy"]["value"] == 1


OF_ALL_TEXTS = {"rows", "groups", "by_slice", "difference_by_slice"}


def test_however_many_hard_texts_are_collected_the_same_model_gets_the_same_figures_and_passes_the_same_gates() -> None:
    """The model is right on 7 of 10 ordinary texts and on 3 of 10 of those that people saw because a model was unsure."""
    policy = GatePolicy(
        min_macro_f1=0.65,
        min_gain_over_majority=0.1,
        min_gain_over_tfidf=-0.5,
        max_loss_to_champion=0.1,
        max_loss_to_best=0.1,
        min_class_recall=0.5,
        min_slice_accuracy=0.5,
        min_key_examples=1.0,
    )

    def model(one: Row) -> bool:
        return int(re.findall(r"\d+", one.id)[-1]) % 10 < (3 if one.slice == RECENT_UNSURE else 7)

    ordinary = [*OLD, *AUDITED, *(row(number, "amazon", f"b{number // 2}") for number in range(60, 240))]
    found = {
        count: report([*ordinary, *(row(number, RECENT_UNSURE, f"u{number}") for number in range(count))], model, model, always)
        for count in (0, 30, 300, 900)
    }
    figures = [{name: value for name, value in one.items() if name not in OF_ALL_TEXTS} for one in found.values()]
    assert all(one == figures[0] for one in figures)
    verdicts = [[(gate.gate, gate.passed) for gate in check_gates(Evaluation.parse(one), policy)] for one in found.values()]
    assert all(one == verdicts[0] for one in verdicts)
    assert [gate for gate, passed in verdicts[0] if not passed] == ["lower end of the macro_f1 difference to the best champion so far"]
    for count, one in found.items():
        assert one["rows"] == one["overall"]["rows"] + count
        assert {name: part["rows"] for name, part in one["by_slice"].items()}.get(RECENT_UNSURE, 0) == count


def test_a_candidate_is_compared_with_the_best_champion_so_far_on_the_texts_of_the_champion() -> None:
    test = [*OLD, *AUDITED, *UNSURE]
    alone = report(test, candidate=lambda one: one.slice != "recent", champion=always)
    assert alone["difference_to_best"] == alone["difference_to_champion"]  # the champion is the best
    assert (alone["best_version"], alone["references"]["best"]) == ("m-1", None)
    both = report(test, candidate=lambda one: one.slice != "recent", champion=lambda one: one.slice != "recent", best=always)
    assert both["difference_to_best"] == alone["difference_to_champion"]
    assert both["difference_to_champion"]["macro_f1"]["value"] == 0
    assert both["references"]["best"]["accuracy"]["value"] == 1
    read = Evaluation.parse(both)
    assert read.difference_to_best is not None
    assert (read.difference_to_best.groups, read.champion_is_best, Evaluation.parse(alone).champion_is_best) == (45, False, True)
    none = report(test)
    assert (none["best_version"], none["difference_to_best"], none["references"]["best"]) == (None, None, None)


def test_the_errors_of_the_answers_without_people_have_an_interval_and_reach_the_model_package() -> None:
    found = report(OLD, candidate=lambda one: one.id != "amazon1")
    assert found["review"]["auto_error"]["value"] == pytest.approx(1 / 60, abs=1e-4)
    assert found["review"]["auto_error"]["low"] < 1 / 60 < found["review"]["auto_error"]["high"]
    promise = {"max_error": 0.1, "confidence": 0.95, "kept": True, "texts": 538, "groups": 130, "share": 0.5, "error_bound": 0.097}
    parsed = Evaluation.parse({**found, "review": {**found["review"], "promise": promise}}).review
    assert parsed is not None
    properties = parsed.metadata()
    assert properties["review_promise_kept"] == "true"
    assert properties["review_error"] == "0.0167"
    assert all(re.fullmatch(r"[\w.:/=+\-@ ]{1,256}", value) for value in properties.values())
    every = evaluate([answer | {"review_threshold": 1.0} for answer in answers(OLD)], None, OLD, OLD, LABELS, seed=1)["review"]
    assert (every["share"], every["auto_error"], every["auto_accuracy"]) == (1.0, None, None)


def test_test_texts_that_a_model_was_trained_on_are_left_out_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    rows = {"train": OLD[:10], "test": [*OLD[5:10], *OLD[20:40]]}
    known = {text_digest(row.text) for row in OLD[:25]}
    kept, left_out = without_trained(rows, {"model": {text_digest(row.text) for row in OLD[:10]}, "champion": known, "best": set()})
    assert [row.id for row in kept] == [row.id for row in [*OLD[5:10], *OLD[25:40]]], "what is in its own training split stays"
    assert left_out == {"rows": 5, "models": ["champion"]}
    assert "5 of 25 test texts are left out of all figures, since they were trained on by: champion" in capsys.readouterr().out
    assert without_trained(rows, {"champion": frozenset()}) == (rows["test"], None), "an artifact of an earlier version does not say"
    with pytest.raises(InvalidDataset, match="all 5 test texts were trained on by: champion, best"):
        without_trained({"train": [], "test": OLD[:5]}, dict.fromkeys(("champion", "best"), known))


def test_a_loss_in_one_slice_is_seen_there() -> None:
    worse = report([*OLD, *AUDITED], candidate=lambda one: one.slice != "recent", champion=always)
    assert worse["difference_by_slice"]["recent"]["accuracy"] == {"value": -1, "low": -1, "high": -0.782}
    assert worse["difference_by_slice"]["amazon"]["accuracy"] == {"value": 0, "low": -0.1157, "high": 0.1157}
    low, value = (worse["difference_to_champion"]["accuracy"][name] for name in ("low", "value"))
    assert low < value == pytest.approx(-15 / 75)


def test_a_class_without_test_texts_is_undefined() -> None:
    test = [one for one in OLD if one.label != "neutral"]
    found = report(test)["by_class"]
    assert found["neutral"] == {**dict.fromkeys(("precision", "precision_interval", "recall", "f1")), "support": 0}
    assert found["negative"]["recall"] == {"value": 1, "low": 0.8389, "high": 1, "effective_texts": 20}
    assert found["negative"]["precision_interval"] == {"value": 1, "low": 0.8389, "high": 1, "effective_texts": 20}
    undefined = {"recall": None, "precision_interval": None}
    assert found["negative"] | undefined == {**undefined, "precision": 1, "f1": 1, "support": 20}
    wrong = report(test, candidate=lambda one: one.label != "negative")["by_class"]
    assert wrong["neutral"]["precision_interval"]["value"] == 0  # negatives were called neutral
    assert wrong["neutral"] | undefined == {**undefined, "precision": 0, "f1": None, "support": 0}
    assert wrong["negative"]["recall"]["value"] == 0
    assert wrong["negative"]["precision_interval"] is None
    assert wrong["negative"] | undefined == {**undefined, "precision": None, "f1": 0, "support": 20}
    assert Evaluation.parse(report(test)).class_recall["neutral"] is None


def test_key_examples_that_are_wrong_are_named_with_label_and_answer() -> None:
    said = answers(OLD[:4], right=lambda one: one.id != "amazon1")
    found = key_example_result([OLD[0], replace(OLD[1], text="x " * 200), *OLD[2:4]], said)
    assert found is not None
    assert (found["rows"], found["right"]) == (4, 3)
    (wrong,) = found["wrong"]
    assert (wrong["id"], wrong["label"], wrong["answer"], wrong["confidence"]) == ("amazon1", "neutral", "positive", 0.8)
    assert len(wrong["text"]) == 120
    assert key_example_result([], []) is None


def test_what_the_model_has_not_read_is_told_in_texts_and_in_pieces() -> None:
    assert report(OLD)["truncated"] == {"texts": 0, "pieces": None}
    cut = [{**one, "truncated": number < 15, "pieces": 80, "unread_pieces": 20 * (number < 15)} for number, one in enumerate(answers(OLD))]
    assert evaluate(cut, None, OLD, OLD, LABELS, seed=1)["truncated"] == {"texts": 0.25, "pieces": 0.0625}


def test_lengths_are_counted_in_all_parts_of_a_split() -> None:
    """A new version's rows of reviewed predictions stand before those of the first upload."""
    rows = [*AUDITED, *OLD]
    chosen = evenly(rows, 10)
    assert (len(chosen), chosen[0], chosen[-1]) == (10, rows[0], rows[-1])
    assert sum(one in OLD for one in chosen) == 8
    assert evenly(rows, 500) == rows


def test_a_champion_of_other_labels_is_wrong_where_it_answers_one_that_is_gone() -> None:
    mixed = [{**answer, "label": "mixed"} if number % 2 else answer for number, answer in enumerate(answers(OLD))]
    found = evaluate(answers(OLD), mixed, OLD, OLD, LABELS, seed=1)
    assert found["references"]["champion"]["accuracy"]["value"] == 0.5
    assert found["difference_to_champion"]["accuracy"]["value"] == 0.5
    assert found["overall"]["macro_f1"]["value"] == 1


def test_without_a_text_that_can_compare_there_is_no_difference() -> None:
    found = report(UNSURE, champion=always)
    assert (found["difference_to_champion"], found["difference_to_best"]) == (None, None)
    assert found["references"]["champion"] is not None
    assert found["overall"]["rows"] == len(UNSURE)
    assert found["difference_by_slice"]["recent-unsure"]["rows"] == 30


WITHOUT_WORDS = {"emoji": ("😀🎉", "😐😶", "😡💔"), "no spaces": ("这个手机非常好用", "手机昨天已经收到", "屏幕坏了太差了")}


@pytest.mark.parametrize("kind", WITHOUT_WORDS)
def test_the_simple_baseline_reads_characters_where_there_are_no_words(kind: str) -> None:
    def one(number: int) -> Row:
        text = WITHOUT_WORDS[kind][number % 3] + chr(0x4E00 + number)  # no text comes twice
        return Row(f"x{number}", text, LABELS[number % 3], {}, f"g{number}", "all", "test")

    train, test = [one(number) for number in range(45)], [one(number) for number in range(45, 60)]
    found, features = tfidf(train, test, LABELS)
    assert features == "characters"
    assert found.tolist() == label_indices(test, LABELS).tolist()


@pytest.mark.parametrize(
    ("texts", "features"),
    [
        pytest.param(["物流很快,质量很好{}", "质量很差,物流很慢{}"], "characters", id="clauses that come twice are no words"),
        pytest.param(["商品が届きました{}", "届きませんでした{}"], "characters", id="Japanese"),
        pytest.param(["the phone 手机 is good {} and the box is fine", "the phone 手机 is bad {} and the box is bent"], BOTH, id="mixed"),
        pytest.param(["das Telefon ist gut {}", "das Telefon ist schlecht {}"], "words", id="German"),
        pytest.param(["제품이 정말 좋아요 {}", "제품이 정말 나빠요 {}"], "words", id="Korean has spaces"),
    ],
)
def test_what_the_simple_baseline_counts_follows_from_the_script(texts: list[str], features: str) -> None:
    def one(number: int) -> Row:
        return Row(f"x{number}", texts[number % 2].format(number), LABELS[number % 2], {}, f"g{number}", "all", "test")

    train, test = [one(number) for number in range(40)], [one(number) for number in range(40, 50)]
    found, counted = tfidf(train, test, LABELS)
    assert counted == features
    assert found.tolist() == label_indices(test, LABELS).tolist()


def test_the_simple_baseline_says_when_there_is_nothing_to_learn_from() -> None:
    alike = [Row(f"x{number}", f"word{number}", "neutral", {}, f"g{number}", "all", "test") for number in range(9)]
    assert tfidf(alike, alike[:2], LABELS)[1] == "none"
    assert tfidf(alike, alike[:2], LABELS)[0].tolist() == [1, 1]
    assert report(OLD)["references"]["tfidf"]["features"] == "words"


def test_people_are_measured_only_where_three_others_have_voted_too() -> None:
    found = report([*OLD, *AUDITED])
    assert [found["references"][f"human_{raters}"]["rows"] for raters in (1, 3)] == [60, 60]
    assert found["references"]["human_3"]["groups"] == 30
    assert report(AUDITED)["references"]["human_1"] is None


def drawn(votes: dict[str, int], raters: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Of one text with these votes, five hundred times: the drawn people's answers, and what the others say."""
    text = Row("d", "text", "positive", votes, "g", "amazon", "test")
    answers, others = people([text] * 500, LABELS, raters=raters, seed=0)
    return answers, others


def test_people_answer_with_their_own_votes_and_never_against_them() -> None:
    answers, others = drawn({"negative": 4, "positive": 7})
    assert float((answers == 2).mean()) == pytest.approx(7 / 11, abs=0.06)
    assert set(others.tolist()) == {2}  # 4 : 6 without a positive vote
    # Each vote decides the label of all, and the others say the opposite: against their own votes, they would agree in half.
    answers, others = drawn({"negative": 4, "positive": 4})
    assert (answers != others).all()
    few = Row("d", "text", "positive", {"positive": 6}, "g", "amazon", "test")
    assert people([few], LABELS, raters=4, seed=0)[0].tolist() == [-1]  # only two others


def test_a_tie_of_the_others_is_broken_by_chance_and_not_by_the_label() -> None:
    answers, others = drawn({"negative": 5, "positive": 6})
    tied = answers == 2
    assert float((others[tied] == 2).mean()) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("champion", [None, always])
def test_the_functions_read_what_the_container_writes(champion: Callable[[Row], bool] | None) -> None:
    raw = report([*OLD, *AUDITED], champion=champion)
    read = Evaluation.parse(raw)
    assert (read.by_slice["amazon"].groups, read.by_slice["recent"].groups) == (30, 15)
    if champion is None:
        assert (read.champion, read.difference_to_champion, dict(read.difference_by_slice)) == (None, None, {})
    else:
        assert read.difference_to_champion is not None
        assert (read.difference_to_champion.groups, read.difference_by_slice["recent"].groups) == (45, 15)
