"""What text may enter: the rule that the API, the upload, datasets, inference and manifests share."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.text import InvalidJson, InvalidText, TextTooLong, character_problem, checked_text, is_blank, normal_text, parse_json


@pytest.mark.parametrize("code", [*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20), *range(0x7F, 0x85), *range(0x86, 0xA0)])
def test_control_characters_are_refused_with_their_place(code: int) -> None:
    with pytest.raises(InvalidText, match=rf"^text has U\+{code:04X} at position 2, a control character: allowed are .* tab, line feed"):
        checked_text("text", f"ab{chr(code)}c")


@pytest.mark.parametrize("code", [0xD800, 0xDBFF, 0xDC00, 0xDFFF])
def test_half_of_a_surrogate_pair_is_refused(code: int) -> None:
    assert f"U+{code:04X} at position 0, half of a surrogate pair" in str(character_problem(chr(code)))


@pytest.mark.parametrize("code", [0xFDD0, 0xFDEF, 0xFFFE, 0xFFFF, 0x1FFFE, 0x10FFFF])
def test_noncharacters_are_refused(code: int) -> None:
    assert f"U+{code:04X} at position 1, a noncharacter" in str(character_problem(f"a{chr(code)}"))


@pytest.mark.parametrize(
    "text", ["tab\tline\nreturn\r", "next\u0085line", "line\u2028separator", "😀👩‍👩‍👧", "שלום", "\ufeffa", "\ue000 private"]
)
def test_all_other_characters_are_allowed(text: str) -> None:
    assert checked_text("text", text) == text


@given(st.text())
def test_what_is_allowed_has_a_utf_8_form(text: str) -> None:
    """Hypothesis draws surrogates too."""
    if character_problem(text) is None:
        assert text.encode().decode() == text


@pytest.mark.parametrize("text", ["", " ", "\n\t", "\u00a0\u3000", "\u200b", "\ufeff", " \u200d\u2060 ", "\u0085"])
def test_a_text_that_cannot_be_seen_is_empty(text: str) -> None:
    assert is_blank(text)
    with pytest.raises(InvalidText, match="subject is empty"):
        checked_text("subject", text)


@pytest.mark.parametrize(
    ("value", "named"), [(None, "null"), (True, "true"), (1, "the number 1"), (1.5, "the number 1.5"), ([], "a list"), ({}, "an object")]
)
def test_what_is_no_string_is_named(value: object, named: str) -> None:
    with pytest.raises(InvalidText, match=f"text must be a string, not {named}: allowed is 1 to 9 characters"):
        checked_text("text", value, longest=9)


def test_characters_are_counted_in_the_form_that_is_kept() -> None:
    decomposed = unicodedata.normalize("NFD", "éé")
    assert checked_text("text", decomposed, longest=2) == "éé"
    with pytest.raises(TextTooLong, match="text has 3 characters: allowed is 1 to 2 characters"):
        checked_text("text", decomposed + "a", longest=2)


@given(st.text())
def test_composed_and_decomposed_letters_are_one_text(text: str) -> None:
    forms = {normal_text(unicodedata.normalize(form, text)) for form in ("NFC", "NFD")}
    assert len(forms) == 1
    assert normal_text("Café  AU\nlait") == normal_text("cafe\u0301 au lait") == "café au lait"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b'{"a": "\xe9"}', "is not UTF-8: byte 0xE9 at position 7"),
        (b"\xff\xfe{\x00", "is not UTF-8: byte 0xFF at position 0"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        ("\ufeff{}", "byte order mark"),
        ("", "is not JSON: Expecting value at character 0"),
        ("{'a': 1}", "is not JSON: .* at character 1"),
        ('{"a": "\n"}', "is not JSON: Invalid control character at at character 7"),
        ("[NaN]", "has NaN, which is not JSON"),
        ("-Infinity", "has -Infinity, which is not JSON"),
        ('{"votes": {"a": 1e999}}', "has a number beyond what a float holds"),
        ("9" * 5_000, "is not JSON that can be read"),
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "has the field 'c' twice in one object"),
        ("[" * 22 + "1" + "]" * 22, "is nested deeper than the 20 levels"),
        ("[" * 100_000, "is nested deeper than the 20 levels"),
        ('{"a":' * 50_000 + "1" + "}" * 50_000, "is nested deeper than the 20 levels"),
    ],
)
def test_json_that_cannot_be_taken_as_it_is_says_why(data: str | bytes, problem: str) -> None:
    with pytest.raises(InvalidJson, match=problem):
        parse_json(data)


def test_json_of_our_own_forms_is_read_as_it_is() -> None:
    assert parse_json(b'{"a": [1, 2.5, null, true, "\\ud83d\\ude00"]}') == {"a": [1, 2.5, None, True, "😀"]}
    deepest = "[" * 20 + "1" + "]" * 20
    assert parse_json(deepest) is not None
