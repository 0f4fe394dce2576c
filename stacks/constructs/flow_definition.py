"""How people are asked: the worker page, the A2I flow definition and the role it works with."""

from __future__ import annotations

from pathlib import Path

from aws_cdk import Acknowledgment, CfnDeletionPolicy, CustomResource, Duration, Fn, Validations
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sagemaker as sagemaker
from constructs import Construct

from stacks.constructs.python_function import PythonFunction
from stacks.constructs.shared import SharedResources
from stacks.constructs.workforce import content_hash

TEMPLATE = Path(__file__).with_name("worker_template.liquid")
OUTPUT_PREFIX = "a2i"
_HANDLER_TIMEOUT = 300
TASK_TITLE = "Choose the label that fits a text"
TASK_DESCRIPTION = "Read one text and choose the label that fits it best."


class FlowDefinition(Construct):
    """Human task UI, flow role and the custom resource ``Custom::FlowDefinition`` (``lambdas/flow_definition``).

    Attributes:
        arn: of the flow; changes with its content.
        every_generation: ARN prefix of this flow and of those that it replaced and that still have open loops.
        human_task_ui_arn: of the worker page.
    """

    def __init__(self, scope: Construct, construct_id: str, *, shared: SharedResources, workteam_arn: str) -> None:
        super().__init__(scope, construct_id)
        self._shared = shared
        names, review = shared.names, shared.settings.review
        base_name = f"{names.prefix}-review"
        self.every_generation = names.arn("sagemaker", f"flow-definition/{base_name}-")
        self.human_task_ui_arn = self._human_task_ui(base_name)
        self.role = self._flow_role()
        function = self._handler(base_name)
        resource = CustomResource(
            self,
            "Resource",
            service_token=function.function.function_arn,
            resource_type="Custom::FlowDefinition",
            service_timeout=Duration.seconds(_HANDLER_TIMEOUT),
            properties={
                "BaseName": base_name,
                "RoleArn": self.role.role_arn,
                "WorkteamArn": workteam_arn,
                "HumanTaskUiArn": self.human_task_ui_arn,
                "TaskTitle": TASK_TITLE,
                "TaskDescription": TASK_DESCRIPTION,
                "TaskKeywords": ["text", "classification"],
                "TaskCount": review.workers_per_task,
                "TaskTimeLimitInSeconds": review.task_time_limit_seconds,
                "TaskAvailabilityLifetimeInSeconds": review.task_availability_seconds,
                "S3OutputPath": f"s3://{names.bucket('review')}/{OUTPUT_PREFIX}",
                "KmsKeyId": shared.key.key_arn,
            },
        )
        # The role's policy must be there when SageMaker first looks at the role.
        resource.node.add_dependency(self.role)
        self.arn = resource.get_att_string("FlowDefinitionArn")

    def _human_task_ui(self, base_name: str) -> str:
        template = TEMPLATE.read_text(encoding="utf-8")
        task_ui = sagemaker.CfnHumanTaskUi(
            self,
            "HumanTaskUi",
            human_task_ui_name=f"{base_name}-{content_hash(template)}",
            ui_template=sagemaker.CfnHumanTaskUi.UiTemplateProperty(content=template),
        )
        # A replaced page stays: loops of the flow before may still be open, and a page costs nothing.
        task_ui.cfn_options.update_replace_policy = CfnDeletionPolicy.RETAIN
        task_ui.cfn_options.deletion_policy = CfnDeletionPolicy.DELETE
        return task_ui.attr_human_task_ui_arn

    def _flow_role(self) -> iam.Role:
        role = iam.Role(
            self, "Role", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"), description="A2I writes the reviews' answers with it"
        )
        output = self._shared.bucket("review").arn_for_objects(f"{OUTPUT_PREFIX}/*")
        role.add_to_policy(iam.PolicyStatement(actions=["s3:PutObject"], resources=[output]))
        Validations.of(role).acknowledge(
            Acknowledgment(
                id=f"AwsSolutions-IAM5[Resource::arn:aws:s3:::{self._shared.names.prefix}-review-<AWS::AccountId>-{self._shared.settings.region}/{OUTPUT_PREFIX}/*]",
                reason="A2I writes each review's answers below this one prefix, by the second and the review's name",
            )
        )
        role.add_to_policy(
            iam.PolicyStatement(actions=["kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey"], resources=[self._shared.key.key_arn])
        )
        return role

    def _handler(self, base_name: str) -> PythonFunction:
        function = PythonFunction(
            self,
            "Handler",
            shared=self._shared,
            folder="flow_definition",
            description="Creates, replaces and deletes the A2I flow definition",
            timeout=_HANDLER_TIMEOUT,
        )
        function.allow(
            [
                "sagemaker:CreateFlowDefinition",
                "sagemaker:DescribeFlowDefinition",
                "sagemaker:DeleteFlowDefinition",
            ],
            [Fn.join("", [self.every_generation, "*"])],
        )
        function.allow(["sagemaker:ListHumanLoops"], ["*"])  # a list action; no resource type is documented for it
        function.acknowledge(
            f"Resource::arn:<AWS::Partition>:sagemaker:{self._shared.settings.region}:<AWS::AccountId>:flow-definition/{base_name}-*",
            "The flow's name ends in a hash of its content, which is known when it is made",
        )
        function.allow(["iam:PassRole"], [self.role.role_arn], {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}})
        return function
