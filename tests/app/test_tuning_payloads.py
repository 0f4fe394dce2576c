"""What a tuning execution hands from state to state stays small however many slices and labels the dataset has."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from deployed_app import NAMES

from embedded_aws.tools import launcher
from lambdas.common import clients
from lambdas.tuning.check_gates import handler as check_gates
from lambdas.tuning.register_candidates.registration import GatesRefused, passing

pytestmark = pytest.mark.slow

MOST_BYTES = 262_144
LONGEST_CAUSE = 32_768
"""Characters of a failed task's cause that Step Functions keeps (botocore's model, SensitiveCause)."""
POLICY = {
    "MIN_MACRO_F1": "0.9", "MIN_GAIN_OVER_MAJORITY": "0.9", "MIN_GAIN_OVER_TFIDF": "0.9", "MAX_LOSS_TO_CHAMPION": "0.01",
    "MAX_LOSS_TO_BEST": "0.01",
    "MIN_CLASS_RECALL": "0.9", "MIN_SLICE_ACCURACY": "0.9", "MIN_KEY_EXAMPLES": "0.9",
}  # fmt: skip
BUCKET = "tuning-payloads"


def evaluation(slices: int, labels: int) -> dict[str, Any]:
    """A report that every gate refuses, with long names as a team may give them."""
    interval = {"value": 0.3, "low": 0.28, "high": 0.32}
    score = {"accuracy": interval, "macro_f1": interval}
    worse = {name: {"value": -0.3, "low": -0.32, "high": -0.28} for name in ("accuracy", "macro_f1")}
    recall = {"value": 0.1, "low": 0.05, "high": 0.2, "effective_texts": 90}
    names = [f"customers of the northern region, product line {number:03d}" for number in range(slices)]
    return {
        "schema_version": 3,
        "model_version": "m-1",
        "dataset_version": "0123456789abcdef",
        "overall": score,
        "by_class": {f"complaint about delivery {number:02d}": {"recall": recall, "support": 90} for number in range(labels)},
        "by_slice": {name: {**score, "rows": 90, "groups": 60} for name in names},
        "references": {"majority": score, "tfidf": score, "champion": score},
        "difference_to_champion": {**worse, "rows": 90, "groups": 60},
        "difference_by_slice": {name: {**worse, "rows": 90, "groups": 60} for name in names},
        "truncated": {"texts": 0.4, "pieces": 0.2},
        "key_examples": {"rows": 50, "right": 0, "wrong": [{"text": "x" * 120, "label": "late", "answer": "lost"}] * 50},
        "label_names": {},
    }


@pytest.fixture
def checked(
    emulator: launcher.Emulator, aws: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], dict[str, Any]]]:
    """The function's own code against the embedded S3: ``checked("job-001")`` is what it returns."""
    for name, value in {
        "AWS_ENDPOINT_URL": emulator.url, "AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
        "POWERTOOLS_TRACE_DISABLED": "1", **POLICY,
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    clients.client.cache_clear()
    check_gates._environment.cache_clear()
    aws("s3").create_bucket(Bucket=BUCKET)
    context = SimpleNamespace(function_name="f", memory_limit_in_mb=256, invoked_function_arn="arn", aws_request_id="r")

    def check(job: str) -> dict[str, Any]:
        output = f"s3://{BUCKET}/evaluations/{job}-evaluation"
        body = json.dumps(evaluation(300, 20)).encode()
        aws("s3").put_object(Bucket=BUCKET, Key=f"evaluations/{job}-evaluation/evaluation.json", Body=body)
        event = {
            "training_job": job,
            "objective": 0.7,
            "model_uri": f"s3://{BUCKET}/training/{job}/output/model.tar.gz",
            "output_uri": output,
        }
        found: dict[str, Any] = check_gates.handler(event, context)
        return found

    yield check
    clients.client.cache_clear()
    check_gates._environment.cache_clear()


def test_two_candidates_of_300_slices_and_20_labels_leave_the_payload_small(
    checked: Callable[[str], dict[str, Any]], aws: Callable[..., Any]
) -> None:
    candidates = [checked(f"{NAMES.prefix}-0a1b2c3d-001"), checked(f"{NAMES.prefix}-0a1b2c3d-002")]
    assert len(json.dumps(candidates).encode()) < MOST_BYTES / 20
    assert candidates[0]["refusals"][0] == "macro_f1 is 0.300, below the limit 0.900"
    assert candidates[0]["refusals"][-1] == "615 more gates refused it, which gates.json names"
    stored = aws("s3").get_object(Bucket=BUCKET, Key=candidates[0]["gates_uri"].removeprefix(f"s3://{BUCKET}/"))["Body"].read()
    gates = json.loads(stored)["gates"]
    assert len(gates) == len([gate for gate in gates if not gate["passed"]]) == 625
    assert len(stored) > MOST_BYTES / 2  # what the payload would have held for one of two candidates
    assert "product line 299" in gates[-2]["reason"]
    assert gates[-1]["reason"].startswith("50 of 50 key examples are wrong: ")
    with pytest.raises(GatesRefused) as refused:
        passing(candidates)
    assert len(str(refused.value)) < LONGEST_CAUSE
    assert candidates[1]["gates_uri"] in str(refused.value)
