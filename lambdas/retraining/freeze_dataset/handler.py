"""Second step of a retraining: makes a dataset version of the new human labels, and makes it the current one."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from lambdas.common.clients import client, prediction_store
from lambdas.common.environment import read_environment
from lambdas.common.observability import logger, tracer
from lambdas.common.prediction_store import PredictionStore
from lambdas.retraining.freeze_dataset.freeze import FreezePolicy, ServedText, Skipped, freeze
from lambdas.retraining.freeze_dataset.served import CapturedData
from lambdas.retraining.freeze_dataset.versions import DatasetVersions
from lambdas.retraining.new_labels import labels_since


class DatasetMoved(RuntimeError):
    """Another execution made another version current in the meantime; redrive this one."""


@dataclass(frozen=True)
class Environment(FreezePolicy):
    data_bucket: str
    predictions_table: str
    dataset_parameter: str
    lookback_days: int
    capture_bucket: str = ""
    """Not set where no answer is captured: there are no served texts then."""
    endpoint_name: str = ""
    lookback_hours: int = 0
    reference_predictions: int = 0


@cache
def _environment() -> Environment:
    return read_environment(Environment)


def _store() -> PredictionStore:
    return prediction_store(_environment().predictions_table)


def _current() -> str:
    value: str = client("ssm").get_parameter(Name=_environment().dataset_parameter)["Parameter"]["Value"]
    return value.rstrip("/")


@logger.inject_lambda_context
@tracer.capture_lambda_handler
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """``{"execution_id"}`` -> ``{"dataset_uri", "dataset_version", ...}`` or ``{"skipped": reason}``.

    Raises:
        InvalidDataset: the current version is damaged.
        InvalidAmendment: an object below amendments/ is none.
        DatasetTooLarge: the function's disk does not hold it twice.
        DatasetMoved: two executions froze at once.
    """
    versions = DatasetVersions(client("s3"), _environment().data_bucket)
    record = versions.recall(event["execution_id"])
    if record is None:
        outcome = _freeze(versions)
        if "skipped" in outcome:
            logger.info("nothing frozen", extra=outcome)
            return outcome
        versions.remember(event["execution_id"], outcome)
        record = outcome
    _publish(record["dataset_uri"], parent_uri=record["parent_uri"])
    logger.info("dataset frozen", extra={"dataset": record})
    return record


def _freeze(versions: DatasetVersions) -> dict[str, Any]:
    environment, parent_uri, now = _environment(), _current(), datetime.now(UTC)
    if parent_uri == "none":
        return {"skipped": "there is no dataset yet: upload the first version and set the parameter 'dataset'"}
    # On disk: a dataset is larger than a function's memory should be.
    with tempfile.TemporaryDirectory() as name:
        parent = versions.read(parent_uri, Path(name))
        labelled = labels_since(_store(), parent.manifest.watermark, now=now, lookback_days=environment.lookback_days)
        made = Path(name) / "made"
        made.mkdir()
        # The served texts first: whoever is deleted after they were read is among the amendments.
        served = _served(now)
        result = freeze(parent, labelled, environment, made, served, versions.amendments(parent.manifest.known))
        parent.remove()
        if isinstance(result, Skipped):
            return {"skipped": result.reason}
        uri = versions.write(result)
    return {
        "dataset_uri": uri,
        "dataset_version": result.manifest.version,
        "parent_uri": parent_uri,
        "rows": dict(result.manifest.rows),
        "labels": asdict(result.labels),
        "amended": {"corrected": result.corrected, "forgotten": result.forgotten},
        "reference": result.reference,
        "watermark": result.manifest.watermark,
    }


def _served(now: datetime) -> list[ServedText]:
    """The newest served texts, with the subjects that their callers gave.

    A captured text outlives its record when a person was forgotten. Then nothing says any more whom the text is about, and a version never
    expires. So a text without its record is left out.
    """
    environment = _environment()
    if not environment.capture_bucket:
        return []
    captured = CapturedData(client("s3"), environment.capture_bucket, environment.endpoint_name)
    texts = captured.newest(environment.reference_predictions, now=now, hours=environment.lookback_hours)
    if captured.left_out:
        logger.warning("captured lines without a text were left out of the reference", extra={"left_out": captured.left_out})
    subjects = _store().subjects({item.prediction_id for item in texts})
    return [ServedText(item.text, subjects[item.prediction_id]) for item in texts if item.prediction_id in subjects]


def _publish(uri: str, *, parent_uri: str) -> None:
    current = _current()
    if current == uri:
        return
    if current != parent_uri:
        raise DatasetMoved(f"the current dataset is {current}, not {parent_uri} any more: redrive this execution")
    client("ssm").put_parameter(Name=_environment().dataset_parameter, Value=uri, Type="String", Overwrite=True)
