"""``POST /predict``: whatever bytes come, the request is valid text or a refusal that names the field."""

from __future__ import annotations

import base64
import json
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.text import is_blank
from lambdas.prediction.predict.request import MAX_SUBJECT_CHARS, PredictRequest, RefusedRequest, read_request

LIMIT = 50
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.fixed_dictionaries({}, optional={"text": JSON, "subject": JSON, "extra": JSON})
SURROGATES = st.text(st.characters(codec=None), max_size=10)  # any code point, halves of pairs included


def read(body: Any, *, encoded: bool = False, **headers: str) -> PredictRequest:
    return read_request({"body": body, "isBase64Encoded": encoded, "headers": headers}, max_text_chars=LIMIT)


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
        assert request.subject is None or 0 < len(request.subject.strip()) <= MAX_SUBJECT_CHARS
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


@given(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cn"]), min_size=1, max_size=LIMIT // 3).filter(
        lambda t: not is_blank(t)
    )
)
def test_text_of_any_alphabet_is_kept_in_its_composed_form(text: str) -> None:
    kept = unicodedata.normalize("NFC", text)
    assert read(json.dumps({"text": text})).text == kept
    assert read(json.dumps({"text": text}, ensure_ascii=False)).text == kept


@pytest.mark.parametrize(
    "text", ["مرحبا بالعالم", "<script>alert(1)</script>", "'; DROP TABLE x; --", "😀" * LIMIT, " x ", "a\tb\r\nc\u0085"]
)
def test_markup_other_alphabets_and_line_breaks_are_text(text: str) -> None:
    assert read(json.dumps({"text": text})) == PredictRequest(text)


def test_an_accent_in_two_forms_is_one_text_and_one_subject() -> None:
    """So that a retraining finds the text again, and all texts about one subject."""
    requests = [
        read(json.dumps({"text": unicodedata.normalize(form, "ein Café"), "subject": unicodedata.normalize(form, "Café Müller")}))
        for form in ("NFC", "NFD")
    ]
    assert requests[0] == requests[1] == PredictRequest("ein Café", "Café Müller")


@pytest.mark.parametrize("name", ["Content-Type", "content-type", "CONTENT-TYPE"])
@pytest.mark.parametrize(
    "value", ["application/json", "Application/JSON", "application/json; charset=utf-8", 'application/json;charset="UTF-8"']
)
def test_json_in_utf_8_is_the_type_that_is_taken(name: str, value: str) -> None:
    assert read('{"text": "typed"}', **{name: value}) == PredictRequest("typed")


@pytest.mark.parametrize(
    "value",
    [
        "text/plain", "application/x-www-form-urlencoded", "application/octet-stream", "application/json; charset=latin-1", "",
        "application/json, text/plain", "text/csv", "application/xml", "nonsense",
    ],
)  # fmt: skip
def test_another_type_is_refused_with_what_is_allowed(value: str) -> None:
    with pytest.raises(RefusedRequest, match=r"^Content-Type: is .*allowed is application/json, in UTF-8") as caught:
        read('{"text": "typed"}', **{"content-Type": value})
    assert caught.value.status == 415
    assert repr(value) in caught.value.message


def test_every_value_of_a_header_that_comes_twice_counts() -> None:
    event = {"body": '{"text": "a"}', "multiValueHeaders": {"content-type": ["text/plain", "application/json"]}}
    with pytest.raises(RefusedRequest, match="text/plain"):
        read_request(event, max_text_chars=LIMIT)


def test_a_compressed_body_is_refused() -> None:
    with pytest.raises(RefusedRequest, match="Content-Encoding: is 'gzip': send the body as it is") as caught:
        read('{"text": "a"}', **{"Content-Encoding": "gzip"})
    assert caught.value.status == 415


@pytest.mark.parametrize(
    ("body", "field", "says", "status"),
    [
        (None, "body", '{"text": "..."}', 400),
        ({"text": "a"}, "body", "must be a string of JSON", 400),
        ("", "body", "must be JSON", 400),
        ('{"text": "a"', "body", "must be JSON", 400),
        ("[" * 100_000, "body", "nested deeper than the 20 levels", 400),
        ('{"text": ' + "[" * 30 + "]" * 30 + "}", "body", "nested deeper than the 20 levels", 400),
        ('{"text": "a", "text": "b"}', "body", "has the field 'text' twice", 400),
        ('{"text": NaN}', "body", "has NaN", 400),
        ("1" * 5_000, "body", "must be JSON", 400),
        ('["text"]', "body", "not a list", 400),
        ("null", "body", "not null", 400),
        ("{}", "text", "is missing", 400),
        ('{"txt": "a"}', "body", "unknown field 'txt': allowed are text and subject", 400),
        ('{"text": "a", "": 1}', "body", "unknown field ''", 400),
        ('{"text": 5}', "text", "not the number 5", 400),
        ('{"text": null}', "text", "not null", 400),
        ('{"text": ["a"]}', "text", "not a list", 400),
        ('{"text": ""}', "text", "is empty", 400),
        ('{"text": " \\n\\t\\u3000"}', "text", "is empty", 400),
        (json.dumps({"text": "a" * (LIMIT + 1)}), "text", f"has {LIMIT + 1} characters: allowed is 1 to {LIMIT}", 413),
        ('{"text": "a\\ud800"}', "text", "U+D800 at position 1", 400),
        ('{"text": "\\uffff"}', "text", "U+FFFF at position 0", 400),
        ('{"text": "a\\u0000b"}', "text", "U+0000 at position 1, a control character: allowed are", 400),
        ('{"text": "\\u001b[31m"}', "text", "U+001B at position 0", 400),
        ('{"text": "\\u200b\\ufeff"}', "text", "is empty", 400),
        ('{"text": "a", "subject": "  "}', "subject", "is empty", 400),
        ('{"text": "a", "subject": "a\\u0000"}', "subject", "U+0000 at position 1", 400),
        ('{"text": "a", "subject": ""}', "subject", "1 to 256", 400),
        ('{"text": "a", "subject": 7}', "subject", "must be a string, not the number 7: allowed is 1 to 256", 400),
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


@pytest.mark.parametrize("raw", [b'{"text": "\xff"}', b'{"text": "caf\xe9"}', '{"text": "a"}'.encode("utf-16")])
def test_bytes_that_are_not_utf_8_are_refused_and_never_replaced(raw: bytes) -> None:
    with pytest.raises(RefusedRequest, match=r"body: is not UTF-8: byte 0x.. at position"):
        read(base64.b64encode(raw).decode(), encoded=True)


def test_base64_that_is_none_is_refused() -> None:
    with pytest.raises(RefusedRequest, match="not the base64"):
        read('{"text": "a"}', encoded=True)
