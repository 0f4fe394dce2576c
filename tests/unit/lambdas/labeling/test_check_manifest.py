"""The input of a labelling job, checked before people are paid: every bad line named with its value and what is allowed."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
import regex
from botocore.response import StreamingBody
from botocore.session import get_session
from botocore.stub import ANY, Stubber

from lambdas.common.current_labels import NoLabels
from lambdas.common.labels import Labels
from lambdas.common.s3_uri import newline_ended
from lambdas.labeling.check_manifest import handler as entry
from lambdas.labeling.check_manifest.check import InvalidInput, check_rows, job_name

PREFIX = "reviewloop-dev"
CONTEXT = SimpleNamespace(function_name="f", memory_limit_in_mb=128, invoked_function_arn="arn:aws:lambda:x", aws_request_id="r")


def row(**fields: Any) -> bytes:
    return json.dumps({"source": "a text", **fields}).encode()


def check(*lines: bytes, longest: int = 100) -> int:
    return check_rows(lines, "label", longest=longest)


# -- the name ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["first", "2026-11-28", "A-b-1", "x", "y" * (63 - len(PREFIX) - 1)])
def test_a_name_that_is_taken_is_one_that_ground_truth_takes(name: str) -> None:
    shape = get_session().get_service_model("sagemaker").shape_for("LabelingJobName")
    made = job_name(PREFIX, name)
    assert regex.fullmatch(shape.metadata["pattern"], made)
    assert len(made) <= shape.metadata["max"]


@pytest.mark.parametrize("name", ["", "-a", "a-", "a b", "a_b", "a.b", "ä", "a/b", "y" * (63 - len(PREFIX)), "a\n", 3, None, ["a"]])
def test_a_bad_name_is_refused_with_its_form(name: Any) -> None:
    with pytest.raises(InvalidInput, match=r"name .* must have 1 to 48 characters.*\^\[a-zA-Z0-9\]"):
        job_name(PREFIX, name)


# -- the rows ---------------------------------------------------------------------------------------


def test_a_subject_is_a_text() -> None:
    assert check(row(subject="bob"), row(source="another", subject=None)) == 2
    with pytest.raises(InvalidInput, match="line 1: subject must be a string"):
        check(row(subject=7))


def test_a_good_manifest_is_counted() -> None:
    one = row(source="A different text, with U+2028: \u2028", **{"prediction-id": "0123abc"})
    assert check(row(), b"", b"  ", one, row(source="third", topic="x")) == 3


BAD: dict[str, tuple[bytes, str]] = {
    "not JSON": (b"{'source': 'x'}", "is not JSON"),
    "a list": (b'["x"]', "must be an object"),
    "a text": (b'"x"', "must be an object"),
    "no text": (b"{}", "source is missing"),
    "a reference": (b'{"source-ref": "s3://b/k"}', "this one has source-ref"),
    "null": (row(source=None), "source must be a string, not null"),
    "a number": (row(source=3), "source must be a string, not the number 3"),
    "empty": (row(source=""), "source is empty"),
    "blanks": (row(source=" \t\u200b"), "source is empty"),
    "too long": (row(source="y" * 101), "source has 101 characters: allowed is 1 to 100"),
    "NUL": (row(source="a\0b"), "U+0000 at position 1"),
    "half a surrogate pair": (row(source="a\ud83d"), "U+D83D at position 1"),
    "a noncharacter": (row(source="\uffff"), "U+FFFF"),
    "not UTF-8": (b'{"source": "caf\xe9"}', "is not UTF-8"),
    "a field twice": (b'{"source": "a", "source": "b"}', "'source' twice"),
    "NaN": (b'{"source": "a", "x": NaN}', "NaN"),
    "too deep": (b'{"source": "a", "x": ' + b"[" * 9_000 + b"]" * 9_000 + b"}", "deeper than"),
    "a byte order mark": (b"\xef\xbb\xbf" + row(source="b"), "byte order mark"),
    "upper-case id": (
        row(source="b", **{"prediction-id": "ABC"}),
        "prediction-id 'ABC' is not the id of a prediction: allowed are 1 to 100",
    ),
    "id null": (row(source="b", **{"prediction-id": None}), "prediction-id"),
    "id too long": (row(source="b", **{"prediction-id": "a" * 101}), "prediction-id"),
    "labelled": (row(source="b", label="positive"), "label is there already"),
    "labelled before": (row(source="b", **{"label-metadata": {}}), "label-metadata is there already"),
    "the same text": (row(source="A  TEXT"), "the same as line 1"),
    "the same text, decomposed": (row(source="cafe\u0301"), "the same as line 2"),
    "the same prediction": (row(source="b", **{"prediction-id": "p-1"}), "the same as line 3"),
}


@pytest.mark.parametrize(("line", "named"), BAD.values(), ids=BAD)
def test_a_bad_line_is_named_with_its_value_and_what_is_allowed(line: bytes, named: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        check(row(), row(source="caf\u00e9"), row(source="c", **{"prediction-id": "p-1"}), line, row(source="last"))
    text = str(raised.value)
    assert text.startswith("1 of 5 lines of the manifest cannot be used: line 4: ")
    assert named in text


def test_two_predictions_may_have_the_same_text() -> None:
    assert check(row(**{"prediction-id": "p-1"}), row(**{"prediction-id": "p-2"}), row()) == 3


def test_every_bad_line_counts_and_the_first_twenty_are_named() -> None:
    with pytest.raises(InvalidInput) as raised:
        check(row(), *[b"{"] * 30)
    text = str(raised.value)
    assert text.startswith("30 of 31 lines")
    assert "line 21: " in text
    assert "line 22: " not in text
    assert text.endswith("; and 10 more")


@pytest.mark.parametrize("lines", [[], [b"", b" "]])
def test_an_empty_manifest_is_named(lines: list[bytes]) -> None:
    with pytest.raises(InvalidInput, match="manifest is empty"):
        check(*lines)


@pytest.mark.parametrize("size", [1, 2, 3, 1_000])
def test_lines_end_at_line_feeds_only_wherever_the_chunks_do(size: int) -> None:
    data = "eins\u2028zwei\u0085\ndrei\r\n\nvier\rfünf".encode()
    chunks = [data[start : start + size] for start in range(0, len(data), size)]
    assert list(newline_ended(chunks)) == data.split(b"\n")
    assert list(newline_ended([data + b"\n"])) == data.split(b"\n")
    assert list(newline_ended([])) == []


# -- the handler ------------------------------------------------------------------------------------


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stubber]:
    client = boto3.client("s3", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    environment = entry.Environment(PREFIX, "label", 100, "s3://data/labeling-inputs/", "/reviewloop/dev/dataset")
    monkeypatch.setattr(entry, "current_labels", lambda parameter, pinned: Labels.of(("a", "b"), {"b": "B & b"}))
    monkeypatch.setattr(entry, "_environment", lambda: environment)
    monkeypatch.setattr(entry, "client", lambda service: client)
    with Stubber(client) as stub:
        yield stub
    stub.assert_no_pending_responses()


def given(**changes: Any) -> dict[str, Any]:
    return {"name": "first", "manifest_uri": "s3://data/manifests/one.jsonl", "page": "<p>", **changes}


def holds(s3: Stubber, body: bytes) -> None:
    found = {"Body": StreamingBody(io.BytesIO(body), len(body))}
    s3.add_response("get_object", found, {"Bucket": "data", "Key": "manifests/one.jsonl"})


def laid(s3: Stubber) -> None:
    for _ in ("page", "categories"):
        s3.add_response("put_object", {}, {"Bucket": "data", "Key": ANY, "Body": ANY})


def test_page_and_categories_lie_under_the_digest_of_their_content(s3: Stubber, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = []
    same, renamed = Labels.of(("a", "b")), Labels.of(("a", "b"), {"b": "B"})
    for event, labels in ((given(), same), (given(), same), (given(page="<b>"), same), (given(), renamed)):
        monkeypatch.setattr(entry, "_labels", lambda labels=labels: labels)
        holds(s3, row() + b"\n" + row(source="two"))
        laid(s3)
        outputs.append(entry.handler(event, CONTEXT))
    first, again, other_page, other_labels = outputs
    assert first == again
    assert (first["job_name"], first["manifest_uri"], first["texts"]) == ("reviewloop-dev-first", "s3://data/manifests/one.jsonl", 2)
    assert len({(one["page_uri"], one["categories_uri"]) for one in (first, other_page, other_labels)}) == 3
    assert first["page_uri"].startswith("s3://data/labeling-inputs/")


@pytest.mark.parametrize(("offered", "more"), [(False, []), (True, [{"label": "cannot-tell"}])])
def test_the_categories_are_what_people_see(
    s3: Stubber, monkeypatch: pytest.MonkeyPatch, offered: bool, more: list[dict[str, str]]
) -> None:
    environment = entry.Environment(PREFIX, "label", 100, "s3://data/labeling-inputs/", "/reviewloop/dev/dataset", cannot_tell=offered)
    monkeypatch.setattr(entry, "_environment", lambda: environment)
    holds(s3, row())
    categories = json.dumps({"document-version": "2018-11-28", "labels": [{"label": "a"}, {"label": "B & b"}, *more]})
    s3.add_response("put_object", {}, {"Bucket": "data", "Key": ANY, "Body": b"<p>"})
    s3.add_response("put_object", {}, {"Bucket": "data", "Key": ANY, "Body": categories.encode()})
    assert entry.handler(given(), CONTEXT)["texts"] == 1


@pytest.mark.usefixtures("s3")
def test_before_the_first_dataset_version_the_cause_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(parameter: str, pinned: tuple[str, ...]) -> Labels:
        raise NoLabels("there is no dataset version yet: upload one")

    monkeypatch.setattr(entry, "current_labels", nothing)
    with pytest.raises(InvalidInput, match="people cannot be asked: there is no dataset version yet: upload one"):
        entry.handler(given(), CONTEXT)


def test_nothing_is_laid_for_an_input_that_cannot_be_used(s3: Stubber) -> None:
    holds(s3, b"{")
    with pytest.raises(InvalidInput, match="line 1"):
        entry.handler(given(), CONTEXT)
    with pytest.raises(InvalidInput, match="name 'a b'"):
        entry.handler(given(name="a b"), CONTEXT)
    s3.add_client_error("get_object", "NoSuchKey")
    with pytest.raises(InvalidInput, match=r"s3://data/manifests/one\.jsonl does not exist"):
        entry.handler(given(), CONTEXT)
