"""The second half of the demo: predictions, people, drift, retraining, rollout."""

from __future__ import annotations

import json
import random
import time
import urllib.request
from collections import Counter
from collections.abc import Sequence
from typing import Any

from local import corpus
from local.demo.session import DemoFailed, Session
from local.demo.summary import DriftPoint
from local.demo.traffic import send
from model_code.data import Row
from model_code.vader import RatedText

REVIEW_SECONDS = 120


def load_raters(session: Session, rated: Sequence[RatedText], *, seed: int) -> None:
    """Give the replayed raters their recorded votes: one list a text, drawn without replacement."""
    votes = {item.row.text: list(item.raters) for item in rated}
    body = json.dumps({"votes": votes, "seed": seed, "delay_seconds": 0}).encode()
    request = urllib.request.Request(f"{session.emulator.url}/_reviewloop/raters", data=body, method="POST")  # noqa: S310
    with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
        known = json.loads(response.read())["texts"]
    session.say(f"replayed raters know the recorded votes of {known} texts")


def predict(session: Session, texts: Sequence[str]) -> list[dict[str, Any]]:
    """Real calls of POST /predict."""
    with session.progress("predicting", len(texts)) as update:
        answers = send(session, texts, update)
    asked = Counter(answer["review"]["status"] for answer in answers)
    session.summary.confidences = [answer["confidence"] for answer in answers]
    rate = asked["requested"] / len(answers)
    session.summary.review_rate = round(rate, 4)
    variants = Counter(answer["variant"] for answer in answers)
    session.say(
        f"{len(answers)} answered ({', '.join(f'{n} by {v}' for v, n in variants.most_common())}); "
        f"{asked['requested']} sent to people ({100 * rate:.0f} %)"
    )
    return answers


def count_states(session: Session) -> dict[str, int]:
    """Predictions by review state, from the table itself."""
    counts: Counter[str] = Counter()
    pages = (
        session.client("dynamodb")
        .get_paginator("scan")
        .paginate(TableName=f"{session.prefix}-predictions", ProjectionExpression="review_state, human_label")
    )
    for page in pages:
        for item in page["Items"]:
            counts[item["review_state"]["S"]] += 1
            counts["labelled"] += "human_label" in item
    return dict(counts)


def wait_for_reviews(session: Session) -> None:
    """Wait until no review is open; what stays open counts as it is."""
    deadline = time.monotonic() + REVIEW_SECONDS
    states = count_states(session)
    total = states.get("requested", 0) + states.get("in_review", 0)
    with session.progress("people answer", total) as update:
        while True:
            states = count_states(session)
            waiting = states.get("requested", 0) + states.get("in_review", 0)
            update(max(0, total - waiting))
            if not waiting or time.monotonic() > deadline:
                break
            time.sleep(1.0)
    agreements = [float(item["agreement"]["N"]) for item in _reviewed(session)]
    agreement = sum(agreements) / len(agreements) if agreements else None
    session.summary.reviewer_agreement = agreement
    session.say(
        f"{states.get('reviewed', 0)} reviewed by {session.settings.review.workers_per_task} replayed raters each, "
        f"{states.get('labelled', 0)} labels, {waiting} still open, {states.get('dead_lettered', 0)} dead-lettered"
        + ("" if agreement is None else f"; raters agree {100 * agreement:.0f} %")
    )


def _reviewed(session: Session) -> list[dict[str, Any]]:
    pages = (
        session.client("dynamodb")
        .get_paginator("scan")
        .paginate(
            TableName=f"{session.prefix}-predictions",
            FilterExpression="review_state = :reviewed",
            ExpressionAttributeValues={":reviewed": {"S": "reviewed"}},
        )
    )
    return [item for page in pages for item in page["Items"]]


# -- drift ---------------------------------------------------------------------------------------------


def assess_drift(session: Session, domain: str, texts_sent: int) -> DriftPoint:
    """Run the drift check as its schedule would, and read score and alarm."""
    response = session.client("lambda").invoke(FunctionName=f"{session.prefix}-detect-drift", Payload=b"{}")
    result = json.loads(response["Payload"].read())
    if "FunctionError" in response:
        raise DemoFailed(f"the drift check failed: {result}")
    time.sleep(1.0)  # one scaled alarm evaluation
    alarms = session.client("cloudwatch").describe_alarms(AlarmNames=[f"{session.prefix}-drift"])["MetricAlarms"]
    point = DriftPoint(domain, texts_sent, result.get("score"), result.get("values", {}), alarms[0]["StateValue"])
    session.summary.drift.append(point)
    return point


def drift_to_tweets(session: Session, tweets: Sequence[str]) -> int:
    """Tweets instead of reviews, a batch at a time, until the alarm rings and enough labels are there; returns how many."""
    wanted, batch = session.settings.retraining.min_new_labels, session.budget.tweets_batch
    sent, labels = 0, 0
    with session.progress("tweets", None) as update:
        while sent + batch <= min(session.budget.most_tweets, len(tweets)):
            send(session, tweets[sent : sent + batch])
            sent += batch
            if session.summary.drift_detected_after is None:
                time.sleep(1.5)  # capture is flushed about once a second
                point = assess_drift(session, "tweets", sent)
                if point.alarm == "ALARM":
                    session.summary.drift_detected_after = sent
                    session.say(f"[bold]drift alarm[/] after {sent} tweets: score {point.score:.2f} (1 is the champion's own threshold)")
            labels = count_states(session).get("labelled", 0)
            update(sent, f"tweets sent {sent}, labels {labels} of {wanted}")
            if session.summary.drift_detected_after is not None and labels >= wanted:
                break
    if session.summary.drift_detected_after is None:
        raise DemoFailed(f"{sent} tweets raised no drift alarm: see drift in summary.json")
    session.say(f"{sent} tweets sent; {labels} human labels are there")
    return sent


def account(session: Session, answered: int) -> None:
    """Every answered prediction against the states in the table: nothing may be unaccounted for."""
    states = count_states(session)
    known = ("not_required", "requested", "in_review", "reviewed", "dead_lettered")
    predictions = {"accepted": answered, **{state: states.get(state, 0) for state in known}}
    predictions["unaccounted"] = answered - sum(predictions[state] for state in known)
    session.summary.predictions = predictions
    session.say(", ".join(f"{count} {state.replace('_', ' ')}" for state, count in predictions.items()))


def tweets_by_use(seed: int, held_out: int) -> tuple[list[RatedText], list[Row]]:
    """Tweets to send, and held-out ones that are never sent: disjoint, drawn at random."""
    rated = corpus.rated_texts("tweets")
    random.Random(seed).shuffle(rated)  # noqa: S311  (a repeatable draw)
    return rated[held_out:], [item.row for item in rated[:held_out]]
