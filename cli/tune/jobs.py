"""The jobs of one tuning as SageMaker describes them: its training jobs, called trials, and the jobs that evaluated its candidates.

Source: SageMaker API reference, DescribeTrainingJob (``BillableTimeInSeconds``) and DescribeProcessingJob.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Job:
    """A job that has ended or still runs. ``seconds`` are billed ones, summed over its instances."""

    name: str
    status: str
    instance_type: str
    seconds: float


@dataclass(frozen=True)
class Trial:
    """One training job of the search. ``objective`` is None where it reported none; ``hyperparameters`` are those that the search chose."""

    job: Job
    objective: float | None
    hyperparameters: Mapping[str, str]

    def document(self) -> dict[str, Any]:
        """As ``trials`` of a report has it."""
        return {
            "name": self.job.name,
            "objective": self.objective,
            "hyperparameters": dict(self.hyperparameters),
            "seconds": self.job.seconds,
            "status": self.job.status,
        }


def trials_of(sagemaker: Any, tuning_job: str) -> list[Trial]:
    """Every training job of a tuning job."""
    pages = _pages(sagemaker.list_training_jobs_for_hyper_parameter_tuning_job, HyperParameterTuningJobName=tuning_job, MaxResults=100)
    found = []
    for summary in (one for page in pages for one in page["TrainingJobSummaries"]):
        job = sagemaker.describe_training_job(TrainingJobName=summary["TrainingJobName"])
        seconds = float(job.get("BillableTimeInSeconds", _seconds(job, "Training")))
        chosen = {name: str(value).strip('"') for name, value in summary.get("TunedHyperParameters", {}).items()}
        value = summary.get("FinalHyperParameterTuningJobObjectiveMetric", {}).get("Value")
        billed = Job(job["TrainingJobName"], job["TrainingJobStatus"], *_billed(job["ResourceConfig"], seconds))
        found.append(Trial(billed, None if value is None else float(value), chosen))
    return found


def evaluations_of(sagemaker: Any, names: Iterable[str]) -> list[Job]:
    """Every processing job whose name begins with one of ``names``: a repeated or redriven evaluation is a job more."""
    found = []
    for name in names:
        pages = _pages(sagemaker.list_processing_jobs, NameContains=name, MaxResults=100)
        for summary in (one for page in pages for one in page["ProcessingJobSummaries"]):
            if summary["ProcessingJobName"].startswith(f"{name}-"):
                job = sagemaker.describe_processing_job(ProcessingJobName=summary["ProcessingJobName"])
                cluster = job["ProcessingResources"]["ClusterConfig"]
                billed = _billed(cluster, _seconds(job, "Processing"))
                found.append(Job(job["ProcessingJobName"], job["ProcessingJobStatus"], *billed))
    return found


def _pages(call: Any, **request: Any) -> Iterator[Mapping[str, Any]]:
    token: dict[str, str] = {}
    while True:
        page = call(**request, **token)
        yield page
        if "NextToken" not in page:
            return
        token = {"NextToken": page["NextToken"]}


def _billed(resources: Mapping[str, Any], seconds: float) -> tuple[str, float]:
    return str(resources["InstanceType"]), seconds * int(resources["InstanceCount"])


def _seconds(job: Mapping[str, Any], kind: str) -> float:
    """From start to end; 0 for a job that never started or has not ended."""
    start, end = job.get(f"{kind}StartTime"), job.get(f"{kind}EndTime")
    return round((end - start).total_seconds(), 1) if start and end else 0.0
