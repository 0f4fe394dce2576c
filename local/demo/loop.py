"""The second half of the demo: predictions, people, drift, retraining, rollout."""

from __future__ import annotations

import json
import time
import urllib.request
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from contracts.labels import name_of
from contracts.phrases import counted
from local.demo.hosted_raters import HostedRaters
from local.demo.session import DemoFailed, Session
from local.demo.summary import DriftPoint
from local.demo.traffic import send

REVIEW_SECONDS = 120
ALARM_SECONDS = 200
CAPTURE_SECONDS = 20
SETTLE_SECONDS = 60


def load_answers(session: Session, *, seed: int) -> None:
    """Give the replayed raters what they shall choose on the page, by the labels' names: one list a text, drawn without replacement."""
    names = session.source.manifest.label_names
    votes = {text: [name_of(label, names) for label in labels] for text, labels in session.source.answers.items()}
    if session.settings.review.backend == "hosted":
        session.raters = HostedRaters(session, votes, seed)
        session.raters.start()
        session.say(f"people are {session.source.people}; they have signed in to the review page and know {len(votes)} texts")
        return
    body = json.dumps({"votes": votes, "seed": seed, "delay_seconds": 0}).encode()
    request = urllib.request.Request(f"{session.emulator.url}/_embedded/raters", data=body, method="POST")  # noqa: S310
    with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
        known = json.loads(response.read())["texts"]
    session.say(f"people are {session.source.people}; they know {known} texts")


def predict(session: Session, texts: Sequence[str]) -> list[dict[str, Any]]:
    """Send real requests to POST /predict."""
    with session.progress("predicting", len(texts)) as update:
        answers = send(session, texts, update)
    asked = Counter(answer["review"]["status"] for answer in answers)
    for answer in answers:
        session.summary.confidences.setdefault(answer["review"]["status"], []).append(answer["confidence"])
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
        .paginate(TableName=session.names.predictions_table, ProjectionExpression="review_state, human_label")
    )
    for page in pages:
        for item in page["Items"]:
            counts[item["review_state"]["S"]] += 1
            counts["labelled"] += "human_label" in item
    return dict(counts)


def wait_for_reviews(session: Session) -> None:
    """Wait until no review is open. Reviews that stay open are counted as open."""
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
    if waiting and session.raters is not None and session.raters.failure:
        session.say(f"the review page failed last with: {session.raters.failure}")
    review = session.settings.review
    asked = review.workers_per_task
    people = counted(asked, session.source.person)
    agreements = [float(item["agreement"]["N"]) for item in _reviewed(session)]
    agreement = sum(agreements) / len(agreements) if agreements else None
    session.summary.reviewer_agreement = agreement
    session.say(
        f"{states.get('reviewed', 0)} reviewed by {people if review.answer_rule == 'fixed' else f'2 to {people}'} each, "
        f"{counted(states.get('labelled', 0), 'label')}, {waiting} still open, {states.get('dead_lettered', 0)} dead-lettered"
        + ("" if agreement is None or asked == 1 else f"; they agree {100 * agreement:.0f} %")
    )


def _reviewed(session: Session) -> list[dict[str, Any]]:
    pages = (
        session.client("dynamodb")
        .get_paginator("scan")
        .paginate(
            TableName=session.names.predictions_table,
            FilterExpression="review_state = :reviewed",
            ExpressionAttributeValues={":reviewed": {"S": "reviewed"}},
        )
    )
    return [item for page in pages for item in page["Items"]]


# -- drift ---------------------------------------------------------------------------------------------


def assess_drift(session: Session, domain: str, texts_sent: int) -> DriftPoint:
    """Run the drift check as its schedule would, and note its score and the alarm as it stands."""
    point = _check_drift(session, domain, texts_sent)
    session.summary.drift.append(point)
    return point


def assess_quiet(session: Session, answers: Sequence[dict[str, Any]]) -> None:
    """Run the drift check before any drift. If the champion has answered enough texts for a window, wait until capture has stored them."""
    name = session.source.name
    by_champion = sum(answer["variant"] == "champion" for answer in answers)
    if by_champion >= session.settings.drift.window_predictions:
        session.summary.drift.append(_scored(session, name, len(answers)))
    else:
        assess_drift(session, name, len(answers))


def _scored(session: Session, domain: str, texts_sent: int) -> DriftPoint:
    """The first check that has a score: capture stores answers some seconds after they were given.

    Raises:
        DemoFailed: the window did not fill.
    """
    deadline = time.monotonic() + CAPTURE_SECONDS
    while (point := _check_drift(session, domain, texts_sent)).score is None:
        if time.monotonic() > deadline:
            raise DemoFailed(f"{texts_sent} texts ({domain}) did not fill the champion's drift window: see {session.emulator.log_file}")
        time.sleep(1.0)
    return point


def _check_drift(session: Session, domain: str, texts_sent: int) -> DriftPoint:
    response = session.client("lambda").invoke(FunctionName=session.names.function("detect-drift"), Payload=b"{}")
    result = json.loads(response["Payload"].read())
    if "FunctionError" in response:
        raise DemoFailed(f"the drift check failed: {result}")
    return DriftPoint(domain, texts_sent, result.get("score"), result.get("values", {}), _alarm_state(session))


def _alarm_state(session: Session) -> str:
    state: str = session.client("cloudwatch").describe_alarms(AlarmNames=[session.names.drift_alarm])["MetricAlarms"][0]["StateValue"]
    return state


def send_later(session: Session, texts: Sequence[str]) -> int:
    """Send the later texts, in batches, until there are labels enough and drift is found, if it can be; returns how many were sent.

    The alarm looks at whole periods of the check's schedule (in scaled time), so it rings some batches after the score that it is about.

    Raises:
        DemoFailed: the tweets raised no alarm, however many were sent. Of a team's own slice nobody knows beforehand whether it drifts.
    """
    wanted, batch, summary, later = (
        session.settings.retraining.min_new_labels,
        session.budget.later_batch,
        session.summary,
        session.source.later,
    )
    most = min(session.budget.most_later, len(texts))
    sent, labels = 0, 0
    with session.progress(later.name, None) as update:
        while sent < most:
            send(session, texts[sent : min(most, sent + batch)])
            sent = min(most, sent + batch)
            if later.drifts and summary.drift_alarm_after is None:
                _note_drift(session, assess_drift(session, later.name, sent))
            labels = _labels(session, wanted)
            update(sent, f"{later.name}: {sent} sent, labels {labels} of {wanted}")
            if labels >= wanted and (summary.drift_detected_after is not None or not later.drifts):
                break
        if later.drifts and (summary.drift_detected_after is not None or not session.source.origin):
            update(sent, f"{later.name}: {sent} sent, waiting for the alarm")
            _wait_for_alarm(session, sent)
    if later.drifts and summary.drift_alarm_after is None:
        silent = f"{sent} {later.name} raised no drift alarm: see drift in summary.json"
        if not session.source.origin:
            raise DemoFailed(silent)
        session.say(silent)
    session.say(f"{sent} {later.name} sent; {labels} human labels are there")
    return sent


def _labels(session: Session, wanted: int) -> int:
    """Labels that are there; when those that people still work on would do, until they have answered."""
    deadline = time.monotonic() + REVIEW_SECONDS
    while True:
        states = count_states(session)
        labels, open_reviews = states.get("labelled", 0), states.get("requested", 0) + states.get("in_review", 0)
        if labels >= wanted or labels + open_reviews < wanted or not open_reviews or time.monotonic() > deadline:
            return labels
        time.sleep(0.5)


def _note_drift(session: Session, point: DriftPoint) -> None:
    summary, name = session.summary, session.source.later.name
    if summary.drift_detected_after is None and (point.score or 0) > 1:
        summary.drift_detected_after = point.texts_sent
        session.say(f"drift found after {point.texts_sent} {name}: score {point.score:.2f} (1 is the champion's own threshold)")
    if summary.drift_alarm_after is None and point.alarm == "ALARM":
        summary.drift_alarm_after = point.texts_sent
        session.say(f"[bold]drift alarm[/] after {point.texts_sent} {name}")


def _wait_for_alarm(session: Session, sent: int) -> None:
    """Wait until the alarm's period has ended. No more texts are sent; the drift check runs on its schedule."""
    deadline = time.monotonic() + ALARM_SECONDS
    while session.summary.drift_alarm_after is None and time.monotonic() < deadline:
        time.sleep(3.0)
        _note_drift(session, assess_drift(session, session.source.later.name, sent))


def drift_after_retraining(session: Session, texts: Sequence[str]) -> int:
    """Send the same kind of texts to the promoted model until its own window is full; returns how many were sent.

    Raises:
        DemoFailed: the window did not fill.
    """
    wanted, name = session.settings.drift.window_predictions, session.source.later.name
    if session.summary.rollout.get("outcome") != "promoted" or not session.source.later.drifts:
        return 0
    if len(texts) < wanted:
        session.say(f"{len(texts)} more {name} are too few for a drift window of {wanted}: the new champion's drift is not assessed")
        return 0
    with session.progress(f"{name} to the new champion", wanted) as update:
        sent = len(send(session, texts[:wanted], update))
    point = _scored(session, f"{name} again", sent)
    session.summary.drift.append(point)
    session.summary.drift_score_after_retraining = point.score
    session.say(f"{sent} more {name} to the new champion: drift score {point.score:.2f} against its own baseline")
    return sent


def alarm_after_retraining(session: Session) -> None:
    """Read the drift alarm once it has seen a period of the new champion."""
    score = session.summary.drift_score_after_retraining
    if score is None:
        return
    settled, deadline = "ALARM" if score > 1 else "OK", time.monotonic() + SETTLE_SECONDS
    while (state := _alarm_state(session)) != settled and time.monotonic() < deadline:
        time.sleep(1.0)
    session.summary.drift_alarm_after_retraining = state
    session.summary.drift[-1] = replace(session.summary.drift[-1], alarm=state)
    session.say(f"drift alarm after the retraining: [bold]{state}[/]")


def account(session: Session, answered: int) -> None:
    """Reconcile the answered predictions with the states in the table. Every prediction must be in one state."""
    states = count_states(session)
    of_the_budget = () if session.settings.review.daily_budget is None else ("waiting", "not_chosen")
    known = (*of_the_budget, "not_required", "requested", "in_review", "reviewed", "dead_lettered")
    predictions = {"accepted": answered, **{state: states.get(state, 0) for state in known}}
    predictions["unaccounted"] = answered - sum(predictions[state] for state in known)
    session.summary.predictions = predictions
    session.say(", ".join(f"{count} {state.replace('_', ' ')}" for state, count in predictions.items()))
