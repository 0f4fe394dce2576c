"""The functions of a rollout, each with the grants that it uses."""

from __future__ import annotations

import math

from constructs import Construct

from contracts.shared_words import CHALLENGER, CHAMPION
from stacks.constructs.python_function import PythonFunction
from stacks.constructs.shared import SharedResources
from stacks.durations import judged_hours
from stacks.rollout.update_role import EndpointUpdateRole

_STACK_ID = "A stack's ARN ends in an id that CloudFormation gives it"


class RolloutFunctions:
    """One attribute per function; all of them are constructs of ``stack``."""

    def __init__(self, stack: Construct, *, shared: SharedResources, update_role: EndpointUpdateRole) -> None:
        self._stack, self._shared, self._update_role = stack, shared, update_role
        self._names, self._settings = shared.names, shared.settings
        self.plan = self._plan()
        self.apply = self._apply()
        self.check = self._check()
        self.shift = self._shift()
        self.judge = self._judge()
        self.finish = self._finish()

    def _plan(self) -> PythonFunction:
        names, rollout = self._names, self._settings.rollout
        function = PythonFunction(
            self._stack,
            "PlanRollout",
            shared=self._shared,
            folder="rollout/plan_rollout",
            description="Checks a rollout's input against the record, the model packages, the endpoint and other rollouts",
            environment={
                "RELEASE_PARAMETER": names.parameter("release"),
                "ENDPOINT_NAME": names.endpoint,
                "POLICY": rollout.policy,
                "APPROVAL": rollout.approval,
                "FIRST_SHARE": str(rollout.weight_steps[0]),
                "LONGEST_HOURS": f"{judged_hours(self._settings):g}",
                "ASKS_PEOPLE": str(self._settings.review.asks_people).lower(),
            },
        )
        function.allow(["ssm:GetParameter"], [self._record()])
        packages = [names.model_packages_arn]
        function.allow(["sagemaker:DescribeModelPackage"], packages, because="The service numbers our own group's packages")
        function.allow(["states:ListExecutions"], [names.arn("states", f"stateMachine:{names.state_machine('rollout')}")])
        self._allow_reading_endpoint(function)
        return function

    def _apply(self) -> PythonFunction:
        names, stack = self._names, self._names.stack("endpoint")
        function = PythonFunction(
            self._stack,
            "ApplyRelease",
            shared=self._shared,
            folder="rollout/apply_release",
            description="Writes the release record and updates the endpoint stack with its previous template",
            timeout=60,
            environment={
                "RELEASE_PARAMETER": names.parameter("release"),
                "ENDPOINT_NAME": names.endpoint,
                "STACK_NAME": stack,
                "STACK_ROLE_ARN": self._update_role.role.role_arn,
            },
        )
        function.allow(["ssm:GetParameter", "ssm:PutParameter"], [self._record()])
        function.allow(["ssm:GetParameters"], self._update_role.parameters)
        reads = ["cloudformation:DescribeStacks", "cloudformation:DescribeStackEvents"]
        function.allow(reads, [self._endpoint_stack()], because=_STACK_ID)
        function.allow(["sagemaker:DescribeEndpoint"], [names.arn("sagemaker", f"endpoint/{names.endpoint}")])
        function.allow(
            ["cloudformation:UpdateStack", "cloudformation:ContinueUpdateRollback"],
            [self._endpoint_stack()],
            {"StringEquals": {"cloudformation:RoleArn": self._update_role.role.role_arn}},
        )
        function.allow(
            ["iam:PassRole"], [self._update_role.role.role_arn], {"StringEquals": {"iam:PassedToService": "cloudformation.amazonaws.com"}}
        )
        return function

    def _check(self) -> PythonFunction:
        names = self._names
        function = PythonFunction(
            self._stack,
            "CheckRelease",
            shared=self._shared,
            folder="rollout/check_release",
            description="Compares what the endpoint's variants run with the release that was applied",
            environment={"STACK_NAME": names.stack("endpoint"), "ENDPOINT_NAME": names.endpoint},
        )
        reads = ["cloudformation:DescribeStacks", "cloudformation:DescribeStackEvents"]
        function.allow(reads, [self._endpoint_stack()], because=_STACK_ID)
        self._allow_reading_endpoint(function)
        return function

    def _allow_reading_endpoint(self, function: PythonFunction) -> None:
        """What the variants run: the endpoint, its configuration, its models."""
        names = self._names
        function.allow(["sagemaker:DescribeEndpoint"], [names.arn("sagemaker", f"endpoint/{names.endpoint}")])
        for action, resource in (("DescribeEndpointConfig", "endpoint-config/*"), ("DescribeModel", "model/*")):
            described = [names.arn("sagemaker", resource)]
            function.allow([f"sagemaker:{action}"], described, because="CloudFormation names it; the call only reads")

    def _shift(self) -> PythonFunction:
        names, scaling = self._names, self._settings.hosting.scaling
        function = PythonFunction(
            self._stack,
            "ShiftWeights",
            shared=self._shared,
            folder="rollout/shift_weights",
            description="Gives the challenger its share of the traffic, and records whether an experiment runs",
            environment={
                "ENDPOINT_NAME": names.endpoint,
                "EXPERIMENT_PARAMETER": names.parameter("experiment"),
                "FEWEST_INSTANCES": str(scaling.min_instances if scaling else 0),
                "MOST_INSTANCES": str(scaling.max_instances if scaling else 0),
            },
        )
        function.allow(["ssm:GetParameter", "ssm:PutParameter"], [self._parameter("experiment")])
        function.allow(
            ["sagemaker:DescribeEndpoint", "sagemaker:UpdateEndpointWeightsAndCapacities"],
            [names.arn("sagemaker", f"endpoint/{names.endpoint}")],
        )
        if scaling:
            function.allow(
                ["application-autoscaling:RegisterScalableTarget"],
                [names.arn("application-autoscaling", "scalable-target/*")],
                {"StringEqualsIfExists": {"application-autoscaling:service-namespace": "sagemaker"}},
                because="The service names the targets; only those of SageMaker are allowed",
            )
            described = [names.arn("sagemaker", "endpoint-config/*")]
            because = "Application Auto Scaling reads the configuration as its caller, and CloudFormation names it"
            function.allow(["sagemaker:DescribeEndpointConfig"], described, because=because)
        return function

    def _judge(self) -> PythonFunction:
        names, rollout = self._names, self._settings.rollout
        alarms = {variant: names.operating_alarms(variant) for variant in (CHAMPION, CHALLENGER)}
        function = PythonFunction(
            self._stack,
            "JudgeRollout",
            shared=self._shared,
            folder="rollout/judge_rollout",
            description="Judges the challenger at one look: what a rollout does next, with the reason and the evidence",
            timeout=60,
            unrestricted={"cloudwatch:GetMetricData": "no resource-level permissions (service authorization reference, Amazon CloudWatch)"},
            environment={
                "ENDPOINT_NAME": names.endpoint,
                "PREDICTIONS_TABLE": names.predictions_table,
                "PAIRS_TABLE": names.pairs_table,
                "CONTROL_PARAMETER": names.parameter("rollout-control"),
                "CHAMPION_ALARMS": ",".join(alarms[CHAMPION]),
                "CHALLENGER_ALARMS": ",".join(alarms[CHALLENGER]),
                "WEIGHT_STEPS": ",".join(str(step) for step in rollout.weight_steps),
                "MARGIN": str(rollout.margin),
                "ERROR": str(rollout.error),
                "AT_END": rollout.at_end,
                "MAX_HOLDS": str(math.ceil(judged_hours(self._settings) * 3_600 / rollout.step_seconds)),
                "MIN_INVOCATIONS": str(rollout.min_invocations),
                "MAX_ERROR_RATE": str(rollout.max_error_rate),
                "MAX_LATENCY_RATIO": str(rollout.max_latency_ratio),
                "MAX_CONFIDENCE_LOSS": str(rollout.max_confidence_loss),
            },
        )
        watched = [names.arn("cloudwatch", f"alarm:{alarm}") for variant in alarms.values() for alarm in variant]
        function.allow(["cloudwatch:DescribeAlarms"], watched)
        function.allow(["ssm:GetParameter"], [self._parameter("rollout-control")])
        function.allow(["dynamodb:Query"], [names.arn("dynamodb", f"table/{names.pairs_table}")])
        function.allow(["dynamodb:BatchGetItem"], [self._shared.predictions.table_arn])
        function.allow(["kms:Decrypt"], [self._shared.key.key_arn])
        return function

    def _finish(self) -> PythonFunction:
        function = PythonFunction(
            self._stack,
            "FinishRollout",
            shared=self._shared,
            folder="rollout/finish_rollout",
            description="Tells how a rollout ended, as a metric too, and clears its records",
            environment={
                "CONTROL_PARAMETER": self._names.parameter("rollout-control"),
                "EXPERIMENT_PARAMETER": self._names.parameter("experiment"),
            },
        )
        cleared = [self._parameter("rollout-control"), self._parameter("experiment")]
        function.allow(["ssm:GetParameter", "ssm:PutParameter"], cleared)
        return function

    def _record(self) -> str:
        return self._parameter("release")

    def _parameter(self, name: str) -> str:
        return self._names.arn("ssm", f"parameter{self._names.parameter(name)}")

    def _endpoint_stack(self) -> str:
        return self._names.arn("cloudformation", f"stack/{self._names.stack('endpoint')}/*")
