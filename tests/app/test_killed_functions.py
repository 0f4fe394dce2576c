"""Functions killed half-way: no answered prediction, no review and no label is lost, and none is counted twice."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from killed_functions import kill
from released_app import Answer, ReleasedApp, TinyModel, deploy

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

CONSUMERS = ("start-review", "a2i-ended", "collect-review")
VICTIMS = ("predict", *CONSUMERS)
QUEUES = ("review-requests", "a2i-ended", "review-results")
CALLS, CALLERS = 40, 3
VOTES = ["positive", "positive", "neutral"]
"""Made for this test: the same for every text."""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, synthesised: Callable[[str], Path]) -> Iterator[ReleasedApp]:
    with deploy(tmp_path_factory.mktemp("app"), assembly=synthesised("dev")) as deployed:
        deployed.release(deployed.register(TinyModel("champion-1")))
        for queue in QUEUES:
            # A message that a dead function held comes back after six of its timeouts: minutes, which this test does not wait for.
            sqs = deployed.client("sqs")
            url = sqs.get_queue_url(QueueName=deployed.names.queue(queue))["QueueUrl"]
            sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "5"})
        functions, reconcile = deployed.client("lambda"), deployed.names.function("reconcile")
        variables = functions.get_function_configuration(FunctionName=reconcile)["Environment"]["Variables"]
        # The same for a request that never reached the queue: a quarter of an hour.
        functions.update_function_configuration(
            FunctionName=reconcile, Environment={"Variables": {**variables, "RESEND_AFTER_SECONDS": "5"}}
        )
        yield deployed


def predictions(app: ReleasedApp) -> list[dict[str, Any]]:
    pages = app.client("dynamodb").get_paginator("scan").paginate(TableName=app.names.predictions_table)
    return [item for page in pages for item in page["Items"]]


def give_votes(app: ReleasedApp, texts: list[str]) -> None:
    body = json.dumps({"votes": dict.fromkeys(texts, VOTES)}).encode()
    urllib.request.urlopen(f"{app.emulator.url}/_embedded/raters", body, timeout=10).close()  # noqa: S310  (the emulator on 127.0.0.1)


def test_nothing_is_lost_while_functions_are_killed(app: ReleasedApp) -> None:
    texts = [f"[unsure] text number {number}" for number in range(CALLS)]
    give_votes(app, texts)
    stop, killed, answers = threading.Event(), Counter[str](), list[Answer]()

    def assassin() -> None:
        """After every third answer, so that a function which takes long to start is not killed for ever."""
        seen = 0
        while not stop.wait(0.05):
            answered = sum(answer.status == 200 for answer in answers)
            if answered >= seen + 3:
                seen = answered
                for victim in VICTIMS:
                    killed[victim] += kill(app, victim)

    thread = threading.Thread(target=assassin)
    thread.start()
    try:
        with ThreadPoolExecutor(CALLERS) as callers:
            list(callers.map(lambda text: answers.append(app.predict(text)), texts))
        for _ in range(3):  # the consumers go on being killed while the first reviews end
            for victim in CONSUMERS:
                time.sleep(1)
                killed[victim] += kill(app, victim)
        deadline = time.monotonic() + 60
        while (spared := [victim for victim in VICTIMS if not killed[victim]]) and time.monotonic() < deadline:
            time.sleep(0.1)  # the last consumer starts when the first review has ended
            for victim in spared:
                killed[victim] += kill(app, victim)
    finally:
        stop.set()
        thread.join()
    assert all(killed[victim] >= 1 for victim in VICTIMS), killed

    accepted = {answer.body["prediction_id"] for answer in answers if answer.status == 200}
    assert accepted
    settle(app)
    items = {item["prediction_id"]["S"]: item for item in predictions(app)}
    assert accepted <= set(items)
    assert Counter(item["review_state"]["S"] for item in items.values()) == {"reviewed": len(items)}
    for item in items.values():
        assert item["human_label"]["S"] == "positive"
        assert len(item["answers"]["L"]) == len(VOTES)
    assert labels_as_ground_truth(app) == sorted(items)


def settle(app: ReleasedApp) -> None:
    """Until every review has ended: the reconciler asks again for what never reached the queue, and dead letters are redriven as an
    operator does, since five dead functions in a row are as many as a message gets."""
    deadline = time.monotonic() + 150
    while waiting := [item for item in predictions(app) if item["review_state"]["S"] != "reviewed"]:
        assert time.monotonic() < deadline, f"{len(waiting)} reviews have not ended: {waiting[:2]}"
        app.client("lambda").invoke(FunctionName=app.names.function("reconcile"), Payload=b"{}")
        for queue in QUEUES:
            redrive(app, queue)
        time.sleep(2)


def redrive(app: ReleasedApp, queue: str) -> None:
    sqs = app.client("sqs")
    source, target = (sqs.get_queue_url(QueueName=app.names.queue(name))["QueueUrl"] for name in (f"{queue}-dlq", queue))
    while messages := sqs.receive_message(QueueUrl=source, MaxNumberOfMessages=10).get("Messages", []):
        for message in messages:
            sqs.send_message(QueueUrl=target, MessageBody=message["Body"])
            sqs.delete_message(QueueUrl=source, ReceiptHandle=message["ReceiptHandle"])


def labels_as_ground_truth(app: ReleasedApp) -> list[str]:
    """Prediction ids of the ground-truth lines: one each."""
    pages = app.client("s3").get_paginator("list_objects_v2").paginate(Bucket=app.names.bucket("capture"), Prefix="ground-truth/")
    return sorted(one["Key"].rsplit("/", 1)[-1].removesuffix(".jsonl") for page in pages for one in page.get("Contents", []))
