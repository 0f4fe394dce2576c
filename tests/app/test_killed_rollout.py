"""Rollouts whose functions are killed half-way: each comes to its verdict by itself, and what it leaves fits together.

The gate kills every function that the rollout's state machine, its stream and its queues invoke, each once, right after a call that
differs from rollout to rollout: what the call did is done, and the function knows nothing of it.
"""

from __future__ import annotations

import json
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from killed_functions import KillingGate
from released_app import ReleasedApp, TinyModel, deploy, in_background
from typer.testing import CliRunner

from cli.exit_codes import ExitCode
from cli.main import app as command
from lambdas.common.pairs import Pairs, PairStore

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # longer than a test's own waits together

QUEUES = ("review-requests", "a2i-ended", "review-results")
OF_THE_MACHINE = ("plan-rollout", "apply-release", "check-release", "shift-weights", "judge-rollout", "finish-rollout")
OF_THE_REVIEWS = {"start-review": "POST human-loops", "a2i-ended": "SendMessage", "collect-review": "UpdateItem"}
OF_THE_TEXTS = {"score-pair": "InvokeEndpoint"}
SHADOW = {
    "plan-rollout": "ListExecutions",
    "apply-release": "PutParameter",
    "check-release": "DescribeStacks",
    "shift-weights": "RegisterScalableTarget",
    "judge-rollout": "Query",
    "finish-rollout": "GetParameter",
    "score-pair": "TransactWriteItems",
    **OF_THE_REVIEWS,
}
CANARY = {
    "plan-rollout": "DescribeModelPackage",
    "apply-release": "UpdateStack",
    "check-release": "DescribeModel",
    "shift-weights": "UpdateEndpointWeightsAndCapacities",
    "judge-rollout": "DescribeAlarms",
    "finish-rollout": "GetParameter",
    **OF_THE_TEXTS,
    **OF_THE_REVIEWS,
}
BLUE_GREEN = {
    "plan-rollout": "GetParameter",
    "apply-release": "DescribeEndpoint",
    "check-release": "DescribeEndpoint",
    "shift-weights": "DescribeEndpoint",
    "judge-rollout": "GetMetricData",
    "finish-rollout": "PutParameter",
}
"""Function -> the call after which it is killed."""
FUNCTIONS = tuple(SHADOW)
TEXTS = [f"a positive text, number {number}" + " [unsure]" * (number % 4 == 0) for number in range(4_000)]
VOTES = ["positive", "positive", "neutral"]
"""Made for this test: the same for every text."""
MADE_PAIRS = 400
MADE_LABELS = ("positive", "negative")


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, synthesised: Callable[[str], Path]) -> Iterator[ReleasedApp]:
    with deploy(tmp_path_factory.mktemp("app"), assembly=synthesised("dev")) as deployed:
        prepare(deployed)
        yield deployed


def prepare(app: ReleasedApp) -> None:
    """A champion serves, people vote, and a message that a dead function held comes back soon."""
    app.release(app.register(TinyModel("champion-1")))
    sqs = app.client("sqs")
    for queue in QUEUES:  # otherwise after six of the function's timeouts, which are minutes
        url = sqs.get_queue_url(QueueName=app.names.queue(queue))["QueueUrl"]
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "15"})
    body = json.dumps({"votes": dict.fromkeys(TEXTS, VOTES)}).encode()
    urllib.request.urlopen(f"{app.emulator.url}/_embedded/raters", body, timeout=10).close()  # noqa: S310  (the emulator on 127.0.0.1)


@pytest.fixture(scope="module")
def gate(app: ReleasedApp) -> Iterator[KillingGate]:
    guard = KillingGate(app, FUNCTIONS)
    guard.open()
    yield guard
    guard.close()


@pytest.fixture(scope="module")
def texts() -> Iterator[str]:
    return iter(TEXTS)


@contextmanager
def traffic(app: ReleasedApp, texts: Iterator[str]) -> Iterator[list[str]]:
    """One caller, who must always be answered; yields the ids of the predictions."""
    answered: list[str] = []
    statuses: list[int] = []

    def call() -> None:
        answer = app.predict(next(texts))
        statuses.append(answer.status)
        answered.append(answer.body.get("prediction_id", ""))

    with in_background(call, pause=0.4):
        yield answered
    assert set(statuses) == {200}


def start(app: ReleasedApp, challenger: TinyModel, **fields: str) -> tuple[str, str, str]:
    """Start a rollout; its execution's ARN, the champion's package and the challenger's."""
    champion, package = app.running()["champion"], app.register(challenger)
    machine = app.names.arn("states", f"stateMachine:{app.names.state_machine('rollout')}")
    content = {"champion": champion, "challenger": package, **fields}
    started = app.client("stepfunctions").start_execution(stateMachineArn=machine, input=json.dumps(content))
    return started["executionArn"], champion, package


def outcome(app: ReleasedApp, arn: str) -> dict[str, Any]:
    """Wait for the end of a rollout, and return its output."""
    deadline = time.monotonic() + 400
    while (ended := app.client("stepfunctions").describe_execution(executionArn=arn))["status"] == "RUNNING":
        assert time.monotonic() < deadline, "the rollout has come to no verdict"
        time.sleep(0.2)
    assert ended["status"] == "SUCCEEDED", f"{ended.get('error')}: {ended.get('cause')}"
    found: dict[str, Any] = json.loads(ended["output"])
    return found


def await_killed(gate: KillingGate, aims: dict[str, str]) -> None:
    """Wait until each of these functions died at its call.

    Raises:
        AssertionError: one did not within two minutes.
    """
    deadline = time.monotonic() + 120
    while not aims.items() <= gate.killed.items():
        assert time.monotonic() < deadline, (gate.killed, gate.calls)
        time.sleep(0.2)


def require_killed(app: ReleasedApp, gate: KillingGate, arn: str, aims: dict[str, str]) -> None:
    """Every function died at its call, none survived, and Step Functions saw each death of those that the machine calls."""
    await_killed(gate, aims)  # the first review may come after the verdict
    assert gate.survived == []
    pages = app.client("stepfunctions").get_paginator("get_execution_history").paginate(executionArn=arn)
    failures = [details for page in pages for event in page["events"] for details in _failure(event)]
    assert Counter(failures)["Runtime.ExitError"] == len(OF_THE_MACHINE), failures


def _failure(event: dict[str, Any]) -> list[str]:
    return [details["error"] for name in ("taskFailed", "lambdaFunctionFailed") if (details := event.get(f"{name}EventDetails"))]


def require_consistent(app: ReleasedApp, champion: str, ended: dict[str, Any]) -> None:
    """The champion serves alone, by configuration, weights, instances and records."""
    assert ended["release"] == f"{champion},{champion}"
    assert app.running() == {"champion": champion, "challenger": champion}
    weights = app.weights()
    assert weights["challenger"] == 0 < weights["champion"]
    app.in_service()
    scaling, counts = app.settings.hosting.scaling, app.counts()
    assert scaling is not None
    assert counts["challenger"] == scaling.min_instances
    assert scaling.min_instances <= counts["champion"] <= scaling.max_instances
    assert app.bounds() == {
        "champion": (scaling.min_instances, scaling.max_instances),
        "challenger": (scaling.min_instances, scaling.min_instances),
    }
    records = [app.client("ssm").get_parameter(Name=app.names.parameter(name)) for name in ("release", "experiment", "rollout-control")]
    assert [record["Parameter"]["Value"] for record in records] == [f"{champion},{champion}", "none", "none"]
    stack = app.client("cloudformation").describe_stacks(StackName=app.names.stack("endpoint"))["Stacks"][0]
    assert stack["StackStatus"] == "UPDATE_COMPLETE"


def history(app: ReleasedApp) -> list[tuple[str, str]]:
    """Id and outcome of every rollout, newest first, as a person asks for them."""
    variables = {"AWS_ENDPOINT_URL": app.emulator.url, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    told = CliRunner().invoke(command, ["release", "history", "--json"], env=variables)
    assert told.exit_code == ExitCode.DONE, told.output
    return [(one["id"], one["outcome"]) for one in json.loads(told.stdout)]


def require_accounted(app: ReleasedApp, rollout: str, answered: list[str], *, made: int = 0) -> Pairs:
    """Every answer of this rollout is stored, is paired once if it belongs to the experiment, and its review has ended if it has one.

    ``made``: pairs that the test wrote itself.
    """
    resource = app.client.resource("dynamodb")
    predictions = resource.Table(app.names.predictions_table)
    store = PairStore(resource.Table(app.names.pairs_table), predictions)
    deadline = time.monotonic() + 200
    while True:
        records = [predictions.get_item(Key={"prediction_id": prediction_id}).get("Item", {}) for prediction_id in answered]
        assert all(records), "an answered prediction is not stored"
        mine = sum(record.get("experiment") == rollout for record in records)
        pairs = store.read(rollout)
        counted = pairs.agreed + len(pairs.differ) + sum(pairs.missed.values())
        states = Counter(record["review_state"] for record in records)
        if counted == mine + made and set(states) <= {"not_required", "reviewed"}:
            break
        assert time.monotonic() < deadline, (counted, mine + made, states)
        time.sleep(0.5)
    assert {record["human_label"] for record in records if record["review_state"] == "reviewed"} <= {"positive"}
    assert states["reviewed"]
    assert [app.dead_letters(queue) for queue in (*QUEUES, "score-pair")] == [0] * (len(QUEUES) + 1)
    return pairs


def test_a_shadow_is_rolled_back_by_peoples_answers(app: ReleasedApp, gate: KillingGate, texts: Iterator[str]) -> None:
    """Only the votes are made up here: callers, the other model's answers, reviews and labels all pass through the killed functions."""
    before = history(app)
    gate.aim(SHADOW)
    with traffic(app, texts) as answered:
        arn, champion, _ = start(app, TinyModel("worse-1", wrong_share=1.0), policy="shadow")
        ended = outcome(app, arn)
    name = arn.rsplit(":", 1)[1]
    assert (ended["outcome"], "the challenger is worse" in ended["reason"]) == ("rolled_back", True), ended["reason"]
    require_killed(app, gate, arn, SHADOW)
    assert [change["challenger"] for change in ended["weights"]] == [0.0]
    require_consistent(app, champion, ended)
    assert history(app) == [(name, "rolled_back"), *before]
    pairs = require_accounted(app, name, answered)
    assert pairs.differ


def test_a_canary_is_promoted(app: ReleasedApp, gate: KillingGate, texts: Iterator[str]) -> None:
    before = history(app)
    gate.aim(CANARY)
    with traffic(app, texts) as answered:
        arn, _, challenger = start(app, TinyModel("better-1"), policy="canary")
        name = arn.rsplit(":", 1)[1]
        await_killed(gate, OF_THE_TEXTS | OF_THE_REVIEWS)  # with the pairs that follow, the verdict may come before the first call
        app.write_pairs(name, agreed=MADE_PAIRS, said=MADE_LABELS)
        ended = outcome(app, arn)
    assert ended["outcome"] == "promoted", ended["reason"]
    require_killed(app, gate, arn, CANARY)
    assert [change["challenger"] for change in ended["weights"]] == [app.settings.rollout.weight_steps[0], 0.0]
    require_consistent(app, challenger, ended)
    assert history(app) == [(name, "promoted"), *before]
    require_accounted(app, name, answered, made=MADE_PAIRS + len(MADE_LABELS))


def test_blue_green_is_promoted_after_a_persons_approval(app: ReleasedApp, gate: KillingGate, texts: Iterator[str]) -> None:
    before, refused = history(app), len(app.denied())
    gate.aim(BLUE_GREEN)
    with traffic(app, texts) as answered:
        arn, _, challenger = start(app, TinyModel("greener-1"), policy="blue_green", approval="manual")
        name = arn.rsplit(":", 1)[1]
        approved = {"rollout": name, "approved": True, "by": "a test"}
        app.client("ssm").put_parameter(Name=app.names.parameter("rollout-control"), Value=json.dumps(approved), Overwrite=True)
        ended = outcome(app, arn)
    assert (ended["outcome"], "approved by a test" in ended["reason"]) == ("promoted", True), ended["reason"]
    require_killed(app, gate, arn, BLUE_GREEN)
    assert [change["challenger"] for change in ended["weights"]] == [0.0]
    require_consistent(app, challenger, ended)
    assert history(app) == [(name, "promoted"), *before]
    require_accounted(app, name, answered)
    assert len(app.denied()) == refused
