"""Alarms on a variant's failures and latency: a pair over everything that serves it, and a pair on the fleet that comes up."""

from __future__ import annotations

from aws_cdk import CfnCondition, CfnResource, Duration
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from stacks.constructs.alarm import Alarm
from stacks.constructs.shared import SharedResources


class VariantAlarms(Construct):
    """``errors`` (share of failed invocations) and ``latency`` (p90) of one variant; both tell the alert topic.

    Without ``config_name`` they watch the variant whatever fleet serves it, and are called ``<prefix>-<variant>-<measure>``.

    With ``config_name`` they watch the one fleet that runs that configuration, and they roll its update back. An alarm
    over both fleets would also go off when the *old* fleet fails, and so stop the update that would repair it. The names
    of these alarms end with the configuration's name, for this reason: PutMetricAlarm does not change the state of an
    existing alarm (API reference). Under a fixed name, an alarm that went off for one fleet would still be in ALARM when
    the next fleet starts.

    Args:
        config_name: the EndpointConfig's GetAtt; makes CloudFormation create the alarms after it.
        condition: under which the alarms exist; all by default.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        shared: SharedResources,
        variant: str,
        config_name: str | None = None,
        condition: CfnCondition | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        self._shared, self._condition = shared, condition
        shift, names = shared.settings.hosting.fleet_shift, shared.names
        self._period = Duration.seconds(shift.alarm_period_seconds)
        # Literal names: the endpoint refers to the alarms, so the alarms cannot refer to the endpoint.
        self._dimensions = {"EndpointName": names.endpoint, "VariantName": variant}
        if config_name is None:
            (errors, latency), subject = names.operating_alarms(variant), f"variant {variant}"
        else:
            self._dimensions["EndpointConfigName"] = config_name
            errors, latency = (f"{names.rollback_alarms(variant)}{measure}-{config_name}" for measure in ("errors", "latency"))
            subject = f"the new fleet of variant {variant}: the endpoint rolls its update back, and CloudFormation does not tell"
        self.errors = self._alarm(
            "Errors", errors, self._failed_share(variant), shift.max_error_rate, f"Share of failed invocations of {subject}"
        )
        self.latency = self._alarm(
            "Latency", latency, self._metric("ModelLatency", "p90"), shift.max_latency_ms * 1_000, f"Latency of {subject}"
        )

    @property
    def names(self) -> list[str]:
        """References to the alarms; who uses them is deployed after the alarms."""
        return [self.errors.alarm_name, self.latency.alarm_name]

    def _metric(self, name: str, statistic: str) -> cloudwatch.Metric:
        return cloudwatch.Metric(
            namespace="AWS/SageMaker", metric_name=name, dimensions_map=self._dimensions, period=self._period, statistic=statistic
        )

    def _failed_share(self, variant: str) -> cloudwatch.MathExpression:
        """``InvocationModelErrors`` alone: it holds the model's 4xx and 5xx, and is the only one that sees a hung or crashed container.

        Adding the other two would count a failure twice. 4xx belong here because the inference toolkit turns a handler's exception
        into HTTP 400. Source: SageMaker developer guide, "SageMaker AI endpoint invocation metrics".
        """
        return cloudwatch.MathExpression(
            expression="FILL(errors, 0) / invocations",
            using_metrics={
                "errors": self._metric("InvocationModelErrors", "Sum"),
                "invocations": self._metric("Invocations", "Sum"),
            },
            label=f"share of failed invocations of {variant}",
            period=self._period,
        )

    def _alarm(self, construct_id: str, name: str, metric: cloudwatch.IMetric, threshold: float, description: str) -> Alarm:
        periods = self._shared.settings.hosting.fleet_shift.alarm_evaluation_periods
        alarm = Alarm(
            self, construct_id, shared=self._shared, name=name, meaning=description, metric=metric, threshold=threshold, periods=periods
        )
        resource = alarm.node.default_child
        if self._condition is not None and isinstance(resource, CfnResource):
            resource.cfn_options.condition = self._condition
        return alarm
