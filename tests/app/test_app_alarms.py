"""Every alarm of the app has a metric behind it: dead letters and failing functions ring, and the alert topic is told."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from released_app import ReleasedApp, TinyModel, deploy

from embedded_aws.tools.launcher import ROOT

pytestmark = pytest.mark.slow

TIME_SCALE = 0.01
"""A minute of an alarm takes 0.6 seconds, a quarter of an hour nine."""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, synthesised: Callable[[str], Path]) -> Iterator[ReleasedApp]:
    with deploy(tmp_path_factory.mktemp("app"), assembly=synthesised("dev"), time_scale=TIME_SCALE) as deployed:
        deployed.release(deployed.register(TinyModel("champion-1")), deployed.register(TinyModel("challenger-1")))
        yield deployed


@pytest.fixture(scope="module")
def told(app: ReleasedApp) -> Callable[[], set[str]]:
    """Names of the alarms that the alert topic was told of since the last look."""
    sqs, sns = app.client("sqs"), app.client("sns")
    url = sqs.create_queue(QueueName="told")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allow = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [allow]})})
    [topic] = [row["TopicArn"] for row in sns.list_topics()["Topics"] if row["TopicArn"].endswith("-alerts")]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    def names() -> set[str]:
        found = set()
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            for message in messages:
                content = json.loads(json.loads(message["Body"])["Message"])
                if content.get("NewStateValue") == "ALARM":
                    found.add(content["AlarmName"])
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return found

    return names


def alarms(app: ReleasedApp) -> list[dict[str, Any]]:
    pages = app.client("cloudwatch").get_paginator("describe_alarms").paginate(AlarmNamePrefix=app.names.prefix)
    return [alarm for page in pages for alarm in page["MetricAlarms"]]


def metrics(alarm: dict[str, Any]) -> list[dict[str, Any]]:
    """``Namespace``, ``MetricName`` and ``Dimensions`` of what an alarm looks at."""
    if "MetricName" in alarm:
        return [alarm]
    return [query["MetricStat"]["Metric"] for query in alarm["Metrics"] if "MetricStat" in query]


def of(app: ReleasedApp, namespace: str) -> dict[str, dict[str, Any]]:
    return {alarm["AlarmName"]: alarm for alarm in alarms(app) if {metric["Namespace"] for metric in metrics(alarm)} == {namespace}}


def dimension(alarm: dict[str, Any], name: str) -> str:
    return next(str(row["Value"]) for row in metrics(alarm)[0]["Dimensions"] if row["Name"] == name)


def wait(probe: Callable[[], bool], said: Callable[[], Any], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not probe():
        assert time.monotonic() < deadline, said()
        time.sleep(0.1)


def rung(app: ReleasedApp, names: set[str], told: Callable[[], set[str]]) -> None:
    """Wait until the alarms ring and the topic has been told of each of them."""
    missing = set(names)

    def all_told() -> bool:
        missing.difference_update(told())
        return not missing

    wait(all_told, lambda: f"the topic was never told of {sorted(missing)}")


def test_a_message_in_any_dead_letter_queue_rings_and_the_topic_is_told(app: ReleasedApp, told: Callable[[], set[str]]) -> None:
    watched, sqs = of(app, "AWS/SQS"), app.client("sqs")
    names = {url.rsplit("/", 1)[-1] for url in sqs.list_queues()["QueueUrls"]}
    dead = {name for name in names if name.endswith("dlq") or "dead" in name}
    assert {dimension(alarm, "QueueName") for alarm in watched.values()} == dead
    assert len(dead) >= 5
    told()
    urls = [sqs.get_queue_url(QueueName=name)["QueueUrl"] for name in dead]
    for url in urls:
        sqs.send_message(QueueUrl=url, MessageBody="{}")
    rung(app, set(watched), told)
    for url in urls:
        sqs.purge_queue(QueueUrl=url)
    wait(
        lambda: {alarm["StateValue"] for name, alarm in of(app, "AWS/SQS").items()} == {"OK"},
        lambda: {name: alarm["StateValue"] for name, alarm in of(app, "AWS/SQS").items()},
    )


def test_a_function_that_cannot_run_rings_and_the_topic_is_told(app: ReleasedApp, told: Callable[[], set[str]]) -> None:
    watched, functions = of(app, "AWS/Lambda"), app.client("lambda")
    failing = {name: alarm for name, alarm in watched.items() if metrics(alarm)[0]["MetricName"] == "Errors"}
    assert failing
    told()
    handlers = {}
    for alarm in failing.values():
        name = dimension(alarm, "FunctionName")
        handlers[name] = functions.get_function_configuration(FunctionName=name)["Handler"]
        functions.update_function_configuration(FunctionName=name, Handler="no_such_module.handler")
        for _ in range(int(alarm["Threshold"]) + 1):
            assert "FunctionError" in functions.invoke(FunctionName=name, Payload=b"{}")
    rung(app, set(failing), told)
    for name, handler in handlers.items():
        functions.update_function_configuration(FunctionName=name, Handler=handler)


def test_every_alarm_has_a_metric_that_somebody_publishes(app: ReleasedApp) -> None:
    """Namespace, name and dimensions as the alarm has them. A fleet's own dimension is published while an update shifts traffic."""
    runtime = app.client("sagemaker-runtime")
    for variant in ("champion", "challenger"):
        body = json.dumps({"inputs": ["this is positive"]})
        runtime.invoke_endpoint(EndpointName=app.names.endpoint, TargetVariant=variant, Body=body, ContentType="application/json")
    sources = "".join(path.read_text() for path in (ROOT / "lambdas").rglob("*.py"))
    watched = [metric for alarm in alarms(app) for metric in metrics(alarm)]
    assert len(watched) >= 20
    unpublished = []
    for metric in watched:
        if metric["Namespace"].startswith("ReviewLoop/"):
            if f'"{metric["MetricName"]}"' not in sources:
                unpublished.append(metric)
            continue
        if metric["MetricName"] == "IteratorAge":  # published with every batch, and a function may get none before an experiment
            (function,) = [row["Value"] for row in metric["Dimensions"]]
            mapped = app.client("lambda").list_event_source_mappings(FunctionName=function)["EventSourceMappings"]
            if not any("/stream/" in one["EventSourceArn"] for one in mapped):
                unpublished.append(metric)
            continue
        exact = sorted((row["Name"], row["Value"]) for row in metric["Dimensions"] if row["Name"] != "EndpointConfigName")
        listed = app.client("cloudwatch").list_metrics(Namespace=metric["Namespace"], MetricName=metric["MetricName"])["Metrics"]
        if exact not in [sorted((row["Name"], row["Value"]) for row in found["Dimensions"]) for found in listed]:
            unpublished.append(metric)
    assert unpublished == []
