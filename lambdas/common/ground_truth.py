"""Ground-truth lines in the form that Model Monitor joins with captured predictions by inference id.

Source: SageMaker developer guide, "Ingest Ground Truth labels and merge them with predictions".
"""

from __future__ import annotations

import json
from datetime import UTC, datetime

PREFIX = "ground-truth"


def ground_truth_key(prediction_id: str, labelled_at: str) -> str:
    """``ground-truth/yyyy/mm/dd/hh/<prediction_id>.jsonl``.

    Args:
        labelled_at: ISO 8601 time at which people gave the label (the guide asks for that hour, not the prediction's).
            It must come from the data, never from the clock: a retry then writes the same key.

    Raises:
        ValueError: ``labelled_at`` is not ISO 8601.
    """
    time = datetime.fromisoformat(labelled_at)
    hour = (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC)
    return f"{PREFIX}/{hour:%Y/%m/%d/%H}/{prediction_id}.jsonl"


def ground_truth_line(prediction_id: str, label: str) -> bytes:
    """One JSON line; ``prediction_id`` is the inference id of the captured request."""
    record = {
        "groundTruthData": {"data": label, "encoding": "CSV"},
        "eventMetadata": {"eventId": prediction_id},
        "eventVersion": "0",
    }
    return json.dumps(record, allow_nan=False).encode() + b"\n"
