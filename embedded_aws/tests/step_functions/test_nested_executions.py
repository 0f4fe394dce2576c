"""Executions that a state machine starts and waits for."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

from embedded_aws.testing.jobs import EventQueue, Jobs
from embedded_aws.testing.state_machines import (
    RULES,
    SLEEP,
    ClientFactory,
    Machines,
    nested,
    started,
    sync,
)


def test_a_nested_executions_output_comes_parsed(machines: Machines) -> None:
    inner = machines.create({"Double": {"Type": "Pass", "Parameters": {"twice.$": "States.MathAdd($.n, $.n)"}, "End": True}})
    output = machines.output({"Call": nested(inner, {"n.$": "$.number"})}, {"number": 4})
    assert (output["Status"], output["Output"]) == ("SUCCEEDED", {"twice": 8})
    assert output["StateMachineArn"] == inner
    text = machines.output({"Call": nested(inner, {"n": 1}, suffix=".sync")})["Output"]
    assert json.loads(text) == {"twice": 2}


def test_a_repeated_start_by_name_finds_the_execution_that_runs(machines: Machines, wait_until: Callable[..., Any]) -> None:
    """API reference, StartExecution: name and input of a running execution give that one; a name that was used is refused otherwise."""
    inner = machines.create({"Pause": {"Type": "Wait", "Seconds": 100, "Next": "Done"}, "Done": {"Type": "Pass", "End": True}})
    named = {"Name.$": "States.Format('tuning-{}-{}', $.run, $$.Execution.RedriveCount)"}
    call = nested(inner, {"n": 1})
    call["Parameters"] |= named
    run = uuid.uuid4().hex
    both = [machines.start(machines.create({"Call": call}), {"run": run}) for _ in range(2)]
    outputs = [json.loads(machines.ended(execution)["output"]) for execution in both]
    assert {output["ExecutionArn"].rsplit(":", 1)[-1] for output in outputs} == {f"tuning-{run}-0"}
    assert len(machines.client.list_executions(stateMachineArn=inner)["executions"]) == 1
    late = machines.run({"Call": call}, {"run": run})
    assert late["error"] == "StepFunctions.ExecutionAlreadyExistsException"
    other = machines.start(machines.create({"Call": call}), {"run": f"{run}-2"})
    wait_until(lambda: len(machines.client.list_executions(stateMachineArn=inner)["executions"]) == 2)
    call["Parameters"]["Input"] = {"n": 2}
    assert machines.run({"Call": call}, {"run": f"{run}-2"})["error"] == "StepFunctions.ExecutionAlreadyExistsException"
    machines.client.stop_execution(executionArn=other)


def test_a_nested_failure_is_a_task_failure_that_carries_error_and_cause(machines: Machines) -> None:
    inner = machines.create({"No": {"Type": "Fail", "Error": "NoCandidate", "Cause": "all jobs failed"}})
    ended = machines.run({"Call": nested(inner, {})})
    assert (ended["status"], ended["error"]) == ("FAILED", "States.TaskFailed")
    cause = json.loads(ended["cause"])
    assert (cause["Status"], cause["Error"], cause["Cause"]) == ("FAILED", "NoCandidate", "all jobs failed")


def test_a_nested_execution_tells_its_status_like_any_other(machines: Machines, aws: ClientFactory) -> None:
    inner = machines.create({"Nothing": {"Type": "Succeed"}})
    detail = {"stateMachineArn": [inner]}
    queue = EventQueue(aws, {"source": ["aws.states"], "detail-type": ["Step Functions Execution Status Change"], "detail": detail})
    machines.output({"Call": nested(inner, {})})
    events = queue.received(lambda found: len(found) >= 2)
    assert [event["detail"]["status"] for event in events] == ["RUNNING", "SUCCEEDED"]


def test_stopping_the_outer_execution_stops_the_nested_one_and_its_job(
    machines: Machines, jobs: Jobs, wait_until: Callable[..., Any]
) -> None:
    request = jobs.training(SLEEP)
    inner = machines.create({"Train": sync("createTrainingJob", request)})
    execution = machines.start(machines.create({"Call": nested(inner, {})}))
    wait_until(lambda: started(jobs, "training", request["TrainingJobName"]))
    machines.client.stop_execution(executionArn=execution)
    assert jobs.ended("training", request["TrainingJobName"])["TrainingJobStatus"] == "Stopped"
    (child,) = machines.client.list_executions(stateMachineArn=inner)["executions"]
    assert (machines.describe(execution)["status"], child["status"]) == ("ABORTED", "ABORTED")


def test_each_action_on_nested_executions_that_the_role_lacks_is_named(machines: Machines) -> None:
    inner = machines.create({"Nothing": {"Type": "Succeed"}})
    needed = ["states:StartExecution", "states:DescribeExecution", "states:StopExecution", *RULES]
    for action in needed:
        ended = machines.run({"Call": nested(inner, {})}, allowed=[other for other in needed if other != action])
        assert f"is not authorized to perform: {action} on resource: " in ended["cause"]
    assert machines.client.list_executions(stateMachineArn=inner)["executions"] == []
