"""Amazon A2I in the embedded AWS: human loops from start to event, faults on demand, replayed raters."""

from __future__ import annotations

import hashlib
import re
import time

import pytest
from botocore.exceptions import ClientError

from embedded_aws.testing.reviews import LABELS, TEMPLATE, Portal, Review, code, person, team_arn, wait_for

# -- human loops -----------------------------------------------------------------------------------


def test_three_people_answer_one_loop_each_once(review: Review) -> None:
    people = [person(review, "ann", "three"), *(Portal(review) for _ in range(2))]
    subs = {review.add_worker(name, group="three") for name in ("bob", "cy")}
    for portal, name in zip(people[1:], ("bob", "cy"), strict=True):
        portal.sign_in(name)
    loop_arn = review.ask(review.flow("three-people", 3, WorkteamArn=team_arn(review, "three")), "three-loop", "It works.")

    for portal, label in zip(people, ("positive", "neutral", "positive"), strict=True):
        assert portal.answer(label)["task"] is None, "nobody is asked twice"

    assert review.ended("three-loop")["HumanLoopStatus"] == "Completed"
    document = review.output("three-loop")
    assert set(document) == {"flowDefinitionArn", "humanAnswers", "humanLoopName", "inputContent"}
    assert document["inputContent"] == {"text": "It works.", "labels": LABELS, "predictionId": "three-loop", "attempt": 1}
    assert [answer["answerContent"] for answer in document["humanAnswers"]] == [
        {"category": {"label": label}} for label in ("positive", "neutral", "positive")
    ]
    identities = [answer["workerMetadata"]["identityData"] for answer in document["humanAnswers"]]
    assert subs <= {identity["sub"] for identity in identities}
    assert {identity["identityProviderType"] for identity in identities} == {"Cognito"}
    assert len({answer["workerId"] for answer in document["humanAnswers"]}) == 3
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", answer["acceptanceTime"]) for answer in document["humanAnswers"])
    uri = review.loop("three-loop")["HumanLoopOutput"]["OutputS3Uri"]
    assert re.fullmatch(rf"s3://{review.bucket}/a2i/three-people/\d{{4}}/\d\d/\d\d/\d\d/\d\d/\d\d/three-loop/output\.json", uri)
    (event,) = review.events_of(loop_arn)
    assert event["detail-type"] == "SageMaker A2I HumanLoop Status Change"
    assert event["detail"] | {"creationTime": ""} == {
        "creationTime": "",
        "failureCode": None,
        "failureReason": None,
        "flowDefinitionArn": document["flowDefinitionArn"],
        "humanLoopArn": loop_arn,
        "humanLoopName": "three-loop",
        "humanLoopOutput": {"outputS3Uri": uri},
        "humanLoopStatus": "Completed",
    }


def test_the_same_start_twice_is_one_loop_and_another_input_is_a_conflict(review: Review) -> None:
    arn = review.flow("conflicts")

    assert review.ask(arn, "same-name", "one text") == review.ask(arn, "same-name", "one text")
    with pytest.raises(ClientError, match="different input data") as raised:
        review.ask(arn, "same-name", "another text")

    assert (code(raised), raised.value.response["ResponseMetadata"]["HTTPStatusCode"]) == ("ConflictException", 409)
    loops = review.client("sagemaker-a2i-runtime").list_human_loops(FlowDefinitionArn=arn)["HumanLoopSummaries"]
    assert [(loop["HumanLoopName"], loop["HumanLoopStatus"]) for loop in loops] == [("same-name", "InProgress")]


@pytest.fixture(scope="module")
def active_flow(review: Review) -> str:
    return review.flow("active-flow")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("Upper", "{}", "regular expression"),
        ("fine", "[1]", "JSON object"),
        ("fine", "{", "not JSON"),
        ("fine", '{"a":"' + "x" * 3_200_000 + '"}', "3145728"),
    ],
)
def test_a_bad_start_is_refused(review: Review, active_flow: str, name: str, content: str, expected: str) -> None:
    with pytest.raises(ClientError, match=expected) as raised:
        review.client("sagemaker-a2i-runtime").start_human_loop(
            HumanLoopName=name, FlowDefinitionArn=active_flow, HumanLoopInput={"InputContent": content}
        )

    assert code(raised) == "ValidationException"


def test_a_stopped_loop_sends_its_event_and_can_then_be_deleted(review: Review) -> None:
    runtime = review.client("sagemaker-a2i-runtime")
    loop_arn = review.ask(review.flow("stops"), "to-stop", "text")
    with pytest.raises(ClientError, match="stop it before"):
        runtime.delete_human_loop(HumanLoopName="to-stop")

    runtime.stop_human_loop(HumanLoopName="to-stop")

    assert review.ended("to-stop")["HumanLoopStatus"] == "Stopped"
    detail = review.events_of(loop_arn)[0]["detail"]
    assert (detail["humanLoopStatus"], detail["humanLoopOutput"]) == ("Stopped", None)
    runtime.delete_human_loop(HumanLoopName="to-stop")
    with pytest.raises(ClientError) as raised:
        review.loop("to-stop")
    assert code(raised) == "ResourceNotFoundException"


def test_a_loop_is_stopping_while_a_worker_holds_its_task(review: Review) -> None:
    portal = person(review, "holder", "holding-team")
    review.ask(review.flow("held", 2, WorkteamArn=team_arn(review, "holding-team")), "held", "text")
    portal.take()

    review.client("sagemaker-a2i-runtime").stop_human_loop(HumanLoopName="held")
    assert review.loop("held")["HumanLoopStatus"] == "Stopping"
    portal.answer("negative")

    assert review.ended("held")["HumanLoopStatus"] == "Stopped"
    assert [answer["answerContent"]["category"]["label"] for answer in review.output("held")["humanAnswers"]] == ["negative"]


def test_a_loop_that_nobody_answers_in_time_fails_as_expired(review: Review) -> None:
    loop_arn = review.ask(review.flow("short-lived", TaskAvailabilityLifetimeInSeconds=30), "expires", "text")

    ended = review.ended("expires")

    assert (ended["HumanLoopStatus"], ended["FailureCode"]) == ("Failed", "Expired")
    detail = review.events_of(loop_arn)[0]["detail"]
    assert (detail["humanLoopStatus"], detail["failureCode"], detail["humanLoopOutput"]) == ("Failed", "Expired", None)


def test_a_worker_whose_time_is_up_cannot_answer_and_the_task_is_offered_again(review: Review) -> None:
    portal = person(review, "slow", "slow-team")
    review.ask(review.flow("time-limit", WorkteamArn=team_arn(review, "slow-team"), TaskTimeLimitInSeconds=30), "slow-loop", "text")
    task = portal.take()
    source = review.loop("slow-loop")["HumanLoopArn"]
    wait_for(lambda: [item for item in review.admin("tasks") if item["source"] == source and item["assigned"] == 0], "the time limit")

    status, refusal = portal.post("/worker/answers", {"task": task, "answer": {"category": {"label": "positive"}}})

    assert (status, "no longer yours" in refusal["message"]) == (409, True)
    portal.answer("positive")
    assert review.ended("slow-loop")["HumanLoopStatus"] == "Completed"


def test_a_role_that_loses_its_grant_fails_the_loop_instead_of_losing_it(review: Review) -> None:
    statement = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{review.bucket}/*"}
    role = review.make_role("loses-its-grant", [statement])
    request = {**review.flow_request("loses-grant"), "RoleArn": role}
    arn = review.client("sagemaker").create_flow_definition(**request)["FlowDefinitionArn"]
    wait_for(lambda: review.flow_status("loses-grant") == "Active", "Active")
    review.client("iam").delete_role_policy(RoleName="loses-its-grant", PolicyName="grants")
    review.admin("raters", {"votes": {"unwritable": ["positive"]}})

    loop_arn = review.ask(arn, "unwritable", "unwritable")

    assert review.ended("unwritable")["HumanLoopStatus"] == "Failed"
    assert "s3:PutObject" in review.events_of(loop_arn)[0]["detail"]["failureReason"]


def test_a_text_with_half_a_surrogate_pair_is_shown_answered_and_kept(review: Review) -> None:
    """It is valid JSON, and no UTF-8."""
    text = "half a pair: \ud83d"
    review.admin("raters", {"votes": {text: ["positive"]}})
    review.ask(review.flow("no-utf-8"), "no-utf-8", text)

    assert review.ended("no-utf-8")["HumanLoopStatus"] == "Completed"
    assert review.output("no-utf-8")["inputContent"]["text"] == text


def test_a_template_that_cannot_be_rendered_fails_the_loop(review: Review) -> None:
    content = TEMPLATE.replace("task.input.labels | to_json | escape", "task.input.missing")
    ui = review.client("sagemaker").create_human_task_ui(HumanTaskUiName="no-labels", UiTemplate={"Content": content})["HumanTaskUiArn"]
    review.ask(review.flow("no-labels", HumanTaskUiArn=ui), "no-labels", "text")

    ended = review.ended("no-labels")

    assert (ended["HumanLoopStatus"], ended["FailureCode"]) == ("Failed", "ValidationError")
    assert "categories is not a JSON list" in ended["FailureReason"]


# -- faults on demand ------------------------------------------------------------------------------


def test_a_loop_can_be_ended_as_completed_without_answers(review: Review) -> None:
    review.ask(review.flow("empty"), "empty-answers", "text")

    review.admin("human-loops/empty-answers/end", {"status": "Completed"})

    assert review.ended("empty-answers")["HumanLoopStatus"] == "Completed"
    assert review.output("empty-answers")["humanAnswers"] == []


def test_a_loop_can_be_made_to_fail(review: Review) -> None:
    loop_arn = review.ask(review.flow("fails"), "fails", "text")

    review.admin("human-loops/fails/end", {"status": "Failed", "failureCode": "InternalError", "failureReason": "on purpose"})

    detail = review.events_of(loop_arn)[0]["detail"]
    assert (detail["humanLoopStatus"], detail["failureCode"], detail["failureReason"]) == ("Failed", "InternalError", "on purpose")


def test_an_event_can_be_delivered_again_and_out_of_order(review: Review) -> None:
    loop_arn = review.ask(review.flow("repeats"), "repeats", "text")
    review.admin("human-loops/repeats/end", {"status": "Completed"})
    review.ended("repeats")

    review.admin("human-loops/repeats/emit", {"times": 2})
    review.admin("human-loops/repeats/emit", {"detail": {"humanLoopStatus": "Stopped"}})

    statuses = [event["detail"]["humanLoopStatus"] for event in review.events_of(loop_arn, 4)]
    assert sorted(statuses) == ["Completed", "Completed", "Completed", "Stopped"]
    assert len({event["id"] for event in review.events_of(loop_arn, 4)}) == 4


# -- replayed raters -------------------------------------------------------------------------------


def test_replayed_raters_answer_with_distinct_recorded_votes_and_say_what_they_are(review: Review) -> None:
    review.admin("raters", {"votes": {"a recorded text": ["positive", "neutral", "negative"]}, "seed": 1})
    review.ask(review.flow("replayed", 3), "replayed", "a recorded text")

    review.ended("replayed")

    answers = review.output("replayed")["humanAnswers"]
    assert sorted(answer["answerContent"]["category"]["label"] for answer in answers) == ["negative", "neutral", "positive"]
    assert {answer["workerMetadata"]["identityData"]["identityProviderType"] for answer in answers} == {"ReplayedRater"}
    assert len({answer["workerId"] for answer in answers}) == 3


def test_the_seed_decides_which_recorded_votes_are_drawn(review: Review) -> None:
    arn = review.flow("seeded", 3)
    votes = ["positive", "negative", "neutral", "positive", "negative", "positive", "neutral", "negative"]

    def drawn(seed: int, name: str) -> list[str]:
        review.admin("raters", {"votes": {"seeded text": votes}, "seed": seed})
        review.ask(arn, name, "seeded text")
        review.ended(name)
        return [answer["answerContent"]["category"]["label"] for answer in review.output(name)["humanAnswers"]]

    by_seed = [drawn(seed, f"seed-{seed}") for seed in range(4)]

    assert drawn(0, "seed-0-again") == by_seed[0]
    assert len({tuple(labels) for labels in by_seed}) > 1


def test_a_text_without_enough_recorded_votes_is_left_to_people(review: Review) -> None:
    portal = person(review, "finisher", "finishing-team")
    review.admin("raters", {"votes": {"one vote only": ["neutral"]}})
    review.ask(review.flow("mixed", 2, WorkteamArn=team_arn(review, "finishing-team")), "mixed", "one vote only")
    source = review.loop("mixed")["HumanLoopArn"]
    wait_for(lambda: [task for task in review.admin("tasks") if task["source"] == source and task["answers"] == 1], "the recorded vote")

    time.sleep(0.3)
    assert review.loop("mixed")["HumanLoopStatus"] == "InProgress", "no vote is invented or used twice"
    portal.answer("positive")

    review.ended("mixed")
    assert [answer["answerContent"]["category"]["label"] for answer in review.output("mixed")["humanAnswers"]] == ["neutral", "positive"]


def test_votes_may_be_loaded_by_the_hash_of_their_text(review: Review) -> None:
    review.admin("raters", {"votes": {hashlib.sha256(b"only its hash is known").hexdigest(): ["negative"]}})
    review.ask(review.flow("hashed"), "hashed", "only its hash is known")

    review.ended("hashed")

    assert review.output("hashed")["humanAnswers"][0]["answerContent"] == {"category": {"label": "negative"}}
