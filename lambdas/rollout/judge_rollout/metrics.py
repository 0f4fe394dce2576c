"""What CloudWatch knows of the variants: calls, failed calls, latencies by the minute, and the alarms that ring."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from contracts.shared_words import CHALLENGER, CHAMPION
from lambdas.rollout.judge_rollout.guardrails import Calls, Operation

_METRICS = {"Invocations": "Sum", "InvocationModelErrors": "Sum", "ModelLatency": "Average"}
"""The second holds the model's 4xx and 5xx, and what has no status code: time-outs and crashes (SageMaker developer guide)."""
_MINUTE, _LONGER = 60, 300
_KEPT_BY_THE_MINUTE = timedelta(days=14)
"""CloudWatch keeps points of a minute for 15 days (CloudWatch user guide, metrics retention)."""
_READ = ("Complete", "PartialData")
"""``PartialData``: the rest is on the next page (CloudWatch API reference, MetricDataResult)."""


class MetricsUnreadable(RuntimeError):
    """No verdict without metrics: the state machine tries again."""


@dataclass(frozen=True)
class _Series:
    variant: str
    metric: str


def compare(cloudwatch: Any, endpoint: str, since: str, now: datetime, alarms: Sequence[str]) -> Operation:
    """Both variants since ``since``, which CloudWatch rounds down to the minute. ``alarms``: names of the challenger's.

    Raises:
        MetricsUnreadable: CloudWatch could not read a metric, which is not the same as a metric without data.
    """
    found = _values(cloudwatch, endpoint, (CHAMPION, CHALLENGER), datetime.fromisoformat(since), now)
    slow = [found[_Series(variant, "ModelLatency")] for variant in (CHAMPION, CHALLENGER)]
    latencies = [(slow[0][at], slow[1][at]) for at in sorted(set(slow[0]) & set(slow[1]))]
    times = sorted({at for values in found.values() for at in values})
    minutes = tuple((_calls(found, CHAMPION, at), _calls(found, CHALLENGER, at)) for at in times)
    return Operation(_calls(found, CHAMPION), _calls(found, CHALLENGER), latencies, ringing(cloudwatch, alarms), minutes)


def watch(cloudwatch: Any, endpoint: str, since: str, now: datetime, alarms: Sequence[str]) -> Operation:
    """The variant ``champion`` alone, which runs a replacement; its calls stand as the challenger's, since they are the ones judged."""
    found = _values(cloudwatch, endpoint, (CHAMPION,), datetime.fromisoformat(since), now)
    return Operation(challenger=_calls(found, CHAMPION), alarms=ringing(cloudwatch, alarms))


def ringing(cloudwatch: Any, alarms: Sequence[str]) -> tuple[str, ...]:
    """Names of those that are in ALARM, sorted."""
    found = cloudwatch.describe_alarms(AlarmNames=list(alarms), AlarmTypes=["MetricAlarm"], StateValue="ALARM")["MetricAlarms"]
    return tuple(sorted(alarm["AlarmName"] for alarm in found))


_Values = dict[_Series, dict[datetime, float]]


def _calls(found: _Values, variant: str, at: datetime | None = None) -> Calls:
    """Of the whole step, or of the minute ``at``."""
    series = (found[_Series(variant, name)] for name in ("Invocations", "InvocationModelErrors"))
    return Calls.counted(*(sum(values.values()) if at is None else values.get(at, 0.0) for values in series))


def _values(cloudwatch: Any, endpoint: str, variants: Sequence[str], since: datetime, now: datetime) -> _Values:
    series = {f"m{index}": one for index, one in enumerate(_Series(variant, metric) for variant in variants for metric in _METRICS)}
    period = _MINUTE if now - since <= _KEPT_BY_THE_MINUTE else _LONGER
    queries = [_query(name, one, endpoint, period) for name, one in series.items()]
    values: _Values = {one: {} for one in series.values()}
    for result in _results(cloudwatch, queries, since, now):
        values[series[result["Id"]]] |= dict(zip(result["Timestamps"], result["Values"], strict=True))
    return values


def _query(name: str, one: _Series, endpoint: str, period: int) -> dict[str, Any]:
    dimensions = [{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": one.variant}]
    metric = {"Namespace": "AWS/SageMaker", "MetricName": one.metric, "Dimensions": dimensions}
    return {"Id": name, "MetricStat": {"Metric": metric, "Period": period, "Stat": _METRICS[one.metric]}}


def _results(cloudwatch: Any, queries: Sequence[dict[str, Any]], since: datetime, now: datetime) -> Iterator[dict[str, Any]]:
    pages = cloudwatch.get_paginator("get_metric_data").paginate(MetricDataQueries=list(queries), StartTime=since, EndTime=now)
    for page in pages:
        for result in page["MetricDataResults"]:
            if result["StatusCode"] not in _READ:
                told = "; ".join(f"{message['Code']}: {message['Value']}" for message in result.get("Messages", []))
                raise MetricsUnreadable(
                    f"GetMetricData of {result.get('Label', result['Id'])} is {result['StatusCode']}: {told or 'no reason'}"
                )
            yield result
