"""The leg that sees an answer captured: by the smoke's own endpoint, or by the app from the prediction table's stream."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from cli.smoke.model_legs import capture_prefix, remove_objects
from cli.smoke.run import LegFailed, LegSkipped, Run

_NEWEST = 50
"""So many objects of an hour are looked into; a busy stage writes more, and then the line is among the newest."""


def capture(run: Run) -> str:
    """Wait for a captured line in S3. AWS writes it within minutes."""
    by = run.settings.hosting.capture
    if by == "off":
        raise LegSkipped("hosting.capture is off: nothing is captured")
    return _by_endpoint(run) if by == "endpoint" else _by_app(run)


def _by_endpoint(run: Run) -> str:
    if "endpoint" not in run.made:
        raise LegSkipped("the leg endpoint left nothing to capture")
    s3, bucket, prefix = run.account.client("s3"), run.account.names.bucket("capture"), f"{capture_prefix(run)}/{run.made['endpoint']}/"
    run.undo(f"s3://{bucket}/{prefix}", lambda: remove_objects(run, bucket, prefix))
    found = run.wait("captured data (minutes on AWS)", lambda: s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents"))
    line = s3.get_object(Bucket=bucket, Key=found[0]["Key"])["Body"].read().decode().split("\n")[0]
    if json.loads(line)["eventMetadata"].get("inferenceId") != f"smoke{run.id}":
        raise LegFailed(f"s3://{bucket}/{found[0]['Key']} holds another line than the one that was sent: {line[:300]}")
    return f"the endpoint captured request and answer in s3://{bucket}/{found[0]['Key']}"


def _by_app(run: Run) -> str:
    """Use the prediction of the leg ``prediction``. Before a release, store a record of this leg's own and remove its line later."""
    bucket = run.account.names.bucket("capture")
    name, variant = run.made.get("prediction") or _own_record(run)
    key = run.wait("the captured line (a minute or two on AWS)", lambda: _object_with(run, bucket, variant, name))
    if "prediction" not in run.made:
        run.undo(f"s3://{bucket}/{key}", lambda: remove_objects(run, bucket, key))
    return f"the app captured prediction {name} in s3://{bucket}/{key}"


def _own_record(run: Run) -> tuple[str, str]:
    """Put a record into the table as the API would; returns its prediction id and its variant."""
    name, variant, now = f"smoke{run.id}c", "challenger", datetime.now(UTC)
    table = run.table()
    item: dict[str, Any] = {
        "prediction_id": name,
        "text": "smoke test: this text means nothing",
        "label": run.labels[0],
        "confidence": 1,
        "review_threshold": 0,
        "variant": variant,
        "model_version": "smoke",
        "created_at": now.isoformat(timespec="milliseconds"),
        "expires_at": int((now + timedelta(days=1)).timestamp()),
        "review_state": "not_required",
        "attempt": 1,
        "tokens": 6,
        "oov_tokens": 0,
    }
    run.undo(f"the record of {name}", lambda: table.delete_item(Key={"prediction_id": name}))
    table.put_item(Item=item)
    return name, variant


def _object_with(run: Run, bucket: str, variant: str, name: str) -> str | None:
    """The key of the object of this hour or the last that holds the line."""
    s3, now = run.account.client("s3"), datetime.now(UTC)
    for hour in (now, now - timedelta(hours=1)):
        prefix = f"capture/{run.account.names.prefix}/{variant}/{hour:%Y/%m/%d/%H}/"
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        listed = [item for page in pages for item in page.get("Contents", [])]
        for item in sorted(listed, key=lambda item: item["LastModified"], reverse=True)[:_NEWEST]:
            if name.encode() in s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read():
                return str(item["Key"])
    return None
