"""What an inference container takes: the same texts as the prediction API, refused in the same words."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b'{"inputs": "caf\xe9"}', "the body is not UTF-8: byte 0xE9 at position 15"),
        (b"{", "the body is not JSON"),
        (b"[" * 50_000, "the body is nested deeper than the 20 levels"),
        (b"[]", "the body must be an object with the field 'inputs'"),
        (b'{"text": "a"}', "the body must be an object with the field 'inputs'"),
        (b'{"inputs": "a", "inputs": "b"}', "has the field 'inputs' twice"),
        (b'{"inputs": null}', "field 'inputs' is null: allowed is a text or a list of texts"),
        (b'{"inputs": []}', "field 'inputs' is an empty list"),
        (b'{"inputs": {"a": 1}}', "field 'inputs' is an object"),
        (b'{"inputs": " "}', "inputs is empty"),
        (b'{"inputs": "a\\u0000"}', r"inputs has U\+0000 at position 1, a control character: allowed are"),
        (b'{"inputs": ["a", "\\ud800"]}', r"inputs\.1 has U\+D800 at position 0, half of a surrogate pair"),
        (b'{"inputs": ["a", 1]}', r"inputs\.1 must be a string, not the number 1"),
        (b'{"inputs": [' + b'"a",' * 512 + b'"a"]}', "field 'inputs' has 513 texts: allowed are 512 a call"),
    ],
)
def test_what_cannot_be_answered_is_refused_by_its_place(data: bytes, problem: str) -> None:
    from model_code.inference import input_fn

    with pytest.raises(ValueError, match=problem):
        input_fn(data, "application/json")


def test_an_accent_in_two_forms_is_one_text() -> None:
    """A word in the decomposed form has no word of the vocabulary: ``\\w`` does not match its combining accent."""
    from model_code.inference import input_fn

    assert input_fn('{"inputs": ["cafe\u0301", "café"]}', "Application/JSON; charset=utf-8") == ["café", "café"]


def test_another_content_type_is_refused() -> None:
    from model_code.inference import input_fn

    with pytest.raises(ValueError, match="content type 'text/csv': allowed is application/json"):
        input_fn(b"a,b", "text/csv")


def test_a_body_that_the_toolkit_did_not_decode_is_read_too() -> None:
    """It decodes ``application/json`` alone; of any other content type it gives the model server's buffer."""
    from model_code.inference import input_fn

    assert input_fn(bytearray(b'{"inputs": "caf\xc3\xa9"}'), "application/json; charset=utf-8") == ["café"]


def test_a_request_without_a_content_type_is_refused_by_name() -> None:
    from model_code.inference import input_fn

    with pytest.raises(ValueError, match="content type None: allowed is application/json"):
        input_fn(b"{}", None)
