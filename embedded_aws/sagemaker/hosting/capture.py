"""Data capture: every sampled request and response as JSON lines in S3, written under the model's execution role.

A line waits at most a second (real time); DeleteEndpoint and UpdateEndpoint write what waits. What waits when the
emulator itself ends has nowhere to go: its S3 lives in the same process.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import logging
import random
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlparse

from embedded_aws.core import background
from embedded_aws.core.sessions import role_session

log = logging.getLogger("embedded_aws")

FLUSH_SECONDS = 1.0
_MAX_ATTEMPTS = 5
_sampling = random.Random()  # noqa: S311  (sampling, no secret)


@dataclass(frozen=True)
class Target:
    """The place for the lines of one variant, and the role that writes them."""

    endpoint: str
    variant: str
    destination: str
    role_arn: str
    kms_key: str | None


@dataclass(frozen=True)
class Exchange:
    """One request and its response."""

    request_type: str
    request_body: bytes
    response_type: str
    response_body: bytes
    inference_id: str | None
    custom_attributes: str | None
    time: dt.datetime


_waiting: dict[Target, list[tuple[dt.datetime, str]]] = defaultdict(list)
_failures: dict[Target, int] = {}
_lock = threading.Lock()
_writing = threading.Lock()
_writer: threading.Thread | None = None


def summary(config: Mapping[str, Any]) -> dict[str, Any]:
    """DataCaptureConfigSummary of DescribeEndpoint."""
    enabled = config.get("EnableCapture", True)
    return {
        "EnableCapture": enabled,
        "CaptureStatus": "Started" if enabled else "Stopped",
        "CurrentSamplingPercentage": config["InitialSamplingPercentage"],
        "DestinationS3Uri": config["DestinationS3Uri"],
        "KmsKeyId": config.get("KmsKeyId", ""),
    }


def is_sampled(config: Mapping[str, Any]) -> bool:
    return bool(config.get("EnableCapture", True)) and _sampling.random() * 100 < config["InitialSamplingPercentage"]


def line(config: Mapping[str, Any], exchange: Exchange, event_id: str) -> str:
    """One capture line in the documented form (developer guide, "Capture data from real-time endpoint")."""
    modes = {option["CaptureMode"] for option in config["CaptureOptions"]}
    headers = config.get("CaptureContentTypeHeader", {})
    data: dict[str, Any] = {}
    if modes & {"Input", "InputAndOutput"}:
        data["endpointInput"] = _side("INPUT", exchange.request_type, exchange.request_body, headers)
    if modes & {"Output", "InputAndOutput"}:
        data["endpointOutput"] = _side("OUTPUT", exchange.response_type, exchange.response_body, headers)
    metadata: dict[str, Any] = {"eventId": event_id}
    if exchange.inference_id:
        metadata["inferenceId"] = exchange.inference_id
    if exchange.custom_attributes:
        metadata["customAttributes"] = [exchange.custom_attributes]
    metadata["inferenceTime"] = exchange.time.strftime("%Y-%m-%dT%H:%M:%SZ")
    return json.dumps({"captureData": data, "eventMetadata": metadata, "eventVersion": "0"}, ensure_ascii=False)


def _side(mode: str, content_type: str, body: bytes, headers: Mapping[str, Any]) -> dict[str, str]:
    kind = content_type.partition(";")[0].strip()
    encoding = "JSON" if kind in headers.get("JsonContentTypes", ()) else "CSV" if kind in headers.get("CsvContentTypes", ()) else "BASE64"
    data = base64.b64encode(body).decode() if encoding == "BASE64" else body.decode("utf-8", errors="replace")
    return {"observedContentType": content_type, "mode": mode, "data": data, "encoding": encoding}


def record(target: Target, config: Mapping[str, Any], exchange: Exchange) -> None:
    """Keep one exchange until the next flush."""
    global _writer  # noqa: PLW0603  (one writer thread, started with the first line)
    with _lock:
        _waiting[target].append((exchange.time, line(config, exchange, str(uuid.uuid4()))))
        if _writer is None or not _writer.is_alive():
            _writer = background.start(_write_for_ever, "capture")


def flush(endpoint: str | None = None) -> None:
    """Write what waits, of one endpoint or of all. Lines whose write fails wait for the next flush, five times at most."""
    with _writing:
        with _lock:
            taken = {target: _waiting.pop(target) for target in list(_waiting) if endpoint in (None, target.endpoint)}
        for target, lines in taken.items():
            try:
                _write(target, lines)
                _failures.pop(target, None)
            except Exception as error:
                attempts = _failures[target] = _failures.get(target, 0) + 1
                log.warning("captured data of %s/%s was not written (attempt %d): %s", target.endpoint, target.variant, attempts, error)
                with _lock:
                    if attempts < _MAX_ATTEMPTS:
                        _waiting[target] = lines + _waiting.get(target, [])
                    else:
                        _failures.pop(target)


def _write(target: Target, lines: list[tuple[dt.datetime, str]]) -> None:
    """One object an hour folder: ``<destination>/<endpoint>/<variant>/yyyy/mm/dd/hh/mm-ss-fff-<uuid>.jsonl``."""
    by_hour: dict[str, list[tuple[dt.datetime, str]]] = defaultdict(list)
    for when, text in lines:
        by_hour[when.strftime("%Y/%m/%d/%H")].append((when, text))
    client = role_session(target.role_arn, "sagemaker.amazonaws.com").client("s3")
    parsed = urlparse(target.destination)
    encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": target.kms_key} if target.kms_key else {}
    for hour, rows in by_hour.items():
        first = rows[0][0]
        name = f"{first:%M-%S}-{first.microsecond // 1000:03d}-{uuid.uuid4()}.jsonl"
        path = "/".join(part for part in (parsed.path.strip("/"), target.endpoint, target.variant, hour, name) if part)
        body = "".join(text + "\n" for _, text in rows).encode()
        client.put_object(Bucket=parsed.netloc, Key=path, Body=body, ContentType="application/jsonlines", **encryption)


def _write_for_ever() -> None:
    while True:
        time.sleep(FLUSH_SECONDS)
        flush()


def target_of(endpoint: str, variant: str, config: Mapping[str, Any], role_arn: str) -> Target:
    return Target(endpoint, variant, config["DestinationS3Uri"], role_arn, config.get("KmsKeyId"))
