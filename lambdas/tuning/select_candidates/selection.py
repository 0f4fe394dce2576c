"""The best finished training jobs of a tuning job, and the evaluation inputs of each: pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MOST_CANDIDATES = 2
LEAST_FACTOR = 1.5
"""Two learning rates nearer than this give models that differ no more than two seeds do (docs/benchmarks.md)."""
_USABLE = ("Completed", "Stopped")


class NoCandidate(RuntimeError):
    """No training job ended with an objective and a model; the text counts how they ended."""


class TuningUnfinished(RuntimeError):
    """The tuning job still runs, so its best training job is not known yet."""


@dataclass(frozen=True)
class Candidate:
    """A finished training job with its objective value."""

    training_job: str
    objective: float
    parameters: Mapping[str, str] = field(default_factory=dict)

    def is_twin_of(self, other: Candidate) -> bool:
        """Whether they differ by no more than a seed would: no choice is another, and no number is :data:`LEAST_FACTOR` times the other."""
        if not self.parameters or self.parameters.keys() != other.parameters.keys():
            return False
        return all(_alike(value, other.parameters[name]) for name, value in self.parameters.items())


def _alike(*values: str) -> bool:
    one, other = (value.strip('"') for value in values)
    numbers = [number for number in map(_number, (one, other)) if number is not None]
    if one == other or len(numbers) < 2:
        return one == other
    low, high = sorted(numbers)
    # Whole numbers are choices, such as layers; a learning rate is none.
    return not (low.is_integer() and high.is_integer()) and high < (LEAST_FACTOR - 1e-9) * low


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def require_ended(tuning_job: str, status: str) -> None:
    """A stopped or failed tuning job may have left good models; a running one may still find better ones.

    Raises:
        TuningUnfinished: it has not ended.
    """
    if status not in ("Completed", "Stopped", "Failed"):
        raise TuningUnfinished(f"tuning job {tuning_job} is {status}: stop it or wait for its end, then redrive the execution")


def evaluation_job_name(training_job: str) -> str:
    """A processing job name that follows from the training job's, and leaves room for the count of redrives and retries (63 in all)."""
    return f"{training_job[:45].rstrip('-')}-evaluation"


def ranked(summaries: Iterable[Mapping[str, Any]], *, maximise: bool = True) -> list[Candidate]:
    """Those of ``TrainingJobSummaries`` that may be candidates, best first; equal objectives in the order of their names.

    An early-stopped job counts: it has an objective. A missing or non-finite objective does not.

    Raises:
        NoCandidate: there is none.
    """
    found, ended, failures = [], Counter[str](), []
    for summary in summaries:
        status = summary["TrainingJobStatus"]
        ended[status] += 1
        if "FailureReason" in summary:
            failures.append(summary["FailureReason"])
        value = summary.get("FinalHyperParameterTuningJobObjectiveMetric", {}).get("Value")
        if status in _USABLE and value is not None and math.isfinite(value):
            found.append(Candidate(summary["TrainingJobName"], float(value), summary.get("TunedHyperParameters", {})))
    if not found:
        how = ", ".join(f"{count} {status}" for status, count in sorted(ended.items())) or "none was started"
        first = f"; the first failure: {failures[0]}" if failures else ""
        raise NoCandidate(f"no training job ended with an objective ({how}){first}: read the jobs' logs, then start again")
    sign = -1 if maximise else 1
    return sorted(found, key=lambda candidate: (sign * candidate.objective, candidate.training_job))


def best_with_model(candidates: Sequence[Candidate], model_of: Callable[[str], str | None]) -> list[tuple[Candidate, str]]:
    """The best one or two that left a model, each with its URI: a job that was stopped before its first epoch ended left none.

    The second is no twin of the best: a model that differs by its seed alone says nothing as a challenger. Where all others are twins, the
    best stands alone.

    Args:
        candidates: best first.
        model_of: URI of a training job's model, if it has one; asked for no more jobs than needed.

    Raises:
        NoCandidate: none left a model.
    """
    best: list[tuple[Candidate, str]] = []
    for candidate in candidates:
        if len(best) < MOST_CANDIDATES and not any(candidate.is_twin_of(other) for other, _ in best):
            uri = model_of(candidate.training_job)
            best += [(candidate, uri)] if uri else []
    if not best:
        raise NoCandidate(f"none of the {len(candidates)} training jobs with an objective left a model: read their logs, then start again")
    return best


def processing_inputs(
    *, code_uri: str, dataset_uri: str, model_uri: str, champion_uri: str | None, best_uri: str | None = None
) -> list[dict[str, Any]]:
    """``ProcessingInputs`` of an evaluation; ``champion`` and ``best`` only where there is such a model to compare with."""
    sources = {"code": code_uri, "dataset": f"{dataset_uri}/", "model": model_uri, "champion": champion_uri, "best": best_uri}
    return [
        {
            "InputName": name,
            "S3Input": {
                "S3Uri": uri,
                "LocalPath": f"/opt/ml/processing/input/{name}",
                "S3DataType": "S3Prefix",
                "S3InputMode": "File",
                "S3DataDistributionType": "FullyReplicated",
            },
        }
        for name, uri in sources.items()
        if uri
    ]
