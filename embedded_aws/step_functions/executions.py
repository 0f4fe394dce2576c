"""Step Functions: SageMaker integrations (``.sync`` and request-response), nested executions, roles really asked, timeouts, stops.

Stock ministack has no SageMaker integration, never asks what a state machine's role allows, knows no TimeoutSeconds of a machine,
and goes on with what a stopped execution waits for. Hooks: ``stepfunctions._invoke_resource`` and ``_invoke_with_callback`` (every task
goes through one, parameters resolved), ``_invoke_resource_with_timeout``, ``_execute_task`` (knows the execution), ``_run_execution``
and ``_fail_execution``; ``_validate_definition_jsonata`` and ``provisioners._sfn_definition`` (every new definition goes through one).

Waits and retry intervals are scaled; TimeoutSeconds, which bounds real work, is not.
"""

from __future__ import annotations

import contextvars
import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ministack.core import responses
from ministack.services import stepfunctions
from ministack.services.cloudformation import provisioners

from embedded_aws.core import api
from embedded_aws.core.api import ApiError
from embedded_aws.core.clock import TIME_SCALE
from embedded_aws.iam import requests
from embedded_aws.iam.requests import Call, Check
from embedded_aws.iam.role_decisions import Denied, require
from embedded_aws.step_functions import fields as step_functions_fields
from embedded_aws.step_functions import payload_limit

POLL_SECONDS = 0.2
SESSION = "states"
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
_JOB = re.compile(rf"arn:aws:states:::sagemaker:create({'|'.join(JOBS)})(\.sync)?")
_SDK_CALL = re.compile(r"arn:aws:states:::aws-sdk:(\w+):(\w+)")
_SDK = {
    "athena": ("athena", "athena"),
    "cloudwatch": ("cloudwatch", "monitoring"),
    "cloudwatchlogs": ("logs", "logs"),
    "eventbridge": ("events", "events"),
    "glue": ("glue", "glue"),
    "sagemaker": ("sagemaker", "sagemaker"),
    "sfn": ("states", "states"),
    "ssm": ("ssm", "ssm"),
}
"""Services whose actions are named as their operations: SDK's name -> IAM's prefix and the scope that requests are signed for."""
_MODELLED_ERRORS = {
    "ResourceInUse": "ResourceInUseException",
    "ResourceLimitExceeded": "ResourceLimitExceededException",
    "ResourceNotFound": "ResourceNotFoundException",
    "ConflictException": "ConflictException",
}
"""SageMaker's modelled errors; any other is an AmazonSageMakerException with the service's code in its cause."""
_role: contextvars.ContextVar[str] = contextvars.ContextVar("embedded_aws_state_machine_role", default="")
_execution: contextvars.ContextVar[dict[str, Any] | None] = contextvars.ContextVar("embedded_aws_execution", default=None)
_timed_out: contextvars.ContextVar[threading.Event | None] = contextvars.ContextVar("embedded_aws_task_timed_out", default=None)


class _Ended(BaseException):
    """The execution ended while a task ran: nothing may catch or retry that, so it is no Exception."""


def install() -> None:
    """Put the hooks in place, add SageMaker to the SDK integrations, and scale Wait states."""
    stepfunctions._SFN_WAIT_SCALE = TIME_SCALE
    stepfunctions._AWS_SDK_SERVICE_MAP["sagemaker"] = {"target_prefix": "SageMaker", "protocol": "json"}
    stepfunctions._AWS_SDK_ERROR_PREFIX["sagemaker"] = "SageMaker"
    stepfunctions._execute_task = _as_the_machines_role(stepfunctions._execute_task)
    stepfunctions._invoke_resource = _checked(stepfunctions._invoke_resource)
    stepfunctions._invoke_with_callback = _checked_callback(stepfunctions._invoke_with_callback)
    stepfunctions._invoke_resource_with_timeout = _telling_of_timeouts(stepfunctions._invoke_resource_with_timeout)
    stepfunctions._run_execution = _ending_in_time(stepfunctions._run_execution)
    fail = stepfunctions._fail_execution

    def fail_running(execution: dict[str, Any], error: str, cause: str) -> None:
        if execution["status"] == "RUNNING":  # neither stopped nor timed out
            fail(execution, error, cause)

    stepfunctions._fail_execution = fail_running
    payload_limit.install()
    judge, defined = stepfunctions._validate_definition_jsonata, provisioners._sfn_definition
    stepfunctions._validate_definition_jsonata = lambda text: _invalid_definition(text) or judge(text)

    def definition_of(props: dict[str, Any]) -> str:
        text: str = defined(props)
        if invalid := _invalid_definition(text):
            raise ValueError(invalid)
        return text

    provisioners._sfn_definition = definition_of
    validate = stepfunctions._validate_state_machine_definition
    stepfunctions._validate_state_machine_definition = lambda data: _diagnosed(data) or validate(data)


def _diagnosed(data: dict[str, Any]) -> Any:
    """ValidateStateMachineDefinition's answer for a definition with a field that is not known, else None."""
    invalid = step_functions_fields.invalid_definition(data.get("definition"))
    if invalid is None:
        return None
    code, message = invalid.split(": ", 1)
    message, location = message.rsplit(" at ", 1)
    diagnostic = {"severity": "ERROR", "code": code, "message": message, "location": location}
    return responses.json_response({"result": "FAIL", "diagnostics": [diagnostic]})


def _invalid_definition(text: Any) -> str | None:
    invalid = step_functions_fields.invalid_definition(text)
    return f"Invalid State Machine Definition: '{invalid}'" if invalid else None


# -- an execution's life -----------------------------------------------------------------------------


def _as_the_machines_role(execute_task: Callable[..., Any]) -> Callable[..., Any]:
    def execute(state_def: dict[str, Any], raw_input: Any, execution: dict[str, Any] | None, ctx: dict[str, Any]) -> Any:
        if execution is not None and execution["status"] != "RUNNING":
            raise _Ended
        machine = stepfunctions._state_machines.get((execution or {}).get("stateMachineArn", "")) or {}
        # 0 before the first redrive: developer guide, "Accessing execution data from the Context object".
        ctx["Execution"]["RedriveCount"] = (execution or {}).get("redriveCount", 0)
        role_token, execution_token = _role.set(machine.get("roleArn", "")), _execution.set(execution)
        try:
            return execute_task(state_def, raw_input, execution, ctx)
        finally:
            _role.reset(role_token)
            _execution.reset(execution_token)

    return execute


def _telling_of_timeouts(invoke_with_timeout: Callable[..., Any]) -> Callable[..., Any]:
    """A job or nested execution whose task has timed out is stopped."""

    def invoke(resource: str, parameters: dict[str, Any], timeout: float) -> Any:
        event = threading.Event()
        scope = _timed_out.set(event)
        try:
            return invoke_with_timeout(resource, parameters, timeout)
        except stepfunctions._ExecutionError as error:
            if error.error == "States.Timeout":
                event.set()
            raise
        finally:
            _timed_out.reset(scope)

    return invoke


def _ending_in_time(run_execution: Callable[[str], None]) -> Callable[[str], None]:
    def run(execution_arn: str) -> None:
        timer = _watchdog(stepfunctions._executions.get(execution_arn) or {})
        try:
            run_execution(execution_arn)
        except _Ended:
            return
        finally:
            if timer is not None:
                timer.cancel()

    return run


def _watchdog(execution: dict[str, Any]) -> threading.Timer | None:
    """Ends the execution as TIMED_OUT after its machine's TimeoutSeconds."""
    machine = stepfunctions._state_machines.get(execution.get("stateMachineArn", "")) or {}
    try:
        seconds = json.loads(machine["definition"]).get("TimeoutSeconds")
    except (KeyError, ValueError):
        return None
    if not seconds:
        return None

    def time_out() -> None:
        if execution["status"] != "RUNNING":
            return
        execution.update(status="TIMED_OUT", stopDate=stepfunctions.now_iso(), error="States.Timeout")
        stepfunctions._add_event(execution, "ExecutionTimedOut", {"executionTimedOutEventDetails": {"error": "States.Timeout"}})
        stepfunctions._emit_execution_status_event(execution)

    context = contextvars.copy_context()
    timer = threading.Timer(seconds, lambda: context.run(time_out))
    timer.daemon = True
    timer.start()
    return timer


def _wait_for(ended: Callable[[], bool], stop: Callable[[], None]) -> None:
    """Wait until ``ended()``; when the execution or the task ends before that, ``stop()`` what it waits for.

    Raises:
        _Ended: it was stopped.
    """
    execution, timed_out = _execution.get(), _timed_out.get()
    while not ended():
        over = execution is not None and execution["status"] != "RUNNING"
        if over or (timed_out is not None and timed_out.is_set()):
            stop()
            raise _Ended
        time.sleep(POLL_SECONDS)


# -- what a task's role needs ------------------------------------------------------------------------


def _checked(invoke_resource: Callable[..., Any]) -> Callable[..., Any]:
    def invoke(resource: str, parameters: dict[str, Any]) -> Any:
        for check in needed(resource, parameters):
            _require(check, resource)
        _require_known_fields(resource, parameters)
        if resource.startswith("arn:aws:states:::sagemaker:"):
            return _sagemaker(resource.rsplit(":", 1)[-1], parameters)
        if resource.startswith("arn:aws:states:::states:startExecution.sync"):
            return _nested(resource, parameters)
        return invoke_resource(resource, parameters)

    return invoke


def _require_known_fields(resource: str, parameters: dict[str, Any]) -> None:
    """What came from the input is checked when the task starts; what stands in the definition was checked when that was made."""
    unknown = [f'The field "{field}" is not supported by Step Functions' for field in step_functions_fields.refused(resource, parameters)]
    if unknown:
        cause = f"The Parameters '{json.dumps(parameters)}' could not be used to start the Task: [{', '.join(unknown)}]"
        raise stepfunctions._ExecutionError("States.Runtime", cause)


def _checked_callback(invoke_with_callback: Callable[..., Any]) -> Callable[..., Any]:
    def invoke(resource: str, parameters: dict[str, Any], *rest: Any) -> Any:
        for check in needed(resource.removesuffix(".waitForTaskToken"), parameters):
            _require(check, resource)
        return invoke_with_callback(resource, parameters, *rest)

    return invoke


def needed(resource: str, parameters: Mapping[str, Any]) -> Iterator[Check]:
    """What Step Functions' calls for one task take of the machine's role. An activity's worker comes by itself.

    Lambda, nested executions, SageMaker jobs, activities and the SDK integrations of ``_SDK`` are covered.
    Source: Step Functions developer guide, "How Step Functions generates IAM policies for integrated services".

    Raises:
        stepfunctions._ExecutionError: States.Runtime: what another integration takes is not known here, so it is not run.
    """
    region, account = responses.get_region(), responses.get_account_id()
    if ":function:" in resource or resource.startswith("arn:aws:states:::lambda:invoke"):
        target = str(parameters.get("FunctionName", resource)) if "states:::" in resource else resource
        arn = target if target.startswith("arn:") else f"arn:aws:lambda:{region}:{account}:function:{target}"
        yield Check("lambda:InvokeFunction", arn)
    elif resource.startswith("arn:aws:states:::states:startExecution"):
        machine = str(parameters["StateMachineArn"])
        yield Check("states:StartExecution", machine)
        if ".sync" in resource:
            executions = machine.replace(":stateMachine:", ":execution:") + ":*"
            yield Check("states:DescribeExecution", executions)
            yield Check("states:StopExecution", executions)
            yield from _managed_rule("StepFunctionsGetEventsForStepFunctionsExecutionRule")
    elif job := _JOB.fullmatch(resource):
        yield from _needed_by_job(job[1], parameters, sync=bool(job[2]))
    elif (sdk := _SDK_CALL.fullmatch(resource)) and sdk[1] in _SDK:
        yield from _needed_by_sdk_call(sdk[1], sdk[2][0].upper() + sdk[2][1:], parameters)
    elif ":activity:" not in resource:
        raise stepfunctions._ExecutionError(
            "States.Runtime",
            f"the embedded AWS does not know which permissions {resource} takes of the machine's role: it is not run",
        )


def _needed_by_sdk_call(service: str, operation: str, parameters: Mapping[str, Any]) -> Iterator[Check]:
    prefix, scope = _SDK[service]
    lower = stepfunctions._AWS_SDK_SERVICE_MAP[service].get("param_case") == "lower-camel"
    body = {key[0].lower() + key[1:]: value for key, value in parameters.items()} if lower else parameters
    call = Call(scope, operation, body, responses.get_region(), responses.get_account_id())
    named = [str(body[key]) for key in ("stateMachineArn", "executionArn") if key in body]
    for target in requests.resources(call) or named or ["*"]:
        yield Check(f"{prefix}:{operation}", target)
    yield from requests.passed_roles(call)


def _needed_by_job(job: str, parameters: Mapping[str, Any], *, sync: bool) -> Iterator[Check]:
    name_field, _, kind, role_path, word = JOBS[job]
    arn = f"arn:aws:sagemaker:{responses.get_region()}:{responses.get_account_id()}:{kind}/{str(parameters.get(name_field, '')).lower()}"
    yield Check(f"sagemaker:Create{job}", arn)
    yield Check("sagemaker:AddTags", arn)
    role: Any = parameters
    for key in role_path:
        role = role.get(key, {}) if isinstance(role, Mapping) else {}
    if isinstance(role, str):
        yield Check("iam:PassRole", role, {"iam:PassedToService": "sagemaker.amazonaws.com"})
    if sync:
        yield Check(f"sagemaker:Describe{job}", arn)
        yield Check(f"sagemaker:Stop{job}", arn)
        yield from _managed_rule(f"StepFunctionsGetEventsForSageMaker{word}JobsRule")


def _managed_rule(name: str) -> Iterator[Check]:
    arn = f"arn:aws:events:{responses.get_region()}:{responses.get_account_id()}:rule/{name}"
    for action in ("PutRule", "PutTargets", "DescribeRule"):
        yield Check(f"events:{action}", arn)


def _require(check: Check, resource: str) -> None:
    if not _role.get():
        return
    try:
        require(_role.get(), SESSION, check)
    except Denied as denied:
        raise stepfunctions._ExecutionError(_service_fault(resource), f"{denied} (Error Code: AccessDeniedException)") from None


def _service_fault(resource: str) -> str:
    """The name of an error that the called service does not model, AccessDenied among them."""
    if ":::aws-sdk:" in resource:
        service = resource.split(":")[-2]
        prefix = stepfunctions._AWS_SDK_ERROR_PREFIX.get(service, service.capitalize())
        return f"{prefix}.{prefix}Exception"
    if ":::sagemaker:" in resource:
        return "SageMaker.AmazonSageMakerException"
    return "StepFunctions.AWSStepFunctionsException" if ":::states:" in resource else "Lambda.AWSLambdaException"


# -- nested executions -------------------------------------------------------------------------------


def _start_once(request: dict[str, Any]) -> Any:
    """StartExecution. With the name and the input of a running execution it answers with that one (API reference, StartExecution)."""
    machine = request["stateMachineArn"]
    named = f"{machine.replace(':stateMachine:', ':execution:')}:{request.get('name')}"
    running = stepfunctions._executions.get(named)
    if running and running["status"] == "RUNNING" and running["input"] == request["input"]:
        return responses.json_response({"executionArn": named, "startDate": running["startDate"]})
    return stepfunctions._start_execution(request)


def _nested(resource: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Start an execution as any other caller would (events included), and wait for its end. ``.sync:2`` gives its output parsed."""
    status, _, body = _start_once(stepfunctions._nested_start_execution_request(parameters))
    answer = json.loads(body)
    if status != 200:
        raise stepfunctions._ExecutionError(f"StepFunctions.{answer['__type']}Exception", answer.get("message", ""))
    arn = answer["executionArn"]
    child = stepfunctions._executions[arn]
    _wait_for(lambda: child["status"] != "RUNNING", lambda: stepfunctions._stop_execution({"executionArn": arn}))
    output = child.get("output") if child["status"] == "SUCCEEDED" else None
    described = {
        "ExecutionArn": arn,
        "Input": child["input"],
        "InputDetails": {"Included": True},
        "Name": child["name"],
        "StartDate": child["startDate"],
        "StateMachineArn": child["stateMachineArn"],
        "Status": child["status"],
        "StopDate": child["stopDate"],
    }
    if child["status"] != "SUCCEEDED":
        described |= {"Error": child.get("error"), "Cause": child.get("cause")}
        raise stepfunctions._ExecutionError("States.TaskFailed", json.dumps(described))
    parsed = json.loads(output or "null") if resource.endswith(".sync:2") else output
    return {**described, "Output": parsed, "OutputDetails": {"Included": True}}


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
    _wait_for(lambda: _call(f"Describe{job}", asked)[status_field] in ("Completed", "Failed", "Stopped"), lambda: _stop(job, asked))
    described: dict[str, Any] = json.loads(api.to_json(_call(f"Describe{job}", asked)))
    if described[status_field] != "Completed":
        raise stepfunctions._ExecutionError("States.TaskFailed", json.dumps(described))
    return described


def _stop(job: str, asked: dict[str, Any]) -> None:
    try:
        api.call("sagemaker", f"Stop{job}", asked)
    except ApiError:  # it ended in between
        return


def _call(name: str, request: dict[str, Any]) -> dict[str, Any]:
    try:
        return api.call("sagemaker", name, request)
    except ApiError as error:
        fault = f"SageMaker.{_MODELLED_ERRORS.get(error.code, 'AmazonSageMakerException')}"
        cause = f"{error.message} (Service: AmazonSageMaker; Status Code: {error.status}; Error Code: {error.code})"
        raise stepfunctions._ExecutionError(fault, cause) from None
