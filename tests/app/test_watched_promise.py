"""The watch over the review promise, deployed: the record of its bets outlives a run and the labels that were counted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aws_cdk import App
from deployed_app import DeployedApp

from contracts.review_promise import Promise, evidence
from embedded_aws.tools import launcher
from embedded_aws.tools.deployer import deploy
from lambdas.monitoring.watch_promise.bets import Bets, last_final_day
from stacks.application import FEATURE_FLAGS
from stacks.foundation import FoundationStack
from stacks.monitoring import MonitoringStack
from stacks.settings import load_settings
from stacks.settings.review import PromiseSettings

pytestmark = pytest.mark.slow

DEV = load_settings(launcher.ROOT / "settings" / "dev.yaml")
PROMISED = DEV.review.model_copy(update={"promise": PromiseSettings(max_error=0.1)})
SETTINGS = DEV.model_copy(update={"stage": "promised", "review": PROMISED})
TWO_DAYS_AGO = (True, False, True, True)
TODAY = (False, True)


def put_labels(app: DeployedApp, wrong: tuple[bool, ...], *, days_ago: int) -> list[str]:
    """Reviewed audit samples of one champion; returns their ids."""
    table = app.client.resource("dynamodb").Table(app.names.predictions_table)
    at, ids = datetime.now(UTC) - timedelta(days=days_ago), list[str]()
    for number, one in enumerate(wrong):
        ids.append(f"{days_ago:016x}{number:016x}")
        table.put_item(
            Item={
                "prediction_id": ids[-1], "text": "a text", "created_at": at.isoformat(), "expires_at": 1_900_000_000, "attempt": 1,
                "review_state": "reviewed", "review_reason": "audit_sample", "variant": "champion", "model_version": "m1",
                "label": "negative", "human_label": "positive" if one else "negative", "label_day": at.date().isoformat(),
                "reviewed_at": (at + timedelta(microseconds=number)).isoformat(),
            }
        )  # fmt: skip
    return ids


def synthesise(output: Path, stack: type[FoundationStack] | type[MonitoringStack]) -> Path:
    app = App(outdir=str(output), context=FEATURE_FLAGS, analytics_reporting=False)
    stack(app, SETTINGS)
    app.synth()
    return output


@pytest.fixture
def app(emulator: launcher.Emulator, tmp_path: Path) -> Iterator[DeployedApp]:
    """The labels are there before the function is, because its schedule runs it at any moment."""
    app = DeployedApp(emulator, SETTINGS, tmp_path, deploy(synthesise(tmp_path / "foundation", FoundationStack), emulator.url))
    put_labels(app, TODAY, days_ago=0)
    yield app


def record(app: DeployedApp) -> tuple[str, int]:
    """The record, and how often it was written."""
    found = app.client("ssm").get_parameter(Name=app.names.parameter("promise-bets"))["Parameter"]
    return found["Value"], found["Version"]


def run(app: DeployedApp) -> dict[str, Any]:
    answer = app.client("lambda").invoke(FunctionName=app.names.function("watch-promise"), Payload=b"{}")
    result: dict[str, Any] = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, result
    return result


def test_what_was_counted_outlives_the_run_and_the_labels(app: DeployedApp, emulator: launcher.Emulator, tmp_path: Path) -> None:
    counted, promise = put_labels(app, TWO_DAYS_AGO, days_ago=2), Promise(0.1)
    assert record(app) == ("none", 1)
    deploy(synthesise(tmp_path / "monitoring", MonitoringStack), emulator.url)
    every = evidence(TWO_DAYS_AGO + TODAY, promise)
    told = {"status": "watched", "model_version": "m1", "labels": 6, "wrong": 4, "strength": every.strength, "refuted_after": 4}
    assert (run(app), every.refuted_after) == (told, 4)
    written = record(app)
    bets = Bets.parse(written[0])
    assert bets is not None
    assert bets.day == last_final_day(datetime.now(UTC))
    assert dict(bets.of) == {"m1": evidence(TWO_DAYS_AGO, promise)}

    table = app.client.resource("dynamodb").Table(app.names.predictions_table)
    for prediction_id in counted:
        table.delete_item(Key={"prediction_id": prediction_id})
    assert run(app) == told
    assert record(app) == written
    assert [line for line in app.denied() if app.names.prefix in line] == []
