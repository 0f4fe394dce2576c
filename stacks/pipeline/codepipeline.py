"""The same for teams on CodePipeline: a pipeline that deploys itself, then each stage into its account; and one per stage for rollouts.

https://docs.aws.amazon.com/cdk/v2/guide/cdk-pipeline.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aws_cdk import Acknowledgment, Duration, Environment, Stack, Stage, Validations, pipelines
from aws_cdk import aws_codebuild as codebuild
from aws_cdk import aws_codepipeline as codepipeline
from aws_cdk import aws_codepipeline_actions as actions
from aws_cdk import aws_iam as iam
from constructs import Construct

from stacks.application import add_stacks
from stacks.constructs.findings import acknowledge_wildcards
from stacks.names import Names
from stacks.pipeline.access import project_role_name, role_name
from stacks.settings import Settings
from stacks.settings.pipeline import PipelineSettings

RUNTIMES = {"python": "3.11", "nodejs": "22"}
PROFILE = "stage"
"""The AWS profile by which a command takes on a role in the account of its stage, again and again while it runs."""
SMOKE = "python -m cli smoke --stage {stage} --yes --only prediction --only drift"
ROLLOUT = 'python -m cli release start "$PACKAGE" --stage {stage} --watch'
LONGEST_ROLLOUT = Duration.hours(36)
"""CodeBuild's limit for a build. CodePipeline may end the action earlier (docs/pipelines.md). A longer rollout goes on without it."""
_GENERATED = {
    "cloudformation:DescribeStacks": "The self-mutation reads its own stack; CDK Pipelines grants it on any stack of the account",
    "s3:ListBucket": "The self-mutation looks for the bootstrap's bucket; CDK Pipelines grants it on any bucket",
    "sts:AssumeRole": "The self-mutation takes on the bootstrap's roles, which a condition names by their tag",
    "codebuild:BatchGetBuilds": "CDK Pipelines lets the publication of assets start, read and stop any build of the pipeline's account",
    "codebuild:StartBuild": "CDK Pipelines lets the publication of assets start, read and stop any build of the pipeline's account",
    "codebuild:StopBuild": "CDK Pipelines lets the publication of assets start, read and stop any build of the pipeline's account",
    "codebuild:": "CDK grants a project the report groups that its builds name",
    "s3:": "CDK grants reading or writing of the artifact bucket, whose keys CodePipeline chooses, by groups of actions",
    "kms:": "CDK grants data keys and re-encryption with the artifact key by groups of actions",
    "logs:": "CodeBuild names a log stream for each build",
}
"""An action that CDK Pipelines grants with a wildcard, or how it begins -> why; the first that fits counts. Others fail the synthesis."""


class DeployedStage(Stage):
    """Every stack of one stage, in its account."""

    def __init__(self, scope: Construct, settings: Settings, account: str) -> None:
        super().__init__(scope, settings.stage.capitalize(), env=Environment(account=account, region=settings.region))
        add_stacks(self, settings)


class PipelineStack(Stack):
    """``<name>-pipeline``, and ``<prefix>-rollout`` for each stage.

    Args:
        stages: settings of the stages, in the order of deployment.
        file: the pipeline's settings, as a path in the repository.
    """

    def __init__(self, scope: Construct, settings: PipelineSettings, stages: Mapping[str, Settings], file: str, **kwargs: Any) -> None:
        name = next(iter(stages.values())).name
        environment = Environment(account=settings.pipeline_account, region=settings.region)
        super().__init__(scope, f"{name}-pipeline", env=environment, **kwargs)
        self._settings = settings
        source = pipelines.CodePipelineSource.connection(
            settings.repository, settings.branch, connection_arn=str(settings.connection_arn), action_name="Source"
        )
        self.pipeline = pipelines.CodePipeline(
            self,
            "Pipeline",
            pipeline_name=name,
            pipeline_type=codepipeline.PipelineType.V2,
            cross_account_keys=True,
            enable_key_rotation=True,
            use_pipeline_role_for_actions=True,
            publish_assets_in_parallel=False,
            code_build_defaults=pipelines.CodeBuildOptions(build_environment=_BUILDS),
            synth_code_build_defaults=pipelines.CodeBuildOptions(partial_build_spec=_runtimes()),
            synth=pipelines.ShellStep(
                "Synth",
                input=source,
                commands=["make install", "make lint", "make test-unit", f".venv/bin/python app.py --pipeline {file} --output cdk.out"],
                primary_output_directory="cdk.out",
            ),
        )
        for number, (stage, chosen) in enumerate(stages.items()):
            deployed = DeployedStage(self, chosen, settings.accounts[stage])
            names = self._names(chosen)
            approval = [pipelines.ManualApprovalStep("Approve", comment=f"Deploy to {names.prefix}?")] if number else []
            self.pipeline.add_stage(deployed, pre=approval, post=[] if number else [self._smoke(names, source)])
        self.pipeline.build_pipeline()
        self._allow_connection(self.pipeline.pipeline)
        for chosen in stages.values():
            self._rollout(self._names(chosen))
        self._acknowledge()

    def _names(self, stage: Settings) -> Names:
        """Names of what a stage has in its own account."""
        return Names(stage, self._settings.accounts[stage.stage], self.partition, self.url_suffix)

    def _allow_connection(self, pipeline: codepipeline.Pipeline) -> None:
        """Allow the source by the prefix that the connection's ARN has; CDK allows it by codestar-connections, whatever the ARN says.

        IAM compares both: https://docs.aws.amazon.com/dtconsole/latest/userguide/rename.html
        """
        arn = str(self._settings.connection_arn)
        prefix = arn.split(":")[2]
        pipeline.add_to_role_policy(iam.PolicyStatement(actions=[f"{prefix}:UseConnection"], resources=[arn]))

    def _project_role(self, names: Names, purpose: str) -> iam.Role:
        """The role of a project, which the stage's role for the same purpose trusts."""
        role = iam.Role(
            self,
            f"{names.settings.stage.capitalize()}{purpose.capitalize()}Role",
            role_name=project_role_name(names, purpose),
            assumed_by=iam.ServicePrincipal("codebuild.amazonaws.com"),
            description=f"Takes on {role_name(names, purpose)}",
        )
        role.add_to_policy(iam.PolicyStatement(actions=["sts:AssumeRole"], resources=[_stage_role(names, purpose)]))
        return role

    def _smoke(self, names: Names, source: pipelines.IFileSetProducer) -> pipelines.CodeBuildStep:
        return pipelines.CodeBuildStep(
            "Smoke",
            input=source,
            commands=_in_the_stage(names, "smoke", SMOKE),
            partial_build_spec=_runtimes(),
            role=self._project_role(names, "smoke"),
        )

    def _rollout(self, names: Names) -> None:
        """A pipeline that somebody starts with a model package; the source is read anew, and a push starts nothing."""
        settings, stage = self._settings, names.settings.stage
        owner, repository = settings.repository.split("/")
        output, package = codepipeline.Artifact("Source"), codepipeline.Variable(variable_name="PACKAGE", description="Model package")
        source = actions.CodeStarConnectionsSourceAction(
            action_name="Source",
            connection_arn=str(settings.connection_arn),
            owner=owner,
            repo=repository,
            branch=settings.branch,
            output=output,
            trigger_on_push=False,
        )
        project = codebuild.PipelineProject(
            self,
            f"{stage.capitalize()}RolloutProject",
            project_name=f"{names.prefix}-rollout",
            role=self._project_role(names, "rollout"),
            environment=_BUILDS,
            encryption_key=self.pipeline.pipeline.artifact_bucket.encryption_key,
            grant_report_group_permissions=False,
            timeout=LONGEST_ROLLOUT,
            build_spec=codebuild.BuildSpec.from_object(
                {
                    "version": "0.2",
                    "phases": {
                        "install": {"runtime-versions": RUNTIMES},
                        "build": {"commands": _in_the_stage(names, "rollout", ROLLOUT)},
                    },
                }
            ),
        )
        given = {"PACKAGE": codebuild.BuildEnvironmentVariable(value=package.reference())}
        rollout = actions.CodeBuildAction(action_name="Rollout", project=project, input=output, environment_variables=given)
        pipeline = codepipeline.Pipeline(
            self,
            f"{stage.capitalize()}Rollout",
            pipeline_name=f"{names.prefix}-rollout",
            pipeline_type=codepipeline.PipelineType.V2,
            execution_mode=codepipeline.ExecutionMode.QUEUED,
            use_pipeline_role_for_actions=True,
            artifact_bucket=self.pipeline.pipeline.artifact_bucket,
            variables=[package],
            stages=[
                codepipeline.StageProps(stage_name="Source", actions=[source]),
                codepipeline.StageProps(stage_name="Rollout", actions=[rollout]),
            ],
        )
        self._allow_connection(pipeline)

    def _acknowledge(self) -> None:
        """The findings about what CDK Pipelines makes."""
        Validations.of(self.pipeline.pipeline.artifact_bucket).acknowledge(
            Acknowledgment(
                id="AwsSolutions-S1",
                reason="The artifacts are copies of a commit and of what it synthesises; CodePipeline's history says who used them",
            )
        )
        own = (top for top in self.node.children if not isinstance(top, DeployedStage))
        for policy in (child for top in own for child in top.node.find_all() if isinstance(child, iam.CfnPolicy)):
            for statement in self.resolve(policy.policy_document)["Statement"]:
                _acknowledge_statement(policy, statement)


def _acknowledge_statement(policy: iam.CfnPolicy, statement: Mapping[str, Any]) -> None:
    granted = _listed(statement["Action"])
    wildcards = [resource for resource in _listed(statement["Resource"]) if "*" in json.dumps(resource)]
    reasons = {next((why for start, why in _GENERATED.items() if action.startswith(start)), "") for action in granted}
    if "" not in reasons:
        acknowledge_wildcards(policy, granted, wildcards, because="; ".join(sorted(reasons)))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _stage_role(names: Names, purpose: str) -> str:
    return f"arn:{names.partition}:iam::{names.account}:role/{role_name(names, purpose)}"


def _in_the_stage(names: Names, purpose: str, command: str) -> list[str]:
    """The shell commands that run a command of ``cli`` under the stage's role."""
    return [
        "make install",
        f".venv/bin/aws configure set profile.{PROFILE}.role_arn {_stage_role(names, purpose)}",
        f".venv/bin/aws configure set profile.{PROFILE}.credential_source EcsContainer",
        f".venv/bin/{command.format(stage=names.settings.stage)} --profile {PROFILE}",
    ]


def _runtimes() -> codebuild.BuildSpec:
    return codebuild.BuildSpec.from_object({"phases": {"install": {"runtime-versions": RUNTIMES}}})


_BUILDS = codebuild.BuildEnvironment(build_image=codebuild.LinuxBuildImage.STANDARD_7_0, compute_type=codebuild.ComputeType.LARGE)
