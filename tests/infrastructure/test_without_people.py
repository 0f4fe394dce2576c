"""A stage where nobody is asked (``review.backend: none``): no stack for people, and nothing in the others that waits for one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from deployed_definition import resolve, stage_names
from test_alarm_page import deployed
from test_security_page import written

from lambdas.common.environment import read_environment
from lambdas.prediction.predict.handler import Environment
from stacks.application import build_app
from stacks.settings import load_settings

STAGE = "newacct"
"""The stage whose settings are taken, but for the backend."""
ROOT = Path(__file__).resolve().parents[2]
NAMES = stage_names(STAGE)
STACKS = {"foundation", "tuning", "endpoint", "monitoring", "rollout", "retraining"}


def nobody_asks(document: str) -> str:
    return document.replace("review: {backend: hosted}", "review: {backend: none}").replace("backend: hosted", "enabled: false")


@pytest.fixture(scope="module")
def nobody(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stage's assembly with ``review.backend: none``."""
    folder = tmp_path_factory.mktemp("nobody")
    document = (ROOT / "settings" / f"{STAGE}.yaml").read_text(encoding="utf-8")
    (folder / "settings.yaml").write_text(nobody_asks(document) + "rollout: {policy: blue_green}\n", encoding="utf-8")
    build_app(load_settings(folder / "settings.yaml"), folder / "cdk.out").synth()
    return folder / "cdk.out"


@pytest.fixture(scope="module")
def templates(nobody: Path) -> dict[str, dict[str, Any]]:
    """Part -> template of every stack."""
    return {
        path.name.removeprefix(NAMES.stack("")).removesuffix(".template.json"): json.loads(path.read_bytes())
        for path in nobody.glob("*.template.json")
    }


def variables(template: dict[str, Any], function: str) -> dict[str, str]:
    """Environment of the function with this name."""
    (found,) = (
        item["Properties"]
        for item in template["Resources"].values()
        if item["Type"] == "AWS::Lambda::Function" and item["Properties"]["FunctionName"] == NAMES.function(function)
    )
    given: dict[str, str] = resolve(template, found["Environment"]["Variables"])
    return given


def test_the_stacks_for_people_are_left_out_and_nothing_names_what_they_would_hold(templates: dict[str, dict[str, Any]]) -> None:
    assert set(templates) == STACKS
    text = json.dumps(templates)
    assert "review-tasks" not in text
    for name in ("review-requests", "review-results", "workteam-arn", "flow-definition", "human-loop", "human-task-ui", "labeling-job"):
        assert name not in text, name


def test_no_prediction_is_ever_sent_anywhere(templates: dict[str, dict[str, Any]]) -> None:
    environment = read_environment(Environment, variables(templates["endpoint"], "predict"))
    assert (environment.fixed_threshold, environment.audit_share, environment.review_queue_url) == (0.0, 0.0, "")
    assert variables(templates["rollout"], "plan-rollout")["POLICY"] == "blue_green"


def test_there_is_no_account_of_reviews_and_no_alarm_about_them(nobody: Path, synthesised: Callable[[str], Path]) -> None:
    kinds = {"AWS::CloudWatch::Alarm": "AlarmName", "AWS::Lambda::Function": "FunctionName", "AWS::SQS::Queue": "QueueName"}
    for kind, name in kinds.items():
        everywhere, here = deployed(synthesised("dev"), "dev", kind, name), deployed(nobody, STAGE, kind, name)
        of_capture = {one for one in here if "write-capture" in one}  # this stage captures by the app, the other by the endpoint
        assert of_capture
        assert here - of_capture < everywhere
        assert not [one for one in here if "review" in one or "reconcile" in one]


def test_no_role_is_there_that_the_security_page_does_not_list(templates: dict[str, dict[str, Any]]) -> None:
    listed = {role for stack, role in written() if stack in STACKS}
    roles = {
        name[:-8] for template in templates.values() for name, item in template["Resources"].items() if item["Type"] == "AWS::IAM::Role"
    }
    assert "PredictionsPredictRole" in roles <= listed
    assert "ReconcileRole" not in roles
