"""Load on the deployed app: the endpoint's instances follow the calls to ``POST /predict``, by the scaling policies of its own templates.

An instance is meant for one call a minute, and a minute lasts 1.2 seconds here. So three callers are a load, and a slow one is none.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from released_app import ReleasedApp, TinyModel, deploy, in_background

from embedded_aws.tools import launcher
from stacks.application import build_app
from stacks.settings import Settings, load_settings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # longer than a test's own waits together

FEWEST, MOST = 1, 3


def settings() -> Settings:
    """The dev stage with small fleets and a small target."""
    document = load_settings(launcher.ROOT / "settings" / "dev.yaml").model_dump()
    document["hosting"] |= {
        "initial_instance_count": FEWEST,
        "fleet_shift": {"type": "ALL_AT_ONCE"},  # a canary needs two instances
        "scaling": {
            "min_instances": FEWEST,
            "max_instances": MOST,
            "invocations_per_instance_per_minute": 1,
            "scale_in_cooldown_seconds": 60,
            "scale_out_cooldown_seconds": 60,
        },
    }
    return Settings.model_validate(document)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReleasedApp]:
    folder, chosen = tmp_path_factory.mktemp("app"), settings()
    build_app(chosen, folder / "cdk.out").synth()
    with deploy(folder, assembly=folder / "cdk.out", settings=chosen) as deployed:
        deployed.release(deployed.register(TinyModel("champion-1")))
        yield deployed


@contextmanager
def callers(app: ReleasedApp, text: str, *, workers: int, pause: float) -> Iterator[None]:
    """So many callers with texts of their own, who must always be answered."""
    statuses: list[int] = []

    def call() -> None:
        statuses.append(app.predict(f"{text}, {threading.get_ident()} at {time.monotonic_ns()}").status)

    with in_background(call, workers=workers, pause=pause):
        yield
    assert set(statuses) == {200}


def load(app: ReleasedApp) -> AbstractContextManager[None]:
    """Far more calls than two instances are meant for."""
    return callers(app, "a positive text", workers=3, pause=0.25)


def slow_caller(app: ReleasedApp) -> AbstractContextManager[None]:
    """At most one call a minute. It takes longer than that, so instances are removed while one of them answers."""
    return callers(app, "[slow] text", workers=1, pause=0.1)


def seen_until(app: ReleasedApp, reached: Callable[[dict[str, int]], bool]) -> list[dict[str, int]]:
    """Look at the instances of each variant until ``reached``; every number that was seen."""
    seen, deadline = [app.counts()], time.monotonic() + 120
    while not reached(seen[-1]):
        assert time.monotonic() < deadline, f"the instances are still {seen[-1]}"
        time.sleep(0.2)
        seen.append(app.counts())
    return seen


def test_instances_are_added_under_load_and_removed_after_it(app: ReleasedApp) -> None:
    before = app.bounds(), app.weights()
    with load(app):
        seen = seen_until(app, lambda counts: counts["champion"] == MOST)
    with slow_caller(app):
        seen += seen_until(app, lambda counts: counts["champion"] == FEWEST)
        app.in_service()
    assert seen[0] == {"champion": FEWEST, "challenger": FEWEST}
    assert {counts["champion"] for counts in seen} <= {*range(FEWEST, MOST + 1)}
    assert {counts["challenger"] for counts in seen} == {FEWEST}, "nobody calls it"
    assert (app.bounds(), app.weights()) == before


def test_a_winner_keeps_the_instances_for_the_load_and_the_other_variant_loses_its_own(app: ReleasedApp) -> None:
    """Both variants score every text while they are compared, so both fleets are then of the same size."""
    better = app.register(TinyModel("better-1"))
    content = {"champion": app.running()["champion"], "challenger": better, "policy": "canary", "approval": "manual"}
    machine = app.names.arn("states", f"stateMachine:{app.names.state_machine('rollout')}")
    with load(app):
        seen_until(app, lambda counts: counts["champion"] == MOST)
        arn = app.client("stepfunctions").start_execution(stateMachineArn=machine, input=json.dumps(content))["executionArn"]
        rollout = arn.rsplit(":", 1)[1]
        app.write_pairs(rollout)
        seen_until(app, lambda counts: counts == {"champion": MOST, "challenger": MOST})
        approved = {"rollout": rollout, "approved": True, "by": "a test"}
        app.client("ssm").put_parameter(Name=app.names.parameter("rollout-control"), Value=json.dumps(approved), Overwrite=True)
        assert outcome(app, arn) == "promoted"
        assert app.running() == {"champion": better, "challenger": better}
        seen_until(app, lambda counts: counts == {"champion": MOST, "challenger": FEWEST})
    assert app.bounds() == {"champion": (FEWEST, MOST), "challenger": (FEWEST, FEWEST)}
    assert app.weights() == {"champion": 1.0, "challenger": 0.0}


def outcome(app: ReleasedApp, arn: str) -> str:
    """Wait for the end of a rollout."""
    deadline = time.monotonic() + 240
    while (ended := app.client("stepfunctions").describe_execution(executionArn=arn))["status"] == "RUNNING":
        assert time.monotonic() < deadline, "the rollout has come to no verdict"
        time.sleep(0.2)
    assert ended["status"] == "SUCCEEDED", f"{ended.get('error')}: {ended.get('cause')}"
    return str(json.loads(ended["output"])["outcome"])
