"""Evaluates the alarms of ministack's CloudWatch on a timer, and announces every state change on EventBridge.

Periods are aligned, and shorter than declared by the emulator's time scale; only closed ones count. A state that
someone set stays until the next period closes. Hooks: ``cloudwatch._evaluate_alarm``, ``_evaluate_all_alarms``,
``_evict_old_metrics``, ``_record_history``, ``_put_metric_alarm``, ``_set_alarm_state``, ``_get_metric_data``, and the stores ``_alarms``,
``_composite_alarms`` and ``_metrics``.
"""

from __future__ import annotations

import contextvars
import datetime as dt
import functools
import logging
import math
import threading
import time
from typing import Any

from ministack.core import responses
from ministack.services import cloudwatch
from ministack.services.cloudformation import provisioners

from embedded_aws.cloudwatch.alarms import expressions
from embedded_aws.cloudwatch.alarms.definition import (
    Definition,
    MetricQuery,
    Record,
    UnsupportedAlarm,
    configuration,
    definition,
    reason_data,
    state,
)
from embedded_aws.cloudwatch.alarms.evaluation import evaluate, reason
from embedded_aws.core import background, clock
from embedded_aws.eventbridge import service_events

log = logging.getLogger("embedded_aws.alarms")

_EVALUATE_EVERY = 10.0
"""Declared seconds between two evaluations, as for CloudWatch's high-resolution alarms."""
_LATE_SECONDS = 120.0
"""Real seconds by which a value may arrive after later ones and still be seen."""
_EVICT_SECONDS = 3_600.0
_lock = threading.RLock()
_announced: dict[str, dict[str, Any]] = {}
_set_until: dict[str, float] = {}
_complained: set[str] = set()
_definitions: dict[str, tuple[Record, Definition]] = {}
"""What each alarm watches, by ARN, and the record that says so: an update replaces the record."""
_seen: dict[str, tuple[Record, float, str, tuple[int, ...]]] = {}
"""What each alarm's last evaluation saw: the record, the end of the newest closed period, the state after it, and its metrics' counts."""


def install() -> None:
    """Replace ministack's evaluation, and start the timer."""
    cloudwatch._evaluate_alarm = evaluate_record
    cloudwatch._evaluate_all_alarms = lambda: None
    cloudwatch._evict_old_metrics = _now_and_then(cloudwatch._evict_old_metrics)
    cloudwatch._record_history = _announcing(cloudwatch._record_history)
    cloudwatch._put_metric_alarm = _keeping_metrics(cloudwatch._put_metric_alarm)
    cloudwatch._set_alarm_state = _keeping_what_was_set(cloudwatch._set_alarm_state)
    provisioners._cw_metric_alarm_record = _with_metrics(provisioners._cw_metric_alarm_record)
    threading.Thread(target=_run, name="alarms", daemon=True).start()


def _run() -> None:
    pause = min(max(clock.scaled(_EVALUATE_EVERY), 0.1), 10.0)
    while True:
        time.sleep(pause)
        for account, region in {(key[0], key[1]) for key in list(cloudwatch._alarms._data)}:
            contextvars.copy_context().run(_evaluate_region, account, region)


def _evaluate_region(account: str, region: str) -> None:
    responses.set_request_account_id(account)
    responses.set_request_region(region)
    for record in list(cloudwatch._alarms.values()):
        try:
            evaluate_record(record)
        except Exception:
            log.exception("alarm %s could not be evaluated", record.get("AlarmName"))


def evaluate_record(record: Record) -> None:
    """Bring one metric alarm to the state that its datapoints give it."""
    at = clock.now()
    arn = record["AlarmArn"]
    try:
        found = _definition(record)
        with _lock:
            if at < _set_until.get(arn, 0):
                return
            _apply(record, found, at)
    except (UnsupportedAlarm, expressions.ExpressionError) as error:
        if arn not in _complained:
            _complained.add(arn)
            log.warning("%s", error)


def _definition(record: Record) -> Definition:
    """Raises UnsupportedAlarm."""
    known = _definitions.get(record["AlarmArn"])
    if known is None or known[0] is not record:
        known = _definitions[record["AlarmArn"]] = record, definition(record)
    return known[1]


def _apply(record: Record, found: Definition, at: float) -> None:
    """An alarm is looked at several times in a period. Without a new datapoint or the end of a period nothing can have changed."""
    period = clock.scaled(found.period)
    end = math.floor(at / period) * period
    counts = tuple(len(_points(query)) for query in found.queries)
    last = _seen.get(record["AlarmArn"])
    if last is not None and last[0] is record and last[1:] == (end, record["StateValue"], counts):
        return
    _evaluate(record, found, at, period, end)
    _seen[record["AlarmArn"]] = record, end, record["StateValue"], counts


def _evaluate(record: Record, found: Definition, at: float, period: float, end: float) -> None:
    number = found.criteria.periods_to_read
    start = end - number * period
    datapoints = read(found, start, period, number)
    old, new = record["StateValue"], evaluate(found.criteria, datapoints)
    if new is None or new == old:
        return
    ends = [dt.datetime.fromtimestamp(start + index * period, dt.UTC).strftime("%d/%m/%y %H:%M:%S") for index in range(number)]
    record["StateReason"] = reason(found.criteria, datapoints, ends, old, new)
    record["StateReasonData"] = reason_data(found, datapoints, start + 2 * period, at)
    record["StateValue"], record["StateUpdatedTimestamp"] = new, int(at)
    record["StateTransitionedTimestamp"] = int(at)
    cloudwatch._record_history(record["AlarmName"], old, new, record["StateReason"])
    cloudwatch._dispatch_alarm_actions(record, old, new, record["StateReason"])
    cloudwatch._evaluate_parent_alarms(record)


def read(found: Definition, start: float, period: float, number: int) -> expressions.Series:
    """The alarm's value in each of ``number`` periods of ``period`` seconds from ``start``."""
    series = {query.identifier: _series(query, start, period, number) for query in found.queries}
    if found.expression is None:
        return series[found.queries[0].identifier]
    return expressions.evaluate(found.expression, series, found.expressions, number)


def _series(query: MetricQuery, start: float, period: float, number: int) -> expressions.Series:
    buckets: list[list[Any]] = [[] for _ in range(number)]
    for point in reversed(_points(query)):  # kept in the order of arrival: nearly that of their time stamps
        if point["Timestamp"] < start - _LATE_SECONDS:
            break
        index = math.floor((point["Timestamp"] - start) / period)
        if 0 <= index < number and (query.unit is None or point.get("Unit") == query.unit):
            buckets[index].append(point)
    return tuple(_statistic(points, query.statistic) for points in buckets)


def _points(query: MetricQuery) -> list[Any]:
    points: list[Any] = cloudwatch._metrics.get((query.namespace, query.name, _key(query.dimensions))) or []
    return points


@functools.lru_cache(maxsize=4_096)
def _key(dimensions: tuple[tuple[str, str], ...]) -> Any:
    return cloudwatch._dims_key(dict(dimensions))


def _statistic(points: list[Any], name: str) -> float | None:
    statistics = cloudwatch._calc_stats(points)
    if not statistics:
        return None
    value: float | None = cloudwatch._stat_value(statistics, name, points)
    return value


# -- hooks -----------------------------------------------------------------------------------------


def _now_and_then(evict_old_metrics: Any) -> Any:
    """Stock ministack copies every list of datapoints at each request, and loses what is stored meanwhile."""
    last = time.monotonic()

    @functools.wraps(evict_old_metrics)
    def wrapper() -> None:
        nonlocal last
        if time.monotonic() - last > _EVICT_SECONDS:
            last = time.monotonic()
            evict_old_metrics()

    return wrapper


def _announcing(record_history: Any) -> Any:
    """Every transition, whatever caused it, goes through the alarm's history."""

    @functools.wraps(record_history)
    def wrapper(alarm_name: str, old_state: str, new_state: str, *args: Any, **kwargs: Any) -> None:
        record_history(alarm_name, old_state, new_state, *args, **kwargs)
        record = cloudwatch._alarms.get(alarm_name) or cloudwatch._composite_alarms.get(alarm_name)
        if record is None:
            return
        at = clock.now()
        current = state(record, at)
        previous = _announced.get(record["AlarmArn"], {"reason": "Unchecked: Initial alarm creation", "value": old_state})
        _announced[record["AlarmArn"]] = current
        if old_state == new_state:
            return
        detail = {
            "alarmName": alarm_name,
            "configuration": configuration(record),
            "previousState": {"timestamp": current["timestamp"], **previous, "value": old_state},
            "state": current,
        }
        arn = record["AlarmArn"]
        background.start(
            lambda: service_events.emit("aws.cloudwatch", "CloudWatch Alarm State Change", detail, [arn]), f"alarm-event-{alarm_name}"
        )

    return wrapper


def _keeping_what_was_set(set_alarm_state: Any) -> Any:
    """SetAlarmState holds until new data could say otherwise: the end of the running period."""

    @functools.wraps(set_alarm_state)
    def wrapper(params: Any, cbor_data: Any, *args: Any, **kwargs: Any) -> Any:
        name = cbor_data.get("AlarmName") or cloudwatch._p(params, "AlarmName")
        record = cloudwatch._alarms.get(name)
        with _lock:
            if record is not None:
                period = clock.scaled(int(record.get("Period") or 60))
                _set_until[record["AlarmArn"]] = (math.floor(clock.now() / period) + 1) * period
            return set_alarm_state(params, cbor_data, *args, **kwargs)

    return wrapper


def _keeping_metrics(put_metric_alarm: Any) -> Any:
    """PutMetricAlarm with ``Metrics`` (metric math), which the stock operation ignores."""

    @functools.wraps(put_metric_alarm)
    def wrapper(params: Any, cbor_data: Any, *args: Any, **kwargs: Any) -> Any:
        response = put_metric_alarm(params, cbor_data, *args, **kwargs)
        record = cloudwatch._alarms.get(cbor_data.get("AlarmName") or cloudwatch._p(params, "AlarmName"))
        if record is not None and cbor_data.get("Metrics"):
            _as_math(record, cbor_data["Metrics"])
            evaluate_record(record)
        return response

    return wrapper


def _with_metrics(alarm_record: Any) -> Any:
    """AWS::CloudWatch::Alarm with ``Metrics``, which the stock provisioner refuses."""

    @functools.wraps(alarm_record)
    def wrapper(name: str, properties: dict[str, Any]) -> Record:
        metrics = properties.get("Metrics")
        if not metrics:
            record: Record = alarm_record(name, properties)
            return record
        placeholder = {**properties, "Metrics": None, "MetricName": "-", "Namespace": "-"}
        return _as_math(alarm_record(name, placeholder), metrics)

    return wrapper


def _as_math(record: Record, metrics: list[dict[str, Any]]) -> Record:
    for key in ("MetricName", "Namespace", "Statistic", "ExtendedStatistic", "Period", "Dimensions", "Unit"):
        record.pop(key, None)
    _definitions.pop(record.get("AlarmArn", ""), None)
    record["Metrics"] = [{**entry, "ReturnData": entry.get("ReturnData", True) not in (False, "false")} for entry in metrics]
    return record
