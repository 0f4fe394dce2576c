"""EventBridge events of AWS services, which the public PutEvents refuses from a client."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ministack.services import eventbridge


def emit(source: str, detail_type: str, detail: dict[str, Any], resources: Sequence[str] = ()) -> None:
    """Put one ``aws.*`` event on the default bus of the current account and region."""
    entry = {"Source": source, "DetailType": detail_type, "Detail": json.dumps(detail, default=str), "Resources": list(resources)}
    eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)
