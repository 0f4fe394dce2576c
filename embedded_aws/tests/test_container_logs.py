"""What containers print is in CloudWatch Logs, in SageMaker's groups and streams, if the execution role may write it there."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from embedded_aws.testing import hosting as hosting_setup
from embedded_aws.testing import jobs as job_setup
from embedded_aws.testing.fixtures import ClientFactory, RoleFactory
from embedded_aws.testing.hosting import Hosting
from embedded_aws.testing.jobs import Jobs

LOGS = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]


@pytest.fixture(scope="module")
def jobs(aws: ClientFactory, make_role: RoleFactory) -> Jobs:
    made = job_setup.prepare(aws, make_role, "log-tests")
    resource = "arn:aws:logs:*:*:log-group:/aws/sagemaker/*"
    made.role_arn = make_role(
        "log-tests-writer",
        [{"Effect": "Allow", "Action": ["s3:*"], "Resource": "*"}, {"Effect": "Allow", "Action": LOGS, "Resource": resource}],
    )
    return made


def printed(aws: ClientFactory, group: str, prefix: str) -> tuple[str, list[str]]:
    """The one stream below a prefix, and its messages."""
    [stream] = aws("logs").describe_log_streams(logGroupName=group, logStreamNamePrefix=prefix)["logStreams"]
    events = aws("logs").get_log_events(logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True)["events"]
    return stream["logStreamName"], [event["message"] for event in events]


def test_a_training_jobs_log_is_there_when_it_has_ended(aws: ClientFactory, jobs: Jobs) -> None:
    request = jobs.training("import sys\nprint('score=0.5')\nprint()\nprint('naïve', file=sys.stderr)\nraise SystemExit(3)")
    assert jobs.run("training", request)["TrainingJobStatus"] == "Failed"
    name = request["TrainingJobName"]
    stream, messages = printed(aws, "/aws/sagemaker/TrainingJobs", name)
    assert re.fullmatch(rf"{name}/algo-1-\d{{10}}", stream)
    assert [messages.count(line) for line in ("score=0.5", "naïve", "")] == [1, 1, 0]
    tailed = aws("logs").filter_log_events(logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=name, filterPattern="score")
    assert [event["message"] for event in tailed["events"]] == ["score=0.5"]


def test_a_running_jobs_log_can_be_followed(aws: ClientFactory, jobs: Jobs, wait_until: Callable[..., Any]) -> None:
    request = jobs.processing("import time\nprint('begun', flush=True)\ntime.sleep(60)")
    name = jobs.start("processing", request)

    def so_far() -> list[str]:
        if not aws("logs").describe_log_groups(logGroupNamePrefix="/aws/sagemaker/ProcessingJobs")["logGroups"]:
            return []
        return [event["message"] for event in aws("logs").filter_log_events(
            logGroupName="/aws/sagemaker/ProcessingJobs", logStreamNamePrefix=name)["events"]]  # fmt: skip

    wait_until(lambda: so_far() == ["begun"])
    assert jobs.describe("processing", name)["ProcessingJobStatus"] == "InProgress"
    jobs.stop("processing", name)
    jobs.ended("processing", name)
    assert printed(aws, "/aws/sagemaker/ProcessingJobs", name)[1] == ["begun"]


def test_an_endpoints_instance_logs_under_its_variant(aws: ClientFactory, make_role: RoleFactory, wait_until: Callable[..., Any]) -> None:
    hosting: Hosting = hosting_setup.prepare(aws, make_role, "endpoint-log-tests")
    statements = [{"Effect": "Allow", "Action": action, "Resource": "*"} for action in ("s3:*", "logs:*")]
    hosting.role_arn = make_role("endpoint-log-tests-writer", statements)
    model = hosting.model("told", REFUSE_TO_START="1")
    config = hosting.config([{"name": "champion", "model": model}])
    endpoint = f"endpoint-{uuid.uuid4().hex[:8]}"
    aws("sagemaker").create_endpoint(EndpointName=endpoint, EndpointConfigName=config)
    assert hosting.settled(endpoint)["EndpointStatus"] == "Failed"
    stream, messages = wait_until(lambda: printed(aws, f"/aws/sagemaker/Endpoints/{endpoint}", "champion"))
    assert re.fullmatch(r"champion/[-i0-9a-f]+", stream)
    assert any("told to refuse" in message for message in messages)


def test_a_role_that_may_not_write_logs_has_none_and_its_job_goes_on(aws: ClientFactory, make_role: RoleFactory) -> None:
    silent = job_setup.prepare(aws, make_role, "silent-tests")
    request = silent.training("print('score=0.5')")
    assert silent.run("training", request)["TrainingJobStatus"] == "Completed"
    streams = [
        stream
        for group in aws("logs").describe_log_groups(logGroupNamePrefix="/aws/sagemaker/TrainingJobs")["logGroups"]
        for stream in aws("logs").describe_log_streams(logGroupName=group["logGroupName"])["logStreams"]
    ]
    assert not [stream for stream in streams if stream["logStreamName"].startswith(request["TrainingJobName"])]
