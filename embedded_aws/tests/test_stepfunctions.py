"""Step Functions in the embedded AWS: SageMaker jobs and nested executions waited for, roles asked, stops, timeouts, errors by name.

Labelling jobs run to their end in test_review_loop; here are their grants and refusals.
"""

from __future__ import annotations

import io
import json
import re
import time
import uuid
import zipfile
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError

from embedded_aws.testing import jobs as job_setup
from embedded_aws.testing.jobs import EventQueue, Jobs

ClientFactory = Callable[..., Any]
REGION, ACCOUNT = "us-east-1", "000000000000"
State = dict[str, Any]
RULES = ["events:PutRule", "events:PutTargets", "events:DescribeRule"]
EVERYTHING = ["sagemaker:*", "iam:PassRole", *RULES, "lambda:InvokeFunction", "states:*"]


class Machines:
    """State machines with roles of their own; ``run`` waits for the end."""

    def __init__(self, aws: ClientFactory, make_role: Callable[..., str]) -> None:
        self.client, self._make_role = aws("stepfunctions"), make_role

    def create(self, states: dict[str, State], *, allowed: Sequence[str] = EVERYTHING, **top: Any) -> str:
        """States by name, the first one starts; a state without Next, End or a Type of its own kind of end is the last."""
        name = f"machine-{uuid.uuid4().hex[:8]}"
        statement = [{"Effect": "Allow", "Action": list(allowed), "Resource": "*"}] if allowed else []
        role = self._make_role(f"{name}-role", statement, ["states.amazonaws.com"])
        definition = {"StartAt": next(iter(states)), "States": states, **top}
        return str(self.client.create_state_machine(name=name, definition=json.dumps(definition), roleArn=role)["stateMachineArn"])

    def start(self, machine: str, content: Any = None) -> str:
        return str(self.client.start_execution(stateMachineArn=machine, input=json.dumps(content or {}))["executionArn"])

    def describe(self, execution: str) -> dict[str, Any]:
        described: dict[str, Any] = self.client.describe_execution(executionArn=execution)
        return described

    def ended(self, execution: str, seconds: float = 60) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while (described := self.describe(execution))["status"] == "RUNNING":
            assert time.monotonic() < deadline, f"{execution} still runs"
            time.sleep(0.05)
        return described

    def run(self, states: dict[str, State], content: Any = None, **more: Any) -> dict[str, Any]:
        return self.ended(self.start(self.create(states, **more), content))

    def output(self, states: dict[str, State], content: Any = None, **more: Any) -> Any:
        ended = self.run(states, content, **more)
        assert ended["status"] == "SUCCEEDED", (ended.get("error"), ended.get("cause"))
        return json.loads(ended["output"])

    def events(self, execution: str, kind: str) -> list[dict[str, Any]]:
        pages = self.client.get_paginator("get_execution_history").paginate(executionArn=execution)
        return [event for page in pages for event in page["events"] if event["type"] == kind]


def task(resource: str, parameters: dict[str, Any], **more: Any) -> State:
    return {"Type": "Task", "Resource": resource, "Parameters": parameters, "End": True, **more}


def sync(operation: str, parameters: dict[str, Any], **more: Any) -> State:
    return task(f"arn:aws:states:::sagemaker:{operation}.sync", parameters, **more)


def tuning(jobs: Jobs, script: str, /, **more: Any) -> dict[str, Any]:
    """A tuning request as Step Functions takes it: without the seed, which is newer than its model."""
    request = jobs.tuning(script, **more)
    del request["HyperParameterTuningJobConfig"]["RandomSeed"]
    return request


@pytest.fixture(scope="module")
def machines(aws: ClientFactory, make_role: Callable[..., str]) -> Machines:
    return Machines(aws, make_role)


@pytest.fixture(scope="module")
def jobs(aws: ClientFactory, make_role: Callable[..., str]) -> Jobs:
    return job_setup.prepare(aws, make_role, "machine-tests")


# -- jobs ------------------------------------------------------------------------------------------


def test_a_job_is_waited_for_and_its_description_is_the_output(machines: Machines, jobs: Jobs) -> None:
    request = jobs.training("print('score=0.5')")
    del request["TrainingJobName"]
    state = sync("createTrainingJob", {**request, "TrainingJobName.$": "$.name"}, ResultPath="$.job")
    name = f"by-machine-{uuid.uuid4().hex[:8]}"
    output = machines.output({"Train": state}, {"name": name})
    assert output["name"] == name
    assert (output["job"]["TrainingJobStatus"], output["job"]["TrainingJobName"]) == ("Completed", name)
    assert output["job"]["FinalMetricDataList"][0]["Value"] == 0.5


def test_tuning_and_processing_jobs_are_waited_for(machines: Machines, jobs: Jobs) -> None:
    tune = {**sync("createHyperParameterTuningJob", tuning(jobs, "print('score=0.5')", jobs=1), ResultPath="$.tuning"), "Next": "Process"}
    del tune["End"]
    output = machines.output({"Tune": tune, "Process": sync("createProcessingJob", jobs.processing("pass"), ResultPath="$.processing")})
    assert output["tuning"]["BestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] == 0.5
    assert output["processing"]["ProcessingJobStatus"] == "Completed"


def test_without_sync_only_the_answer_of_the_call_comes(machines: Machines, jobs: Jobs) -> None:
    request = jobs.training("import time\ntime.sleep(60)")
    output = machines.output({"Train": task("arn:aws:states:::sagemaker:createTrainingJob", request)})
    assert output.keys() == {"TrainingJobArn"}
    jobs.stop("training", request["TrainingJobName"])


def test_a_failed_job_is_a_task_failure_that_can_be_caught(machines: Machines, jobs: Jobs) -> None:
    request = jobs.training("raise ValueError('bad layers')")
    caught = {"Type": "Pass", "Parameters": {"error.$": "$.error.Error", "job.$": "States.StringToJson($.error.Cause)"}, "End": True}
    state = sync("createTrainingJob", request, Catch=[{"ErrorEquals": ["States.TaskFailed"], "ResultPath": "$.error", "Next": "Caught"}])
    output = machines.output({"Train": state, "Caught": caught})
    assert output["error"] == "States.TaskFailed"
    assert (output["job"]["TrainingJobStatus"], output["job"]["TrainingJobName"]) == ("Failed", request["TrainingJobName"])
    assert "bad layers" in output["job"]["FailureReason"]


def test_a_refused_request_is_the_services_exception(machines: Machines, jobs: Jobs) -> None:
    used = jobs.run("training", jobs.training("pass"))["TrainingJobName"]
    for request, error, cause in (
        (jobs.training("pass", RoleArn=f"arn:aws:iam::{ACCOUNT}:role/nowhere"), "AmazonSageMakerException", "ValidationException"),
        (jobs.training("pass", TrainingJobName=used), "ResourceInUseException", "must be unique"),
    ):
        ended = machines.run({"Train": sync("createTrainingJob", request)})
        assert (ended["status"], ended["error"]) == ("FAILED", f"SageMaker.{error}")
        assert cause in ended["cause"]


@pytest.mark.parametrize("path", ["HyperParameterTuningJobConfig.RandomSeed", "TrainingJobDefinition.RetryStrategy"])
def test_a_field_that_the_integration_does_not_know_stops_the_machine_when_it_is_made(machines: Machines, jobs: Jobs, path: str) -> None:
    """Source of the text: aws-step-functions-data-science-sdk-python, issue 200."""
    request = tuning(jobs, "pass")
    part, field = path.split(".")
    request[part][field] = {"MaximumRetryAttempts": 1} if field == "RetryStrategy" else 7
    expected = f'SCHEMA_VALIDATION_FAILED: The field "{field}" is not supported by Step Functions at /States/Tune/Parameters'
    states = {"Tune": sync("createHyperParameterTuningJob", request)}
    with pytest.raises(ClientError, match=expected) as refused:
        machines.create(states)
    assert refused.value.response["Error"]["Code"] == "InvalidDefinition"
    existing = machines.create({"Nothing": {"Type": "Succeed"}})
    definition = json.dumps({"StartAt": "Tune", "States": states})
    with pytest.raises(ClientError, match=expected):
        machines.client.update_state_machine(stateMachineArn=existing, definition=definition)
    answer = machines.client.validate_state_machine_definition(definition=definition)
    assert (answer["result"], answer["diagnostics"][0]["code"]) == ("FAIL", "SCHEMA_VALIDATION_FAILED")
    assert field in answer["diagnostics"][0]["message"]


def test_a_field_that_comes_from_the_input_is_refused_when_the_task_starts(machines: Machines, jobs: Jobs) -> None:
    """Source of the text: aws-step-functions-data-science-sdk-python, issue 15."""
    request = tuning(jobs, "pass")
    config = request.pop("HyperParameterTuningJobConfig")
    state = sync("createHyperParameterTuningJob", {**request, "HyperParameterTuningJobConfig.$": "$.config"})
    ended = machines.run({"Tune": state}, {"config": {**config, "RandomSeed": 7}})
    assert (ended["status"], ended["error"]) == ("FAILED", "States.Runtime")
    assert ended["cause"].endswith('could not be used to start the Task: [The field "RandomSeed" is not supported by Step Functions]')
    with pytest.raises(ClientError, match="Could not find"):
        jobs.describe("tuning", request["HyperParameterTuningJobName"])


# -- the machine's role ----------------------------------------------------------------------------

LABELING: dict[str, Any] = {
    "LabelingJobName": "labeling-of-a-machine",
    "LabelAttributeName": "label",
    "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/labeling",
}


@pytest.mark.parametrize(
    ("job", "resource", "word"),
    [
        ("TrainingJob", "training-job", "Training"),
        ("HyperParameterTuningJob", "hyper-parameter-tuning-job", "Tuning"),
        ("ProcessingJob", "processing-job", "Processing"),
        ("LabelingJob", "labeling-job", "Labeling"),
    ],
)
def test_each_action_that_the_role_lacks_is_named(machines: Machines, jobs: Jobs, job: str, resource: str, word: str) -> None:
    request = {
        "TrainingJob": jobs.training("pass"), "HyperParameterTuningJob": tuning(jobs, "pass"), "ProcessingJob": jobs.processing("pass"),
        "LabelingJob": LABELING,
    }[job]  # fmt: skip
    arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:{resource}/{request[f'{job}Name']}"
    rule = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/StepFunctionsGetEventsForSageMaker{word}JobsRule"
    passed = LABELING["RoleArn"] if job == "LabelingJob" else jobs.role_arn
    needed = {f"sagemaker:{verb}{job}": arn for verb in ("Create", "Describe", "Stop")} | {"sagemaker:AddTags": arn, "iam:PassRole": passed}
    needed |= dict.fromkeys(RULES, rule)
    running = {}
    for action in needed:
        machine = machines.create({"Job": sync(f"create{job}", request)}, allowed=[other for other in needed if other != action])
        running[action] = (machine.rsplit(":", 1)[-1], machines.start(machine))
    for action, (name, execution) in running.items():
        ended = machines.ended(execution)
        principal = f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}-role/states"
        assert (ended["status"], ended["error"]) == ("FAILED", "SageMaker.AmazonSageMakerException")
        assert ended["cause"].startswith(f"User: {principal} is not authorized to perform: {action} on resource: {needed[action]} ")
    noun = re.sub("([A-Z])", r"_\1", job).lower()
    with pytest.raises(ClientError, match=r"Could not find|does not exist|not found"):
        getattr(jobs.sagemaker, f"describe{noun}")(**{f"{job}Name": request[f"{job}Name"]})


def test_a_function_that_the_role_may_not_invoke_fails_the_task(machines: Machines, function: Callable[[str], str]) -> None:
    arn = function("def handler(event, context):\n    return 1")
    ended = machines.run({"Call": {"Type": "Task", "Resource": arn, "End": True}}, allowed=["states:*"])
    assert (ended["status"], ended["error"]) == ("FAILED", "Lambda.AWSLambdaException")
    assert f"is not authorized to perform: lambda:InvokeFunction on resource: {arn}" in ended["cause"]


@pytest.mark.parametrize(
    ("integration", "parameters", "needed"),
    [
        ("aws-sdk:sfn:describeStateMachine", {"StateMachineArn": "MACHINE"}, "states:DescribeStateMachine"),
        ("aws-sdk:eventbridge:listRules", {}, "events:ListRules"),
        ("aws-sdk:cloudwatchlogs:describeLogGroups", {}, "logs:DescribeLogGroups"),
        ("aws-sdk:cloudwatch:describeAlarms", {}, "cloudwatch:DescribeAlarms"),
        ("aws-sdk:sagemaker:listModels", {}, "sagemaker:ListModels"),
    ],
)
def test_an_sdk_call_takes_the_action_of_the_services_iam_name(
    machines: Machines, integration: str, parameters: dict[str, str], needed: str
) -> None:
    other = machines.create({"Nothing": {"Type": "Succeed"}})
    given = {key: value.replace("MACHINE", other) for key, value in parameters.items()}
    states = {"Call": task(f"arn:aws:states:::{integration}", given)}
    denied = machines.run(states, allowed=["iam:PassRole"])
    resource = other if parameters else "*"
    assert f"is not authorized to perform: {needed} on resource: {resource} " in denied["cause"], denied["cause"]
    machines.output(states, allowed=[needed])


@pytest.mark.parametrize(
    "integration",
    ["dynamodb:putItem", "sns:publish", "sqs:sendMessage.waitForTaskToken", "events:putEvents", "sagemaker:createEndpoint",
     "sagemaker:createTransformJob.sync", "aws-sdk:s3:getObject", "aws-sdk:dynamodb:putItem"],
)  # fmt: skip
def test_an_integration_whose_permissions_are_not_known_is_not_run(machines: Machines, integration: str) -> None:
    ended = machines.run({"Call": task(f"arn:aws:states:::{integration}", {})}, allowed=["*"])
    assert (ended["status"], ended["error"]) == ("FAILED", "States.Runtime")
    assert f"does not know which permissions arn:aws:states:::{integration.removesuffix('.waitForTaskToken')} takes" in ended["cause"]


def test_a_call_back_is_asked_for_like_any_other_task(machines: Machines, function: Callable[[str], str]) -> None:
    arn = function("def handler(event, context):\n    return 1")
    state = task("arn:aws:states:::lambda:invoke.waitForTaskToken", {"FunctionName": arn, "Payload": {}})
    ended = machines.run({"Call": state}, allowed=["states:*"])
    assert f"is not authorized to perform: lambda:InvokeFunction on resource: {arn}" in ended["cause"]


# -- stops and timeouts ------------------------------------------------------------------------------

SLEEP = "import time\ntime.sleep(60)"
AGAIN = [{"ErrorEquals": ["States.ALL"], "MaxAttempts": 5, "IntervalSeconds": 1}]


def started(jobs: Jobs, kind: str, name: str) -> bool:
    noun, member, status = job_setup.KINDS[kind]
    found = getattr(jobs.sagemaker, f"list_{noun}s")(NameContains=name)
    rows = next(rows for rows in found.values() if isinstance(rows, list))
    return [(row[member], row[status]) for row in rows] == [(name, "InProgress")]


@pytest.mark.parametrize("kind", ["training", "tuning", "processing"])
def test_stopping_the_execution_stops_the_job_and_nothing_is_tried_again(
    machines: Machines, jobs: Jobs, wait_until: Callable[..., Any], kind: str
) -> None:
    make = {"training": jobs.training, "tuning": partial(tuning, jobs), "processing": jobs.processing}[kind]
    request = make(SLEEP)
    operation = {"training": "createTrainingJob", "tuning": "createHyperParameterTuningJob", "processing": "createProcessingJob"}[kind]
    caught = [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]
    states = {"Job": sync(operation, request, Retry=AGAIN, Catch=caught), "Caught": {"Type": "Succeed"}}
    execution, name = machines.start(machines.create(states)), request[job_setup.KINDS[kind][1]]
    wait_until(lambda: started(jobs, kind, name))
    machines.client.stop_execution(executionArn=execution, error="Changed", cause="my mind")
    assert jobs.ended(kind, name)[job_setup.KINDS[kind][2]] == "Stopped"
    time.sleep(0.5)
    described = machines.describe(execution)
    assert (described["status"], described["error"], described["cause"]) == ("ABORTED", "Changed", "my mind")
    assert len(machines.events(execution, "TaskScheduled")) == 1


def test_a_task_that_takes_too_long_is_a_timeout_and_its_job_is_stopped(
    machines: Machines, jobs: Jobs, wait_until: Callable[..., Any]
) -> None:
    request = jobs.training(SLEEP)
    ended = machines.run({"Train": sync("createTrainingJob", request, TimeoutSeconds=2)})
    assert (ended["status"], ended["error"]) == ("FAILED", "States.Timeout")
    wait_until(lambda: jobs.sagemaker.list_training_jobs(NameContains=request["TrainingJobName"])["TrainingJobSummaries"])
    assert jobs.ended("training", request["TrainingJobName"])["TrainingJobStatus"] == "Stopped"


def test_a_machine_that_takes_too_long_times_out_and_its_job_is_stopped(
    machines: Machines, jobs: Jobs, aws: ClientFactory, wait_until: Callable[..., Any]
) -> None:
    request = jobs.training(SLEEP)
    machine = machines.create({"Train": sync("createTrainingJob", request)}, TimeoutSeconds=2)
    detail = {"stateMachineArn": [machine], "status": ["TIMED_OUT"]}
    queue = EventQueue(aws, {"source": ["aws.states"], "detail-type": ["Step Functions Execution Status Change"], "detail": detail})
    execution = machines.start(machine)
    assert machines.ended(execution)["status"] == "TIMED_OUT"
    wait_until(lambda: jobs.sagemaker.list_training_jobs(NameContains=request["TrainingJobName"])["TrainingJobSummaries"])
    assert jobs.ended("training", request["TrainingJobName"])["TrainingJobStatus"] == "Stopped"
    (event,) = queue.received(lambda found: len(found) >= 1)
    assert event["detail"]["executionArn"] == execution
    assert machines.describe(execution)["status"] == "TIMED_OUT"


# -- nested executions -------------------------------------------------------------------------------


def nested(machine: str, content: Any, suffix: str = ".sync:2", **more: Any) -> State:
    return task(f"arn:aws:states:::states:startExecution{suffix}", {"StateMachineArn": machine, "Input": content}, **more)


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


# -- functions, waits, choices, maps -----------------------------------------------------------------


@pytest.fixture(scope="module")
def function(aws: ClientFactory, make_role: Callable[..., str]) -> Callable[[str], str]:
    """``function(code)`` -> the ARN of a deployed Lambda function."""
    role = make_role("machine-functions", [{"Effect": "Allow", "Action": "logs:*", "Resource": "*"}], ["lambda.amazonaws.com"])

    def deploy(code: str) -> str:
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("index.py", code)
        asked = {"Runtime": "python3.11", "Handler": "index.handler", "Role": role, "Code": {"ZipFile": archive.getvalue()}}
        name = f"function-{uuid.uuid4().hex[:8]}"
        return str(aws("lambda").create_function(FunctionName=name, **asked)["FunctionArn"])

    return deploy


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
