"""Lambda's event source mappings of DynamoDB streams: batching window, payload limit, retries, bisecting, record age, dead letters.

Stock ministack delivers a batch at once, keeps every other mapping waiting while the function runs, and tries a failed batch for
ever, whole. Here each mapping has a thread while it has something to deliver. Source: Lambda developer guide, "Using AWS Lambda with
Amazon DynamoDB" ("Polling and batching streams", "Retaining discarded records"). Windows and ages are scaled; ``IteratorAge`` is in
declared time, as the alarms on it are.

The function's role must be allowed to read the stream and to send to the destination, as on AWS; ministack does neither ask. A stream
has one shard here, so ``ParallelizationFactor`` changes nothing. Hook: ``lambda_svc._poll_dynamodb_streams``, with the positions that
ministack keeps.
"""

from __future__ import annotations

import functools
import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ministack.services import cloudwatch, dynamodb, lambda_svc

from embedded_aws.core import background
from embedded_aws.core.clock import TIME_SCALE, now, scaled
from embedded_aws.iam.requests import Check
from embedded_aws.iam.role_decisions import Denied, require

log = logging.getLogger("embedded_aws")

PAYLOAD_BYTES = 6 * 1024 * 1024
"""Most of one batch (Lambda quotas, "invocation payload")."""
RETRY_SECONDS = 0.5
"""Real seconds between two tries of a batch."""
_READS = ("DescribeStream", "GetShardIterator", "GetRecords", "ListStreams")

Record = dict[str, Any]
_working: set[str] = set()
_lock = threading.Lock()


class _Gone(Exception):
    """The mapping was deleted, switched off or changed its function while it worked."""


@dataclass(frozen=True)
class _Mapping:
    """One mapping that reads a table's stream."""

    esm: dict[str, Any]
    table: str

    @property
    def identifier(self) -> str:
        return str(self.esm["UUID"])

    def function(self) -> dict[str, Any]:
        """The function that is to be invoked.

        Raises:
            _Gone: there is nothing to do any more.
        """
        present = lambda_svc._esms.get(self.identifier)
        found, _ = lambda_svc._get_func_record_for_qualifier(self.esm["FunctionName"], self.esm.get("Qualifier"))
        stream = (dynamodb._tables.get(self.table) or {}).get("LatestStreamArn")
        if present is not self.esm or not self.esm.get("Enabled", True) or found is None or stream != self.esm["EventSourceArn"]:
            raise _Gone
        return dict(found)

    def number(self, name: str, default: int) -> int:
        return int(self.esm.get(name, default))


def install() -> None:
    """Put the hook in place."""
    lambda_svc._poll_dynamodb_streams = poll


def poll() -> bool:
    """Start a thread for each mapping that has unread records and no thread yet. It does not block the poller of the other sources."""
    for account, region, esm in lambda_svc._iter_all_esms():
        source = str(esm.get("EventSourceArn", ""))
        if ":dynamodb:" not in source or "/stream/" not in source:
            continue
        mapping = _Mapping(esm, source.split(":table/", 1)[1].split("/stream/", 1)[0])
        _in_scope(account, region, functools.partial(_start, mapping))
    return False


def _in_scope(account: str, region: str, function: Callable[[], None]) -> None:
    tokens = lambda_svc._request_account_id.set(account), lambda_svc._request_region.set(region)
    try:
        function()
    finally:
        lambda_svc._request_account_id.reset(tokens[0])
        lambda_svc._request_region.reset(tokens[1])


def _start(mapping: _Mapping) -> None:
    with _lock:
        if mapping.identifier in _working or not _unread(mapping, 1):
            return
        _working.add(mapping.identifier)

    def work() -> None:
        try:
            while _unread(mapping, 1):
                _deliver_next(mapping)
        except _Gone:
            log.info("event source mapping %s has nothing to deliver any more", mapping.identifier)
        finally:
            with _lock:
                _working.discard(mapping.identifier)

    background.start(work, f"stream-{mapping.table}")


def _position(mapping: _Mapping) -> int:
    """The position from which the mapping reads next. Records that the stream has dropped meanwhile are lost."""
    with lambda_svc._dynamodb_stream_positions_lock:
        horizon, end = dynamodb.stream_start_position(mapping.table), dynamodb.stream_end_position(mapping.table)
        first = horizon if mapping.esm.get("StartingPosition") == "TRIM_HORIZON" else end
        position = max(lambda_svc._dynamodb_stream_positions.get(mapping.identifier, first), horizon)
        lambda_svc._dynamodb_stream_positions[mapping.identifier] = position
        return int(position)


def _unread(mapping: _Mapping, most: int) -> list[Record]:
    return list(dynamodb.stream_records_since(mapping.table, _position(mapping), most))


def _deliver_next(mapping: _Mapping) -> None:
    """Wait until a batch is full or its window is over, then deliver it. Raises _Gone."""
    _require_reads(mapping)
    start = _position(mapping)
    batch = _gathered(mapping, start)
    _require_reads(mapping)
    wanted = lambda_svc._apply_filter_criteria(batch, mapping.esm)
    places = {id(record): place for place, record in enumerate(batch)}
    _deliver(mapping, wanted, lambda record: _advance(mapping, start + places[id(record)] + 1))
    _advance(mapping, start + len(batch))


def _gathered(mapping: _Mapping, start: int) -> list[Record]:
    """The records from ``start``: a full batch, or what is there when the window is over. Each record is read once. Raises _Gone."""
    deadline = time.monotonic() + scaled(mapping.number("MaximumBatchingWindowInSeconds", 0))
    most, size, batch = mapping.number("BatchSize", 100), 0, list[Record]()
    while True:
        mapping.function()
        for record in dynamodb.stream_records_since(mapping.table, start + len(batch), most - len(batch)):
            size += len(json.dumps(record, default=str))
            if size > PAYLOAD_BYTES and batch:
                return batch
            batch.append(record)
        if len(batch) == most or time.monotonic() >= deadline:
            return batch
        time.sleep(min(0.1, max(0.01, deadline - time.monotonic())))


def _require_reads(mapping: _Mapping) -> None:
    """Wait as long as the function's role may not read the stream, as Lambda does. Raises _Gone."""
    while True:
        config = mapping.function()["config"]
        try:
            for action in _READS:
                require(config["Role"], config["FunctionName"], Check(f"dynamodb:{action}", mapping.esm["EventSourceArn"]))
        except Denied as denied:
            mapping.esm["LastProcessingResult"] = f"PROBLEM: {denied}"
            time.sleep(RETRY_SECONDS)
            continue
        return


def _advance(mapping: _Mapping, position: int) -> None:
    with lambda_svc._dynamodb_stream_positions_lock:
        lambda_svc._dynamodb_stream_positions[mapping.identifier] = position


def _deliver(mapping: _Mapping, batch: Sequence[Record], done: Callable[[Record], None]) -> None:
    """Invoke the function until the batch is processed or given up; then call ``done`` with the last record. Raises _Gone."""
    retries, most = 0, mapping.number("MaximumRetryAttempts", -1)
    while batch:
        function = mapping.function()
        if _too_old(mapping, batch[0]):
            _give_up(mapping, function, batch[:1], {}, "MaxRecordAgeExceeded")
            done(batch[0])
            batch = batch[1:]
            continue
        result = _invoke(function, batch)
        rest = _left(mapping, batch, result)
        if not rest:
            mapping.esm["LastProcessingResult"] = f"OK - {len(batch)} records"
            done(batch[-1])
            return
        mapping.esm["LastProcessingResult"] = "PROBLEM: Function call failed"
        if len(rest) == len(batch):
            if mapping.esm.get("BisectBatchOnFunctionError") and len(batch) > 1:  # not counted as a retry
                half = len(batch) // 2
                _deliver(mapping, batch[:half], done)
                batch = batch[half:]
                continue
            if 0 <= most <= retries:
                _give_up(mapping, function, batch, result, "RetryAttemptsExhausted")
                done(batch[-1])
                return
            retries += 1
        batch = rest
        time.sleep(RETRY_SECONDS)


def _invoke(function: dict[str, Any], batch: Sequence[Record]) -> dict[str, Any]:
    name = function["config"]["FunctionName"]
    age = (now() - float(batch[-1]["dynamodb"]["ApproximateCreationDateTime"])) / TIME_SCALE
    cloudwatch.record_metric("AWS/Lambda", "IteratorAge", max(0.0, age * 1_000), "Milliseconds", {"FunctionName": name})
    result: dict[str, Any] = lambda_svc._execute_function(function, {"Records": list(batch)})
    if result.get("error"):
        log.warning("function %s failed on %d records of a stream: %s", name, len(batch), result.get("body"))
    return result


def _left(mapping: _Mapping, batch: Sequence[Record], result: dict[str, Any]) -> Sequence[Record]:
    """What must be delivered again: all, or from the first failure on that the function names."""
    if result.get("error"):
        return batch
    body = result.get("body")
    if "ReportBatchItemFailures" not in mapping.esm.get("FunctionResponseTypes", []) or not isinstance(body, dict):
        return ()
    failed = {item.get("itemIdentifier") for item in body.get("batchItemFailures") or []}
    for place, record in enumerate(batch):
        if record["dynamodb"]["SequenceNumber"] in failed:
            return batch[place:]
    return ()


def _too_old(mapping: _Mapping, record: Record) -> bool:
    most = mapping.number("MaximumRecordAgeInSeconds", -1)
    return most > 0 and now() - float(record["dynamodb"]["ApproximateCreationDateTime"]) > scaled(most) + 1  # it is in whole seconds


def _give_up(mapping: _Mapping, function: dict[str, Any], batch: Sequence[Record], result: dict[str, Any], condition: str) -> None:
    """Tell the destination on failure which records were skipped; like Lambda, without the records themselves."""
    destination = ((mapping.esm.get("DestinationConfig") or {}).get("OnFailure") or {}).get("Destination", "")
    action = {"sqs": "sqs:SendMessage", "sns": "sns:Publish"}.get(destination.split(":")[2] if destination.count(":") > 2 else "")
    if action is None:
        return
    config = function["config"]
    try:
        require(config["Role"], config["FunctionName"], Check(action, destination))
    except Denied as denied:
        log.warning("records of %s were skipped and nobody is told: %s", mapping.table, denied)
        return
    lambda_svc._send_ddb_stream_failure_record(mapping.esm, function, list(batch), mapping.esm["EventSourceArn"], result, condition)
