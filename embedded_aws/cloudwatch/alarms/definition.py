"""An alarm record of DescribeAlarms as what is evaluated and what its events show. Pure."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from embedded_aws.cloudwatch.alarms.evaluation import Criteria, Datapoint

Record = dict[str, Any]


class UnsupportedAlarm(ValueError):
    """The alarm uses something that is not evaluated here, e.g. anomaly detection."""


@dataclass(frozen=True)
class MetricQuery:
    """One metric statistic of an alarm."""

    identifier: str
    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]
    period: int
    statistic: str
    unit: str | None
    returns: bool = True


@dataclass(frozen=True)
class Definition:
    """What an alarm watches. ``expression`` is set when the watched value is computed from ``queries``."""

    criteria: Criteria
    queries: tuple[MetricQuery, ...]
    expressions: dict[str, str]
    expression: str | None
    period: int
    statistic: str | None


def definition(record: Record) -> Definition:
    """Raises UnsupportedAlarm for anomaly detection and Metrics Insights alarms."""
    if "Threshold" not in record or record.get("ThresholdMetricId"):
        raise UnsupportedAlarm(f"alarm {record['AlarmName']} has no fixed threshold: anomaly detection is not evaluated here")
    queries, expressions, watched = _queries(record)
    if not queries:
        raise UnsupportedAlarm(f"alarm {record['AlarmName']} watches no metric")
    periods = int(record.get("EvaluationPeriods", 1))
    statistic = record.get("ExtendedStatistic") or record.get("Statistic")
    return Definition(
        criteria=Criteria(
            comparison=record["ComparisonOperator"],
            threshold=float(record["Threshold"]),
            evaluation_periods=periods,
            datapoints_to_alarm=int(record.get("DatapointsToAlarm") or periods),
            missing=record.get("TreatMissingData") or "missing",
        ),
        queries=queries,
        expressions=expressions,
        expression=watched,
        period=max(query.period for query in queries),
        statistic=None if record.get("Metrics") else statistic,
    )


def _queries(record: Record) -> tuple[tuple[MetricQuery, ...], dict[str, str], str | None]:
    if not record.get("Metrics"):
        return (_simple_query(record),), {}, None
    queries, expressions = [], {}
    watched = None
    for entry in record["Metrics"]:
        returns = entry.get("ReturnData", True) not in (False, "false")
        if "MetricStat" in entry:
            queries.append(_metric_query(entry, returns))
            watched = entry["Id"] if returns else watched
        else:
            expressions[entry["Id"]] = entry["Expression"]
            watched = entry["Expression"] if returns else watched
    return tuple(queries), expressions, watched


def _simple_query(record: Record) -> MetricQuery:
    identifier = hashlib.sha256(record["AlarmArn"].encode()).hexdigest()
    return MetricQuery(
        identifier=f"{identifier[:8]}-{identifier[8:12]}-{identifier[12:16]}-{identifier[16:20]}-{identifier[20:32]}",
        namespace=record.get("Namespace") or "",
        name=record.get("MetricName") or "",
        dimensions=_dimensions(record.get("Dimensions")),
        period=int(record.get("Period") or 60),
        statistic=record.get("ExtendedStatistic") or record.get("Statistic") or "Average",
        unit=record.get("Unit") or None,
    )


def _metric_query(entry: Record, returns: bool) -> MetricQuery:
    statistic, metric = entry["MetricStat"], entry["MetricStat"]["Metric"]
    return MetricQuery(
        identifier=entry["Id"],
        namespace=metric.get("Namespace", ""),
        name=metric["MetricName"],
        dimensions=_dimensions(metric.get("Dimensions")),
        period=int(statistic["Period"]),
        statistic=statistic["Stat"],
        unit=statistic.get("Unit") or None,
        returns=returns,
    )


def _dimensions(dimensions: Sequence[dict[str, str]] | None) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((dimension["Name"], dimension["Value"]) for dimension in dimensions or []))


# -- the event -------------------------------------------------------------------------------------


def configuration(record: Record) -> dict[str, Any]:
    """``detail.configuration`` of a state change event.

    Source: CloudWatch user guide, "Alarm events and EventBridge".
    """
    described: dict[str, Any] = {"description": record["AlarmDescription"]} if record.get("AlarmDescription") else {}
    if "AlarmRule" in record:
        return {**described, "alarmRule": record["AlarmRule"]}
    queries, expressions, watched = _queries(record)
    metrics: list[dict[str, Any]] = [
        {"expression": text, "id": identifier, "returnData": text == watched} for identifier, text in expressions.items()
    ]
    for query in queries:
        metric = {"dimensions": dict(query.dimensions), "name": query.name, "namespace": query.namespace}
        statistic: dict[str, Any] = {"metric": metric, "period": query.period, "stat": query.statistic}
        if query.unit:
            statistic["unit"] = query.unit
        metrics.append({"id": query.identifier, "metricStat": statistic, "returnData": query.returns})
    return {**described, "metrics": metrics}


def state(record: Record, at: float) -> dict[str, Any]:
    """``detail.state`` and, kept until the next change, ``detail.previousState``."""
    shown = {"reason": record.get("StateReason", ""), "timestamp": timestamp(at), "value": record["StateValue"]}
    return {**shown, "reasonData": record["StateReasonData"]} if record.get("StateReasonData") else shown


def reason_data(found: Definition, datapoints: Sequence[Datapoint], start: float, at: float) -> str:
    """The JSON text in ``StateReasonData``."""
    data: dict[str, Any] = {
        "version": "1.0",
        "queryDate": timestamp(at),
        "startDate": timestamp(start),
        "period": found.period,
        "recentDatapoints": [value for value in datapoints if value is not None][-found.criteria.evaluation_periods :],
        "threshold": found.criteria.threshold,
    }
    if found.statistic:
        data["statistic"] = found.statistic
    return json.dumps(data)


def timestamp(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{int(seconds * 1000) % 1000:03d}+0000"
