"""Model packages: only of candidates that passed, best first, the same request each time."""

from __future__ import annotations

import re
from typing import Any

import pytest

from lambdas.tuning.register_candidates.registration import EvaluationFailed, GatesRefused, package_request, passing


def candidate(name: str, macro_f1: float, *, refused: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "training_job": name, "objective": 0.7, "model_uri": f"s3://models/training/{name}/output/model.tar.gz",
        "evaluation_uri": f"s3://models/evaluations/{name}-evaluation/evaluation.json", "dataset_version": "0123456789abcdef",
        "macro_f1": macro_f1, "passed": not refused,
        "refusals": list(refused), "gates_uri": f"s3://models/evaluations/{name}-evaluation/gates.json",
    }  # fmt: skip


def without_report(name: str) -> dict[str, Any]:
    """What the gates make of a candidate whose evaluation failed."""
    return {
        "training_job": name, "objective": 0.9, "model_uri": "s3://models/x", "passed": False, "gates_uri": "s3://models/b/gates.json",
        "refusals": ["the evaluation failed: out of memory"],
    }  # fmt: skip


def test_those_that_passed_are_registered_in_the_order_of_the_selection() -> None:
    """Not of their scores on the test set, which must not choose."""
    found = passing([candidate("a", 0.7), candidate("b", 0.8), candidate("c", 0.9, refused=("no",)), without_report("d")])
    assert [item["training_job"] for item in found] == ["a", "b"]


def test_when_none_passed_the_error_has_every_reason_and_no_other() -> None:
    with pytest.raises(GatesRefused) as caught:
        passing(
            [candidate("a", 0.5, refused=("macro_f1 is 0.500, below the limit 0.600", "recall low")), candidate("b", 0.4, refused=("low",))]
        )
    assert str(caught.value) == (
        "every candidate was refused. "
        "a: macro_f1 is 0.500, below the limit 0.600; recall low (s3://models/evaluations/a-evaluation/gates.json) | "
        "b: low (s3://models/evaluations/b-evaluation/gates.json)"
    )


def test_an_evaluation_that_crashed_is_no_refusal_by_the_gates() -> None:
    with pytest.raises(EvaluationFailed) as caught:
        passing([candidate("a", 0.5, refused=("macro_f1 is low",)), without_report("b")])
    assert str(caught.value) == (
        "no candidate passed, and not every one could be judged. a: macro_f1 is low (s3://models/evaluations/a-evaluation/gates.json) | "
        "b: the evaluation failed: out of memory (s3://models/b/gates.json)"
    )


@pytest.mark.parametrize("approval", ["Approved", "PendingManualApproval"])
def test_a_repeated_request_is_the_same_and_says_what_the_model_rests_on(approval: str) -> None:
    def request() -> dict[str, Any]:
        return package_request(candidate("job-001", 0.7512), group="g", image="i", tuning_job="t", approval=approval)

    made = request()
    assert made == request()
    assert re.fullmatch("[a-zA-Z0-9-]{1,36}", made["ClientToken"])
    assert made["ModelApprovalStatus"] == approval
    assert made["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"].endswith("/job-001-evaluation/evaluation.json")
    assert made["InferenceSpecification"]["Containers"][0]["ModelDataUrl"].endswith("/job-001/output/model.tar.gz")
    # Optional in a group; an endpoint on a type that is not listed would be refused.
    assert not {"SupportedRealtimeInferenceInstanceTypes", "SupportedTransformInstanceTypes"} & made["InferenceSpecification"].keys()
    assert made["CustomerMetadataProperties"] == {
        "training_job": "job-001",
        "tuning_job": "t",
        "dataset_version": "0123456789abcdef",
        "objective": "0.700000",
        "macro_f1": "0.751200",
    }


def test_the_review_threshold_and_its_promise_are_properties_of_the_package() -> None:
    review = {"review_threshold": "0.810000", "review_promise_kept": "true"}
    made = package_request({**candidate("a", 0.7), "review": review}, group="g", image="i", tuning_job="t", approval="Approved")
    assert review.items() <= made["CustomerMetadataProperties"].items()


def test_a_package_keeps_which_best_champion_its_model_was_compared_with() -> None:
    best = {"best_package": "arn:aws:sagemaker:us-east-1:111122223333:model-package/reviewloop-dev/3", "difference_to_best": "-0.0100"}
    made = package_request({**candidate("a", 0.7), "best": best}, group="g", image="i", tuning_job="t", approval="Approved")
    assert best.items() <= made["CustomerMetadataProperties"].items()
    assert all(re.fullmatch(r"[\w.:/=+\-@ ]{1,256}", value) for value in best.values())


def test_two_candidates_are_two_packages() -> None:
    tokens = {
        package_request(candidate(name, 0.7), group="g", image="i", tuning_job="t", approval="Approved")["ClientToken"]
        for name in ("job-001", "job-002")
    }
    assert len(tokens) == 2
