"""The role by which CloudFormation updates the endpoint stack for a rollout: what a changed release record changes, and no more.

Anything else in the stack's template (roles, functions, the API) stays as it is, so nothing of it is granted.
"""

from __future__ import annotations

from aws_cdk import Aws, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from contracts.shared_words import VARIANTS
from stacks.constructs.own_role import OwnRole
from stacks.constructs.shared import SharedResources

_MADE = {"model": "Model", "endpoint-config": "EndpointConfig"}


class EndpointUpdateRole(OwnRole):
    """Assumed by CloudFormation only, for the one stack that ``apply_release`` may update.

    Models and configurations are named by CloudFormation: they are told apart by the tags that every resource of the app carries.
    The conditions on tags are those of AWS's own policy AmazonSageMakerHyperPodInferenceAccess (version 3).

    The trust has no condition on the source account: AWS documents none for a service role, CDK's own has none, and a role cannot be
    passed from another account anyhow.

    Attributes:
        parameters: ARNs of the SSM parameters that the stack's template reads. AWS does not say whether CloudFormation reads them as
            the role or as its caller, so the caller needs the grant too.
    """

    def __init__(self, scope: Construct, construct_id: str, *, shared: SharedResources) -> None:
        super().__init__(scope, construct_id)
        self._shared = shared
        names = shared.names
        self.role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("cloudformation.amazonaws.com"),
            description=f"CloudFormation's role when a rollout updates {names.stack('endpoint')}",
        )
        bootstrap = f"/cdk-bootstrap/{Stack.of(self).synthesizer.bootstrap_qualifier}/version"
        read = [names.parameter("release"), names.parameter("key-arn"), bootstrap]
        self.parameters = [names.arn("ssm", f"parameter{name}") for name in read]
        self.allow(["ssm:GetParameter", "ssm:GetParameters"], self.parameters)
        self._allow_models()
        self._allow_endpoint()
        self._allow_alarms()
        if shared.settings.hosting.scaling:
            self._allow_scaling()

    @property
    def _tags(self) -> dict[str, str]:
        """Those that every resource of this stage carries (``stacks/application.py``)."""
        return {"application": self._shared.settings.name, "stage": self._shared.settings.stage}

    def _allow_models(self) -> None:
        names, key, tags = self._shared.names, self._shared.key.key_arn, self._tags
        for resource, kind in _MADE.items():
            arn, because = names.arn("sagemaker", f"{resource}/*"), "CloudFormation names them; the tags of this stage are required"
            requested = {"StringEquals": {f"aws:RequestTag/{tag}": value for tag, value in tags.items()}}
            tagged = {"StringEquals": {f"aws:ResourceTag/{tag}": value for tag, value in tags.items()}}
            self.allow([f"sagemaker:Create{kind}"], [arn], requested, because=because)
            # With the creation only: by itself AddTags would make any model of the account one of ours, to be deleted or served.
            created = {"StringEquals": {**requested["StringEquals"], "sagemaker:TaggingAction": f"Create{kind}"}}
            self.allow(["sagemaker:AddTags"], [arn], created)
            self.allow([f"sagemaker:Delete{kind}", "sagemaker:ListTags"], [arn], tagged)
            self.allow([f"sagemaker:Describe{kind}"], [arn])  # Application Auto Scaling reads the configuration as its caller
        role = f"arn:aws:iam::{Aws.ACCOUNT_ID}:role/{names.endpoint_role}"
        self.allow(["iam:PassRole"], [role], {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}})
        # CreateModel is checked on the package as well: that is what a group's policy grants to another account that deploys from it
        # (SageMaker developer guide, "Deploy a model version from a different account").
        read_and_deployed = ["sagemaker:DescribeModelPackage", "sagemaker:CreateModel"]
        self.allow(read_and_deployed, [names.model_packages_arn], because="The service numbers our own group's packages")
        self.allow(["kms:DescribeKey"], [key])
        self.allow(["kms:CreateGrant"], [key], {"Bool": {"kms:GrantIsForAWSResource": "true"}})

    def _allow_endpoint(self) -> None:
        names = self._shared.names
        endpoint = names.arn("sagemaker", f"endpoint/{names.endpoint}")
        # Creating and updating an endpoint is checked on the configuration as well: it must be one of this stage.
        changes = ["sagemaker:CreateEndpoint", "sagemaker:UpdateEndpoint"]
        self.allow(changes, [endpoint])
        tagged = {"StringEquals": {f"aws:ResourceTag/{tag}": value for tag, value in self._tags.items()}}
        self.allow(changes, [names.arn("sagemaker", "endpoint-config/*")], tagged)
        self.allow(["sagemaker:DescribeEndpoint", "sagemaker:DeleteEndpoint", "sagemaker:AddTags", "sagemaker:ListTags"], [endpoint])

    def _allow_alarms(self) -> None:
        names = self._shared.names
        verbs = ["PutMetricAlarm", "DescribeAlarms", "DeleteAlarms", "ListTagsForResource", "TagResource"]
        self.allow(
            [f"cloudwatch:{verb}" for verb in verbs],
            [names.arn("cloudwatch", f"alarm:{names.rollback_alarms(variant)}*") for variant in VARIANTS],
            because="The rollback alarms follow the new configuration; no other alarm of the stage changes with a release",
        )

    def _allow_scaling(self) -> None:
        """A first release registers the variants; Application Auto Scaling then makes alarms with the caller's rights."""
        names = self._shared.names
        target = names.arn("application-autoscaling", "scalable-target/*")
        writes = ["RegisterScalableTarget", "DeregisterScalableTarget", "PutScalingPolicy", "DeleteScalingPolicy", "TagResource"]
        scaling = self._shared.settings.hosting.scaling
        if scaling and scaling.floors:
            writes += ["PutScheduledAction", "DeleteScheduledAction"]
        self.allow(
            [f"application-autoscaling:{verb}" for verb in writes],
            [target],
            {"StringEqualsIfExists": {"application-autoscaling:service-namespace": "sagemaker"}},
            because="The service names the targets; only those of SageMaker are allowed",
        )
        reads = ["DescribeScalableTargets", "DescribeScalingPolicies", "DescribeScheduledActions", "ListTagsForResource"]
        because = "Application Auto Scaling's describe actions take no resource"
        self.allow([f"application-autoscaling:{verb}" for verb in reads], ["*"], because=because)
        self.allow(["sagemaker:UpdateEndpointWeightsAndCapacities"], [names.arn("sagemaker", f"endpoint/{names.endpoint}")])
        self.allow(
            [f"cloudwatch:{verb}" for verb in ("PutMetricAlarm", "DescribeAlarms", "DeleteAlarms")],
            [names.arn("cloudwatch", f"alarm:TargetTracking-endpoint/{names.endpoint}/*")],
            because="Application Auto Scaling ends the names of its alarms with an id",
        )
        linked = "sagemaker.application-autoscaling.amazonaws.com"
        self.allow(
            ["iam:CreateServiceLinkedRole"],
            [f"arn:aws:iam::{Aws.ACCOUNT_ID}:role/aws-service-role/{linked}/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"],
            {"StringEquals": {"iam:AWSServiceName": linked}},
        )
