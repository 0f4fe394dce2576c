"""``POST /predict``: whatever bytes come, the request is valid text or a refusal that names the field."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdas.predict.request import MAX_SUBJECT_CHARS, PredictRequest, RefusedRequest, read_request

LIMIT = 50
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.fixed_dictionaries({}, optional={"text": JSON, "subject": JSON, "extra": JSON})
SURROGATES = st.text(st.characters(codec=None), max_size=10)  # any code point, halves of pairs included


def read(body: Any, *, encoded: bool = False) -> PredictRequest:
    return read_request({"body": body, "isBase64Encoded": encoded}, max_text_chars=LIMIT)


def is_answered(body: Any, *, encoded: bool = False) -> None:
    """A valid request, or a refusal with a client error that can be sent as it is."""
    try:
        request = read(body, encoded=encoded)
    except RefusedRequest as refusal:
        assert 400 <= refusal.status < 500
        assert refusal.field
        json.dumps(refusal.body()).encode()
    else:
        assert 0 < len(request.text.strip()) <= LIMIT
        assert request.subject is None or 0 < len(request.subject) <= MAX_SUBJECT_CHARS
        (request.text + (request.subject or "")).encode("utf-8")


@given(st.binary(max_size=200))
def test_any_bytes_are_answered(raw: bytes) -> None:
    is_answered(base64.b64encode(raw).decode(), encoded=True)
    is_answered(raw.decode("utf-8", "replace"))


@given(st.text(max_size=200) | SURROGATES, st.booleans())
def test_any_text_is_answered_even_when_it_is_said_to_be_base64(body: str, encoded: bool) -> None:
    is_answered(body, encoded=encoded)


@given(JSON | FIELDS)
def test_any_json_is_answered(document: Any) -> None:
    is_answered(json.dumps(document))


@given(SURROGATES.filter(str.strip), SURROGATES.filter(bool))
def test_any_code_points_in_text_subject_and_field_names_are_answered(text: str, name: str) -> None:
    is_answered(json.dumps({"text": text, "subject": name}))
    is_answered(json.dumps({name: text}))


@given(st.text(st.characters(codec="utf-8", exclude_characters="\ufffe\uffff"), min_size=1, max_size=LIMIT).filter(str.strip))
def test_text_of_any_alphabet_is_kept_as_it_is(text: str) -> None:
    assert read(json.dumps({"text": text})).text == text
    assert read(json.dumps({"text": text}, ensure_ascii=False)).text == text


@pytest.mark.parametrize("text", ["مرحبا بالعالم", "<script>alert(1)</script>", "a\x00b", "'; DROP TABLE x; --", "😀" * LIMIT, " x "])
def test_markup_other_alphabets_and_control_characters_are_text(text: str) -> None:
    assert read(json.dumps({"text": text})) == PredictRequest(text)


@pytest.mark.parametrize(
    ("body", "field", "says", "status"),
    [
        (None, "body", '{"text": "..."}', 400),
        ("", "body", "must be JSON", 400),
        ('{"text": "a"', "body", "must be JSON", 400),
        ("[" * 100_000, "body", "must be JSON", 400),
        ("1" * 5_000, "body", "must be JSON", 400),
        ('["text"]', "body", "not list", 400),
        ("null", "body", "not NoneType", 400),
        ("{}", "text", "is missing", 400),
        ('{"txt": "a"}', "body", "unknown field 'txt': allowed are text and subject", 400),
        ('{"text": "a", "": 1}', "body", "unknown field ''", 400),
        ('{"text": 5}', "text", "not int", 400),
        ('{"text": null}', "text", "not NoneType", 400),
        ('{"text": ["a"]}', "text", "not list", 400),
        ('{"text": ""}', "text", "is empty", 400),
        ('{"text": " \\n\\t\\u3000"}', "text", "is empty", 400),
        (json.dumps({"text": "a" * (LIMIT + 1)}), "text", f"has {LIMIT + 1} characters: allowed are 1 to {LIMIT}", 413),
        ('{"text": "a\\ud800"}', "text", "U+D800 at position 1", 400),
        ('{"text": "\\uffff"}', "text", "U+FFFF at position 0", 400),
        ('{"text": "a", "subject": ""}', "subject", "1 to 256", 400),
        ('{"text": "a", "subject": 7}', "subject", "string of 1 to 256", 400),
        (json.dumps({"text": "a", "subject": "s" * (MAX_SUBJECT_CHARS + 1)}), "subject", "1 to 256", 400),
        ('{"text": "a", "subject": "\\udfff"}', "subject", "U+DFFF", 400),
    ],
)
def test_a_refusal_names_the_field_and_what_is_allowed(body: str | None, field: str, says: str, status: int) -> None:
    with pytest.raises(RefusedRequest) as caught:
        read(body)
    assert (caught.value.field, caught.value.status) == (field, status)
    assert says in caught.value.body()["error"]["message"]


def test_a_body_that_came_as_base64_is_decoded() -> None:
    body = base64.b64encode('{"text": "größer", "subject": "s"}'.encode()).decode()
    assert read(body, encoded=True) == PredictRequest("größer", "s")


def test_base64_that_is_no_utf_8_is_refused() -> None:
    with pytest.raises(RefusedRequest, match="UnicodeDecodeError"):
        read(base64.b64encode(b'{"text": "\xff"}').decode(), encoded=True)
