"""Every entry answers bad input in one way: no traceback, no silence, no server error, but the place, the value and what is allowed."""

from __future__ import annotations

import base64
import datetime as dt
import json
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from bad_inputs import LABELS, LONGEST, Case, captured_lines, cases

from contracts.dataset import InvalidDataset, Manifest
from contracts.dataset_files import parse_rows, read_manifest, read_rows
from lambdas.common.consolidation import Plurality
from lambdas.common.labels import Labels
from lambdas.common.observability import metrics
from lambdas.common.s3_uri import newline_ended
from lambdas.labeling.check_manifest.check import InvalidInput, check_rows
from lambdas.labeling.consolidate_annotations.annotations import consolidate_objects
from lambdas.labeling.import_labels.manifest import RowWithoutLabel
from lambdas.labeling.import_labels.manifest import read_rows as read_output_manifest
from lambdas.labeling.pre_annotation.task import UnusableRow, worker_task
from lambdas.prediction.predict import handler as predict
from lambdas.retraining.freeze_dataset.served import CapturedData
from local.upload.__main__ import main as first_upload
from model_code.drift_baseline import REFERENCE_FILE, read_reference
from model_code.inference import input_fn
from stacks.settings import SettingsError, load_settings

CASES = cases()
CONTEXT = SimpleNamespace(function_name="predict", memory_limit_in_mb=512, invoked_function_arn="arn:aws:lambda:x", aws_request_id="r")


@dataclass(frozen=True)
class Entries:
    """Every entry as a function of the input: what it answers, or None when it takes the input."""

    folder: Path
    said: Callable[[], str]

    def answer(self, case: Case) -> str | None:
        name, _, rest = case.entry.partition(" ")
        return {
            "api": self._api_type if rest else self._api,
            "upload": lambda given: self._upload(rest, given),
            "dataset": self._manifest if rest else self._dataset,
            "reference": self._reference,
            "labelling": self._labelling,
            "pre-annotation": self._pre_annotation,
            "import": self._import,
            "inference": self._inference,
            "answer": self._answer,
            "settings": self._settings,
        }[name](case.given)

    def _call(self, body: bytes, content_type: str) -> str | None:
        answer = predict.handler(
            {"body": base64.b64encode(body).decode(), "isBase64Encoded": True, "headers": {"content-type": content_type}}, CONTEXT
        )
        assert 400 <= answer["statusCode"] < 500, answer
        error = json.loads(answer["body"])["error"]
        return f"{error['field']} {error['message']}"

    def _api(self, body: bytes) -> str | None:
        return self._call(body, "application/json")

    def _api_type(self, content_type: str) -> str | None:
        return self._call(b'{"text": "a"}', content_type)

    def _upload(self, name: str, content: bytes) -> str | None:
        (self.folder / name).write_bytes(content)
        code = first_upload(["--texts", str(self.folder / name), "--output", str(self.folder / "out")])
        assert code == 2
        assert not (self.folder / "out").exists()
        return self.said()

    def _dataset(self, data: bytes) -> str | None:
        """From a stream, as a function reads it, and from a folder, as a container does: both say the same."""
        (self.folder / "data.jsonl").write_bytes(data)
        with pytest.raises(InvalidDataset) as seen:
            list(parse_rows(newline_ended([data]), "data.jsonl"))
        with pytest.raises(InvalidDataset) as caught:
            read_rows(self.folder)
        assert str(seen.value) == str(caught.value)
        return str(caught.value)

    def _reference(self, data: bytes) -> str | None:
        path = self.folder / REFERENCE_FILE
        path.parent.mkdir()
        path.write_bytes(data)
        manifest = Manifest("0" * 16, None, LABELS, {}, {}, {}, {REFERENCE_FILE: "0" * 64})
        with pytest.raises(InvalidDataset) as caught:
            read_reference(self.folder, manifest)
        return str(caught.value)

    def _manifest(self, data: bytes) -> str | None:
        (self.folder / "manifest.json").write_bytes(data)
        with pytest.raises(InvalidDataset) as caught:
            read_manifest(self.folder)
        return str(caught.value)

    def _labelling(self, data: bytes) -> str | None:
        with pytest.raises(InvalidInput) as caught:
            check_rows(newline_ended([data]), "label", longest=LONGEST)
        return str(caught.value)

    def _pre_annotation(self, row: Any) -> str | None:
        with pytest.raises(UnusableRow) as caught:
            worker_task({"dataObject": row}, Labels.of(LABELS))
        return str(caught.value)

    def _import(self, data: bytes) -> str | None:
        """The rest goes on: a good row behind the bad one is read."""
        good = {"source": "a", "label": 0, "label-metadata": {"class-name": "positive", "creation-date": "2026-11-23T10:00:00"}}
        bad, after = read_output_manifest(newline_ended([data, b"\n", json.dumps(good).encode()]), "label", Labels.of(LABELS))
        assert isinstance(bad, RowWithoutLabel)
        assert not isinstance(after, RowWithoutLabel)
        return f"line {bad.line}: {bad.reason}"

    def _inference(self, data: bytes) -> str | None:
        with pytest.raises(ValueError, match=r"inputs|body") as caught:
            input_fn(data, "application/json")
        return str(caught.value)

    def _answer(self, content: str) -> str | None:
        payload = [{"datasetObjectId": "1", "annotations": [{"workerId": "w", "annotationData": {"content": content}}]}]
        (made,) = consolidate_objects(payload, "label", Labels.of(LABELS), Plurality(LABELS))
        label = made["consolidatedAnnotation"]["content"]["label"]
        assert label["label"] is None
        return str(label["reason"])

    def _settings(self, given: tuple[str, Any]) -> str | None:
        path, value = given
        document: Any = value
        for part in reversed(path.split(".")):
            document = {part: document}
        (self.folder / "x.yaml").write_text(yaml.safe_dump({"stage": "test", **document}), encoding="utf-8")
        with pytest.raises(SettingsError) as caught:
            load_settings(self.folder / "x.yaml")
        return str(caught.value)


@pytest.fixture
def entries(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Entries:
    """The prediction function has no endpoint that it could reach: what is refused never gets there."""
    environment = predict.Environment("none", "none", max_text_chars=LONGEST, audit_share=0.0, retention_days=90)
    monkeypatch.setattr(metrics, "namespace", "Test")
    monkeypatch.setattr(metrics, "service", "predict")
    monkeypatch.setattr(predict, "_environment", lambda: environment)
    return Entries(tmp_path, lambda: capsys.readouterr().err)


NAMES = [f"{case.entry}: {case.what}"[:70].encode("ascii", "backslashreplace").decode() for case in CASES]


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_bad_input_is_answered_with_place_value_and_what_is_allowed(entries: Entries, case: Case) -> None:
    answer = entries.answer(case)
    assert answer
    assert "Traceback" not in answer
    assert [word for word in case.says if word not in answer] == [], answer
    answer.encode()  # halves of pairs are named, never passed on


def test_every_entry_is_swept() -> None:
    entries = Counter(case.entry.split()[0] for case in CASES)
    assert len(CASES) >= 300
    assert set(entries) == {
        "api", "upload", "dataset", "reference", "labelling", "pre-annotation", "import", "inference", "answer", "settings",
    }  # fmt: skip
    assert min(entries.values()) >= 10


def test_bad_captured_lines_are_left_out_and_counted_and_the_rest_is_read(aws: Callable[[str], Any]) -> None:
    """How the drift query counts such lines: test_athena.py."""
    s3, bucket, now = aws("s3"), f"bad-{uuid.uuid4().hex[:8]}", dt.datetime(2026, 11, 23, 10, 30, tzinfo=dt.UTC)
    s3.create_bucket(Bucket=bucket)
    good = {
        "captureData": {"endpointInput": {"data": '{"inputs": "good"}'}},
        "eventMetadata": {"inferenceId": "p", "inferenceTime": "2026-11-23T10:30:00Z"},
    }
    bad = captured_lines()
    body = b"\n".join([*bad, json.dumps(good).encode()])
    s3.put_object(Bucket=bucket, Key=f"capture/endpoint/champion/{now:%Y/%m/%d/%H}/30-00-a.jsonl", Body=body)
    captured = CapturedData(s3, bucket, "endpoint")
    assert [item.text for item in captured.newest(10, now=now, hours=1)] == ["good"]
    assert captured.left_out == len(bad)
