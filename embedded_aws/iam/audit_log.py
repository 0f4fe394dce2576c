"""One JSON line per authorization decision: ``{"time","principal","action","resource","allowed"}`` in ``iam-audit.jsonl``."""

from __future__ import annotations

import json
import threading
import time
from io import TextIOWrapper

from embedded_aws.core.background import RUN_DIR

AUDIT_FILE = RUN_DIR / "iam-audit.jsonl"

_lock = threading.Lock()
_stream: TextIOWrapper | None = None


def audit(principal_arn: str, action: str, resource: str, allowed: bool) -> None:
    """Record one decision.

    Args:
        principal_arn: e.g. ``arn:aws:sts::000000000000:assumed-role/<role>/<session>``.
        action: ``sagemaker:CreateTrainingJob``.
        resource: the ARN that was checked, or ``*``.
    """
    line = {"time": round(time.time(), 3), "principal": principal_arn, "action": action, "resource": resource, "allowed": allowed}
    global _stream  # noqa: PLW0603  (one file for the process)
    with _lock:
        if _stream is None:
            AUDIT_FILE.parent.mkdir(parents=True, exist_ok=True)
            _stream = AUDIT_FILE.open("a", buffering=1, encoding="utf-8")
        _stream.write(json.dumps(line) + "\n")
