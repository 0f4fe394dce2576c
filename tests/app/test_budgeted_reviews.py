"""The daily budget, deployed: under its own role the reconciler chooses waiting texts, keeps count, and gives up what waited too long."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App
from deployed_app import DeployedApp

from embedded_aws.tools import launcher
from embedded_aws.tools.deployer import deploy
from lambdas.common.prediction_store import PredictionStore
from lambdas.common.predictions import Prediction
from lambdas.common.review import ReviewReason, ReviewRequest, ReviewState
from stacks.application import FEATURE_FLAGS
from stacks.foundation import FoundationStack
from stacks.monitoring import MonitoringStack
from stacks.settings import load_settings

pytestmark = pytest.mark.slow

DEV = load_settings(launcher.ROOT / "settings" / "dev.yaml")
SETTINGS = DEV.model_copy(update={"stage": "budgeted", "review": DEV.review.model_copy(update={"daily_budget": 100_000})})
"""So large that there are places at any time of the day but for its first second."""


def synthesise(output: Path) -> Path:
    app = App(outdir=str(output), context=FEATURE_FLAGS, analytics_reporting=False)
    for stack in (FoundationStack, MonitoringStack):
        stack(app, SETTINGS)
    app.synth()
    return output


@pytest.fixture
def app(emulator: launcher.Emulator, tmp_path: Path) -> Iterator[DeployedApp]:
    yield DeployedApp(emulator, SETTINGS, tmp_path, deploy(synthesise(tmp_path / "assembly"), emulator.url))


def waiting(store: PredictionStore, name: str, confidence: float, *, age: timedelta) -> None:
    created_at = (datetime.now(UTC) - age).isoformat(timespec="milliseconds")
    state, reason = ReviewState.WAITING, ReviewReason.LOW_CONFIDENCE.value
    assert store.put(
        Prediction(name, f"text of {name}", "neutral", confidence, 0.6, "champion", "m1", created_at, 1_900_000_000, state, reason)
    )


def test_the_reconciler_chooses_keeps_count_and_gives_up(app: DeployedApp, wait_until: Callable[..., Any]) -> None:
    queue = app.client("sqs").create_queue(QueueName=app.names.queue("review-requests"))["QueueUrl"]
    store = PredictionStore(app.client.resource("dynamodb").Table(app.names.predictions_table))
    longest = timedelta(seconds=SETTINGS.review.task_availability_seconds)
    fresh, late = ("1" * 32, "2" * 32), "3" * 32
    for name in fresh:
        waiting(store, name, 0.3, age=timedelta(minutes=5))
    waiting(store, late, 0.1, age=longest + timedelta(minutes=5))

    def run() -> dict[str, Any]:
        answer = app.client("lambda").invoke(FunctionName=app.names.function("reconcile"), Payload=b"{}")
        result: dict[str, Any] = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, result
        return result

    def states() -> list[str]:
        return [found.review_state.value for one in (*fresh, late) if (found := store.get(one)) is not None]

    # The schedule may run the function, too. So what counts is what became of the records, and not which run did it.
    wait_until(lambda: run() and states() == ["requested", "requested", "not_chosen"])
    given_up = store.get(late)
    assert given_up is not None
    assert "review.daily_budget" in (given_up.review_outcome or "")
    spent = json.loads(app.client("ssm").get_parameter(Name=app.names.parameter("review-budget"))["Parameter"]["Value"])
    assert spent["chosen"] == len(fresh)
    assert run()["chosen"] == 0
    messages = app.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    asked = [ReviewRequest.from_json(one["Body"]) for one in messages]
    assert {(one.prediction_id, one.reason) for one in asked} == {(one, ReviewReason.LOW_CONFIDENCE) for one in fresh}
    assert [line for line in app.denied() if app.names.prefix in line] == []
