"""The execution role of Ground Truth's labelling jobs."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import aws_iam as iam
from constructs import Construct

from stacks.constructs.own_role import OwnRole
from stacks.constructs.python_function import PythonFunction
from stacks.constructs.service_key_use import allow_key_use
from stacks.constructs.shared import SharedResources

MANIFESTS = "manifests"
OUTPUT = "labeling"
JOB_INPUTS = "labeling-inputs"
"""Prefix of the worker pages and label categories, by the digest of their content: a job reads what its execution was started with."""
ANY_MANIFEST = "The operator names the manifest; all of them lie below this prefix"


class LabelingJobRole(OwnRole):
    """Reads manifests and inputs in the data bucket, writes below ``labeling/`` in the review bucket, calls ``functions``."""

    def __init__(self, scope: Construct, construct_id: str, *, shared: SharedResources, functions: Sequence[PythonFunction]) -> None:
        super().__init__(scope, construct_id)
        names = shared.names
        self.role = iam.Role(
            self, "Default", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"), description="Ground Truth labels texts with it"
        )
        self.allow(["s3:GetObject"], [names.bucket_arn("data", f"{MANIFESTS}/*")], because=ANY_MANIFEST)
        self.allow(
            ["s3:GetObject"],
            [names.bucket_arn("data", f"{JOB_INPUTS}/*")],
            because="Pages and categories lie under a digest of their content, those that running jobs still read too",
        )
        self.allow(
            ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"],
            [names.bucket_arn("review", f"{OUTPUT}/*")],
            because="Each job has a folder of its own below this prefix",
        )
        # This and PutMetricData are in AWS's least policy for the role, both without a condition: by which prefix the service lists, and
        # into which namespace it writes, is not documented (developer guide, sms-security-permission-execution-role). Manifest, page and
        # categories lie in the one bucket, the output in the other.
        self.allow(["s3:GetBucketLocation", "s3:ListBucket"], [names.bucket_arn("data"), names.bucket_arn("review")])
        self.allow(
            ["cloudwatch:PutMetricData"],
            ["*"],
            because="PutMetricData takes no resource (service authorization reference, Amazon CloudWatch)",
        )
        allow_key_use(self, shared.key.key_arn)
        self.allow(["lambda:InvokeFunction"], [function.function.function_arn for function in functions])
        self.allow(
            ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
            [names.arn("logs", "log-group:/aws/sagemaker/LabelingJobs*")],
            because="SageMaker makes this log group itself",
        )
