"""The execution role of the models behind the endpoint: read artifacts, write captured data, read its own rollback alarms."""

from __future__ import annotations

from aws_cdk import aws_iam as iam
from constructs import Construct

from contracts.shared_words import VARIANTS
from stacks.constructs.own_role import OwnRole
from stacks.constructs.shared import SharedResources
from stacks.images import inference_image, repository_arn

_INTERFACES = ("ec2:CreateNetworkInterface", "ec2:CreateNetworkInterfacePermission", "ec2:DeleteNetworkInterface",
               "ec2:DeleteNetworkInterfacePermission")  # fmt: skip
_NETWORK_READS = ("ec2:DescribeNetworkInterfaces", "ec2:DescribeVpcs", "ec2:DescribeDhcpOptions", "ec2:DescribeSubnets",
                  "ec2:DescribeSecurityGroups")  # fmt: skip


class EndpointRole(OwnRole):
    """Always there, release or not: a rollout then updates the endpoint without any right to change roles.

    Attributes:
        role: trusted by SageMaker only; its literal name lets a rollout's role pass this role and no other.
        policy: its one policy, which the models depend on: CreateModel reads the artifact at once.
    """

    def __init__(self, scope: Construct, construct_id: str, *, shared: SharedResources) -> None:
        super().__init__(scope, construct_id)
        self._shared = shared
        names = shared.names
        self.role = iam.Role(
            self,
            "Role",
            role_name=names.endpoint_role,
            assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"),
            description=f"Execution role of the models behind {names.endpoint}",
        )
        self.policy = iam.Policy(self, "Policy", policy_name="models", roles=[self.role])
        self._allow_files()
        self._allow_reporting()
        self._allow_image()
        if shared.settings.network.mode == "vpc":
            self._allow_network()

    def _allow_files(self) -> None:
        names, key = self._shared.names, self._shared.key.key_arn
        self.allow(["s3:GetObject"], [names.bucket_arn("models", "training/*")], because="Artifacts are named by the jobs that make them")
        # Without a condition on the prefix, as in the developer guide's execution roles: the service chooses how it lists.
        self.allow(["s3:ListBucket"], [names.bucket_arn("models")])
        if self._shared.settings.hosting.capture == "endpoint":
            captured = names.bucket_arn("capture", f"capture/{names.endpoint}/*")
            self.allow(["s3:PutObject"], [captured], because="SageMaker names capture files by hour")
        self.allow(["kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey"], [key])
        self.allow(["kms:CreateGrant"], [key], {"Bool": {"kms:GrantIsForAWSResource": "true"}})

    def _allow_reporting(self) -> None:
        names = self._shared.names
        alarms = [names.arn("cloudwatch", f"alarm:{names.rollback_alarms(variant)}*") for variant in VARIANTS]
        logs = names.arn("logs", f"log-group:/aws/sagemaker/Endpoints/{names.endpoint}*")
        self.allow(["cloudwatch:DescribeAlarms"], alarms, because="The names of rollback alarms end with the configuration they watch")
        self.allow(
            ["cloudwatch:PutMetricData"],
            ["*"],
            {"StringEquals": {"cloudwatch:namespace": "/aws/sagemaker/Endpoints"}},
            because="GetAuthorizationToken, PutMetricData (limited to one namespace) and EC2's describe actions take no resource",
        )
        self.allow(
            ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"],
            [logs],
            because="SageMaker makes the endpoint's log group and streams itself",
        )

    def _allow_image(self) -> None:
        region = self._shared.settings.region
        image = inference_image(region, self._shared.settings.hosting.instance_type)
        self.allow(["ecr:GetAuthorizationToken"], ["*"])
        self.allow(["ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"], [repository_arn(image, region)])

    def _allow_network(self) -> None:
        """Interfaces in the given subnets and security groups only; the describe actions take no resource."""
        network, names = self._shared.settings.network, self._shared.names
        parts = [f"subnet/{item}" for item in network.subnet_ids] + [f"security-group/{item}" for item in network.security_group_ids]
        resources = [names.arn("ec2", part) for part in (*parts, "network-interface/*")]
        self.allow(list(_INTERFACES), resources, because="EC2 names an instance's network interfaces when it makes them")
        self.allow(list(_NETWORK_READS), ["*"])
