"""The model's answer is taken in the contract's form and in no other."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.prediction.answer import InvalidAnswer, ModelAnswer

GOOD: dict[str, Any] = {
    "label": "positive", "confidence": 0.91, "probabilities": {"negative": 0.03, "neutral": 0.06, "positive": 0.91},
    "model_version": "tuning-1", "review_threshold": 0.62, "tokens": 12, "oov_tokens": 1,
}  # fmt: skip


def body(**changes: Any) -> bytes:
    return json.dumps([{**GOOD, **changes}]).encode()


def test_the_contracts_form_is_read() -> None:
    assert ModelAnswer.parse(body()) == ModelAnswer("positive", 0.91, GOOD["probabilities"], "tuning-1", 0.62, "positive", 12, 1)


def test_what_people_see_of_the_label_comes_along_and_an_older_model_has_its_id() -> None:
    assert ModelAnswer.parse(body(label="sci-tech", label_name="Sci/Tech")).label_name == "Sci/Tech"
    assert ModelAnswer.parse(body(label="sci-tech")).label_name == "sci-tech"


@pytest.mark.parametrize("value", [None, -1, 1.5, "12", True, [], 2**40])
def test_a_model_that_counts_no_words_has_answered_all_the_same(value: Any) -> None:
    """The counts are for the drift check alone."""
    answer = ModelAnswer.parse(body(tokens=value, oov_tokens=value))
    assert (answer.label, answer.tokens, answer.oov_tokens) == ("positive", None, None)


@pytest.mark.parametrize(("value", "read"), [(True, True), (False, False), (None, None), (1, None), ("true", None)])
def test_whether_the_text_was_cut_is_read_where_the_model_says_it(value: Any, read: bool | None) -> None:
    assert ModelAnswer.parse(body(truncated=value)).truncated is read


@pytest.mark.parametrize("bound", [0, 1, 0.0, 1.0])
def test_the_ends_of_the_range_belong_to_it(bound: float) -> None:
    assert ModelAnswer.parse(body(confidence=bound, review_threshold=bound)).confidence == bound


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "not JSON"),
        (b"<html>", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"{}", "list of one object"),
        (b"[]", "list of one object"),
        (b"[1]", "list of one object"),
        (json.dumps([GOOD, GOOD]).encode(), "list of one object"),
        (body(label=None), "label None"),
        (body(label=""), "label ''"),
        (body(label_name=7), "label_name 7"),
        (body(label_name=""), "label_name ''"),
        (body(model_version=3), "model_version 3"),
        (body(confidence="0.9"), "confidence '0.9'"),
        (body(confidence=True), "confidence True"),
        (body(confidence=1.01), "confidence 1.01"),
        (body(confidence=-0.1), "confidence -0.1"),
        (body(confidence=float("nan")), "confidence nan"),
        (body(confidence=float("inf")), "confidence inf"),
        (body(review_threshold=None), "review_threshold None"),
        (body(probabilities=[0.5, 0.5]), "probabilities"),
        (body(probabilities={}), "probabilities"),
        (body(probabilities={"positive": 2}), "probabilities.positive 2"),
    ],
)
def test_another_form_is_refused_by_its_field(raw: bytes, says: str) -> None:
    with pytest.raises(InvalidAnswer) as caught:
        ModelAnswer.parse(raw)
    assert says in str(caught.value)


@pytest.mark.parametrize("field", ["label", "confidence", "probabilities", "model_version", "review_threshold"])
def test_a_missing_field_is_named(field: str) -> None:
    left = {key: value for key, value in GOOD.items() if key != field}
    with pytest.raises(InvalidAnswer, match=field):
        ModelAnswer.parse(json.dumps([left]).encode())


@given(st.binary(max_size=100))
def test_any_bytes_are_an_answer_or_refused(raw: bytes) -> None:
    with pytest.raises(InvalidAnswer):
        ModelAnswer.parse(raw)
