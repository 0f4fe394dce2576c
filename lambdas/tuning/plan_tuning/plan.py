"""What a tuning execution will do, decided before anything is started: pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lambdas.common.s3_uri import split_uri

MAX_NAME = 32
MAX_PARENTS = 5
_JOB_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,31}")
_KNOWN = {"dataset_uri", "max_jobs", "warm_start_parents", "continue_from_champion", "reason"}
_ADDED_BY_CALLER = "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID"
"""Links an execution to the one that started it; Step Functions reads it from the input."""


class InvalidInput(ValueError):
    """The execution's input cannot be used; the text names the field, its value and what is allowed."""


class NoDataset(ValueError):
    """No dataset is named in the input, and the parameter holds none."""


@dataclass(frozen=True)
class TuningInput:
    """The checked input of the ``tuning`` state machine."""

    dataset_uri: str
    max_jobs: int
    warm_start_parents: tuple[str, ...]
    continue_from_champion: bool


def read_input(raw: Mapping[str, Any], *, current_dataset: str, default_jobs: int, most_jobs: int = 100) -> TuningInput:
    """Check the execution's input and fill in defaults.

    Raises:
        InvalidInput: an unknown field, or a value out of bounds.
        NoDataset: nothing says which dataset to train on.
    """
    unknown = sorted(set(raw) - _KNOWN - {_ADDED_BY_CALLER})
    if unknown:
        raise InvalidInput(f"input field {unknown[0]!r} is unknown: allowed are {', '.join(sorted(_KNOWN))}")
    dataset = raw.get("dataset_uri") or current_dataset
    if dataset == "none":
        raise NoDataset("no dataset yet: upload one and set the parameter 'dataset', or give dataset_uri in the input")
    try:
        split_uri(dataset)
    except (ValueError, AttributeError) as error:
        raise InvalidInput(f"dataset_uri: {error}") from None
    jobs = raw.get("max_jobs", default_jobs)
    if not isinstance(jobs, int) or isinstance(jobs, bool) or not 1 <= jobs <= most_jobs:
        raise InvalidInput(f"max_jobs = {jobs!r}: allowed is a whole number from 1 to {most_jobs}")
    parents = raw.get("warm_start_parents", [])
    if (
        not isinstance(parents, list)
        or len(parents) > MAX_PARENTS
        or not all(isinstance(p, str) and _JOB_NAME.fullmatch(p) for p in parents)
    ):
        raise InvalidInput(f"warm_start_parents = {parents!r}: allowed is a list of at most {MAX_PARENTS} tuning job names")
    again = raw.get("continue_from_champion", False)
    if not isinstance(again, bool):
        raise InvalidInput(f"continue_from_champion = {again!r}: allowed is true or false")
    return TuningInput(dataset.rstrip("/"), jobs, tuple(parents), again)


def job_name(prefix: str, execution_id: str) -> str:
    """A tuning job name (at most 32 characters) that a retried execution step finds again."""
    digest = hashlib.sha256(execution_id.encode()).hexdigest()[:8]
    return f"{prefix[: MAX_NAME - 9].rstrip('-')}-{digest}"


def channel(name: str, uri: str, content_type: str | None = None) -> dict[str, Any]:
    """One input channel of a training job, every object under the prefix on every instance."""
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}}
    return {"ChannelName": name, "DataSource": source, "InputMode": "File", **({"ContentType": content_type} if content_type else {})}


def channels(tuning: TuningInput, *, code_uri: str, base_model_uri: str, champion_model_uri: str | None) -> list[dict[str, Any]]:
    """The training channels of docs/contracts.md; ``parent`` only when the champion is to be continued."""
    result = [
        channel("code", code_uri),
        channel("base", base_model_uri),
        channel("train", f"{tuning.dataset_uri}/train/", "application/jsonlines"),
        channel("validation", f"{tuning.dataset_uri}/validation/", "application/jsonlines"),
        # The manifest alone, which says what people see of each label: a prefix that is the whole key of one object.
        channel("manifest", f"{tuning.dataset_uri}/manifest.json", "application/json"),
    ]
    if tuning.continue_from_champion and champion_model_uri:
        result.append(channel("parent", champion_model_uri))
    return result
