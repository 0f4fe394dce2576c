"""Bad inputs of every entry as one table: what is given, and the words by which the answer names place, value and what is allowed.

Rows are combined where the faults are of one kind: a fault of a text with each text field of each entry, a fault of JSON with each entry
that reads JSON, a value beyond its bounds with each setting.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from stacks.settings import Settings

LABELS = ("negative", "neutral", "positive")
LONGEST = 5_000
"""``dataset.max_text_chars`` of the dev stage."""


@dataclass(frozen=True)
class Case:
    """``given`` is what the entry takes; every one of ``says`` must stand in its answer."""

    entry: str
    what: str
    given: Any
    says: tuple[str, ...]


CHARACTERS = {
    "NUL": ("a\x00b", "U+0000 at position 1"),
    "a bell": ("\x07", "U+0007 at position 0"),
    "an escape": ("ab\x1b[31m", "U+001B at position 2"),
    "a vertical tab": ("a\x0b", "U+000B at position 1"),
    "a form feed": ("a\x0c", "U+000C at position 1"),
    "DEL": ("a\x7f", "U+007F at position 1"),
    "a C1 control": ("a\x9b", "U+009B at position 1"),
    "half a pair": ("a\ud83d", "U+D83D at position 1"),
    "the other half": ("\ude00", "U+DE00 at position 0"),
    "a noncharacter": ("a\ufffe", "U+FFFE at position 1"),
    "a noncharacter of Arabic": ("a\ufdd0", "U+FDD0 at position 1"),
}
BLANKS = {"empty": "", "blanks": " \t\n", "no-break blanks": "\u00a0\u3000", "zero-width": "\u200b\ufeff"}
NO_TEXTS = {"null": None, "a number": 7, "true": True, "a list": ["a"], "an object": {"a": 1}}
SAYS_NO_TEXT = {
    "null": "not null", "a number": "not the number 7", "true": "not true", "a list": "not a list", "an object": "not an object",
}  # fmt: skip


def text_faults(*, null: bool = True) -> Iterator[tuple[str, Any, tuple[str, ...]]]:
    """(name, value, words of the answer). ``null`` False where null means that the field is left out."""
    for name, (value, says) in CHARACTERS.items():
        yield name, value, (says, "allowed are")
    for name, value in BLANKS.items():
        yield name, value, ("is empty", "allowed is")
    for name, other in NO_TEXTS.items():
        if null or other is not None:
            yield name, other, (SAYS_NO_TEXT[name], "must be a string")


JSON_FAULTS = {
    "nothing readable": (b"nonsense", "is not JSON"),
    "cut off": (b'{"text": "a', "is not JSON"),
    "single quotation marks": (b"{'text': 'a'}", "is not JSON"),
    "a byte of Latin-1": (b'{"text": "caf\xe9"}', "is not UTF-8: byte 0xE9"),
    "UTF-16": ('{"text": "a"}'.encode("utf-16"), "is not UTF-8: byte 0xFF"),
    "deep nesting": (b"[" * 20_000, "nested deeper than the 20 levels"),
    "deep objects": (b'{"a":' * 20_000, "nested deeper than the 20 levels"),
    "one level too many": (b'{"text": ' + b"[" * 21 + b"1" + b"]" * 21 + b"}", "nested deeper than the 20 levels"),
    "a field twice": (b'{"text": "a", "text": "b"}', "'text' twice"),
    "NaN": (b'{"text": NaN}', "has NaN"),
    "Infinity": (b'{"text": -Infinity}', "has -Infinity"),
    "beyond a float": (b'{"text": 1e999}', "beyond what a float holds"),
    "a number of 5,000 digits": (b'{"text": ' + b"1" * 5_000 + b"}", "is not JSON that can be read"),
    "a raw control character": (b'{"text": "a\x01"}', "is not JSON"),
    "a list": (b'["a"]', "list"),
    "null": (b"null", "null"),
    "a text": (b'"a"', "string"),
}

ROW = {
    "id": "a:1", "text": "a text", "label": "positive", "votes": {"positive": 2}, "group": "a", "slice": "all", "source": "mine",
}  # fmt: skip
MANIFEST = {
    "version": "0" * 16, "parent": None, "labels": list(LABELS), "rows": {"train": 1}, "by_slice": {"all": 1}, "by_source": {"mine": 1},
    "files": {"train/data.jsonl": "0" * 64}, "watermark": None,
}  # fmt: skip
OUTPUT_ROW = {
    "source": "a text",
    "label": {"label": "positive", "votes": {"positive": 1}, "agreement": 1.0, "reason": "plurality", "answers": []},
    "label-metadata": {"creation-date": "2026-11-23T10:00:00"},
}
CAPTURED = {
    "captureData": {"endpointInput": {"data": '{"inputs": "a text"}', "encoding": "JSON"}},
    "eventMetadata": {"inferenceId": "p1", "inferenceTime": "2026-11-23T10:00:00Z"},
}


def line(document: Any) -> bytes:
    """One JSON document in ASCII, so that halves of pairs can be given."""
    return json.dumps(document).encode()


def api_cases() -> Iterator[Case]:
    for field in ("text", "subject"):
        for name, value, says in text_faults(null=field == "text"):
            yield Case("api", f"{field} {name}", line({"text": "a", field: value}), (field, *says))
    yield Case("api", "text too long", line({"text": "a" * (LONGEST + 1)}), ("text", "5001 characters", "1 to 5000"))
    yield Case("api", "subject too long", line({"text": "a", "subject": "a" * 257}), ("subject", "257 characters", "1 to 256"))
    yield Case("api", "no text", b"{}", ("text", "is missing", "1 to 5000"))
    yield Case("api", "another field", line({"text": "a", "label": "b"}), ("body", "'label'", "allowed are text and subject"))
    yield Case("api", "nothing", b"", ("body", "is not JSON", "must be JSON in UTF-8"))
    for kind in ("text/plain", "text/csv", "application/x-www-form-urlencoded", "application/xml", "application/json; charset=latin-1", ""):
        yield Case("api type", kind or "empty", kind, ("Content-Type", repr(kind), "allowed is application/json"))


def upload_cases() -> Iterator[Case]:
    good = {"text": "fine", "label": "positive"}
    for field in ("text", "group", "slice"):
        for name, value, says in text_faults(null=field == "text"):
            if field == "text" or name not in ("empty", "a number"):  # an empty group is none, and a number is its name
                yield Case("upload t.jsonl", f"{field} {name}", b"\n" + line({**good, field: value}), ("line 2", field, *says[:-1]))
    for name, (value, says) in CHARACTERS.items():
        if "half" not in name:  # a file in UTF-8 has no halves
            yield Case(
                "upload t.csv", f"text {name}", f'text,label\n"{value}",positive\n'.encode(), ("line 2", "text", says, "allowed are")
            )
    for value in ("", None, ["positive"]):
        yield Case("upload t.jsonl", f"label {value!r}", line({**good, "label": value}), ("line 1", f"label = {value!r}", "--on-bad drop"))
    for votes in ("many", {"positive": -1}, {"positive": 1.5}, ["positive"], {"positive": True}, "[" * 1_000):
        yield Case("upload t.jsonl", f"votes {str(votes)[:20]}", line({**good, "votes": votes}), ("line 1", "votes = ", "whole numbers"))
    yield Case("upload t.jsonl", "votes for no label", line({**good, "votes": {"good": 1}}), ("line 1", "votes for 'good'", "allowed are"))
    for name, content, *words in (
        ("an unquoted comma", "text,label\na, b,positive\n", "line 2", "3 fields", "quotation marks"),
        ("a missing field", "text,label,group\na,positive\n", "line 2", "2 fields", "give every column"),
        ("an open quotation mark", 'text,label\n"a,positive\n', "line 2", "never closed", "doubled"),
        ("a quotation mark inside", 'text,label\na 5" b,positive\n', "line 2", "inside a field", "doubled"),
        ("words behind a quotation mark", 'text,label\n"a" b,positive\n', "line 2", "' b,positive", "only the delimiter"),
        ("a column twice", "text,label,label\na,positive,b\n", "'label' 2 times", "keep one"),
        ("no header", "a,positive\n", "no record after the column names 'a', 'positive'", "--header no"),
        ("nothing", "", "is empty"),
        ("only a header", "text,label\n", "no record after the column names"),
    ):
        yield Case("upload t.csv", name, content.encode(), tuple(words))
    yield Case("upload t.csv", "a spreadsheet", b"PK\x03\x04", ("is a spreadsheet", "save it as UTF-8"))
    yield Case("upload t.txt", "another kind of file", b"a", ("t.txt", "read are .csv, .tsv, .jsonl"))


def dataset_cases() -> Iterator[Case]:
    for field in ("id", "text", "label", "group", "slice", "source"):
        for name, value, says in text_faults():
            yield Case("dataset", f"{field} {name}", line({**ROW, field: value}), ("data.jsonl:1", f"'{field}'", *says))
    for field in ROW:
        row = {name: value for name, value in ROW.items() if name != field}
        yield Case("dataset", f"no {field}", line(row), ("data.jsonl:1", f"no field '{field}'", "a row has"))
    for votes in (None, 1, ["a"], {"positive": -1}, {"positive": 1.5}, {"positive": True}, {"positive": 10**7}, {"negative": 1}):
        yield Case("dataset", f"votes {votes}", line({**ROW, "votes": votes}), ("data.jsonl:1", "votes"))
    yield Case("dataset", "new", line({**ROW, "new": "yes"}), ("data.jsonl:1", "'new' = 'yes'", "allowed is true or false"))
    for field in ("text", "group"):
        for name, value, says in text_faults():
            yield Case(
                "reference", f"{field} {name}", line({"text": "a", "group": "b", field: value}), ("data.jsonl:1", f"'{field}'", *says)
            )
    for field, value, allowed in (
        ("version", "", "a text"), ("version", None, "a text"), ("parent", 1, "a version or null"), ("labels", [], "a list of different"),
        ("labels", ["a", "a"], "different texts"), ("labels", "a", "a list"), ("rows", {"train": -1}, "0 or more"), ("rows", None, "an"),
        ("by_slice", [], "an object"), ("by_source", {"a": "b"}, "whole numbers"), ("files", {}, "SHA-256"), ("files", {"a": "b"}, "64"),
        ("watermark", "now", "ISO 8601"), ("watermark", "2026-01-01", "its zone"), ("watermark", 1, "ISO 8601"),
    ):  # fmt: skip
        says = ("manifest.json", f"'{field}' = {value!r}", allowed)
        yield Case("dataset manifest", f"{field} {value!r}", line({**MANIFEST, field: value}), says)


def labelling_cases() -> Iterator[Case]:
    for name, value, says in text_faults():
        yield Case("labelling manifest", f"source {name}", line({"source": value}), ("line 1", "source", *says))
        yield Case("pre-annotation", f"source {name}", {"source": value}, ("source", *says))
        yield Case("import", f"source {name}", line({**OUTPUT_ROW, "source": value}), ("line 1", "source", *says))
        yield Case("inference", f"inputs {name}", line({"inputs": ["a", value]}), ("inputs.1", *says))
    yield Case("labelling manifest", "no source", b'{"text": "a"}', ("line 1", "source is missing", "has text"))
    yield Case("labelling manifest", "a reference", b'{"source-ref": "s3://b/k"}', ("line 1", "source is missing", "source-ref"))
    yield Case("labelling manifest", "a bad id", line({"source": "a", "prediction-id": "A B"}), ("line 1", "'A B'", "allowed are"))
    yield Case("labelling manifest", "nothing", b"", ("manifest is empty", '{"source": "..."}'))
    yield Case("pre-annotation", "no source", {"source-ref": "s3://b/k"}, ("source-ref", '{"source": "..."}'))
    for content in (
        "nonsense", "[" * 5_000, "{}", "null", "[]", '{"category": {}}', '{"category": {"label": 1}}', '{"category": ["positive"]}',
        '{"category": {"label": "good"}}', '{"category": {"label": null}}', '{"category": {"label": NaN}}', '{"category": {"label": ""}}',
    ):  # fmt: skip
        yield Case("answer", content[:30], content, ("undecided", "none of 1 answers", "negative, neutral, positive"))


JSON_ENTRIES = {
    "api": "body", "inference": "the body", "upload t.jsonl": "line 1", "dataset": "data.jsonl:1", "reference": "data.jsonl:1",
    "dataset manifest": "manifest.json", "labelling manifest": "line 1", "import": "line 1",
}  # fmt: skip


def json_cases() -> Iterator[Case]:
    for entry, place in JSON_ENTRIES.items():
        for name, (data, says) in JSON_FAULTS.items():
            if (entry, name) not in (("inference", "a text"), ("upload t.jsonl", "UTF-16"), ("upload t.jsonl", "a byte of Latin-1")):
                yield Case(entry, f"JSON {name}", data, (place, "object" if entry == "inference" and name in ("a list", "null") else says))


def settings_fields(schema: dict[str, Any], definitions: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for name, content in schema["properties"].items():
        options = [content, *content.get("anyOf", [])]
        section = next((option["$ref"] for option in options if "$ref" in option), None)
        if section:
            yield from settings_fields(definitions[section.rsplit("/", 1)[-1]], definitions, f"{prefix}{name}.")
        else:
            yield prefix + name, content


def beyond(content: dict[str, Any]) -> Iterator[Any]:
    """Values that a field of this schema does not take."""
    if "anyOf" in content:
        free = any(option.get("type") == "string" and not {"pattern", "enum", "const"} & set(option) for option in content["anyOf"])
        yield "" if free else "?!"
        return
    if "enum" in content or "const" in content or content.get("type") == "boolean":
        yield "?!"
    if "pattern" in content:
        yield from ("?!", "")
    if "minimum" in content:
        yield content["minimum"] - 1
    if "exclusiveMinimum" in content:
        yield content["exclusiveMinimum"]
    if "maximum" in content:
        yield content["maximum"] + 1
    if content.get("type") in ("integer", "number"):
        yield from ("many", [1])
    if content.get("type") == "array":
        yield "?!"
        yield from ([value] for value in beyond(content["items"]))


def settings_cases() -> Iterator[Case]:
    schema = Settings.model_json_schema()
    for path, content in settings_fields(schema, schema["$defs"]):
        for value in beyond(content):
            shown = repr(value[0]) if isinstance(value, list) and content.get("type") == "array" else repr(value)
            yield Case("settings", f"{path} {value!r}", (path, value), (f"  {path}", shown))


def cases() -> list[Case]:
    makers = (api_cases, upload_cases, dataset_cases, labelling_cases, json_cases, settings_cases)
    return [case for make in makers for case in make()]


def captured_lines() -> list[bytes]:
    """Lines of captured data that give no text, and stop nothing."""
    made = [data for data, _ in JSON_FAULTS.values()]
    for _, value, _ in text_faults():
        if not isinstance(value, list):
            sent = {**CAPTURED["captureData"]["endpointInput"], "data": json.dumps({"inputs": value})}
            made.append(line({**CAPTURED, "captureData": {"endpointInput": sent}}))
    made += [line({name: value for name, value in CAPTURED.items() if name != field}) for field in CAPTURED]
    made += [
        line({**CAPTURED, "captureData": value}) for value in (None, [], "a", {"endpointInput": {"data": "e30=", "encoding": "BASE64"}})
    ]
    return [*made, line(CAPTURED)[:-9], line(CAPTURED)[:60]]
