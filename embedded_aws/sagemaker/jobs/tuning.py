"""Hyper-parameter tuning jobs: proposals by strategy, training jobs in parallel, early stopping, best job, warm start."""

from __future__ import annotations

import contextlib
import hashlib
import statistics
import threading
import time
from collections import Counter
from typing import Any

from embedded_aws.core import background
from embedded_aws.core.api import ApiError, Records, Request, Response, operation, validation_error
from embedded_aws.core.clock import now
from embedded_aws.eventbridge import service_events
from embedded_aws.sagemaker.jobs import training, warm_start
from embedded_aws.sagemaker.jobs.job_files import REASON_LIMIT, JobStorage, add, public, run_to_the_end
from embedded_aws.sagemaker.jobs.tuning_search import Search
from embedded_aws.sagemaker.listing import page

JOBS = Records("hyper-parameter-tuning-job")
POLL_SECONDS = 0.2
TERMINAL = ("Completed", "Failed", "Stopped")
_EARLY_STOP_AFTER = 3
_EPOCHS = ("epochs", "numepochs", "n-epochs", "n_epochs", "num_epochs")
_METRIC = "FinalHyperParameterTuningJobObjectiveMetric"


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
        for child in parent["_children"]:
            value = _objective_value(child, objective)
            if value is not None:
                search.warm_start(child["TunedHyperParameters"], value)
    record: dict[str, Any] = {
        **request,
        "HyperParameterTuningJobArn": JOBS.arn(name),
        "HyperParameterTuningJobStatus": "InProgress",
        "CreationTime": now(),
        "LastModifiedTime": now(),
        "_children": [],
        "_stop": threading.Event(),
        "_lock": threading.RLock(),
    }
    add(JOBS, "Hyper-parameter tuning job", name, record)
    _emit(record)
    background.start(lambda: run_to_the_end(lambda: _run(record, search), lambda reason: _fail(record, reason)), f"tuning-{name}")
    return {"HyperParameterTuningJobArn": record["HyperParameterTuningJobArn"]}


def _require_resource(config: dict[str, Any], definition: dict[str, Any]) -> None:
    """Hyperband's ``MaxResource``, given or inferred. Source: API reference, HyperbandStrategyConfig."""
    given = config.get("StrategyConfig", {}).get("HyperbandStrategyConfig", {}).get("MaxResource")
    static = definition.get("StaticHyperParameters", {})
    if config["Strategy"] == "Hyperband" and not given and not any(name in static for name in _EPOCHS):
        raise validation_error(f"Hyperband needs MaxResource, or one of the static hyperparameters {', '.join(_EPOCHS)} to infer it from.")


def _parents(request: Request) -> list[dict[str, Any]]:
    """The tuning jobs to start warm from."""
    warm = request.get("WarmStartConfig")
    if not warm:
        return []
    parents = []
    for item in warm["ParentHyperParameterTuningJobs"]:
        name = item["HyperParameterTuningJobName"]
        parent = JOBS.need(name)
        if parent["HyperParameterTuningJobStatus"] not in TERMINAL:
            raise validation_error(f"Parent tuning job {name} is not in a terminal state.")
        warm_start.require_comparable(name, parent, request)
        if warm["WarmStartType"] == "IdenticalDataAndAlgorithm":
            warm_start.require_identical(name, parent["TrainingJobDefinition"], request["TrainingJobDefinition"])
        parents.append(parent)
    return parents


def _run(record: dict[str, Any], search: Search) -> None:
    config = record["HyperParameterTuningJobConfig"]
    limits = config["ResourceLimits"]
    most = limits.get("MaxNumberOfTrainingJobs") or search.grid_size or 1
    if search.grid_size is not None:
        most = min(most, search.grid_size)
    deadline = time.monotonic() + limits.get("MaxRuntimeInSeconds", 30 * 86_400)
    objective = config["HyperParameterTuningJobObjective"]["MetricName"]
    running: list[tuple[Any, dict[str, Any]]] = []
    started = 0
    while True:
        over = record["_stop"].is_set() or time.monotonic() > deadline
        for pair in list(running):
            trial, child = pair
            if over:
                _stop_child(child)
            if child["TrainingJobStatus"] in training.TERMINAL:
                running.remove(pair)
                search.tell(trial, _objective_value(child, objective))
        if config.get("TrainingJobEarlyStoppingType") == "Auto":
            _stop_hopeless(record, objective, maximise=config["HyperParameterTuningJobObjective"]["Type"] == "Maximize")
        while not over and started < most and len(running) < limits["MaxParallelTrainingJobs"]:
            started += 1
            trial, parameters = search.ask()
            begun = _start_child(record, started, parameters)
            if begun is None:
                search.tell(trial, None)
                continue
            running.append((trial, begun))
        if not running and (over or started >= most):
            break
        time.sleep(POLL_SECONDS)
    _finish(record)


def _start_child(record: dict[str, Any], number: int, parameters: dict[str, str]) -> dict[str, Any] | None:
    name = record["HyperParameterTuningJobName"]
    definition = record["TrainingJobDefinition"]
    digest = hashlib.sha256(f"{name}-{number}-{sorted(parameters.items())}".encode()).hexdigest()[:8]
    objective = record["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]["MetricName"]
    request = {key: value for key, value in definition.items() if key not in ("StaticHyperParameters", "DefinitionName", "TuningObjective")}
    request |= {
        "TrainingJobName": f"{name}-{number:03d}-{digest}",
        "HyperParameters": {**definition.get("StaticHyperParameters", {}), **parameters, "_tuning_objective_metric": objective},
    }
    try:
        child = training.start(request, TuningJobArn=record["HyperParameterTuningJobArn"], TunedHyperParameters=parameters)
    except ApiError as error:
        record["FailureReason"] = str(error)[:REASON_LIMIT]
        return None
    record["_children"].append(child)
    return child


def _objective_value(child: dict[str, Any], objective: str) -> float | None:
    if child["TrainingJobStatus"] == "Failed":
        return None
    return next((float(m["Value"]) for m in child["FinalMetricDataList"] if m["MetricName"] == objective), None)


def _stop_hopeless(record: dict[str, Any], objective: str, *, maximise: bool) -> None:
    """Stop a job whose objective is worse than the median of running averages of the others at the same epoch.

    Source: SageMaker developer guide, "Stop Training Jobs Early" (median rule).
    """
    series = {child["TrainingJobName"]: [value for name, value in child["_metrics"] if name == objective] for child in record["_children"]}
    for child in record["_children"]:
        mine = series[child["TrainingJobName"]]
        if child["TrainingJobStatus"] != "InProgress" or not mine:
            continue
        epoch = len(mine)
        others = [values for name, values in series.items() if name != child["TrainingJobName"] and len(values) >= epoch]
        if len(others) < _EARLY_STOP_AFTER:
            continue
        median = statistics.median(sum(values[:epoch]) / epoch for values in others)
        if (mine[-1] < median) if maximise else (mine[-1] > median):
            _stop_child(child)


def _stop_child(child: dict[str, Any]) -> None:
    with contextlib.suppress(ApiError):  # it has ended meanwhile
        training.stop(child)


def _finish(record: dict[str, Any]) -> None:
    children = record["_children"]
    if not record["_stop"].is_set() and all(child["TrainingJobStatus"] == "Failed" for child in children):
        reasons = "; ".join(child.get("FailureReason", "") for child in children)[:800]
        _fail(record, record.get("FailureReason") or f"All training jobs failed: {reasons}")
        return
    record["HyperParameterTuningEndTime"] = now()
    _set_status(record, "Stopped" if record["_stop"].is_set() else "Completed")


def _fail(record: dict[str, Any], reason: str) -> None:
    record |= {"FailureReason": reason, "HyperParameterTuningEndTime": now()}
    _set_status(record, "Failed")


def _set_status(record: dict[str, Any], status: str) -> None:
    """One that has ended stays so."""
    with record["_lock"]:
        if record["HyperParameterTuningJobStatus"] in TERMINAL:
            return
        record |= {"HyperParameterTuningJobStatus": status, "LastModifiedTime": now()}
    _emit(record)


def _emit(record: dict[str, Any]) -> None:
    detail = {
        "HyperParameterTuningJobName": record["HyperParameterTuningJobName"],
        "HyperParameterTuningJobArn": record["HyperParameterTuningJobArn"],
        "HyperParameterTuningJobStatus": record["HyperParameterTuningJobStatus"],
        **_counters(record),
    }
    service_events.emit("aws.sagemaker", "SageMaker HyperParameter Tuning Job State Change", detail, [record["HyperParameterTuningJobArn"]])


def _counters(record: dict[str, Any]) -> dict[str, dict[str, int]]:
    statuses = Counter(child["TrainingJobStatus"] for child in record["_children"])
    objective = record["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]["MetricName"]
    ended = [child for child in record["_children"] if child["TrainingJobStatus"] in training.TERMINAL]
    found = sum(_objective_value(child, objective) is not None for child in ended)
    return {
        "TrainingJobStatusCounters": {
            "Completed": statuses["Completed"],
            "InProgress": statuses["InProgress"] + statuses["Stopping"],
            "RetryableError": 0,
            "NonRetryableError": statuses["Failed"],
            "Stopped": statuses["Stopped"],
        },
        "ObjectiveStatusCounters": {"Succeeded": found, "Pending": len(record["_children"]) - len(ended), "Failed": len(ended) - found},
    }


@operation("sagemaker", "DescribeHyperParameterTuningJob")
def describe_tuning_job(request: Request) -> Response:
    record = JOBS.need(request["HyperParameterTuningJobName"])
    summaries = _summaries(record)
    best = _ranked(record, summaries)
    response = {**public(record), **_counters(record)}
    if best:
        response["BestTrainingJob"] = best[0]
    return response


def _summaries(record: dict[str, Any]) -> list[dict[str, Any]]:
    objective = record["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]
    rows = []
    for child in record["_children"]:
        row = {
            key: child[key] for key in ("TrainingJobName", "TrainingJobArn", "CreationTime", "TrainingJobStatus", "TunedHyperParameters")
        }
        row |= {key: child[key] for key in ("TrainingStartTime", "TrainingEndTime", "FailureReason") if key in child}
        value = _objective_value(child, objective["MetricName"])
        ended = child["TrainingJobStatus"] in training.TERMINAL
        row["ObjectiveStatus"] = "Succeeded" if ended and value is not None else "Failed" if ended else "Pending"
        if ended and value is not None:
            row[_METRIC] = {"Type": objective["Type"], "MetricName": objective["MetricName"], "Value": value}
        rows.append(row)
    return rows


def _ranked(record: dict[str, Any], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    maximise = record["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]["Type"] == "Maximize"
    return sorted((row for row in rows if _METRIC in row), key=lambda row: row[_METRIC]["Value"], reverse=maximise)


@operation("sagemaker", "ListTrainingJobsForHyperParameterTuningJob")
def list_children(request: Request) -> Response:
    record = JOBS.need(request["HyperParameterTuningJobName"])
    rows = _summaries(record)
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
    for _, record in JOBS.items():
        config = record["HyperParameterTuningJobConfig"]
        rows.append(
            {
                **{key: record[key] for key in keys},
                "Strategy": config["Strategy"],
                "ResourceLimits": config["ResourceLimits"],
                **_counters(record),
            }
        )
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
    record = JOBS.need(request["HyperParameterTuningJobName"])
    with record["_lock"]:
        if record["HyperParameterTuningJobStatus"] in TERMINAL:
            raise validation_error(f"The tuning job is in status {record['HyperParameterTuningJobStatus']} and cannot be stopped.")
        asked_before = record["_stop"].is_set()
        record["_stop"].set()
    if not asked_before:
        _set_status(record, "Stopping")
    return {}
