"""RedriveExecution: an execution goes on from what did not succeed, and repeats nothing that did."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from embedded_aws.testing.fixtures import ClientFactory, RoleFactory
from embedded_aws.testing.state_machines import Machines, State

GET, PUT = ("arn:aws:states:::aws-sdk:ssm:getParameter", "arn:aws:states:::aws-sdk:ssm:putParameter")
ALLOWED = ["ssm:*"]


@pytest.fixture(scope="module")
def machines(aws: ClientFactory, make_role: RoleFactory) -> Machines:
    return Machines(aws, make_role)


class Parameters:
    """Tasks that write a parameter, whose version counts how often they ran, and tasks that fail until theirs exists."""

    def __init__(self, aws: ClientFactory) -> None:
        self._ssm, self._stem = aws("ssm"), f"/redrive/{uuid.uuid4().hex[:8]}"

    def write(self, name: str, **more: Any) -> State:
        parameters = {"Name": f"{self._stem}/{name}", "Value": "x", "Type": "String", "Overwrite": True}
        return {"Type": "Task", "Resource": PUT, "Parameters": parameters, "ResultPath": "$.written", **more}

    def need(self, name: str, **more: Any) -> State:
        parameters = {"Name": f"{self._stem}/{name}"}
        return {"Type": "Task", "Resource": GET, "Parameters": parameters, "ResultPath": "$.found", **more}

    def need_item(self, **more: Any) -> State:
        parameters = {"Name.$": f"States.Format('{self._stem}/{{}}', $.item)"}
        return {"Type": "Task", "Resource": GET, "Parameters": parameters, "ResultPath": "$.found", **more}

    def write_item(self, **more: Any) -> State:
        name = {"Name.$": f"States.Format('{self._stem}/ran-{{}}', $.item)"}
        parameters = {**name, "Value": "x", "Type": "String", "Overwrite": True}
        return {"Type": "Task", "Resource": PUT, "Parameters": parameters, "ResultPath": "$.written", **more}

    def provide(self, name: str) -> None:
        self._ssm.put_parameter(Name=f"{self._stem}/{name}", Value="y", Type="String")

    def runs(self, name: str) -> int:
        return int(self._ssm.get_parameter(Name=f"{self._stem}/{name}")["Parameter"]["Version"])


@pytest.fixture
def parameters(aws: ClientFactory) -> Parameters:
    return Parameters(aws)


def redrive(machines: Machines, execution: str, **more: Any) -> dict[str, Any]:
    assert machines.client.redrive_execution(executionArn=execution, **more)["redriveDate"]
    return machines.ended(execution)


def test_a_failed_execution_goes_on_from_its_failed_state(machines: Machines, parameters: Parameters) -> None:
    states = {
        "Write": parameters.write("first", Next="Need"),
        "Need": parameters.need("missing", Next="Last"),
        "Last": parameters.write("last", End=True),
    }
    machine = machines.create(states, allowed=ALLOWED)
    execution = machines.start(machine, {"given": 1})
    failed = machines.ended(execution)
    assert (failed["status"], failed["redriveCount"], failed["redriveStatus"]) == ("FAILED", 0, "REDRIVABLE")

    again = redrive(machines, execution)
    assert (again["status"], again["redriveCount"], again["redriveStatus"]) == ("FAILED", 1, "REDRIVABLE")
    parameters.provide("missing")
    done = redrive(machines, execution)
    assert (done["status"], done["redriveCount"], done["redriveStatus"]) == ("SUCCEEDED", 2, "NOT_REDRIVABLE")
    assert done["redriveStatusReason"] == "Execution is SUCCEEDED and cannot be redriven"
    assert done["redriveDate"] >= done["startDate"]
    assert not {"error", "cause"} & done.keys()
    output = json.loads(done["output"])
    assert (output["given"], output["found"]["Parameter"]["Value"]) == (1, "y")
    assert (parameters.runs("first"), parameters.runs("last")) == (1, 1)

    history = machines.client.get_execution_history(executionArn=execution, includeExecutionData=True)["events"]
    kinds = [event["type"] for event in history]
    assert [event["id"] for event in history] == list(range(1, len(history) + 1))
    assert kinds.count("TaskStateEntered") == 3
    assert [event["executionRedrivenEventDetails"]["redriveCount"] for event in history if event["type"] == "ExecutionRedriven"] == [1, 2]
    assert json.loads(history[-1]["executionSucceededEventDetails"]["output"]) == output
    listed = machines.client.list_executions(stateMachineArn=machine, redriveFilter="REDRIVEN")["executions"]
    assert [row["redriveCount"] for row in listed] == [2]
    assert machines.client.list_executions(stateMachineArn=machine, redriveFilter="NOT_REDRIVEN")["executions"] == []


def test_the_definition_and_the_redrive_count_are_those_of_the_execution(machines: Machines, parameters: Parameters) -> None:
    told = {"Type": "Pass", "Parameters": {"redrives.$": "$$.Execution.RedriveCount", "input.$": "$$.Execution.Input"}, "End": True}
    machine = machines.create({"Need": parameters.need("missing", Next="Tell"), "Tell": told}, allowed=ALLOWED)
    execution = machines.start(machine, {"given": 1})
    machines.ended(execution)
    other = {"StartAt": "Need", "States": {"Need": {"Type": "Pass", "Result": "of another definition", "End": True}}}
    machines.client.update_state_machine(stateMachineArn=machine, definition=json.dumps(other))
    parameters.provide("missing")
    assert json.loads(redrive(machines, execution)["output"]) == {"redrives": 1, "input": {"given": 1}}


def test_only_the_branches_that_failed_run_again_and_from_where_they_failed(machines: Machines, parameters: Parameters) -> None:
    good = {"StartAt": "A", "States": {"A": parameters.write("good", End=True)}}
    inner = {"StartAt": "D", "States": {"D": parameters.write("inner", Next="E"), "E": parameters.need("missing", End=True)}}
    nested = {"Type": "Parallel", "Branches": [inner, {"StartAt": "F", "States": {"F": parameters.write("beside", End=True)}}], "End": True}
    bad = {"StartAt": "B", "States": {"B": parameters.write("bad", Next="C"), "C": nested}}
    states = {"Before": parameters.write("before", Next="Both"), "Both": {"Type": "Parallel", "Branches": [good, bad], "End": True}}
    execution = machines.start(machines.create(states, allowed=ALLOWED))
    assert machines.ended(execution)["status"] == "FAILED"
    parameters.provide("missing")
    done = redrive(machines, execution)
    assert done["status"] == "SUCCEEDED", done
    first, second = json.loads(done["output"])
    assert first["written"]["Version"] == 1
    assert [branch.keys() for branch in second] == [{"written", "found"}, {"written"}]
    assert {name: parameters.runs(name) for name in ("before", "good", "bad", "inner", "beside")} == dict.fromkeys(
        ("before", "good", "bad", "inner", "beside"), 1
    )


def test_only_the_iterations_of_a_map_that_failed_run_again(machines: Machines, parameters: Parameters) -> None:
    parameters.provide("a")
    iterator = {"StartAt": "Write", "States": {"Write": parameters.write_item(Next="Need"), "Need": parameters.need_item(End=True)}}
    mapped = {
        "Type": "Map",
        "ItemsPath": "$.items",
        "ItemProcessor": iterator,
        "Next": "Again",
        "ItemSelector": {"item.$": "$$.Map.Item.Value"},
    }
    again = {**mapped, "ItemsPath": "$[*].item"}
    del again["Next"]
    states = {"Each": mapped, "Again": {**again, "End": True}}
    execution = machines.start(machines.create(states, allowed=ALLOWED), {"items": ["a", "b"]})
    assert machines.ended(execution)["status"] == "FAILED"
    assert (parameters.runs("ran-a"), parameters.runs("ran-b")) == (1, 1)
    parameters.provide("b")
    done = redrive(machines, execution)
    assert done["status"] == "SUCCEEDED", done
    assert [item["item"] for item in json.loads(done["output"])] == ["a", "b"]
    assert (parameters.runs("ran-a"), parameters.runs("ran-b")) == (2, 2), "once in each of the two maps"


def test_a_stopped_execution_goes_on_and_what_the_first_attempt_still_does_is_not_its_own(
    machines: Machines, parameters: Parameters
) -> None:
    wait = {"Type": "Wait", "Seconds": 100, "Next": "Last"}
    machine = machines.create(
        {"First": parameters.write("first", Next="Wait"), "Wait": wait, "Last": parameters.write("last", End=True)}, allowed=ALLOWED
    )
    execution = machines.start(machine)
    while not machines.events(execution, "WaitStateEntered"):
        pass
    with pytest.raises(ClientError, match="Execution is RUNNING and cannot be redriven"):
        machines.client.redrive_execution(executionArn=execution)
    machines.client.stop_execution(executionArn=execution, error="Operator", cause="by hand")
    done = redrive(machines, execution)
    assert (done["status"], done["redriveCount"]) == ("SUCCEEDED", 1)
    assert (parameters.runs("first"), parameters.runs("last")) == (1, 1)


def test_a_timed_out_execution_gets_its_time_again(machines: Machines, parameters: Parameters) -> None:
    wait = {"Type": "Wait", "SecondsPath": "$.seconds", "Next": "Need"}
    machine = machines.create({"Wait": wait, "Need": parameters.need("missing", End=True)}, allowed=ALLOWED, TimeoutSeconds=1)
    execution = machines.start(machine, {"seconds": 75})
    assert machines.ended(execution)["status"] == "TIMED_OUT"
    parameters.provide("missing")
    assert redrive(machines, execution)["status"] == "TIMED_OUT"


def test_a_client_token_redrives_once(machines: Machines, parameters: Parameters) -> None:
    execution = machines.start(machines.create({"Need": parameters.need("missing", End=True)}, allowed=ALLOWED))
    machines.ended(execution)
    redrive(machines, execution, clientToken="one")
    assert redrive(machines, execution, clientToken="one")["redriveCount"] == 1
    assert redrive(machines, execution, clientToken="two")["redriveCount"] == 2


def test_what_does_not_exist_or_is_not_allowed_is_refused(
    aws: ClientFactory, machines: Machines, parameters: Parameters, make_role: RoleFactory, assume: Callable[[str], dict[str, Any]]
) -> None:
    execution = machines.start(machines.create({"Need": parameters.need("missing", End=True)}, allowed=ALLOWED))
    machines.ended(execution)
    with pytest.raises(machines.client.exceptions.ExecutionDoesNotExist):
        machines.client.redrive_execution(executionArn=f"{execution}-other")
    name = f"redriver-{uuid.uuid4().hex[:8]}"
    grant = {"Effect": "Allow", "Action": "states:RedriveExecution", "Resource": f"{execution}-other"}
    with pytest.raises(ClientError, match="states:RedriveExecution"):
        aws("stepfunctions", assume(make_role(name, [grant]))).redrive_execution(executionArn=execution)
    allowed = make_role(f"{name}-allowed", [{**grant, "Resource": execution}])
    assert aws("stepfunctions", assume(allowed)).redrive_execution(executionArn=execution)["redriveDate"]
