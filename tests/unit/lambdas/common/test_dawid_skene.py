"""Worker matrices and labels from answers alone."""

from __future__ import annotations

import random

import pytest

from lambdas.common.dawid_skene import InvalidQuality, Quality, estimate

LABELS = ("a", "b", "c")
RIGHT = {"good-1": 0.9, "good-2": 0.9, "careless": 0.4}


def answered(count: int, seed: int) -> tuple[list[str], list[list[tuple[str, str]]]]:
    """True labels, and one answer of each worker of :data:`RIGHT`."""
    draw = random.Random(seed)  # noqa: S311  (reproducible answers, not a secret)
    truth = [draw.choices(LABELS, (0.5, 0.3, 0.2))[0] for _ in range(count)]

    def answer(label: str, right: float) -> str:
        return label if draw.random() < right else draw.choice([other for other in LABELS if other != label])

    return truth, [[(worker, answer(label, right)) for worker, right in RIGHT.items()] for label in truth]


def test_it_finds_who_is_right_how_often() -> None:
    _, texts = answered(2_000, seed=1)
    quality = estimate(texts, LABELS)
    assert quality is not None
    assert quality.texts == 2_000
    assert {worker: quality.accuracy(worker) for worker in RIGHT} == pytest.approx(RIGHT, abs=0.03)
    assert quality.shares == pytest.approx({"a": 0.5, "b": 0.3, "c": 0.2}, abs=0.03)


def test_it_is_right_more_often_than_the_plurality_on_texts_that_it_has_not_seen() -> None:
    quality = estimate(answered(500, seed=2)[1], LABELS)
    truth, texts = answered(2_000, seed=3)
    assert quality is not None

    def plurality(answers: list[tuple[str, str]]) -> str | None:
        counts = {label: sum(answer == label for _, answer in answers) for label in LABELS}
        first = [label for label in LABELS if counts[label] == max(counts.values())]
        return first[0] if len(first) == 1 else None

    def best(answers: list[tuple[str, str]]) -> str:
        beliefs = quality.posterior(answers)
        return max(beliefs, key=lambda label: beliefs[label])

    by_vote = sum(plurality(answers) == label for answers, label in zip(texts, truth, strict=True))
    by_quality = sum(best(answers) == label for answers, label in zip(texts, truth, strict=True))
    assert by_quality > by_vote + 20


def test_neither_the_order_of_texts_nor_that_of_answers_matters() -> None:
    _, texts = answered(60, seed=4)
    turned = [list(reversed(answers)) for answers in reversed(texts)]
    assert estimate(texts, LABELS) == estimate(turned, LABELS)


def test_texts_with_one_answer_and_answers_that_are_no_label_do_not_count() -> None:
    assert estimate([[("good-1", "a")], [("good-1", "b"), ("good-2", "cannot-tell")]], LABELS) is None
    quality = estimate([[("good-1", "a"), ("good-2", "a"), ("careless", "cannot-tell")]], LABELS)
    assert quality is not None
    assert quality.answers == {"good-1": 1, "good-2": 1}


def test_a_worker_with_few_answers_is_judged_as_all_are() -> None:
    _, texts = answered(200, seed=5)
    quality = estimate([*texts, [("new", "a"), ("good-1", "b"), ("good-2", "b")]], LABELS)
    assert quality is not None
    assert quality.accuracy("new") == pytest.approx(quality.accuracy("nobody"), abs=0.05)


def test_it_is_stored_and_read_back() -> None:
    quality = estimate(answered(30, seed=6)[1], LABELS)
    assert quality is not None
    assert Quality.from_json(quality.to_json()) == quality


@pytest.mark.parametrize("body", ["{}", "[]", "null", "nonsense", '{"labels": ["a"], "shares": {"a": 0}, "pooled": {}, "workers": {}}'])
def test_a_document_of_another_form_is_refused(body: str) -> None:
    with pytest.raises(InvalidQuality):
        Quality.from_json(body)
