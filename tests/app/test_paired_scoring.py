"""Paired scoring in the deployed app: from the table's stream over the other variant and people to a labelled pair, each once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from released_app import ReleasedApp, TinyModel, deploy

from embedded_aws.tools import launcher
from lambdas.common.experiment import NONE, Experiment
from lambdas.common.pairs import Pairs, PairState, PairStore
from stacks.settings import load_settings

pytestmark = pytest.mark.slow

DEV = load_settings(launcher.ROOT / "settings" / "dev.yaml")
EXPERIMENT = Experiment("rollout-1", "champion-1", "challenger-1", 0.5, datetime.now(UTC).isoformat())


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, synthesised: Callable[[str], Path]) -> Iterator[ReleasedApp]:
    with deploy(tmp_path_factory.mktemp("app"), assembly=synthesised("dev")) as deployed:
        champion = deployed.register(TinyModel("champion-1"))
        deployed.release(champion, deployed.register(TinyModel("challenger-1", wrong_share=0.5)))
        shift(deployed, 0)
        yield deployed


def shift(app: ReleasedApp, share: float) -> None:
    """The challenger's weight, as a rollout sets it."""
    sagemaker = app.client("sagemaker")
    weights = [{"VariantName": "champion", "DesiredWeight": 1 - share}, {"VariantName": "challenger", "DesiredWeight": share}]
    sagemaker.update_endpoint_weights_and_capacities(EndpointName=app.names.endpoint, DesiredWeightsAndCapacities=weights)
    sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=app.names.endpoint, WaiterConfig={"Delay": 1, "MaxAttempts": 60})


def run(app: ReleasedApp, experiment: Experiment | None) -> None:
    """Write the parameter, and return once ``predict`` knows it.

    It keeps what it has read for 30 s, so its processes end with a new configuration. One prediction of the experiment has been made then.
    """
    value = NONE if experiment is None else experiment.format()
    app.client("ssm").put_parameter(Name=app.names.parameter("experiment"), Value=value, Overwrite=True)
    functions, name = app.client("lambda"), app.names.function("predict")
    functions.update_function_configuration(FunctionName=name, Description=f"{time.time()}")
    functions.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
    wanted, deadline = None if experiment is None else experiment.id, time.monotonic() + 60
    while app.record(app.predict("first").body["prediction_id"]).get("experiment") != wanted:
        assert time.monotonic() < deadline


def pairs_of(app: ReleasedApp, experiment: Experiment) -> Pairs:
    resource = app.client.resource("dynamodb")
    return PairStore(resource.Table(app.names.pairs_table), resource.Table(app.names.predictions_table)).read(experiment.id)


def until(app: ReleasedApp, experiment: Experiment, holds: Callable[[Pairs], bool], seconds: float = 60) -> Pairs:
    deadline = time.monotonic() + seconds
    while not holds(found := pairs_of(app, experiment)):
        assert time.monotonic() < deadline, found
        time.sleep(0.2)
    return found


def total(pairs: Pairs) -> int:
    return pairs.agreed + len(pairs.differ) + sum(pairs.missed.values())


def send(app: ReleasedApp, count: int, words: str = "this is positive", **fields: Any) -> list[dict[str, Any]]:
    answers = [app.predict(f"{words} {number}", **fields) for number in range(count)]
    assert [answer.status for answer in answers] == [200] * count
    return [answer.body for answer in answers]


def answer_review(app: ReleasedApp, prediction_id: str, label: str) -> None:
    """Say that the review ended so, as a backend does it."""
    answers = [{"worker_id": f"w{number}", "label": label, "seconds": 1.0} for number in range(3)]
    message = {"review_id": f"{prediction_id}-1", "status": "completed", "ended_at": datetime.now(UTC).isoformat(), "answers": answers}
    app.client("sqs").send_message(QueueUrl=app.names.queue_url("review-results"), MessageBody=json.dumps(message))


def test_a_shadow_is_compared_with_the_champion_and_peoples_label_reaches_the_pair(app: ReleasedApp) -> None:
    """The challenger has weight 0: nobody is answered by it, and it is asked all the same."""
    experiment = replace(EXPERIMENT, id="shadow-1", share=0.0)
    run(app, experiment)
    bodies = {body["prediction_id"]: body for body in send(app, 20)}
    assert {body["variant"] for body in bodies.values()} == {"champion"}
    pairs = until(app, experiment, lambda found: total(found) == 21)
    records = {pair.prediction_id: app.record(pair.prediction_id) for pair in pairs.differ}
    asked = [name for name, record in records.items() if record["review_reason"] == "pair"]  # a few are audited anyway
    assert (pairs.missed, pairs.asked) == ({}, len(asked))
    assert pairs.agreed >= 3
    assert len(asked) >= 3
    assert {pair.variant for pair in pairs.differ} == {"champion"}
    assert all(pair.champion_label != pair.challenger_label for pair in pairs.differ)
    assert {name for name, body in bodies.items() if body["review"]["status"] == "requested"}.isdisjoint(asked)
    assert {bodies[name]["label"] for name in asked if name in bodies} == {"positive"}
    waiting = {pair.prediction_id for pair in pairs.differ}
    started = time.monotonic()
    while {app.record(name)["review_state"] for name in waiting} != {"in_review"}:
        assert time.monotonic() < started + 60
        time.sleep(0.2)
    labelled = asked[0]
    answer_review(app, labelled, "positive")
    pairs = until(app, experiment, lambda found: any(pair.human_label for pair in found.differ))
    assert {pair.prediction_id: (pair.state, pair.human_label) for pair in pairs.differ} == {
        name: (PairState.LABELLED, "positive") if name == labelled else (PairState.WAITING, None) for name in waiting
    }
    inside = app.client("sagemaker-a2i-runtime").describe_human_loop(HumanLoopName=f"{labelled}-1")
    assert inside["HumanLoopName"] == f"{labelled}-1"


def test_a_subject_keeps_its_variant_and_both_ways_of_choosing_are_counted(app: ReleasedApp) -> None:
    experiment = replace(EXPERIMENT, id="canary-1", share=0.4)
    shift(app, 0.4)
    run(app, experiment)
    by_subject = {f"customer {number}": {body["variant"] for body in send(app, 3, subject=f"customer {number}")} for number in range(8)}
    assert all(len(variants) == 1 for variants in by_subject.values())
    assert {variant for variants in by_subject.values() for variant in variants} == {"champion", "challenger"}
    send(app, 6)
    pairs = until(app, experiment, lambda found: total(found) == 31)
    assert pairs.missed == {}
    calls = {name: sum(one.calls.get(name, 0) for one in pairs.slots) for one in pairs.slots for name in one.calls}
    met = 3 * sum(variants == {"challenger"} for variants in by_subject.values())
    assert (calls["challenger_by_subject"], calls["champion_by_subject"]) == (met, 24 - met)
    assert sum(calls.values()) == 31


def test_what_comes_after_the_experiment_is_counted_and_nothing_is_paired_without_one(app: ReleasedApp) -> None:
    experiment = replace(EXPERIMENT, id="over-1", share=0.0)
    shift(app, 0)
    run(app, experiment)
    assert until(app, experiment, lambda found: total(found) == 1).missed == {}
    app.client("ssm").put_parameter(Name=app.names.parameter("experiment"), Value=NONE, Overwrite=True)
    send(app, 4)  # predict still has what it read
    assert until(app, experiment, lambda found: total(found) == 5).missed == {"late": 4}
    run(app, None)
    records = [app.record(body["prediction_id"]) for body in send(app, 2)]
    assert [record.get("experiment") for record in records] == [None, None]


def test_no_role_was_refused_anything_and_nothing_lies_among_the_dead_letters(app: ReleasedApp) -> None:
    assert app.denied() == []
    assert app.dead_letters("score-pair") == 0
