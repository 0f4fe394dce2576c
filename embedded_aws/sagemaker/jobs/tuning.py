"""Hyper-parameter tuning jobs: proposals by strategy, training jobs in parallel, early stopping, best job, warm start."""

from __future__ import annotations

import contextlib
import hashlib
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from embedded_aws.core.api import ApiError, Records, Request, Response, operation, validation_error
from embedded_aws.sagemaker.jobs import training, warm_start
from embedded_aws.sagemaker.jobs.job import TERMINAL, Job
from embedded_aws.sagemaker.jobs.job_files import REASON_LIMIT, JobFailed, JobStorage
from embedded_aws.sagemaker.jobs.training import TrainingJob
from embedded_aws.sagemaker.jobs.tuning_search import Search
from embedded_aws.sagemaker.listing import page

POLL_SECONDS = 0.2
_EARLY_STOP_AFTER = 3
_EPOCHS = ("epochs", "numepochs", "n-epochs", "n_epochs", "num_epochs")
_METRIC = "FinalHyperParameterTuningJobObjectiveMetric"


class TuningJob(Job):
    """A hyper-parameter tuning job.

    Attributes:
        children: its training jobs, in the order of their start.
    """

    records = Records("hyper-parameter-tuning-job")
    prefix = "HyperParameterTuningJob"
    word = "hyper-parameter tuning job"
    ended_at = "HyperParameterTuningEndTime"
    event = "SageMaker HyperParameter Tuning Job State Change"
    event_members = ("HyperParameterTuningJobName", "HyperParameterTuningJobArn", "HyperParameterTuningJobStatus")

    def __init__(self, members: Request) -> None:
        super().__init__(members)
        self.children: list[TrainingJob] = []

    @property
    def objective(self) -> dict[str, Any]:
        """``{"Type", "MetricName"}``"""
        found: dict[str, Any] = self.record["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]
        return found

    @property
    def maximises(self) -> bool:
        return bool(self.objective["Type"] == "Maximize")

    def counters(self) -> dict[str, dict[str, int]]:
        """How many of its training jobs are where, and how many have given an objective's value."""
        statuses = Counter(child.status for child in self.children)
        ended = [child for child in self.children if child.is_over]
        found = sum(_objective_value(child, self.objective["MetricName"]) is not None for child in ended)
        return {
            "TrainingJobStatusCounters": {
                "Completed": statuses["Completed"],
                "InProgress": statuses["InProgress"] + statuses["Stopping"],
                "RetryableError": 0,
                "NonRetryableError": statuses["Failed"],
                "Stopped": statuses["Stopped"],
            },
            "ObjectiveStatusCounters": {"Succeeded": found, "Pending": len(self.children) - len(ended), "Failed": len(ended) - found},
        }

    def event_detail(self) -> dict[str, Any]:
        return {**super().event_detail(), **self.counters()}


@operation("sagemaker", "CreateHyperParameterTuningJob")
def create_tuning_job(request: Request) -> Response:
    """Validates ranges, strategy and warm start, then runs in the background."""
    name, config = request["HyperParameterTuningJobName"], request.get("HyperParameterTuningJobConfig", {})
    definition = request.get("TrainingJobDefinition")
    if definition is None:
        raise validation_error("The embedded AWS runs tuning jobs with one TrainingJobDefinition: it is missing.")
    objective = config["HyperParameterTuningJobObjective"]["MetricName"]
    known = [item["Name"] for item in definition["AlgorithmSpecification"].get("MetricDefinitions", [])]
    if objective not in known:
        raise validation_error(f"Objective metric {objective} is not among the MetricDefinitions {known}.")
    training.check(definition)
    JobStorage(definition["RoleArn"], name)  # the role is checked now, not when the first training job starts
    search = Search(config)
    _require_resource(config, definition)
    for parent in _parents(request):
        for child in parent.children:
            value = _objective_value(child, objective)
            if value is not None:
                search.warm_start(child.record["TunedHyperParameters"], value)
    job = TuningJob(request)
    job.begin(lambda: _run(job, search))
    return {"HyperParameterTuningJobArn": job.arn}


def _require_resource(config: dict[str, Any], definition: dict[str, Any]) -> None:
    """Hyperband's ``MaxResource``, given or inferred. Source: API reference, HyperbandStrategyConfig."""
    given = config.get("StrategyConfig", {}).get("HyperbandStrategyConfig", {}).get("MaxResource")
    static = definition.get("StaticHyperParameters", {})
    if config["Strategy"] == "Hyperband" and not given and not any(name in static for name in _EPOCHS):
        raise validation_error(f"Hyperband needs MaxResource, or one of the static hyperparameters {', '.join(_EPOCHS)} to infer it from.")


def _parents(request: Request) -> list[TuningJob]:
    """The tuning jobs to start warm from."""
    warm = request.get("WarmStartConfig")
    if not warm:
        return []
    parents = []
    for item in warm["ParentHyperParameterTuningJobs"]:
        name = item["HyperParameterTuningJobName"]
        parent = TuningJob.need(name)
        if not parent.is_over:
            raise validation_error(f"Parent tuning job {name} is not in a terminal state.")
        warm_start.require_comparable(name, parent.record, request)
        if warm["WarmStartType"] == "IdenticalDataAndAlgorithm":
            warm_start.require_identical(name, parent.record["TrainingJobDefinition"], request["TrainingJobDefinition"])
        parents.append(parent)
    return parents


def _run(job: TuningJob, search: Search) -> None:
    config = job.record["HyperParameterTuningJobConfig"]
    limits = config["ResourceLimits"]
    most = limits.get("MaxNumberOfTrainingJobs") or search.grid_size or 1
    if search.grid_size is not None:
        most = min(most, search.grid_size)
    deadline = time.monotonic() + limits.get("MaxRuntimeInSeconds", 30 * 86_400)
    objective = job.objective["MetricName"]
    running: list[tuple[Any, TrainingJob]] = []
    started = 0
    while True:
        over = job.is_stopping or time.monotonic() > deadline
        for pair in list(running):
            trial, child = pair
            if over:
                _stop_child(child)
            if child.is_over:
                running.remove(pair)
                search.tell(trial, _objective_value(child, objective))
        if config.get("TrainingJobEarlyStoppingType") == "Auto":
            _stop_hopeless(job)
        while not over and started < most and len(running) < limits["MaxParallelTrainingJobs"]:
            started += 1
            trial, parameters = search.ask()
            begun = _start_child(
                job, started, parameters, at_once=_side_by_side(running, most - started, limits["MaxParallelTrainingJobs"])
            )
            if begun is None:
                search.tell(trial, None)
                continue
            running.append((trial, begun))
        if not running and (over or started >= most):
            break
        time.sleep(POLL_SECONDS)
    _finish(job)


def _side_by_side(running: Sequence[tuple[Any, TrainingJob]], still_to_start: int, most: int) -> int:
    """How many jobs will share the machine's cores with the one that starts now, and it. Who uploads its model needs none."""
    training = sum(1 for _, child in running if child.record["SecondaryStatus"] != "Uploading")
    return min(most, 1 + training + still_to_start)


def _start_child(job: TuningJob, number: int, parameters: dict[str, str], *, at_once: int) -> TrainingJob | None:
    definition = job.record["TrainingJobDefinition"]
    digest = hashlib.sha256(f"{job.name}-{number}-{sorted(parameters.items())}".encode()).hexdigest()[:8]
    request = {key: value for key, value in definition.items() if key not in ("StaticHyperParameters", "DefinitionName", "TuningObjective")}
    request |= {
        "TrainingJobName": f"{job.name}-{number:03d}-{digest}",
        "HyperParameters": {
            **definition.get("StaticHyperParameters", {}),
            **parameters,
            "_tuning_objective_metric": job.objective["MetricName"],
        },
    }
    try:
        child = training.start(request, at_once=at_once, TuningJobArn=job.arn, TunedHyperParameters=parameters)
    except ApiError as error:
        job.record["FailureReason"] = str(error)[:REASON_LIMIT]
        return None
    job.children.append(child)
    return child


def _objective_value(child: TrainingJob, objective: str) -> float | None:
    if child.status == "Failed":
        return None
    return next((float(m["Value"]) for m in child.record["FinalMetricDataList"] if m["MetricName"] == objective), None)


def _stop_hopeless(job: TuningJob) -> None:
    """Stop a job whose objective is worse than the median of running averages of the others at the same epoch.

    Source: SageMaker developer guide, "Stop Training Jobs Early" (median rule).
    """
    objective = job.objective["MetricName"]
    series = {child.name: [value for name, value in child.series if name == objective] for child in job.children}
    for child in job.children:
        mine = series[child.name]
        if child.status != "InProgress" or not mine:
            continue
        epoch = len(mine)
        others = [values for name, values in series.items() if name != child.name and len(values) >= epoch]
        if len(others) < _EARLY_STOP_AFTER:
            continue
        median = statistics.median(sum(values[:epoch]) / epoch for values in others)
        if (mine[-1] < median) if job.maximises else (mine[-1] > median):
            _stop_child(child)


def _stop_child(child: TrainingJob) -> None:
    with contextlib.suppress(ApiError):  # it has ended meanwhile
        child.stop()


def _finish(job: TuningJob) -> None:
    if not job.is_stopping and all(child.status == "Failed" for child in job.children):
        reasons = "; ".join(child.record.get("FailureReason", "") for child in job.children)[:800]
        raise JobFailed(job.record.get("FailureReason") or f"All training jobs failed: {reasons}")
    job.change("Stopped" if job.is_stopping else "Completed")


@operation("sagemaker", "DescribeHyperParameterTuningJob")
def describe_tuning_job(request: Request) -> Response:
    job = TuningJob.need(request["HyperParameterTuningJobName"])
    best = _ranked(job, _summaries(job))
    response = {**job.describe(), **job.counters()}
    if best:
        response["BestTrainingJob"] = best[0]
    return response


def _summaries(job: TuningJob) -> list[dict[str, Any]]:
    keys = ("TrainingJobName", "TrainingJobArn", "CreationTime", "TrainingJobStatus", "TunedHyperParameters", "TrainingStartTime",
            "TrainingEndTime", "FailureReason")  # fmt: skip
    rows = []
    for child in job.children:
        row = child.members(keys)
        value = _objective_value(child, job.objective["MetricName"])
        ended = row["TrainingJobStatus"] in TERMINAL
        row["ObjectiveStatus"] = "Succeeded" if ended and value is not None else "Failed" if ended else "Pending"
        if ended and value is not None:
            row[_METRIC] = {"Type": job.objective["Type"], "MetricName": job.objective["MetricName"], "Value": value}
        rows.append(row)
    return rows


def _ranked(job: TuningJob, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted((row for row in rows if _METRIC in row), key=lambda row: row[_METRIC]["Value"], reverse=job.maximises)


@operation("sagemaker", "ListTrainingJobsForHyperParameterTuningJob")
def list_children(request: Request) -> Response:
    rows = _summaries(TuningJob.need(request["HyperParameterTuningJobName"]))
    names = {"name": "TrainingJobName", "status": "TrainingJobStatus"}
    own = ["HyperParameterTuningJobName"]
    if request.get("SortBy") == "FinalObjectiveMetricValue":
        rows = [{**row, "_value": row[_METRIC]["Value"]} for row in rows if _METRIC in row]
        names["created"] = "_value"
    listed = page(rows, request, "TrainingJobSummaries", **names, sort_by="Name", own=own)
    for row in listed["TrainingJobSummaries"]:
        row.pop("_value", None)
    return listed


@operation("sagemaker", "ListHyperParameterTuningJobs")
def list_tuning_jobs(request: Request) -> Response:
    keys = (
        "HyperParameterTuningJobName",
        "HyperParameterTuningJobArn",
        "HyperParameterTuningJobStatus",
        "CreationTime",
        "LastModifiedTime",
    )
    rows = []
    for job in TuningJob.all():
        config = job.record["HyperParameterTuningJobConfig"]
        limits = {"Strategy": config["Strategy"], "ResourceLimits": config["ResourceLimits"]}
        rows.append({**job.members(keys), **limits, **job.counters()})
    return page(
        rows,
        request,
        "HyperParameterTuningJobSummaries",
        name="HyperParameterTuningJobName",
        status="HyperParameterTuningJobStatus",
        sort_by="Name",
    )


@operation("sagemaker", "StopHyperParameterTuningJob")
def stop_tuning_job(request: Request) -> Response:
    TuningJob.need(request["HyperParameterTuningJobName"]).stop()
    return {}
