"""An alarm of this stage. It sends to the alert topic; missing data does not put it into ALARM."""

from __future__ import annotations

from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from constructs import Construct

from stacks.constructs.shared import SharedResources

ABOVE = cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD
AT_LEAST = cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD
BELOW = cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD


class Alarm(cloudwatch.Alarm):
    """One CloudWatch alarm. It goes off at any value above zero, unless a limit is given.

    Args:
        name: the whole name, as ``Names`` gives it.
        meaning: what is wrong and where to look, in a sentence; the alarm's description.
        metric: what is watched, with its period and statistic.
        threshold: the limit.
        periods: how many periods are looked at.
        datapoints: how many of those must be beyond the limit; all, when left out.
        comparison: on which side of the limit the alarm rings.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        shared: SharedResources,
        name: str,
        meaning: str,
        metric: cloudwatch.IMetric,
        threshold: float = 0,
        periods: int = 1,
        datapoints: int | None = None,
        comparison: cloudwatch.ComparisonOperator = ABOVE,
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            alarm_name=name,
            alarm_description=meaning,
            metric=metric,
            threshold=threshold,
            evaluation_periods=periods,
            datapoints_to_alarm=datapoints,
            comparison_operator=comparison,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        self.add_alarm_action(actions.SnsAction(shared.alerts))
