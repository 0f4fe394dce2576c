"""A state machine with a role of its own, encrypted logs and tracing; every grant is given explicitly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aws_cdk import CfnOutput, Duration, RemovalPolicy, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from stacks.constructs.dead_letter import DeadLetterQueue
from stacks.constructs.own_role import OwnRole
from stacks.constructs.passing_faults import AWS_FAULTS
from stacks.constructs.python_function import PythonFunction, log_retention
from stacks.constructs.shared import SharedResources

LAMBDA_FAULTS = ("Lambda.ServiceException", "Lambda.AWSLambdaException", "Lambda.SdkClientException", "Lambda.TooManyRequestsException")
"""Faults of the Lambda service itself: worth a retry, unlike the function's own errors."""
CRASHES = ("Lambda.Unknown", "Runtime.ExitError", "Sandbox.Timedout")
"""A function that was killed or ran out of time half-way: every function of a state machine may be called again."""
AWS_FAULTS_AGAIN = Duration.seconds(15)
"""A task waits so long before each of three more tries."""
SAGEMAKER_FAULTS = ("SageMaker.AmazonSageMakerException", "SageMaker.ThrottlingException", "SageMaker.ResourceLimitExceededException")
"""Throttling comes as the first or the second name; the third is a quota that another job may free again. Step Functions puts the
service's name before each error of a service that it calls, so ``ThrottlingException`` alone would never match."""

TELL_WITHIN = Duration.hours(1)
"""How long EventBridge tries to deliver an event to a target that refuses it. The default is a day."""

MANAGED_RULES = {
    "HyperParameterTuningJob": "StepFunctionsGetEventsForSageMakerTuningJobsRule",
    "ProcessingJob": "StepFunctionsGetEventsForSageMakerProcessingJobsRule",
    "TrainingJob": "StepFunctionsGetEventsForSageMakerTrainingJobsRule",
    "LabelingJob": "StepFunctionsGetEventsForSageMakerLabelingJobsRule",
}
"""SageMaker job type -> the EventBridge rule by which Step Functions learns that a ``.sync`` job ended."""

_LOG_DELIVERY = (
    "logs:CreateLogDelivery", "logs:GetLogDelivery", "logs:UpdateLogDelivery", "logs:DeleteLogDelivery", "logs:ListLogDeliveries",
    "logs:PutResourcePolicy", "logs:DescribeResourcePolicies", "logs:DescribeLogGroups",
)  # fmt: skip
_TRACING = ("xray:PutTraceSegments", "xray:PutTelemetryRecords", "xray:GetSamplingRules", "xray:GetSamplingTargets")


class StateMachine(OwnRole):
    """One state machine ``<prefix>-<part>``; its ARN is the stack's output ``StateMachineArn``.

    CDK's tasks add no grant to the role: give each one with ``allow`` and its siblings, so that the role can be read here.

    Args:
        part: last part of the name.
        definition: the first state of the chain.
        timeout: the whole execution's limit.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, shared: SharedResources, part: str, definition: sfn.IChainable, timeout: Duration
    ) -> None:
        super().__init__(scope, construct_id)
        self._shared, self._part = shared, part
        self.name = name = shared.names.state_machine(part)
        self.log_group = logs.LogGroup(
            self,
            "Logs",
            log_group_name=f"/aws/vendedlogs/states/{name}",
            retention=log_retention(shared.settings.retention.log_days),
            encryption_key=shared.key,
            removal_policy=RemovalPolicy.DESTROY,
        )
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("states.amazonaws.com"), description=f"Execution role of {name}")
        self.allow(
            [*_LOG_DELIVERY, *_TRACING],
            ["*"],
            because="no resource-level permissions (service authorization reference, Amazon CloudWatch Logs and AWS X-Ray)",
        )
        self.state_machine = sfn.StateMachine(
            self,
            "Resource",
            state_machine_name=name,
            definition_body=sfn.DefinitionBody.from_chainable(definition),
            role=self.role.without_policy_updates(),
            timeout=timeout,
            tracing_enabled=True,
            # Texts and labels pass through executions: the history holds them, the log group does not.
            logs=sfn.LogOptions(destination=self.log_group, level=sfn.LogLevel.ALL, include_execution_data=False),
        )
        CfnOutput(Stack.of(self), "StateMachineArn", value=self.state_machine.state_machine_arn)

    def allow_invoke(self, *functions: PythonFunction) -> None:
        """Let the machine call these functions."""
        self.allow(["lambda:InvokeFunction"], [function.function.function_arn for function in functions])

    def alert_on_failure(self, meaning: str) -> None:
        """Tell the alert topic when an execution fails, times out or is aborted; ``meaning`` says what is then missing.

        What the topic does not take for an hour lies in ``<prefix>-<part>-failed-dlq``, whose alarm is seen in the console even when
        the topic tells nobody.
        """
        dead_letters = DeadLetterQueue(
            self,
            "UntoldFailures",
            shared=self._shared,
            name=f"{self._part}-failed-dlq",
            holds=f"Failures of {self.name} that the alert topic did not take: look at its policy and key, and at the executions",
        )
        rule = events.CfnRule(
            self,
            "FailureRule",
            name=self._shared.names.rule(f"{self._part}-failed"),
            description=meaning,
            state="ENABLED",
            event_pattern={
                "source": ["aws.states"],
                "detail-type": ["Step Functions Execution Status Change"],
                "detail": {
                    "status": ["FAILED", "TIMED_OUT", "ABORTED"],
                    "stateMachineArn": [self.state_machine.state_machine_arn],
                },
            },
            # The topic's policy (foundation stack) lets rules of this account publish.
            targets=[
                events.CfnRule.TargetProperty(
                    id="Alerts",
                    arn=self._shared.alerts.topic_arn,
                    dead_letter_config=events.CfnRule.DeadLetterConfigProperty(arn=dead_letters.queue.queue_arn),
                    retry_policy=events.CfnRule.RetryPolicyProperty(maximum_event_age_in_seconds=TELL_WITHIN.to_seconds()),
                )
            ],
        )
        dead_letters.allow_rule(rule.attr_arn)

    def allow_sagemaker_sync(self, job: str, resource: str, passed_role: iam.IRole, *, key_arn: str) -> None:
        """What a ``sagemaker:create<job>.sync`` task needs: start, watch, stop and tag jobs, pass their role, hear of their end.

        Without ``Stop`` an aborted execution would leave its job running and billing.

        Args:
            job: one of :data:`MANAGED_RULES`.
            resource: resource part of the ARN of the jobs that this machine starts, e.g. ``processing-job/reviewloop-dev-*``.
            passed_role: the execution role of the jobs.
            key_arn: key of the jobs' volumes; whoever starts a job creates the grant for its instances.
        """
        jobs = self._shared.names.arn("sagemaker", resource)
        actions = [f"sagemaker:{verb}" for verb in (f"Create{job}", f"Describe{job}", f"Stop{job}", "AddTags", "ListTags")]
        self.allow(actions, [jobs], because="the machine names its jobs itself, by execution, all with this prefix")
        self.allow(["iam:PassRole"], [passed_role.role_arn], {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}})
        self.allow(["kms:DescribeKey"], [key_arn])
        self.allow(["kms:CreateGrant"], [key_arn], {"Bool": {"kms:GrantIsForAWSResource": "true"}})
        self._allow_managed_rule(MANAGED_RULES[job])

    def allow_execution_sync(self, *parts: str) -> None:
        """What ``states:startExecution.sync:2`` of the machines ``<prefix>-<part>`` needs: start, watch, stop, hear of the end."""
        names = [self._shared.names.state_machine(part) for part in parts]
        self.allow(["states:StartExecution"], [self._shared.names.arn("states", f"stateMachine:{name}") for name in names])
        executions = [self._shared.names.arn("states", f"execution:{name}:*") for name in names]
        self.allow(["states:DescribeExecution", "states:StopExecution"], executions, because="an execution's name is made when it starts")
        self._allow_managed_rule("StepFunctionsGetEventsForStepFunctionsExecutionRule")

    def _allow_managed_rule(self, rule: str) -> None:
        # One fixed rule a kind of job, which Step Functions makes and owns in the account.
        self.allow(["events:PutTargets", "events:PutRule", "events:DescribeRule"], [self._shared.names.arn("events", f"rule/{rule}")])


def invoke(
    scope: Construct, construct_id: str, function: PythonFunction, *, payload: sfn.TaskInput | None = None, result_path: str | None = None
) -> tasks.LambdaInvoke:
    """A Lambda task; faults of the Lambda service, crashes and failed calls of AWS are retried, the function's own errors are not.

    Args:
        payload: the function's event; the whole state input when left out.
        result_path: where the function's result goes (``$.x``); left out, it replaces the state's input.
    """
    task = tasks.LambdaInvoke(
        scope,
        construct_id,
        lambda_function=function.function,
        payload=payload,
        payload_response_only=True,
        retry_on_service_exceptions=False,
        result_path=result_path,
    )
    task.add_retry(errors=[*LAMBDA_FAULTS, *CRASHES], interval=Duration.seconds(2), max_attempts=5, backoff_rate=2)
    task.add_retry(errors=list(AWS_FAULTS), interval=AWS_FAULTS_AGAIN, max_attempts=3, backoff_rate=1)
    return task


def sagemaker_job(
    scope: Construct,
    construct_id: str,
    *,
    action: str,
    parameters: Mapping[str, Any],
    result_path: str = sfn.JsonPath.DISCARD,
    result_selector: Mapping[str, Any] | None = None,
) -> sfn.CustomState:
    """A task that starts a job and waits for its end; faults of the service and used-up quotas are retried, the job's failure is not.

    Args:
        action: ``create<job>``, such as ``createProcessingJob``.
        parameters: the request; fields ending in ``.$`` come from the execution.
        result_path: where the job's description goes; left out, nowhere.
        result_selector: what of the description is kept.
    """
    state = {
        "Type": "Task",
        "Resource": f"arn:aws:states:::sagemaker:{action}.sync",
        "Parameters": parameters,
        **({} if result_selector is None else {"ResultSelector": result_selector}),
        "ResultPath": result_path,
    }
    job = sfn.CustomState(scope, construct_id, state_json=state)
    return job.add_retry(errors=list(SAGEMAKER_FAULTS), interval=Duration.seconds(30), max_attempts=4, backoff_rate=2)
