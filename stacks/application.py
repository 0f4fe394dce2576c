"""All stacks of one stage in one app: what ``app.py`` builds and what the tests synthesise."""

from __future__ import annotations

from pathlib import Path

from aws_cdk import App, Stack, Tags, Validations
from cdk_nag import AwsSolutionsChecks
from constructs import Construct

from stacks.endpoint import EndpointStack
from stacks.foundation import FoundationStack
from stacks.labeling import LabelingStack
from stacks.monitoring import MonitoringStack
from stacks.retraining import RetrainingStack
from stacks.review import ReviewStack
from stacks.rollout.stack import RolloutStack
from stacks.settings import Settings
from stacks.template_names import template_names
from stacks.tuning import TuningStack

FEATURE_FLAGS = {
    "@aws-cdk/aws-s3:serverAccessLogsUseBucketPolicy": True,
    "@aws-cdk/aws-iam:minimizePolicies": True,
    "@aws-cdk/aws-iam:standardizedServicePrincipals": True,
    "@aws-cdk/core:enablePartitionLiterals": True,
    "@aws-cdk/core:target-partitions": ["aws"],
    "@aws-cdk/aws-apigateway:disableCloudWatchRole": True,
    "@aws-cdk/aws-sns-subscriptions:restrictSqsDescryption": True,
    "@aws-cdk/aws-kms:reduceCrossAccountRegionPolicyScope": True,
    "@aws-cdk/aws-lambda:useCdkManagedLogGroup": False,
}
"""Set here, not in cdk.json, so that ``python app.py`` and the CDK CLI give the same bytes."""


def build_app(settings: Settings, output: Path | None = None) -> App:
    """Build the app; ``app.synth()`` fails on any unacknowledged finding. Needs no credentials and no network."""
    app = new_app(output)
    add_stacks(app, settings)
    return app


def add_stacks(scope: Construct, settings: Settings) -> None:
    """Every stack of one stage. Their names are the same in an app of their own and in a stage of a pipeline.

    Args:
        scope: an app, or a stage of one.
    """
    names = template_names(settings)
    foundation = FoundationStack(scope, settings, stack_name=names.stack("foundation"))
    stacks: list[Stack] = [TuningStack(scope, settings, stack_name=names.stack("tuning")), *_people(scope, settings)]
    stacks += [
        EndpointStack(scope, settings, stack_name=names.stack("endpoint")),
        MonitoringStack(scope, settings, stack_name=names.stack("monitoring")),
        RolloutStack(scope, settings, stack_name=names.stack("rollout")),
        RetrainingStack(scope, settings, stack_name=names.stack("retraining")),
    ]
    for stack in stacks:
        stack.add_stack_dependency(foundation)
    Tags.of(scope).add("application", settings.name)
    Tags.of(scope).add("stage", settings.stage)


def new_app(output: Path | None = None) -> App:
    """An empty app with the project's feature flags, whose stacks are audited when it is synthesised."""
    app = App(outdir=str(output) if output else None, context=FEATURE_FLAGS, analytics_reporting=False, tree_metadata=False)
    Validations.of(app).add_plugins(AwsSolutionsChecks(app, write_suppressions_to_cloud_formation=True))
    return app


def _people(scope: Construct, settings: Settings) -> list[Stack]:
    """The stacks through which people are asked: none of them with ``review.backend: none``."""
    if not settings.review.asks_people:
        return []
    names = template_names(settings)
    review = ReviewStack(scope, settings, stack_name=names.stack("review"))
    if not settings.labeling.enabled:
        return [review]
    labeling = LabelingStack(scope, settings, stack_name=names.stack("labeling"))
    labeling.add_stack_dependency(review)  # it reads the work team's ARN from a parameter of that stack
    return [review, labeling]
