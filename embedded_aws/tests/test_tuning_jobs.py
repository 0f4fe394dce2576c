"""Tuning jobs of the embedded AWS: proposals by strategy, limits, best job, early stopping, warm start."""

from __future__ import annotations

import itertools
import json
import math
import os
import subprocess
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from botocore.exceptions import ClientError

from embedded_aws.testing import jobs as job_setup
from embedded_aws.testing.jobs import EventQueue, Jobs
from embedded_aws.tools import launcher

ClientFactory = Callable[..., Any]
SCORE = "import sys\nargs = dict(zip(sys.argv[1::2], sys.argv[2::2]))\n"
ECHO = SCORE + "print(f\"score={args['--x']}\")"
"""The objective is the hyper-parameter ``x`` itself."""


@pytest.fixture(scope="module")
def jobs(aws: ClientFactory, make_role: Callable[..., str]) -> Jobs:
    return job_setup.prepare(aws, make_role, "tuning-tests")


def children(jobs: Jobs, name: str, **choice: Any) -> list[dict[str, Any]]:
    pages = jobs.sagemaker.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job")
    return [row for page in pages.paginate(HyperParameterTuningJobName=name, **choice) for row in page["TrainingJobSummaries"]]


def proposals(jobs: Jobs, name: str) -> list[dict[str, str]]:
    return [row["TunedHyperParameters"] for row in children(jobs, name)]


@pytest.fixture(scope="module")
def tuned(jobs: Jobs) -> dict[str, Any]:
    """A completed random search over three jobs."""
    return jobs.run("tuning", jobs.tuning(ECHO))


def test_the_best_job_has_the_best_objective_that_the_regex_found(jobs: Jobs, tuned: dict[str, Any]) -> None:
    assert tuned["HyperParameterTuningJobStatus"] == "Completed", tuned.get("FailureReason")
    assert tuned["TrainingJobStatusCounters"] | {"Completed": 3} == tuned["TrainingJobStatusCounters"]
    assert tuned["ObjectiveStatusCounters"] == {"Succeeded": 3, "Pending": 0, "Failed": 0}
    rows = children(jobs, tuned["HyperParameterTuningJobName"])
    best = max(rows, key=lambda row: float(row["TunedHyperParameters"]["x"]))
    assert tuned["BestTrainingJob"] == best
    metric = best["FinalHyperParameterTuningJobObjectiveMetric"]
    assert (metric["MetricName"], metric["Type"]) == ("validation:score", "Maximize")
    assert metric["Value"] == pytest.approx(float(best["TunedHyperParameters"]["x"]))


def test_jobs_that_run_side_by_side_share_the_cores_and_one_alone_has_them_all(jobs: Jobs) -> None:
    cores = os.cpu_count() or 1
    script = "import os, time\nprint(f\"score={os.environ['SM_NUM_CPUS']}\")\ntime.sleep(2)"

    def shares(count: int) -> set[float]:
        ended = jobs.run("tuning", jobs.tuning(script, jobs=count, parallel=2))
        return {row["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] for row in children(jobs, ended["HyperParameterTuningJobName"])}

    assert (shares(2), shares(1)) == ({max(1, cores // 2)}, {cores})


def test_training_jobs_are_listed_in_order_and_by_objective(jobs: Jobs, tuned: dict[str, Any]) -> None:
    name = tuned["HyperParameterTuningJobName"]
    names = [row["TrainingJobName"] for row in children(jobs, name)]
    assert [row["TrainingJobName"] for row in children(jobs, name, SortOrder="Descending")] == names[::-1]
    ranked = children(jobs, name, SortBy="FinalObjectiveMetricValue", SortOrder="Descending")
    assert ranked[0]["TrainingJobName"] == tuned["BestTrainingJob"]["TrainingJobName"]
    assert children(jobs, name, SortBy="FinalObjectiveMetricValue") == ranked[::-1]


def test_a_training_job_knows_its_tuning_job_and_its_hyper_parameters(jobs: Jobs, tuned: dict[str, Any]) -> None:
    row = children(jobs, tuned["HyperParameterTuningJobName"])[0]
    described = jobs.describe("training", row["TrainingJobName"])
    assert described["TuningJobArn"] == tuned["HyperParameterTuningJobArn"]
    given = described["HyperParameters"]
    assert given["x"] == row["TunedHyperParameters"]["x"]
    assert (given["sagemaker_program"], given["_tuning_objective_metric"]) == ("train.py", "validation:score")


# -- strategies ------------------------------------------------------------------------------------

MIXED = {
    "ContinuousParameterRanges": [{"Name": "x", "MinValue": "0.001", "MaxValue": "1", "ScalingType": "Logarithmic"}],
    "IntegerParameterRanges": [{"Name": "n", "MinValue": "2", "MaxValue": "5"}],
    "CategoricalParameterRanges": [{"Name": "kind", "Values": ["a", "b"]}],
}


PROPOSE = """
import json, sys
from embedded_aws.sagemaker.jobs.tuning_search import Search
config, count, parents = json.load(sys.stdin)
search, found = Search(config), []
for number in range(parents):
    x = (number + 0.5) / parents
    search.warm_start({"x": str(x)}, x if x > 0.5 else 0)
for outside in ({"x": "7"}, {"x": "0.5", "n": "3", "kind": "no longer varied"}, {"x": "0.5", "n": "9", "kind": "a"}):
    if outside.keys() == {item["Name"] for kind in config["ParameterRanges"].values() for item in kind}:
        search.warm_start(outside, 99.0)
for number in range(count):
    trial, proposal = search.ask()
    found.append(proposal)
    search.tell(trial, None if number % 4 == 3 else float(number))
print(json.dumps(found))
"""


@cache
def proposed(strategy: str, seed: int, count: int = 12, ranges: str = "mixed", parents: int = 0) -> list[dict[str, str]]:
    """What a search proposes while every fourth training job fails."""
    objective = {"Type": "Maximize", "MetricName": "m"}
    chosen = MIXED if ranges == "mixed" else {"ContinuousParameterRanges": [{"Name": "x", "MinValue": "0", "MaxValue": "1"}]}
    config = {"Strategy": strategy, "RandomSeed": seed, "HyperParameterTuningJobObjective": objective, "ParameterRanges": chosen}
    done = subprocess.run(
        [str(launcher.EMULATOR_PYTHON), "-c", PROPOSE], input=json.dumps([config, count, parents]), capture_output=True, text=True,
        cwd=launcher.ROOT, check=True,
    )  # fmt: skip
    found: list[dict[str, str]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("strategy", ["Random", "Bayesian", "Hyperband"])
def test_proposals_are_strings_inside_their_ranges(strategy: str) -> None:
    for proposal in proposed(strategy, 1):
        assert proposal.keys() == {"x", "n", "kind"}
        assert 0.001 <= float(proposal["x"]) <= 1
        assert int(proposal["n"]) in range(2, 6)
        assert proposal["kind"] in ("a", "b")


@pytest.mark.parametrize("strategy", ["Random", "Bayesian", "Hyperband"])
def test_another_seed_gives_other_proposals(strategy: str) -> None:
    assert proposed(strategy, 1) != proposed(strategy, 2)


@pytest.mark.parametrize("seed", range(1, 6))
def test_the_first_proposals_of_a_bayesian_search_are_spread(seed: int) -> None:
    first = proposed("Bayesian", seed)[:3]
    places = [(math.log10(float(proposal["x"])) + 3) / 3 for proposal in first]
    assert min(abs(one - other) for one, other in itertools.combinations(places, 2)) > 0.15
    assert {proposal["kind"] for proposal in first[:2]} == {"a", "b"}
    single = [float(proposal["x"]) for proposal in proposed("Bayesian", seed, ranges="x")[:2]]
    assert abs(single[0] - single[1]) > 0.38


def test_only_the_bayesian_search_learns() -> None:
    assert proposed("Random", 1) == proposed("Hyperband", 1)
    assert proposed("Bayesian", 1)[3:] != proposed("Random", 1)[3:]


def test_the_same_seed_gives_the_same_training_jobs(jobs: Jobs) -> None:
    ended = jobs.run("tuning", jobs.tuning(ECHO, strategy="Bayesian", jobs=2, ranges=MIXED, config={"RandomSeed": 1}))
    assert proposals(jobs, ended["HyperParameterTuningJobName"]) == proposed("Bayesian", 1)[:2]


def test_a_grid_is_searched_once(jobs: Jobs) -> None:
    grid = {"CategoricalParameterRanges": [{"Name": "x", "Values": ["0.1", "0.2", "0.3"]}, {"Name": "kind", "Values": ["a"]}]}
    request = jobs.tuning(ECHO, strategy="Grid", ranges=grid)
    del request["HyperParameterTuningJobConfig"]["ResourceLimits"]["MaxNumberOfTrainingJobs"]
    ended = jobs.run("tuning", request)
    found = sorted((p["x"], p["kind"]) for p in proposals(jobs, ended["HyperParameterTuningJobName"]))
    assert found == [("0.1", "a"), ("0.2", "a"), ("0.3", "a")]


def test_minimising_takes_the_smallest(jobs: Jobs) -> None:
    request = jobs.tuning(ECHO, jobs=2, config={"HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "validation:score"}})
    ended = jobs.run("tuning", request)
    rows = children(jobs, ended["HyperParameterTuningJobName"])
    assert ended["BestTrainingJob"]["TunedHyperParameters"]["x"] == min((r["TunedHyperParameters"]["x"] for r in rows), key=float)


# -- limits and failures ---------------------------------------------------------------------------


def test_no_more_jobs_run_at_once_than_asked(jobs: Jobs) -> None:
    request = jobs.tuning("import time\ntime.sleep(0.5)\nprint('score=1')", jobs=3, parallel=2)
    name = jobs.start("tuning", request)
    most = 0
    while (described := jobs.describe("tuning", name))["HyperParameterTuningJobStatus"] == "InProgress":
        most = max(most, described["TrainingJobStatusCounters"]["InProgress"])
    assert most == 2
    times = [(row["TrainingStartTime"], row["TrainingEndTime"]) for row in children(jobs, name)]
    assert len(times) == 3
    assert all(sum(begin <= start < end for begin, end in times) <= 2 for start, _ in times)


def test_without_a_metric_there_is_no_best_job(jobs: Jobs) -> None:
    ended = jobs.run("tuning", jobs.tuning("print('nothing to report')", jobs=2))
    assert ended["HyperParameterTuningJobStatus"] == "Completed"
    assert "BestTrainingJob" not in ended
    assert ended["ObjectiveStatusCounters"] == {"Succeeded": 0, "Pending": 0, "Failed": 2}


def test_a_killed_job_has_failed_and_the_tuning_goes_on(jobs: Jobs) -> None:
    kill = SCORE + "import os, signal\nif args['--kind'] == 'bad': os.kill(os.getpid(), signal.SIGKILL)\nprint('score=0.5')"
    grid = {"CategoricalParameterRanges": [{"Name": "kind", "Values": ["bad", "good"]}]}
    ended = jobs.run("tuning", jobs.tuning(kill, strategy="Grid", ranges=grid, parallel=1, jobs=2))
    assert ended["HyperParameterTuningJobStatus"] == "Completed", ended.get("FailureReason")
    assert ended["BestTrainingJob"]["TunedHyperParameters"] == {"kind": "good"}
    statuses = {r["TunedHyperParameters"]["kind"]: r["TrainingJobStatus"] for r in children(jobs, ended["HyperParameterTuningJobName"])}
    assert statuses == {"bad": "Failed", "good": "Completed"}


def test_when_all_jobs_fail_the_tuning_job_does_and_says_why(jobs: Jobs) -> None:
    ended = jobs.run("tuning", jobs.tuning("raise ValueError('no luck at all')", jobs=1))
    assert ended["HyperParameterTuningJobStatus"] == "Failed"
    assert "no luck at all" in ended["FailureReason"]
    assert "BestTrainingJob" not in ended


SLEEP = "import time\nprint('score=0.5', flush=True)\ntime.sleep(60)"


def test_stopping_stops_the_training_jobs_and_their_objectives_count(jobs: Jobs, wait_until: Callable[..., Any]) -> None:
    name = jobs.start("tuning", jobs.tuning(SLEEP, jobs=4, parallel=1))
    wait_until(lambda: [row for row in children(jobs, name) if jobs.describe("training", row["TrainingJobName"])["FinalMetricDataList"]])
    jobs.stop("tuning", name)
    assert jobs.describe("tuning", name)["HyperParameterTuningJobStatus"] in ("Stopping", "Stopped")
    ended = jobs.ended("tuning", name)
    assert ended["HyperParameterTuningJobStatus"] == "Stopped"
    assert [row["TrainingJobStatus"] for row in children(jobs, name)] == ["Stopped"]
    assert ended["BestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] == 0.5
    with pytest.raises(ClientError, match="is in status Stopped and cannot be stopped"):
        jobs.stop("tuning", name)


def test_a_training_job_that_reaches_its_longest_runtime_counts_with_what_it_reported(jobs: Jobs) -> None:
    short = {"StoppingCondition": {"MaxRuntimeInSeconds": 1}}
    ended = jobs.run("tuning", jobs.tuning(SLEEP, jobs=1, definition=short))
    assert ended["HyperParameterTuningJobStatus"] == "Completed"
    assert ended["BestTrainingJob"]["TrainingJobStatus"] == "Stopped"


def test_a_hopeless_job_is_stopped_early(jobs: Jobs) -> None:
    """The median rule: the fourth job's first value is far below the median of the other three."""
    script = SCORE + (
        "import time\nx = float(args['--x'])\nprint(f'score={x}', flush=True)\n"
        "if x < 0.5:\n    time.sleep(60)\nprint(f'score={x + 0.1}', flush=True)"
    )
    order = {"CategoricalParameterRanges": [{"Name": "x", "Values": ["0.1", "0.8", "0.85", "0.9"]}]}
    request = jobs.tuning(script, strategy="Grid", ranges=order, jobs=4, parallel=2, config={"TrainingJobEarlyStoppingType": "Auto"})
    ended = jobs.run("tuning", request)
    statuses = {r["TunedHyperParameters"]["x"]: r["TrainingJobStatus"] for r in children(jobs, ended["HyperParameterTuningJobName"])}
    assert statuses == {"0.1": "Stopped", "0.8": "Completed", "0.85": "Completed", "0.9": "Completed"}
    assert ended["BestTrainingJob"]["TunedHyperParameters"] == {"x": "0.9"}


def test_a_rule_hears_of_the_tuning_job(jobs: Jobs, aws: ClientFactory) -> None:
    request = jobs.tuning(ECHO, jobs=1)
    name = request["HyperParameterTuningJobName"]
    pattern = {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker HyperParameter Tuning Job State Change"],
        "detail": {"HyperParameterTuningJobName": [name]},
    }
    queue = EventQueue(aws, pattern)
    jobs.run("tuning", request)
    events = queue.received(lambda found: bool(found) and found[-1]["detail"]["HyperParameterTuningJobStatus"] == "Completed")
    assert events[0]["detail"]["HyperParameterTuningJobStatus"] == "InProgress"
    assert events[-1]["detail"]["TrainingJobStatusCounters"]["Completed"] == 1
    assert "BestTrainingJob" not in events[-1]["detail"]


# -- warm start ------------------------------------------------------------------------------------


def warm(parent: str, kind: str = "TransferLearning", parents: int = 1) -> dict[str, Any]:
    names = [{"HyperParameterTuningJobName": parent}] * parents
    return {"WarmStartConfig": {"ParentHyperParameterTuningJobs": names, "WarmStartType": kind}}


def test_a_warm_start_knows_what_its_parents_found(jobs: Jobs, tuned: dict[str, Any]) -> None:
    """Cold, the first proposals of a Bayesian search are spread; three parents are enough to begin with the model."""
    more = {"strategy": "Bayesian", "jobs": 1, "parallel": 1}
    cold, learnt = (
        proposals(jobs, jobs.run("tuning", jobs.tuning(ECHO, **more, **start))["HyperParameterTuningJobName"])
        for start in ({}, warm(tuned["HyperParameterTuningJobName"]))
    )
    assert learnt != cold


def test_what_is_learnt_is_where_to_look() -> None:
    """Twelve parents show that only x above 0.5 is any good."""
    found = proposed("Bayesian", 7, count=3, ranges="x", parents=12)
    assert min(float(proposal["x"]) for proposal in found) > 0.5
    assert min(float(proposal["x"]) for proposal in proposed("Bayesian", 7, count=3, ranges="x")) < 0.5


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"config": {"HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "train:loss"}}}, "same objective metric"),
        ({"ranges": MIXED}, "has 3 static and tunable hyperparameters, this one has 5"),
    ],
)
def test_a_parent_must_fit(jobs: Jobs, tuned: dict[str, Any], more: dict[str, Any], message: str) -> None:
    with pytest.raises(ClientError, match=message):
        jobs.start("tuning", jobs.tuning(ECHO, **more, **warm(tuned["HyperParameterTuningJobName"])))


def test_identical_data_and_algorithm_means_both(jobs: Jobs, tuned: dict[str, Any]) -> None:
    parent = jobs.describe("tuning", tuned["HyperParameterTuningJobName"])
    same = {key: parent["TrainingJobDefinition"][key] for key in ("InputDataConfig", "AlgorithmSpecification")}
    again = warm(tuned["HyperParameterTuningJobName"], "IdenticalDataAndAlgorithm")
    assert jobs.run("tuning", jobs.tuning(ECHO, jobs=1, definition=same, **again))["HyperParameterTuningJobStatus"] == "Completed"
    with pytest.raises(ClientError, match="use TransferLearning"):  # its code channel is another object
        jobs.start("tuning", jobs.tuning(ECHO, **again))


def static(**values: str) -> dict[str, Any]:
    """The hyper-parameters that a request of ``Jobs.tuning`` fixes, and more."""
    return {"StaticHyperParameters": {"sagemaker_program": "train.py", "sagemaker_submit_directory": job_setup.CODE, **values}}


@pytest.fixture(scope="module")
def settled(jobs: Jobs) -> str:
    """A completed tuning job with six more static hyper-parameters."""
    fixed = static(**dict.fromkeys("abcdef", "1"))
    return str(jobs.run("tuning", jobs.tuning(ECHO, jobs=1, definition=fixed))["HyperParameterTuningJobName"])


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        (static(**dict.fromkeys("abcdef", "2")), "12 changes of static hyperparameters"),
        (static(**dict.fromkeys("abcdef", "1")) | {"RetryStrategy": {"MaximumRetryAttempts": 2}}, "Only the following fields"),
        (static(**dict.fromkeys("abcdef", "1")) | {"EnableNetworkIsolation": True}, "allowed to change: .algorithmSpecification"),
    ],
)
def test_a_parent_that_is_too_different_is_refused(jobs: Jobs, settled: str, definition: dict[str, Any], message: str) -> None:
    with pytest.raises(ClientError, match=message):
        jobs.start("tuning", jobs.tuning(ECHO, definition=definition, **warm(settled)))


def test_ten_changes_are_taken_and_a_range_that_becomes_static_counts_each_value(jobs: Jobs, settled: str) -> None:
    changed = static(**dict.fromkeys("abcde", "2"), f="1")
    ended = jobs.run("tuning", jobs.tuning(ECHO, jobs=1, definition=changed, **warm(settled)))
    assert ended["HyperParameterTuningJobStatus"] == "Completed", ended.get("FailureReason")
    values = {"CategoricalParameterRanges": [{"Name": "x", "Values": [str(number) for number in range(11)]}]}
    varied = jobs.run("tuning", jobs.tuning(ECHO, jobs=1, ranges=values, definition=static(y="1")))["HyperParameterTuningJobName"]
    other = {"ContinuousParameterRanges": [{"Name": "y", "MinValue": "0", "MaxValue": "1"}]}
    with pytest.raises(ClientError, match="11 changes of static hyperparameters"):
        jobs.start("tuning", jobs.tuning(ECHO, definition=static(x="3"), ranges=other, **warm(varied)))
    with pytest.raises(ClientError, match="The type of hyperparameter x must be that of parent tuning job"):
        jobs.start("tuning", jobs.tuning(ECHO, definition=static(y="1"), **warm(varied)))


def test_hyperband_infers_its_resource_or_is_refused(jobs: Jobs) -> None:
    """Source: API reference, HyperbandStrategyConfig, MaxResource."""
    with pytest.raises(ClientError, match="Hyperband needs MaxResource"):
        jobs.start("tuning", jobs.tuning(ECHO, strategy="Hyperband"))
    ended = jobs.run("tuning", jobs.tuning(ECHO, strategy="Hyperband", jobs=1, definition=static(epochs="3")))
    assert ended["HyperParameterTuningJobStatus"] == "Completed", ended.get("FailureReason")


def test_parents_exist_have_ended_and_are_at_most_five(jobs: Jobs, tuned: dict[str, Any]) -> None:
    running = jobs.start("tuning", jobs.tuning(SLEEP, jobs=1))
    with pytest.raises(ClientError, match="is not in a terminal state"):
        jobs.start("tuning", jobs.tuning(ECHO, **warm(running)))
    jobs.stop("tuning", running)
    with pytest.raises(ClientError, match="Could not find hyper-parameter-tuning-job"):
        jobs.start("tuning", jobs.tuning(ECHO, **warm("never-made")))
    with pytest.raises(ClientError, match="length less than or equal to 5"):
        jobs.start("tuning", jobs.tuning(ECHO, **warm(tuned["HyperParameterTuningJobName"], parents=6)))


# -- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"HyperParameterTuningJobName": "t" * 33}, "length less than or equal to 32"),
        ({"HyperParameterTuningJobName": "with_underscore"}, "regular expression pattern"),
        ({"config": {"HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "other"}}}, "other is not among"),
        ({"strategy": "Grid"}, "categorical parameter ranges only"),
        ({"strategy": "Hyperband", "config": {"TrainingJobEarlyStoppingType": "Auto"}}, "must be Off with the strategy Hyperband"),
        ({"ranges": {}}, "needs at least one"),
        ({"ranges": {"IntegerParameterRanges": [{"Name": "x", "MinValue": "5", "MaxValue": "2"}]}}, "MinValue 5 is above MaxValue 2"),
        (
            {"ranges": {"ContinuousParameterRanges": [{"Name": "x", "MinValue": "0", "MaxValue": "2", "ScalingType": "Logarithmic"}]}},
            "must have only positive values",
        ),
        ({"definition": {"RoleArn": "arn:aws:iam::000000000000:role/nowhere"}}, "the role does not exist"),
    ],
)
def test_a_bad_request_is_refused_by_name(jobs: Jobs, more: dict[str, Any], message: str) -> None:
    with pytest.raises(ClientError, match=message) as refused:
        jobs.start("tuning", jobs.tuning(ECHO, **more))
    assert refused.value.response["Error"]["Code"] == "ValidationException"


def test_a_name_is_used_once(jobs: Jobs, tuned: dict[str, Any]) -> None:
    with pytest.raises(ClientError) as refused:
        jobs.start("tuning", jobs.tuning(ECHO, HyperParameterTuningJobName=tuned["HyperParameterTuningJobName"]))
    assert refused.value.response["Error"]["Code"] == "ResourceInUse"
