"""A state machine with a role of its own, encrypted logs and tracing; every grant is given explicitly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import Acknowledgment, CfnOutput, Duration, RemovalPolicy, Stack, Validations
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from stacks.constructs.python_function import PythonFunction, log_retention
from stacks.constructs.shared import SharedResources

LAMBDA_FAULTS = ["Lambda.ServiceException", "Lambda.AWSLambdaException", "Lambda.SdkClientException", "Lambda.TooManyRequestsException"]


class StateMachine(Construct):
    """One state machine ``<prefix>-<part>``.

    Args:
        part: last part of the name.
        definition: the first state of the chain.
        timeout_hours: the whole execution's limit.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, shared: SharedResources, part: str, definition: sfn.IChainable, timeout_hours: int
    ) -> None:
        super().__init__(scope, construct_id)
        name = shared.names.state_machine(part)
        log_group = logs.LogGroup(
            self,
            "Logs",
            log_group_name=f"/aws/vendedlogs/states/{name}",
            retention=log_retention(shared.settings.retention.log_days),
            encryption_key=shared.key,
            removal_policy=RemovalPolicy.DESTROY,
        )
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("states.amazonaws.com"), description=f"Execution role of {name}")
        self.state_machine = sfn.StateMachine(
            self,
            "Resource",
            state_machine_name=name,
            definition_body=sfn.DefinitionBody.from_chainable(definition),
            role=self.role,
            timeout=Duration.hours(timeout_hours),
            tracing_enabled=True,
            logs=sfn.LogOptions(destination=log_group, level=sfn.LogLevel.ALL, include_execution_data=False),
        )
        self.acknowledge(
            "Resource::*", "X-Ray and the log-delivery API have no resource-level permissions (service authorization reference)"
        )
        CfnOutput(Stack.of(self), "StateMachineArn", value=self.state_machine.state_machine_arn)

    def allow(self, actions: Sequence[str], resources: Sequence[str], conditions: Mapping[str, Mapping[str, object]] | None = None) -> None:
        """Add one statement to the state machine's own role."""
        self.role.add_to_policy(iam.PolicyStatement(actions=list(actions), resources=list(resources), conditions=dict(conditions or {})))

    def acknowledge(self, finding: str, reason: str) -> None:
        """Acknowledge one exact AwsSolutions-IAM5 finding of this role."""
        Validations.of(self.role).acknowledge(Acknowledgment(id=f"AwsSolutions-IAM5[{finding}]", reason=reason))

    def allow_sagemaker_sync(self, job: str, job_arn: str, passed_roles: Sequence[iam.IRole]) -> None:
        """What a ``.sync`` SageMaker task needs: start, watch, stop and tag the job, pass its roles, and the managed event rule.

        Args:
            job: the resource type as in the API, e.g. ``HyperParameterTuningJob``.
            job_arn: ARN pattern of the jobs that this machine starts.
        """
        self.allow([f"sagemaker:{verb}{job}" for verb in ("Create", "Describe", "Stop")], [job_arn])
        self.allow(["sagemaker:AddTags", "sagemaker:ListTags"], [job_arn])
        self.allow(
            ["iam:PassRole"],
            [role.role_arn for role in passed_roles],
            {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
        )
        stack = Stack.of(self)
        rule = f"arn:aws:events:{stack.region}:{stack.account}:rule/StepFunctionsGetEventsForSageMaker*JobsRule"
        self.allow(["events:PutTargets", "events:PutRule", "events:DescribeRule"], [rule])
        partition_account = "<AWS::AccountId>"
        self.acknowledge(
            f"Resource::arn:aws:events:{stack.region}:{partition_account}:rule/StepFunctionsGetEventsForSageMaker*JobsRule",
            "Step Functions names this rule itself, one per job type, to learn when a .sync job ends",
        )


def invoke(
    scope: Construct, construct_id: str, function: PythonFunction, *, payload: sfn.TaskInput, result_path: str, retry: bool = True
) -> tasks.LambdaInvoke:
    """A Lambda task whose output replaces ``result_path``; service faults are retried, the function's own errors are not."""
    task = tasks.LambdaInvoke(
        scope,
        construct_id,
        lambda_function=lambda_.Function.from_function_attributes(
            scope, f"{construct_id}Reference", function_arn=function.function.function_arn, same_environment=True, skip_permissions=True
        ),
        payload=payload,
        payload_response_only=True,
        retry_on_service_exceptions=False,
        result_path=result_path,
    )
    if retry:
        task.add_retry(errors=LAMBDA_FAULTS, interval=Duration.seconds(2), max_attempts=5, backoff_rate=2)
    return task
