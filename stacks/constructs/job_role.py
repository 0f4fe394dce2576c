"""Execution roles of SageMaker jobs: what a container may read and write, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_iam as iam
from constructs import Construct

from stacks.constructs.model_code_asset import PREFIX
from stacks.constructs.own_role import OwnRole
from stacks.constructs.shared import SharedResources
from stacks.images import repository_arn
from stacks.names import BUCKET_PURPOSES, bucket_arn

_INTERFACES = ("ec2:CreateNetworkInterface", "ec2:CreateNetworkInterfacePermission", "ec2:DeleteNetworkInterface",
               "ec2:DeleteNetworkInterfacePermission")  # fmt: skip
_NETWORK_READS = ("ec2:DescribeNetworkInterfaces", "ec2:DescribeVpcs", "ec2:DescribeDhcpOptions", "ec2:DescribeSubnets",
                  "ec2:DescribeSecurityGroups")  # fmt: skip


_WITHOUT_RESOURCE = "GetAuthorizationToken, PutMetricData (limited to SageMaker's namespace) and EC2's describe actions take no resource"
_KEY_USE = ("kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext",
            "kms:ReEncryptFrom", "kms:ReEncryptTo")  # fmt: skip
"""``kms:Decrypt`` for encrypted input, ``kms:Encrypt`` for a key in the output's configuration, and ``kms:CreateGrant`` for a volume's key:
SageMaker developer guide, "How to use SageMaker AI execution roles", CreateHyperParameterTuningJob and CreateProcessingJob API. The rest is
what a key's users have by default, since S3 and EBS call it on their behalf: KMS developer guide, "Default key policy". Written out,
``GenerateDataKey*`` and ``ReEncrypt*`` are these, less the key pairs that neither of them uses."""


class JobRole(OwnRole):
    """Role assumed by SageMaker for one kind of job.

    Args:
        kind: ``TrainingJobs`` or ``ProcessingJobs``: the service's log group and metric namespace below ``/aws/sagemaker/``.
        image: the container image that is pulled.
        reads: pairs of bucket purpose and key prefix; the purpose may be another bucket's name.
        writes: pairs of bucket purpose and key prefix.
        outside_key: the key of another bucket among those that are read.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        shared: SharedResources,
        kind: str,
        image: str,
        reads: Sequence[tuple[str, str]],
        writes: Sequence[tuple[str, str]],
        outside_key: str | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        self._shared = shared
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"), description=f"Role of our {kind}")
        # Of every deploy: an execution, redriven or running, reads the code that it was started with.
        self._allow_files([*reads, ("models", PREFIX)], writes)
        self.allow(_KEY_USE, [shared.key.key_arn])
        if outside_key:
            self.allow(["kms:Decrypt"], [outside_key])
        self.allow(["kms:CreateGrant"], [shared.key.key_arn], {"Bool": {"kms:GrantIsForAWSResource": "true"}})
        self._allow_reporting(kind)
        self.allow(["ecr:GetAuthorizationToken"], ["*"], because=_WITHOUT_RESOURCE)
        self.allow(
            ["ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"],
            [repository_arn(image, shared.settings.region)],
        )
        if shared.settings.network.mode == "vpc":
            self._allow_network()

    def _allow_files(self, reads: Sequence[tuple[str, str]], writes: Sequence[tuple[str, str]]) -> None:
        many = "A job handles many objects, all below this one prefix"
        for bucket, prefix in reads:
            self.allow(["s3:GetObject"], [self._bucket(bucket, f"{prefix}*")], because=many)
        # Without a condition on the prefix, as in the developer guide's execution roles: the service chooses how it lists.
        self.allow(["s3:ListBucket"], sorted({self._bucket(bucket) for bucket, _ in reads}))
        for bucket, prefix in writes:
            self.allow(["s3:PutObject", "s3:AbortMultipartUpload"], [self._bucket(bucket, f"{prefix}*")], because=many)

    def _allow_reporting(self, kind: str) -> None:
        logs = self._shared.names.arn("logs", f"log-group:/aws/sagemaker/{kind}*")
        writes = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"]
        self.allow(writes, [logs], because="SageMaker names the streams of its own log group")
        self.allow(["cloudwatch:PutMetricData"], ["*"], {"StringEquals": {"cloudwatch:namespace": f"/aws/sagemaker/{kind}"}})

    def _allow_network(self) -> None:
        """Interfaces in the given subnets and security groups only; the describe actions take no resource."""
        network, names = self._shared.settings.network, self._shared.names
        parts = [f"subnet/{item}" for item in network.subnet_ids] + [f"security-group/{item}" for item in network.security_group_ids]
        resources = [names.arn("ec2", part) for part in (*parts, "network-interface/*")]
        self.allow(_INTERFACES, resources, because="EC2 names a job's network interfaces when it makes them")
        self.allow(_NETWORK_READS, ["*"])

    def _bucket(self, purpose: str, key: str = "") -> str:
        """ARN of one of our buckets, or of the bucket with that name."""
        names = self._shared.names
        return names.bucket_arn(purpose, key) if purpose in BUCKET_PURPOSES else bucket_arn(purpose, key)
