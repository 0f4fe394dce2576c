"""The roles that pipelines take on in one account: one per purpose and stage, each with what its commands call and no more.

Trust: a workflow of GitHub Actions comes with a token of GitHub's OIDC provider, whose subject names repository and environment.
CodePipeline comes with the role of one of its projects.
https://docs.github.com/en/actions/how-tos/secure-your-work/security-harden-deployments/oidc-in-aws
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aws_cdk import CfnOutput, Duration, Environment, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from stacks.constructs.own_role import OwnRole
from stacks.names import Names
from stacks.settings import Settings
from stacks.settings.pipeline import AUDIENCE, GITHUB, PipelineSettings

LONGEST_JOB = Duration.hours(6)
"""Of a runner of GitHub: its limit for a job. Until then the credentials of a rollout that is watched must last."""
BOOTSTRAP_ROLES = ("deploy", "file-publishing", "lookup")
"""Roles of ``cdk bootstrap`` that ``cdk deploy`` takes on. The stacks have no container image of their own, so image-publishing is none."""
BOOTSTRAP_QUALIFIER = "hnb659fds"


def role_name(names: Names, purpose: str) -> str:
    """``deploy`` -> ``reviewloop-dev-pipeline-deploy-us-east-1``: literal, so that workflows and other accounts can name it.

    IAM is global: the region keeps the same stage in two regions of an account apart.
    """
    return f"{names.prefix}-pipeline-{purpose}-{names.settings.region}"


class PipelineRole(OwnRole):
    """A role for one purpose and one stage.

    Args:
        provider: ARN of the account's identity provider for GitHub; None: no workflow takes the role on.
        environment: of the repository on GitHub, in which a job must run to take the role on.
        project_role: ARN of the role of the pipeline's project that takes the role on; None: none does.
    """

    def __init__(
        self,
        scope: Construct,
        purpose: str,
        *,
        names: Names,
        settings: PipelineSettings,
        provider: str | None,
        environment: str,
        project_role: str | None = None,
        duration: Duration = LONGEST_JOB,
    ) -> None:
        super().__init__(scope, purpose.capitalize())
        self.names = names
        trusted: list[iam.IPrincipal] = []
        if provider is not None:
            conditions = {f"{GITHUB}:aud": AUDIENCE, f"{GITHUB}:sub": f"{settings.subject_prefix}:environment:{environment}"}
            trusted.append(iam.WebIdentityPrincipal(provider, {"StringEquals": conditions}))
        if project_role is not None:
            account = iam.AccountPrincipal(settings.pipeline_account)
            trusted.append(account.with_conditions({"ArnEquals": {"aws:PrincipalArn": project_role}}))
        self.role = iam.Role(
            self,
            "Role",
            role_name=role_name(names, purpose),
            assumed_by=iam.CompositePrincipal(*trusted),
            max_session_duration=duration,
            description=f"What the pipeline's {purpose} may do in {names.prefix}",
        )
        CfnOutput(self, "Arn", value=self.role.role_arn, description=f"Role of the pipeline's {purpose} in {names.prefix}")

    def allow_deploy(self) -> None:
        """``cdk deploy``: it works with the roles that the bootstrap made."""
        account, region = self.names.account, self.names.settings.region
        roles = [f"cdk-{BOOTSTRAP_QUALIFIER}-{part}-role-{account}-{region}" for part in BOOTSTRAP_ROLES]
        self.allow(["sts:AssumeRole"], [f"arn:{self.names.partition}:iam::{account}:role/{name}" for name in roles])

    def allow_smoke(self) -> None:
        """``python -m cli smoke --only prediction --only drift``."""
        names = self.names
        self.allow(["cloudformation:DescribeStacks"], [names.arn("cloudformation", f"stack/{names.prefix}-*/*")], because=_STACK_IDS)
        self.allow(
            ["execute-api:Invoke"], [names.arn("execute-api", "*/*/POST/predict")], because="API Gateway chooses the id of the stage's API"
        )
        self.allow(["dynamodb:GetItem", "dynamodb:DeleteItem"], [names.arn("dynamodb", f"table/{names.predictions_table}")])
        self.allow(["lambda:InvokeFunction"], [names.arn("lambda", f"function:{names.function('detect-drift')}")])
        self._allow_query()
        self.allow(
            ["kms:Decrypt", "kms:GenerateDataKey"],
            [names.arn("kms", "key/*")],
            {"ForAnyValue:StringEquals": {"kms:ResourceAliases": f"alias/{names.prefix}"}},
            because="KMS chooses the key's id; the condition names the one key by its alias",
        )

    def _allow_query(self) -> None:
        """Before the first release the drift leg counts the captured lines of the hour instead."""
        names = self.names
        self.allow(
            ["athena:StartQueryExecution", "athena:GetQueryExecution", "athena:GetQueryResults"],
            [names.arn("athena", f"workgroup/{names.workgroup}")],
        )
        catalog = ("catalog", f"database/{names.database}", f"table/{names.database}/capture")
        self.allow(["glue:GetDatabase", "glue:GetTable", "glue:GetPartitions"], [names.arn("glue", part) for part in catalog])
        self.allow(["s3:ListBucket", "s3:ListBucketVersions", "s3:GetBucketLocation"], [names.bucket_arn("capture")])
        captured = names.bucket_arn("capture", f"capture/{names.endpoint}/*")
        self.allow(["s3:GetObject"], [captured], because="Athena reads the objects of the hour")
        self.allow(
            ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:DeleteObject", "s3:DeleteObjectVersion"],
            [names.bucket_arn("capture", "athena-results/*")],
            because="Athena names its result objects",
        )

    def allow_rollout(self) -> None:
        """``python -m cli release start PACKAGE --watch``, and to pause, resume or approve what it started."""
        names = self.names
        machine = names.state_machine("rollout")
        self.allow(
            ["cloudformation:DescribeStacks"], [names.arn("cloudformation", f"stack/{names.stack('rollout')}/*")], because=_STACK_IDS
        )
        self.allow(["states:StartExecution", "states:ListExecutions"], [names.arn("states", f"stateMachine:{machine}")])
        self.allow(
            ["states:DescribeExecution", "states:GetExecutionHistory"],
            [names.arn("states", f"execution:{machine}:*")],
            because="A rollout is named when it is started",
        )
        parameters = [names.arn("ssm", f"parameter{names.parameter(part)}") for part in ("release", "rollout-control", "experiment")]
        self.allow(["ssm:GetParameter"], parameters)
        self.allow(["ssm:PutParameter", "ssm:GetParameterHistory"], [names.arn("ssm", f"parameter{names.parameter('rollout-control')}")])
        self.allow(["sagemaker:DescribeModelPackage"], [names.model_packages_arn], because="The service numbers our own group's packages")


_STACK_IDS = "CloudFormation ends the ARN of a stack with an id of its own"


class AccessStack(Stack):
    """The roles of the stages that are in one account, and the account's identity provider for GitHub.

    Args:
        stages: settings of these stages.
    """

    def __init__(self, scope: Construct, settings: PipelineSettings, account: str, stages: Sequence[Settings], **kwargs: Any) -> None:
        name = f"{stages[0].name}-pipeline-access"
        super().__init__(scope, f"{name}-{account}", stack_name=name, env=Environment(account=account, region=settings.region), **kwargs)
        provider = self._provider(settings) if settings.github else None
        for stage in stages:
            names = Names(stage, self.account, self.partition, self.url_suffix)
            scope_of_stage = Construct(self, stage.stage.capitalize())
            if provider is not None:
                deploy = PipelineRole(
                    scope_of_stage, "deploy", names=names, settings=settings, provider=provider, environment=stage.stage,
                    duration=Duration.hours(4),
                )  # fmt: skip
                deploy.allow_deploy()
            if stage.stage == next(iter(settings.accounts)):
                smoke = PipelineRole(
                    scope_of_stage, "smoke", names=names, settings=settings, provider=provider, environment=stage.stage,
                    project_role=project_role_arn(settings, names, "smoke"), duration=Duration.hours(1),
                )  # fmt: skip
                smoke.allow_smoke()
            rollout = PipelineRole(
                scope_of_stage, "rollout", names=names, settings=settings, provider=provider, environment=f"{stage.stage}-rollout",
                project_role=project_role_arn(settings, names, "rollout"),
            )  # fmt: skip
            rollout.allow_rollout()

    def _provider(self, settings: PipelineSettings) -> str:
        if settings.oidc_provider == "import":
            return f"arn:{self.partition}:iam::{self.account}:oidc-provider/{GITHUB}"
        made = iam.OidcProviderNative(
            self, "GitHub", url=f"https://{GITHUB}", client_ids=[AUDIENCE], removal_policy=RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE
        )
        return made.oidc_provider_arn


def project_role_name(names: Names, purpose: str) -> str:
    """Role of CodePipeline's project for a purpose in a stage; in the account of the pipeline."""
    return f"{names.prefix}-project-{purpose}-{names.settings.region}"


def project_role_arn(settings: PipelineSettings, names: Names, purpose: str) -> str | None:
    """The ARN of that role; None without CodePipeline."""
    if settings.connection_arn is None:
        return None
    return f"arn:{names.partition}:iam::{settings.pipeline_account}:role/{project_role_name(names, purpose)}"
