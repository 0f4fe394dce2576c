"""What a caller may send to ``POST /predict``, and how a refusal reads: pure."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_SUBJECT_CHARS = 256
_FIELDS = ("text", "subject")
_NO_CHARACTER = re.compile("[\ud800-\udfff\ufffe\uffff]")


@dataclass(frozen=True)
class PredictRequest:
    """A checked request. ``subject``: whom or what the text is about, kept with the prediction."""

    text: str
    subject: str | None = None


class RefusedRequest(ValueError):
    """The request cannot be answered; becomes the HTTP answer ``status`` with a body that names the field."""

    def __init__(self, field: str, message: str, *, status: int = 400) -> None:
        super().__init__(f"{field}: {message}")
        self.field, self.message, self.status = field, message, status

    def body(self) -> dict[str, Any]:
        return {"error": {"field": self.field, "message": self.message}}


def read_request(event: Mapping[str, Any], *, max_text_chars: int) -> PredictRequest:
    """The body of an API Gateway proxy event.

    Any alphabet is valid, and markup is text like any other.

    Raises:
        RefusedRequest: not a JSON object, an unknown or missing field, an empty text (400), or a text too long (413).
    """
    raw = event.get("body") or ""
    try:
        text = base64.b64decode(raw).decode("utf-8") if event.get("isBase64Encoded") else raw
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RefusedRequest("body", f'must be JSON in UTF-8, such as {{"text": "..."}} ({type(error).__name__})') from None
    if not isinstance(document, dict):
        raise RefusedRequest("body", f"must be a JSON object with the field 'text', not {type(document).__name__}")
    unknown = sorted(set(document) - set(_FIELDS))
    if unknown:
        raise RefusedRequest("body", f"has the unknown field {unknown[0][:80]!r}: allowed are {' and '.join(_FIELDS)}")
    return PredictRequest(_text(document, max_text_chars), _subject(document))


def _text(document: Mapping[str, Any], limit: int) -> str:
    if "text" not in document:
        raise RefusedRequest("text", f"is missing: give the text to classify, 1 to {limit} characters")
    text = document["text"]
    if not isinstance(text, str):
        raise RefusedRequest("text", f"must be a string, not {type(text).__name__}")
    if not text.strip():
        raise RefusedRequest("text", f"is empty: allowed are 1 to {limit} characters that are not all white space")
    if len(text) > limit:
        raise RefusedRequest("text", f"has {len(text)} characters: allowed are 1 to {limit}", status=413)
    _characters("text", text)
    return text


def _subject(document: Mapping[str, Any]) -> str | None:
    subject = document.get("subject")
    if subject is not None and (not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT_CHARS):
        raise RefusedRequest("subject", f"must be a string of 1 to {MAX_SUBJECT_CHARS} characters, or be left out")
    if subject is not None:
        _characters("subject", subject)
    return subject


def _characters(field: str, text: str) -> None:
    """What a queue and a table take: SQS refuses the two noncharacters, and half of a surrogate pair has no UTF-8 form."""
    wrong = _NO_CHARACTER.search(text)
    if wrong:
        raise RefusedRequest(
            field, f"has U+{ord(wrong[0]):04X} at position {wrong.start()}, which is no character: send valid Unicode text"
        )
