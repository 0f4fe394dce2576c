"""The execution role of the models behind the endpoint: read artifacts, write captured data, read its own rollback alarms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import Acknowledgment, Validations
from aws_cdk import aws_iam as iam
from constructs import Construct

from stacks.constructs.shared import SharedResources
from stacks.images import inference_image, repository_arn

_INTERFACES = ("ec2:CreateNetworkInterface", "ec2:CreateNetworkInterfacePermission", "ec2:DeleteNetworkInterface",
               "ec2:DeleteNetworkInterfacePermission")  # fmt: skip
_NETWORK_READS = ("ec2:DescribeNetworkInterfaces", "ec2:DescribeVpcs", "ec2:DescribeDhcpOptions", "ec2:DescribeSubnets",
                  "ec2:DescribeSecurityGroups")  # fmt: skip


class EndpointRole(Construct):
    """Always there, release or not: a rollout then updates the endpoint without any right to change roles.

    Attributes:
        role: trusted by SageMaker only; its literal name lets a rollout's role pass this role and no other.
        policy: its one policy, which the models depend on: CreateModel reads the artifact at once.
    """

    def __init__(self, scope: Construct, construct_id: str, *, shared: SharedResources, green_alarms: Sequence[str]) -> None:
        """``green_alarms``: beginnings of the names of the rollback alarms."""
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
        self._allow_reporting(green_alarms)
        self._allow_image()
        if shared.settings.network.mode == "vpc":
            self._allow_network()

    def _allow_files(self) -> None:
        names, key = self._shared.names, self._shared.key.key_arn
        models, capture = (f"arn:aws:s3:::{names.bucket(purpose)}" for purpose in ("models", "capture"))
        captured = f"capture/{names.endpoint}/*"
        self._allow(["s3:GetObject"], [f"{models}/training/*"])
        self._allow(["s3:ListBucket"], [models], {"StringLike": {"s3:prefix": ["training/*"]}})
        self._allow(["s3:PutObject"], [f"{capture}/{captured}"])
        self._allow(["kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey"], [key])
        self._allow(["kms:CreateGrant"], [key], {"Bool": {"kms:GrantIsForAWSResource": "true"}})
        bucket, owner = f"arn:aws:s3:::{names.prefix}", f"<AWS::AccountId>-{names.settings.region}"
        self._acknowledge(f"{bucket}-models-{owner}/training/*", "Artifacts are named by the jobs that make them")
        self._acknowledge(f"{bucket}-capture-{owner}/{captured}", "SageMaker names capture files by hour")

    def _allow_reporting(self, green_alarms: Sequence[str]) -> None:
        names = self._shared.names
        alarms = [f"alarm:{beginning}*" for beginning in green_alarms]
        log_group = f"log-group:/aws/sagemaker/Endpoints/{names.endpoint}*"
        self._allow(["cloudwatch:DescribeAlarms"], [names.arn("cloudwatch", alarm) for alarm in alarms])
        self._allow(["cloudwatch:PutMetricData"], ["*"], {"StringEquals": {"cloudwatch:namespace": "/aws/sagemaker/Endpoints"}})
        self._allow(
            ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"], [names.arn("logs", log_group)]
        )
        for alarm in alarms:
            self._acknowledge(self._readable("cloudwatch", alarm), "The names of rollback alarms end with the configuration they watch")
        self._acknowledge(self._readable("logs", log_group), "SageMaker makes the endpoint's log group and streams itself")
        self._acknowledge(
            "*", "GetAuthorizationToken, PutMetricData (limited to one namespace) and EC2's describe actions take no resource"
        )

    def _allow_image(self) -> None:
        region = self._shared.settings.region
        image = inference_image(region, self._shared.settings.hosting.instance_type)
        self._allow(["ecr:GetAuthorizationToken"], ["*"])
        self._allow(["ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"], [repository_arn(image, region)])

    def _allow_network(self) -> None:
        """Interfaces in the given subnets and security groups only; the describe actions take no resource."""
        network, names = self._shared.settings.network, self._shared.names
        parts = [f"subnet/{item}" for item in network.subnet_ids] + [f"security-group/{item}" for item in network.security_group_ids]
        interfaces = "network-interface/*"
        self._allow(list(_INTERFACES), [names.arn("ec2", part) for part in (*parts, interfaces)])
        self._acknowledge(self._readable("ec2", interfaces), "EC2 names an instance's network interfaces when it makes them")
        self._allow(list(_NETWORK_READS), ["*"])

    def _readable(self, service: str, resource: str) -> str:
        """An ARN of this account as the audit rules print it."""
        return f"arn:<AWS::Partition>:{service}:{self._shared.settings.region}:<AWS::AccountId>:{resource}"

    def _acknowledge(self, resource: str, reason: str) -> None:
        Validations.of(self.policy).acknowledge(Acknowledgment(id=f"AwsSolutions-IAM5[Resource::{resource}]", reason=reason))

    def _allow(self, actions: Sequence[str], resources: Sequence[str], conditions: Mapping[str, object] | None = None) -> None:
        self.policy.add_statements(iam.PolicyStatement(actions=list(actions), resources=list(resources), conditions=dict(conditions or {})))
