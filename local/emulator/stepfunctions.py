"""Step Functions: SageMaker integrations (``.sync`` and request-response), and the state machine's role really checked.

Stock ministack has no SageMaker integration and never asks what a state machine's role allows. Hooks:
``stepfunctions._invoke_resource`` (every task goes through it, parameters resolved) and ``_execute_task`` (knows the execution).
"""

from __future__ import annotations

import contextvars
import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

from ministack import app
from ministack.core import iam_evaluator, responses
from ministack.services import stepfunctions

from local.emulator import api, iam
from local.emulator.api import ApiError
from local.emulator.clock import TIME_SCALE

POLL_SECONDS = 0.2
# Job type -> (name field, status field, ARN's resource type, where the passed role is, managed rule's word)
JOBS = {
    "TrainingJob": ("TrainingJobName", "TrainingJobStatus", "training-job", ("RoleArn",), "Training"),
    "HyperParameterTuningJob": (
        "HyperParameterTuningJobName",
        "HyperParameterTuningJobStatus",
        "hyper-parameter-tuning-job",
        ("TrainingJobDefinition", "RoleArn"),
        "Tuning",
    ),
    "ProcessingJob": ("ProcessingJobName", "ProcessingJobStatus", "processing-job", ("RoleArn",), "Processing"),
    "LabelingJob": ("LabelingJobName", "LabelingJobStatus", "labeling-job", ("RoleArn",), "Labeling"),
}
_role: contextvars.ContextVar[str] = contextvars.ContextVar("reviewloop_state_machine_role", default="")
_execution: contextvars.ContextVar[dict[str, Any] | None] = contextvars.ContextVar("reviewloop_execution", default=None)


def install() -> None:
    """Wrap the two functions, add SageMaker to the SDK integrations, and scale Wait states."""
    stepfunctions._SFN_WAIT_SCALE = TIME_SCALE
    stepfunctions._AWS_SDK_SERVICE_MAP["sagemaker"] = {"target_prefix": "SageMaker", "protocol": "json"}
    stepfunctions._AWS_SDK_ERROR_PREFIX["sagemaker"] = "SageMaker"
    execute_task, invoke_resource = stepfunctions._execute_task, stepfunctions._invoke_resource

    def execute(state_def: dict[str, Any], raw_input: Any, execution: dict[str, Any] | None, ctx: dict[str, Any]) -> Any:
        machine = stepfunctions._state_machines.get((execution or {}).get("stateMachineArn", "")) or {}
        role_token, execution_token = _role.set(machine.get("roleArn", "")), _execution.set(execution)
        try:
            return execute_task(state_def, raw_input, execution, ctx)
        finally:
            _role.reset(role_token)
            _execution.reset(execution_token)

    def invoke(resource: str, parameters: dict[str, Any]) -> Any:
        for action, target, context in needed(resource, parameters):
            _require(action, target, context)
        if resource.startswith("arn:aws:states:::sagemaker:"):
            return _sagemaker(resource.rsplit(":", 1)[-1], parameters)
        return invoke_resource(resource, parameters)

    stepfunctions._execute_task, stepfunctions._invoke_resource = execute, invoke


# -- what a task's role needs ------------------------------------------------------------------------


def needed(resource: str, parameters: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, str]]]:
    """(action, resource ARN, condition context) of each call that Step Functions makes for one task.

    Source: Step Functions developer guide, "How Step Functions generates IAM policies for integrated services".
    """
    region, account = responses.get_region(), responses.get_account_id()
    if ":function:" in resource or resource.startswith("arn:aws:states:::lambda:invoke"):
        target = str(parameters.get("FunctionName", resource)) if "states:::" in resource else resource
        arn = target if target.startswith("arn:") else f"arn:aws:lambda:{region}:{account}:function:{target}"
        yield "lambda:InvokeFunction", arn, {}
    elif resource.startswith("arn:aws:states:::states:startExecution"):
        machine = str(parameters["StateMachineArn"])
        yield "states:StartExecution", machine, {}
        if ".sync" in resource:
            yield "states:DescribeExecution", machine.replace(":stateMachine:", ":execution:") + ":*", {}
            yield from _managed_rule("StepFunctionsGetEventsForStepFunctionsExecutionRule")
    elif resource.startswith("arn:aws:states:::sagemaker:create"):
        job = resource.rsplit(":", 1)[-1].removesuffix(".sync").removeprefix("create")
        if job in JOBS:
            yield from _needed_by_job(job, parameters, sync=resource.endswith(".sync"))
    elif resource.startswith("arn:aws:states:::aws-sdk:"):
        service, operation = resource.split(":")[-2:]
        yield f"{service}:{operation.split('.')[0][0].upper()}{operation.split('.')[0][1:]}", "*", {}


def _needed_by_job(job: str, parameters: Mapping[str, Any], *, sync: bool) -> Iterator[tuple[str, str, dict[str, str]]]:
    name_field, _, kind, role_path, word = JOBS[job]
    arn = f"arn:aws:sagemaker:{responses.get_region()}:{responses.get_account_id()}:{kind}/{str(parameters.get(name_field, '')).lower()}"
    yield f"sagemaker:Create{job}", arn, {}
    yield "sagemaker:AddTags", arn, {}
    role: Any = parameters
    for key in role_path:
        role = role.get(key, {}) if isinstance(role, Mapping) else {}
    if isinstance(role, str):
        yield "iam:PassRole", role, {"iam:passedtoservice": "sagemaker.amazonaws.com"}
    if sync:
        yield f"sagemaker:Describe{job}", arn, {}
        yield f"sagemaker:Stop{job}", arn, {}
        yield from _managed_rule(f"StepFunctionsGetEventsForSageMaker{word}JobsRule")


def _managed_rule(name: str) -> Iterator[tuple[str, str, dict[str, str]]]:
    arn = f"arn:aws:events:{responses.get_region()}:{responses.get_account_id()}:rule/{name}"
    for action in ("PutRule", "PutTargets", "DescribeRule"):
        yield f"events:{action}", arn, {}


def _require(action: str, resource: str, context: dict[str, str]) -> None:
    role_arn = _role.get()
    if not app.AUTH or not role_arn:
        return
    account, name = responses.get_account_id(), role_arn.rsplit("/", 1)[-1]
    principal = f"arn:aws:sts::{account}:assumed-role/{name}/states"
    evaluation = iam_evaluator.EvalContext(
        principal_arn=principal,
        principal_type="AssumedRole",
        principal_account=account,
        action=action,
        resource_arn=resource,
        region=responses.get_region(),
        service_context=context,
    )
    allowed = iam_evaluator.evaluate(evaluation, iam_evaluator._gather_role_policies(name, account)).decision == "Allow"
    iam.audit(principal, action, resource, allowed)
    if not allowed:
        text = f"User: {principal} is not authorized to perform: {action} on resource: {resource}"
        raise stepfunctions._ExecutionError("States.TaskFailed" if ":sagemaker" not in action else "SageMaker.AccessDeniedException", text)


# -- SageMaker jobs ------------------------------------------------------------------------------------


def _sagemaker(action: str, parameters: dict[str, Any]) -> dict[str, Any]:
    sync = action.endswith(".sync")
    operation = action.removesuffix(".sync")
    name = operation[0].upper() + operation[1:]
    response = _call(name, parameters)
    if not sync:
        return response
    job = name.removeprefix("Create")
    name_field, status_field, *_ = JOBS[job]
    asked = {name_field: parameters[name_field]}
    execution = _execution.get()
    while True:
        described = _call(f"Describe{job}", asked)
        if described[status_field] in ("Completed", "Failed", "Stopped"):
            break
        if execution is not None and execution.get("status") not in (None, "RUNNING"):
            _call(f"Stop{job}", asked)
            raise stepfunctions._ExecutionError("States.TaskFailed", "the execution was stopped")
        time.sleep(POLL_SECONDS)
    output: dict[str, Any] = json.loads(api.to_json(described))
    if described[status_field] != "Completed":
        raise stepfunctions._ExecutionError("States.TaskFailed", json.dumps(output))
    return output


def _call(name: str, request: dict[str, Any]) -> dict[str, Any]:
    try:
        return api.call("sagemaker", name, request)
    except ApiError as error:
        raise stepfunctions._ExecutionError(f"SageMaker.{error.code}", error.message) from None
