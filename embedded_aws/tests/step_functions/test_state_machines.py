"""Step Functions in the embedded AWS: SageMaker jobs waited for, roles asked, stops and timeouts.

Labelling jobs run to their end in test_review_loop; here are their grants and refusals.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError

from embedded_aws.testing import jobs as job_setup
from embedded_aws.testing.jobs import EventQueue, Jobs
from embedded_aws.testing.state_machines import (
    ACCOUNT,
    REGION,
    RULES,
    SLEEP,
    ClientFactory,
    Machines,
    started,
    sync,
    task,
    tuning,
)

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

AGAIN = [{"ErrorEquals": ["States.ALL"], "MaxAttempts": 5, "IntervalSeconds": 1}]


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
