"""What a caller may send to ``POST /predict``, and how a refusal reads: pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contracts.text import InvalidJson, InvalidText, TextTooLong, checked_text, kind, parse_json

MAX_SUBJECT_CHARS = 256
_FIELDS = ("text", "subject")
_EXAMPLE = '{"text": "..."}'


@dataclass(frozen=True)
class PredictRequest:
    """A checked request, its texts in Unicode's normal form C. ``subject``: whom or what the text is about, kept with the prediction."""

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

    Any alphabet is valid, and markup is text like any other. API Gateway hands over the caller's bytes as base64, since the API
    declares every type as binary: as text it would replace bytes that are not UTF-8, and the function would never know.

    Raises:
        RefusedRequest: another type than JSON in UTF-8 (415), a text too long (413), or not a JSON object, an unknown or missing field,
            an empty text or subject, a character that is not allowed (400).
    """
    _check_headers(event)
    try:
        document = parse_json(_body(event))
    except InvalidJson as error:
        raise RefusedRequest("body", f"{error}: must be JSON in UTF-8, such as {_EXAMPLE}") from None
    if not isinstance(document, dict):
        raise RefusedRequest("body", f"must be a JSON object with the field 'text', such as {_EXAMPLE}, not {kind(document)}")
    unknown = sorted(set(document) - set(_FIELDS))
    if unknown:
        raise RefusedRequest("body", f"has the unknown field {unknown[0][:80]!r}: allowed are {' and '.join(_FIELDS)}")
    if "text" not in document:
        raise RefusedRequest("text", f"is missing: give the text to classify, 1 to {max_text_chars} characters")
    subject = document.get("subject")
    try:
        return PredictRequest(
            checked_text("text", document["text"], longest=max_text_chars),
            None if subject is None else checked_text("subject", subject, longest=MAX_SUBJECT_CHARS),
        )
    except InvalidText as error:
        too_long = isinstance(error, TextTooLong) and error.field == "text"
        raise RefusedRequest(error.field, error.problem, status=413 if too_long else 400) from None


def _check_headers(event: Mapping[str, Any]) -> None:
    """Without a type JSON is assumed, as API Gateway does itself. Header names come in any case, and may come twice."""
    for value in _header_values(event, "content-type"):
        media_type, *parameters = (part.strip().lower() for part in value.split(";"))
        charsets = [part.removeprefix("charset=").strip('"') for part in parameters if part.startswith("charset=")]
        if media_type != "application/json" or set(charsets) - {"utf-8", "utf8"}:
            raise RefusedRequest("Content-Type", f"is {value[:80]!r}: allowed is application/json, in UTF-8", status=415)
    for value in _header_values(event, "content-encoding"):
        if value.strip().lower() not in ("", "identity"):
            raise RefusedRequest("Content-Encoding", f"is {value[:80]!r}: send the body as it is, without compression", status=415)


def _header_values(event: Mapping[str, Any], name: str) -> list[str]:
    """``multiValueHeaders`` holds every value, ``headers`` the last one of each name."""
    several = event.get("multiValueHeaders") or {key: [value] for key, value in (event.get("headers") or {}).items()}
    return [value for key, values in several.items() if key.lower() == name for value in values]


def _body(event: Mapping[str, Any]) -> str | bytes:
    raw = event.get("body") or ""
    if not isinstance(raw, str):
        raise RefusedRequest("body", f"must be a string of JSON, such as {_EXAMPLE}, not {kind(raw)}")
    if not event.get("isBase64Encoded"):
        return raw
    try:
        return base64.b64decode(raw, validate=True)
    except (binascii.Error, ValueError):
        raise RefusedRequest("body", f"is not the base64 that it is said to be: must be JSON in UTF-8, such as {_EXAMPLE}") from None
