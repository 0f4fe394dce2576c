"""How people are asked: the worker page, the A2I flow definition and the role it works with."""

from __future__ import annotations

from aws_cdk import aws_iam as iam
from constructs import Construct

from contracts.shared_words import TASK_DESCRIPTION, TASK_TITLE
from stacks.constructs.function_resource import FunctionResource
from stacks.constructs.own_role import OwnRole
from stacks.constructs.python_function import PythonFunction
from stacks.constructs.service_key_use import allow_key_use
from stacks.constructs.shared import SharedResources
from stacks.constructs.worker_page import worker_page

OUTPUT_PREFIX = "a2i"
_HANDLER_TIMEOUT = 900


class FlowDefinition(OwnRole):
    """Flow role and the custom resource ``Custom::FlowDefinition`` (``lambdas/custom_resources/flow_definition``).

    Attributes:
        arn: of the flow; changes with its content.
        every_generation: ARN prefix of this flow and of those that it replaced and that still have open loops.
        human_task_ui_arn: of the worker page.
    """

    def __init__(self, scope: Construct, construct_id: str, *, shared: SharedResources, workteam_arn: str) -> None:
        super().__init__(scope, construct_id)
        self._shared = shared
        names, review = shared.names, shared.settings.review
        base_name = names.flow_definition
        self.every_generation = names.arn("sagemaker", f"flow-definition/{base_name}-")
        self._flow_role()
        resource = FunctionResource(
            self,
            "Resource",
            function=self._handler(base_name),
            resource_type="Custom::FlowDefinition",
            properties={
                "BaseName": base_name,
                "RoleArn": self.role.role_arn,
                "WorkteamArn": workteam_arn,
                "UiTemplate": worker_page(review.guidelines),
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
        self.human_task_ui_arn = resource.get_att_string("HumanTaskUiArn")

    def _flow_role(self) -> None:
        self.role = iam.Role(
            self, "Role", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"), description="A2I writes the reviews' answers with it"
        )
        self.allow(
            ["s3:PutObject"],
            [self._shared.names.bucket_arn("review", f"{OUTPUT_PREFIX}/*")],
            because="A2I writes each review's answers below this one prefix, by the second and the review's name",
        )
        allow_key_use(self, self._shared.key.key_arn)

    def _handler(self, base_name: str) -> PythonFunction:
        function = PythonFunction(
            self,
            "Handler",
            shared=self._shared,
            folder="custom_resources/flow_definition",
            description="Creates, replaces and deletes the A2I flow definition and makes its worker page",
            timeout=_HANDLER_TIMEOUT,
            unrestricted={"sagemaker:ListHumanLoops": "a list action, for which no resource type is documented"},
        )
        hashed = "Its name ends in a hash of its content, which is known when it is made"
        flows = [f"sagemaker:{verb}FlowDefinition" for verb in ("Create", "Describe", "Delete")]
        function.allow(flows, [f"{self.every_generation}*"], because=hashed)
        pages = self._shared.names.arn("sagemaker", f"human-task-ui/{base_name}-*")
        function.allow(["sagemaker:CreateHumanTaskUi", "sagemaker:DescribeHumanTaskUi"], [pages], because=hashed)
        function.allow(["iam:PassRole"], [self.role.role_arn], {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}})
        return function
