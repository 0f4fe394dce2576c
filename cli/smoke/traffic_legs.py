"""Legs of what callers and people meet: the prediction API, a review that is asked for and stopped, the drift check."""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from cli.smoke.model_legs import remove_objects
from cli.smoke.run import LegFailed, LegSkipped, Run
from lambdas.common.review import Origin, ReviewReason, ReviewRequest

_TEXT = "smoke test: this text means nothing"
_EXECUTE_API = re.compile(r"^([a-z0-9]+)\.execute-api\.")


def prediction(run: Run) -> str:
    """Send a signed ``POST /predict``. Without a release the API must say so, which also proves the way to it."""
    status, body = _call(run, {"text": _TEXT})
    if status == 200:
        name, table = body["prediction_id"], run.table()
        run.undo(f"the prediction {name}", lambda: table.delete_item(Key={"prediction_id": name}))
        stored = table.get_item(Key={"prediction_id": name}, ConsistentRead=True).get("Item")
        if stored is None:
            raise LegFailed(f"the API answered prediction {name}, and the table {table.name} has no such item")
        run.made["prediction"] = (name, body["variant"])
        return f"the API answered {body.get('label_name', body['label'])} by {body['variant']}, and the prediction is stored"
    if status == 503 and "no model is released" in json.dumps(body).lower():
        return "the API answered 503, no model is released yet: run smoke again after the first release"
    raise LegFailed(f"POST /predict answered {status}: {json.dumps(body)[:500]}")


def _call(run: Run, document: dict[str, Any]) -> tuple[int, Any]:
    account, data = run.account, json.dumps(document).encode()
    stack = account.stack(account.names.stack("endpoint"))
    outputs = {item["OutputKey"]: item["OutputValue"] for item in (stack or {}).get("Outputs", [])}
    url = _reachable(run, outputs["PredictUrl"])
    request = AWSRequest("POST", url, data=data, headers={"Content-Type": "application/json"})
    SigV4Auth(account.session.get_credentials(), "execute-api", run.settings.region).add_auth(request)
    call = urllib.request.Request(url, data=data, headers=dict(request.headers), method="POST")  # noqa: S310  (an output of the stack)
    try:
        with urllib.request.urlopen(call, timeout=60) as response:  # noqa: S310  (as above)
            return int(response.status), json.loads(response.read())
    except urllib.error.HTTPError as error:
        text = error.read().decode(errors="replace")
        return error.code, json.loads(text) if text.startswith("{") else text


def _reachable(run: Run, url: str) -> str:
    """The API's address: with ``AWS_ENDPOINT_URL`` every API is below one path, because its own name has no address there."""
    base, address = run.account.client("sts").meta.endpoint_url, urlsplit(url)
    match = _EXECUTE_API.match(address.netloc)
    if match is None or urlsplit(base).hostname not in ("127.0.0.1", "localhost"):
        return url
    return f"{base}/_aws/execute-api/{match[1]}{address.path}"


def review(run: Run) -> str:
    """Ask for a review through the queue, see it in review, stop it, and wait until it is a dead letter, as a stopped one must be."""
    if run.settings.review.backend != "a2i":
        raise LegSkipped(f"review.backend is {run.settings.review.backend}: there are no human loops, and this leg stops one")
    if not run.settings.dataset.labels and not run.has_dataset:
        raise LegSkipped(
            "there is no dataset version yet and dataset.labels pins no labels, so nobody can be asked: upload a first version"
        )
    name, table, sqs = f"smoke{run.id}", run.table(), run.account.client("sqs")
    request = _request(run, name)
    queue, dead = (sqs.get_queue_url(QueueName=run.account.names.queue(f"review-requests{end}"))["QueueUrl"] for end in ("", "-dlq"))
    run.undo(f"the record of {name}", lambda: table.delete_item(Key={"prediction_id": name}))
    run.undo(f"the dead letter of {name}", lambda: _take_dead_letter(run, dead, name))
    sqs.send_message(QueueUrl=queue, MessageBody=request.to_json())

    def in_state(state: str) -> Any:
        item = table.get_item(Key={"prediction_id": name}, ConsistentRead=True).get("Item", {})
        return item if item.get("review_state") == state else None

    run.wait("the review to be asked for", lambda: in_state("in_review"))
    loops = run.account.client("sagemaker-a2i-runtime")
    described = loops.describe_human_loop(HumanLoopName=request.review_id)
    loops.stop_human_loop(HumanLoopName=request.review_id)
    ended = run.wait("the event of the stopped review", lambda: in_state("dead_lettered"))
    run.undo(f"the human loop {request.review_id}", lambda: loops.delete_human_loop(HumanLoopName=request.review_id))
    output = described.get("HumanLoopOutput", {}).get("OutputS3Uri", "")
    if output:
        where = urlsplit(output)
        folder = where.path.lstrip("/").rsplit("/", 1)[0] + "/"
        run.undo(output, lambda: remove_objects(run, where.netloc, folder))
    return f"human loop {request.review_id} was started, stopped, and ended as it must: {ended.get('review_outcome', 'dead-lettered')}"


def _request(run: Run, name: str) -> ReviewRequest:
    now = datetime.now(UTC)
    expires = int((now + timedelta(days=1)).timestamp())
    origin = Origin("champion", "smoke", 1.0, now.isoformat(timespec="milliseconds"), expires, None)
    label = run.labels[0]
    return ReviewRequest(name, _TEXT, label, 0.5, ReviewReason.LOW_CONFIDENCE, 1, origin)


def _take_dead_letter(run: Run, queue: str, name: str) -> None:
    """Delete this run's message. Every other message is visible again at once."""
    sqs, deadline = run.account.client("sqs"), time.monotonic() + 60
    while time.monotonic() < deadline:
        messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1, VisibilityTimeout=20).get("Messages", [])
        for message in messages:
            if name in message["Body"]:
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
                return
            sqs.change_message_visibility(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
        if not messages:
            return


def drift(run: Run) -> str:
    """Invoke the drift function as the schedule does. Without a release, only query the capture table with Athena."""
    account = run.account
    function = account.names.function("detect-drift")
    answer = account.client("lambda").invoke(FunctionName=function, Payload=b"{}")
    result = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        raise LegFailed(f"{function} failed: {json.dumps(result)[:500]}")
    if result["status"] != "no_release":
        return f"{function}: {result['status']}, {result.get('predictions', 0)} predictions in the window"
    return f"nothing is released, so {function} had nothing to measure; {_read_table(run)}"


def _read_table(run: Run) -> str:
    account = run.account
    athena, database = account.client("athena"), account.names.database
    hour = f"{datetime.now(UTC):%Y/%m/%d/%H}"
    query = athena.start_query_execution(
        QueryString=f"SELECT count(*) FROM capture WHERE variant = 'champion' AND hour >= '{hour}'",  # noqa: S608  (a time, no input)
        QueryExecutionContext={"Database": database},
        WorkGroup=account.names.workgroup,
    )["QueryExecutionId"]

    def ended() -> Any:
        status = athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]["Status"]
        return status if status["State"] in ("SUCCEEDED", "FAILED", "CANCELLED") else None

    status = run.wait("Athena", ended)
    result = urlsplit(athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]["ResultConfiguration"]["OutputLocation"])
    run.undo(result.geturl(), lambda: remove_objects(run, result.netloc, result.path.lstrip("/")))
    if status["State"] != "SUCCEEDED":
        raise LegFailed(f"Athena's query {query} {status['State']}: {status.get('StateChangeReason', 'no reason given')}")
    rows = athena.get_query_results(QueryExecutionId=query)["ResultSet"]["Rows"]
    return f"Athena read {rows[1]['Data'][0]['VarCharValue']} lines of this hour from {database}.capture"
