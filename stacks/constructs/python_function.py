"""A Lambda function of this project: own role, own log group, one layer, tracing, and only the grants given to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from aws_cdk import Duration, RemovalPolicy, Size, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from stacks.constructs.function_archive import ROOT, function_archive
from stacks.constructs.own_role import OwnRole
from stacks.constructs.shared import SharedResources

LAYER_DIR = ROOT / ".build" / "layer"
PAGE_LAYER_DIR = ROOT / ".build" / "page-layer"
RUNTIME = lambda_.Runtime.PYTHON_3_14
_LOG_RETENTION = {
    1: logs.RetentionDays.ONE_DAY, 3: logs.RetentionDays.THREE_DAYS, 5: logs.RetentionDays.FIVE_DAYS, 7: logs.RetentionDays.ONE_WEEK,
    14: logs.RetentionDays.TWO_WEEKS, 30: logs.RetentionDays.ONE_MONTH, 60: logs.RetentionDays.TWO_MONTHS,
    90: logs.RetentionDays.THREE_MONTHS, 180: logs.RetentionDays.SIX_MONTHS, 365: logs.RetentionDays.ONE_YEAR,
}  # fmt: skip
_LEAST_DISK = 512
"""MiB of /tmp that every function has; more is paid for."""
_TRACING = dict.fromkeys(
    ("xray:PutTraceSegments", "xray:PutTelemetryRecords"), "no resource-level permissions (service authorization reference, AWS X-Ray)"
)


class LayerMissing(RuntimeError):
    """The Powertools layer has not been built."""


def log_retention(days: int) -> logs.RetentionDays:
    """``retention.log_days`` as CDK's enum."""
    return _LOG_RETENTION[days]


def dependency_layer(stack: Stack) -> lambda_.LayerVersion:
    """The one layer (Powertools) of a stack; built beforehand by ``make layer``."""
    existing = stack.node.try_find_child("DependencyLayer")
    if isinstance(existing, lambda_.LayerVersion):
        return existing
    if not (LAYER_DIR / "python" / "aws_lambda_powertools").exists():
        raise LayerMissing(f"{LAYER_DIR} has no built layer: run `make layer` (synth itself uses no network)")
    return lambda_.LayerVersion(
        stack,
        "DependencyLayer",
        code=lambda_.Code.from_asset(str(LAYER_DIR), exclude=["**/__pycache__"]),
        compatible_runtimes=[RUNTIME],
        description="Powertools for AWS Lambda, pure Python",
    )


def page_layer(scope: Construct) -> lambda_.LayerVersion:
    """The second layer of the function that renders worker templates; built beforehand by ``make layer``, too."""
    if not (PAGE_LAYER_DIR / "python" / "liquid").exists():
        raise LayerMissing(f"{PAGE_LAYER_DIR} has no built layer: run `make layer` (synth itself uses no network)")
    return lambda_.LayerVersion(
        scope,
        "Layer",
        code=lambda_.Code.from_asset(str(PAGE_LAYER_DIR), exclude=["**/__pycache__"]),
        compatible_runtimes=[RUNTIME],
        description="Liquid, pure Python",
    )


class PythonFunction(OwnRole):
    """One function from ``lambdas/<folder>``, with a role of its own.

    Args:
        shared: the foundation's resources (key, names, settings).
        folder: ``<process>/<function>``, a folder below ``lambdas/``; ``<function>`` with ``-`` for ``_`` ends the function's name.
        description: one sentence, shown in the console.
        environment: the variables that the function's environment dataclass reads.
        timeout: seconds, at most 900.
        memory: MiB.
        disk: MiB of /tmp.
        name: last part of the function's name, where it cannot follow from the folder (Ground Truth's name rule).
        reserved_concurrency: calls at once that are kept for this function, and that it may not exceed; None: the account's rest.
        unrestricted: actions that take no resource, each with the reason.
        layer: one more layer than the common one.
        beside: files of other folders that the handler reads beside itself.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        shared: SharedResources,
        folder: str,
        description: str,
        environment: Mapping[str, str] | None = None,
        timeout: int = 30,
        memory: int = 256,
        disk: int = _LEAST_DISK,
        name: str | None = None,
        reserved_concurrency: int | None = None,
        unrestricted: Mapping[str, str] | None = None,
        layer: lambda_.ILayerVersion | None = None,
        beside: Sequence[Path] = (),
    ) -> None:
        super().__init__(scope, construct_id)
        self.name = shared.names.function(name or folder.rpartition("/")[2].replace("_", "-"))
        self.timeout = timeout
        self.log_group = logs.LogGroup(
            self,
            "Logs",
            log_group_name=f"/aws/lambda/{self.name}",
            retention=log_retention(shared.settings.retention.log_days),
            encryption_key=shared.key,
            removal_policy=RemovalPolicy.DESTROY,
        )
        self.role = iam.Role(
            self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"), description=f"Execution role of {self.name}"
        )
        self.function = lambda_.Function(
            self,
            "Function",
            function_name=self.name,
            description=description,
            runtime=RUNTIME,
            handler=f"lambdas.{folder.replace('/', '.')}.handler.handler",
            code=lambda_.Code.from_asset(str(function_archive(folder, beside=beside))),
            layers=[dependency_layer(Stack.of(self)), *([layer] if layer else [])],
            role=self.role.without_policy_updates(),
            log_group=self.log_group,
            tracing=lambda_.Tracing.ACTIVE,
            timeout=Duration.seconds(timeout),
            memory_size=memory,
            ephemeral_storage_size=None if disk == _LEAST_DISK else Size.mebibytes(disk),
            reserved_concurrent_executions=reserved_concurrency,
            environment={
                "POWERTOOLS_SERVICE_NAME": self.name,
                "POWERTOOLS_METRICS_NAMESPACE": shared.names.metric_namespace,
                "POWERTOOLS_LOG_LEVEL": "INFO",
                **(environment or {}),
            },
        )
        self.allow(["logs:CreateLogStream", "logs:PutLogEvents"], [self.log_group.log_group_arn])
        everywhere = {**_TRACING, **(unrestricted or {})}
        self.allow(list(everywhere), ["*"], because="; ".join(f"{action}: {reason}" for action, reason in everywhere.items()))
