"""Functions and their exceptions, waits, choices and maps, and the payload quota."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable

import pytest
from botocore.exceptions import ClientError

from embedded_aws.testing.jobs import Jobs
from embedded_aws.testing.state_machines import (
    Machines,
    State,
    sync,
)

# -- functions, waits, choices, maps -----------------------------------------------------------------


FLAKY = """
import pathlib, tempfile

class StackBusy(RuntimeError):
    pass

def handler(event, context):
    seen = pathlib.Path(tempfile.gettempdir(), context.function_name)
    calls = len(seen.read_text()) + 1 if seen.exists() else 1
    seen.write_text("x" * calls)
    if calls <= event["failures"]:
        raise StackBusy(f"call {calls}")
    return {"calls": calls}
"""


def test_retry_and_catch_know_an_exception_by_its_class(machines: Machines, function: Callable[[str], str]) -> None:
    busy = [{"ErrorEquals": ["StackBusy"], "IntervalSeconds": 5, "MaxAttempts": 3, "BackoffRate": 1}]
    call = {"Type": "Task", "Resource": function(FLAKY), "Retry": busy, "End": True}
    assert machines.output({"Call": call}, {"failures": 2}) == {"calls": 3}
    catch = [{"ErrorEquals": ["SomethingElse"], "Next": "Wrong"}, {"ErrorEquals": ["StackBusy"], "ResultPath": "$.error", "Next": "Right"}]
    states: dict[str, State] = {
        "Call": {"Type": "Task", "Resource": function(FLAKY), "Catch": catch, "End": True},
        "Wrong": {"Type": "Fail"},
        "Right": {"Type": "Pass", "End": True},
    }
    caught = machines.output(states, {"failures": 9})["error"]
    assert caught["Error"] == "StackBusy"
    assert json.loads(caught["Cause"])["errorMessage"] == "call 1"


def test_an_uncaught_exception_fails_the_execution_by_its_class(machines: Machines, function: Callable[[str], str]) -> None:
    ended = machines.run({"Call": {"Type": "Task", "Resource": function(FLAKY), "End": True}}, {"failures": 1})
    assert (ended["status"], ended["error"]) == ("FAILED", "StackBusy")


def test_waits_are_scaled(machines: Machines) -> None:
    """A declared hour takes 72 s, so a wait of 100 s takes 2 s."""
    states = {"Pause": {"Type": "Wait", "SecondsPath": "$.seconds", "Next": "Done"}, "Done": {"Type": "Succeed"}}
    ended = machines.run(states, {"seconds": 100})
    assert ended["status"] == "SUCCEEDED"
    assert 1.9 <= (ended["stopDate"] - ended["startDate"]).total_seconds() < 60


def test_a_map_gathers_in_order_what_choices_decide(machines: Machines) -> None:
    decide = {
        "Type": "Choice",
        "Choices": [{"Variable": "$.score", "NumericGreaterThan": 0.5, "Next": "Good"}],
        "Default": "Poor",
    }
    item = {
        "StartAt": "Decide",
        "States": {
            "Decide": decide,
            "Good": {"Type": "Pass", "Parameters": {"index.$": "$.index", "verdict": "good"}, "End": True},
            "Poor": {"Type": "Pass", "Parameters": {"index.$": "$.index", "verdict": "poor"}, "End": True},
        },
    }
    each = {
        "Type": "Map",
        "ItemsPath": "$.scores",
        "ItemSelector": {"score.$": "$$.Map.Item.Value", "index.$": "$$.Map.Item.Index"},
        "ItemProcessor": item,
        "MaxConcurrency": 2,
        "End": True,
    }
    output = machines.output({"Each": each}, {"scores": [0.9, 0.1, 0.7]})
    assert [row["verdict"] for row in output] == ["good", "poor", "good"]
    assert [row["index"] for row in output] == [0, 1, 2]


def test_a_job_in_a_map_runs_for_each_item_and_one_failure_is_caught_there(machines: Machines, jobs: Jobs) -> None:
    request = jobs.processing("import os\nassert os.environ['GOOD'] == 'yes'")
    del request["ProcessingJobName"]
    catch = [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "Note"}]
    evaluate = sync("createProcessingJob", {**request, "ProcessingJobName.$": "$.name", "Environment": {"GOOD.$": "$.good"}}, Catch=catch,
                    ResultSelector={"status.$": "$.ProcessingJobStatus"})  # fmt: skip
    states = {"Evaluate": evaluate, "Note": {"Type": "Pass", "Parameters": {"status": "Failed"}, "End": True}}
    each = {"Type": "Map", "ItemsPath": "$", "ItemProcessor": {"StartAt": "Evaluate", "States": states}, "End": True}
    items = [{"name": f"item-{uuid.uuid4().hex[:8]}", "good": good} for good in ("yes", "no")]
    assert machines.output({"Each": each}, items) == [{"status": "Completed"}, {"status": "Failed"}]


# -- the payload quota -------------------------------------------------------------------------------

MOST = 262_144


def exactly(size: int) -> dict[str, str]:
    """An input of so many bytes of JSON text."""
    return {"text": "x" * (size - len(json.dumps({"text": ""})))}


@pytest.mark.parametrize(("letter", "copies"), [("x", 2), ("é", 4)])
def test_a_state_that_passes_on_more_than_the_quota_ends_the_execution(machines: Machines, letter: str, copies: int) -> None:
    """Counted in bytes of UTF-8: an é has two."""
    size = MOST // copies // len(letter.encode())
    grow = {"Grow": {"Type": "Pass", "Parameters": {"all.$": f"States.Array({', '.join(['$.text'] * copies)})"}, "End": True}}
    ended = machines.run(grow, {"text": letter * size})
    assert (ended["status"], ended["error"]) == ("FAILED", "States.DataLimitExceeded")
    assert f"exceeds the maximum of {MOST} bytes" in ended["cause"]
    assert len(machines.output(grow, {"text": letter * (size - 100)})["all"]) == copies


@pytest.mark.parametrize(("caught", "status"), [("States.ALL", "FAILED"), ("States.DataLimitExceeded", "SUCCEEDED")])
def test_a_task_with_too_large_a_result_is_caught_by_name_only(
    machines: Machines, function: Callable[[str], str], caught: str, status: str
) -> None:
    arn = function(f"def handler(event, context):\n    return 'x' * {MOST}")
    task_state = {
        "Type": "Task",
        "Resource": arn,
        "Next": "Caught",
        "Catch": [{"ErrorEquals": [caught], "ResultPath": "$.error", "Next": "Caught"}],
    }
    states: dict[str, State] = {"Call": task_state, "Caught": {"Type": "Pass", "End": True}}
    ended = machines.run(states)
    assert ended["status"] == status
    if status == "FAILED":
        assert ended["error"] == "States.DataLimitExceeded"
    else:
        assert json.loads(ended["output"])["error"]["Error"] == "States.DataLimitExceeded"


def test_an_input_above_the_quota_is_refused(machines: Machines) -> None:
    machine = machines.create({"Done": {"Type": "Succeed"}})
    assert machines.ended(machines.start(machine, exactly(MOST)))["status"] == "SUCCEEDED"
    with pytest.raises(
        ClientError, match="Value at 'input' failed to satisfy constraint: Member must have length less than or equal to 262144"
    ):
        machines.start(machine, exactly(MOST + 1))
