"""Amazon A2I in the embedded AWS: workforce, teams, flow definitions, human loops, the worker page's rules, replayed raters."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import struct
import subprocess
import time
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from review_setup import LABELS, PASSWORD, TEMPLATE, Portal, Review, wait_for

from local import stack_process


@pytest.fixture(scope="module")
def review(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Review]:
    running = stack_process.start(tmp_path_factory.mktemp("review") / "run", port=stack_process.free_port(), time_scale=0.02)
    try:
        yield Review(running).set_up()
    finally:
        running.stop()


@pytest.fixture(scope="module")
def own_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Review]:
    """An emulator without a workforce, for tests that end with an empty one."""
    running = stack_process.start(tmp_path_factory.mktemp("bare") / "run", port=stack_process.free_port(), time_scale=0.02)
    try:
        yield Review(running)
    finally:
        running.stop()


def code(raised: pytest.ExceptionInfo[ClientError]) -> str:
    return str(raised.value.response["Error"]["Code"])


def person(review: Review, username: str, team: str | None = None) -> Portal:
    """A signed-in worker; with ``team`` they work for a team of their own."""
    if team is not None:
        review.client("cognito-idp").create_group(UserPoolId=review.pool, GroupName=team)
        review.client("sagemaker").create_workteam(WorkteamName=team, Description=team, MemberDefinitions=[review.member(team)])
    review.add_worker(username, group=team)
    portal = Portal(review)
    portal.sign_in(username)
    return portal


def team_arn(review: Review, name: str) -> str:
    return str(review.client("sagemaker").describe_workteam(WorkteamName=name)["Workteam"]["WorkteamArn"])


# -- workforce and teams ---------------------------------------------------------------------------


def test_a_second_workforce_is_refused_and_names_the_first(review: Review) -> None:
    config = {"UserPool": review.pool, "ClientId": review.pool_client}

    with pytest.raises(ClientError, match="workforce/reviewers"):
        review.client("sagemaker").create_workforce(WorkforceName="another", CognitoConfig=config)

    names = [item["WorkforceName"] for item in review.client("sagemaker").list_workforces()["Workforces"]]
    assert names == ["reviewers"]


def test_a_team_needs_an_existing_group(review: Review) -> None:
    with pytest.raises(ClientError, match=r"[Gg]roup") as raised:
        review.client("sagemaker").create_workteam(WorkteamName="none", Description="x", MemberDefinitions=[review.member("no-such-group")])

    assert code(raised) == "ValidationException"


def test_a_workforce_with_teams_cannot_be_deleted(review: Review) -> None:
    with pytest.raises(ClientError, match="delete them first") as raised:
        review.client("sagemaker").delete_workforce(WorkforceName="reviewers")

    assert code(raised) == "ResourceInUse"


def test_a_workforce_needs_a_pool_with_a_domain(own_emulator: Review) -> None:
    cognito, sagemaker = own_emulator.client("cognito-idp"), own_emulator.client("sagemaker")
    pool = cognito.create_user_pool(PoolName="bare")["UserPool"]["Id"]
    client = cognito.create_user_pool_client(UserPoolId=pool, ClientName="portal")["UserPoolClient"]["ClientId"]
    with pytest.raises(ClientError, match="no domain"):
        sagemaker.create_workforce(WorkforceName="w", CognitoConfig={"UserPool": pool, "ClientId": client})

    cognito.create_user_pool_domain(UserPoolId=pool, Domain="bare")
    sagemaker.create_workforce(WorkforceName="w", CognitoConfig={"UserPool": pool, "ClientId": client})
    sagemaker.delete_workforce(WorkforceName="w")

    assert sagemaker.list_workforces()["Workforces"] == []


def test_a_reset_empties_the_queue_and_the_recorded_votes(own_emulator: Review) -> None:
    own_emulator.set_up()
    own_emulator.ask(own_emulator.flow("forgotten"), "forgotten", "text")
    own_emulator.admin("raters", {"votes": {"another text": ["positive"]}})
    assert len(own_emulator.admin("tasks")) == 1

    Portal(own_emulator).fetch("/_ministack/reset", b"")

    assert own_emulator.admin("tasks") == []
    assert own_emulator.admin("raters") == {"texts": 0, "answered": 0}
    assert own_emulator.client("sagemaker").list_workforces()["Workforces"] == []


def test_the_hook_of_the_worker_page_has_the_signature_that_it_replaces() -> None:
    """A contract with ministack's private function: another version of it must fail here, not at the page."""
    program = "import inspect; from ministack import app; print(*inspect.signature(app._handle_post_body_shortcuts).parameters)"

    printed = subprocess.run([stack_process.EMULATOR_PYTHON, "-c", program], capture_output=True, text=True, check=True).stdout

    assert printed.split() == ["method", "path", "headers", "body", "query_params", "request_id"]


# -- templates -------------------------------------------------------------------------------------


def test_a_template_is_rendered_with_escaped_values(review: Review) -> None:
    task = {"Input": json.dumps({"text": "<script>alert(1)</script>", "labels": ['a"b', "c"]})}

    rendered = review.client("sagemaker").render_ui_template(HumanTaskUiArn=review.template, Task=task, RoleArn=review.role)

    assert rendered["Errors"] == []
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in rendered["RenderedContent"]
    assert 'categories="[&#34;a\\&#34;b&#34;, &#34;c&#34;]"' in rendered["RenderedContent"]


def test_the_risky_filter_and_read_access_do_what_their_names_say(review: Review) -> None:
    review.client("s3").put_object(Bucket=review.bucket, Key="image.txt", Body=b"seen")
    role = review.make_role(
        "reader", [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{review.bucket}/image.txt"}]
    )
    content = "{{ task.input.html | skip_autoescape }}|{{ task.input.uri | grant_read_access | skip_autoescape }}"
    task = {"Input": json.dumps({"html": "<b>", "uri": f"s3://{review.bucket}/image.txt"})}

    rendered = review.client("sagemaker").render_ui_template(UiTemplate={"Content": content}, Task=task, RoleArn=role)

    markup, url = rendered["RenderedContent"].split("|")
    assert markup == "<b>"
    assert Portal(review).fetch(url.removeprefix(review.emulator.url))[2] == "seen"


def test_a_broken_template_is_reported(review: Review) -> None:
    rendered = review.client("sagemaker").render_ui_template(
        UiTemplate={"Content": "{% if %}"}, Task={"Input": "{}"}, RoleArn=review.role
    )  # fmt: skip

    assert rendered["Errors"][0]["Code"] == "TemplateError"


def test_a_templates_url_serves_its_source(review: Review) -> None:
    described = review.client("sagemaker").describe_human_task_ui(HumanTaskUiName="choose-a-label")

    assert Portal(review).fetch(described["UiTemplate"]["Url"].removeprefix(review.emulator.url))[2] == TEMPLATE


# -- flow definitions ------------------------------------------------------------------------------


def test_a_flow_definition_starts_initializing_and_leaves_no_probe_behind(review: Review) -> None:
    review.client("sagemaker").create_flow_definition(**review.flow_request("initializing"))
    assert review.flow_status("initializing") == "Initializing"

    wait_for(lambda: review.flow_status("initializing") == "Active", "Active")

    assert review.client("s3").list_objects_v2(Bucket=review.bucket, Prefix="a2i/initializing").get("KeyCount", 0) == 0


def test_a_role_without_write_access_ends_as_failed_with_the_denied_action(review: Review) -> None:
    role = review.make_role("may-not-write", [])
    review.client("sagemaker").create_flow_definition(**{**review.flow_request("may-not-write"), "RoleArn": role})

    wait_for(lambda: review.flow_status("may-not-write") == "Failed", "Failed")

    reason = review.client("sagemaker").describe_flow_definition(FlowDefinitionName="may-not-write")["FailureReason"]
    assert "s3:PutObject" in reason
    with pytest.raises(ClientError, match="must be Active"):
        review.ask("arn:aws:sagemaker:us-east-1:000000000000:flow-definition/may-not-write", "never-starts", "text")


def test_a_role_without_the_customer_key_ends_as_failed(review: Review) -> None:
    key = review.client("kms").create_key()["KeyMetadata"]["Arn"]
    request = review.flow_request("no-key")
    request["OutputConfig"]["KmsKeyId"] = key
    review.client("sagemaker").create_flow_definition(**request)

    wait_for(lambda: review.flow_status("no-key") == "Failed", "Failed")

    reason = review.client("sagemaker").describe_flow_definition(FlowDefinitionName="no-key")["FailureReason"]
    assert "kms:GenerateDataKey" in reason


def test_answers_are_encrypted_with_the_flows_key(review: Review) -> None:
    key = review.client("kms").create_key()["KeyMetadata"]["Arn"]
    objects = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{review.bucket}/*"}
    role = review.make_role("with-key", [objects, {"Effect": "Allow", "Action": "kms:GenerateDataKey", "Resource": key}])
    request = {**review.flow_request("with-key"), "RoleArn": role}
    request["OutputConfig"]["KmsKeyId"] = key
    arn = review.client("sagemaker").create_flow_definition(**request)["FlowDefinitionArn"]
    wait_for(lambda: review.flow_status("with-key") == "Active", "Active")
    review.admin("raters", {"votes": {"encrypted answer": ["neutral"]}})
    review.ask(arn, "encrypted", "encrypted answer")

    uri = review.ended("encrypted")["HumanLoopOutput"]["OutputS3Uri"]

    head = review.client("s3").head_object(Bucket=review.bucket, Key=uri.removeprefix(f"s3://{review.bucket}/"))
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", key)


def test_a_role_that_does_not_trust_sagemaker_is_refused(review: Review) -> None:
    role = review.make_role("trusts-lambda", [], "lambda.amazonaws.com")

    with pytest.raises(ClientError, match=re.escape("sagemaker.amazonaws.com")):
        review.client("sagemaker").create_flow_definition(**{**review.flow_request("untrusted"), "RoleArn": role})


@pytest.mark.parametrize(
    ("changed", "config", "expected"),
    [
        (
            {"HumanLoopActivationConfig": {"HumanLoopActivationConditionsConfig": {"HumanLoopActivationConditions": "{}"}}},
            {},
            "not allowed",
        ),
        ({"FlowDefinitionName": "Upper-Case"}, {}, "regular expression"),
        ({}, {"TaskCount": 4}, "less than or equal to 3"),
        ({}, {"WorkteamArn": "arn:aws:sagemaker:us-east-1:000000000000:workteam/private-crowd/none"}, "does not exist"),
        ({}, {"HumanTaskUiArn": "arn:aws:sagemaker:us-east-1:000000000000:human-task-ui/none"}, "Could not find"),
    ],
)
def test_a_bad_flow_definition_is_refused(review: Review, changed: dict[str, Any], config: dict[str, Any], expected: str) -> None:
    with pytest.raises(ClientError, match=expected):
        review.client("sagemaker").create_flow_definition(**{**review.flow_request("refused", **config), **changed})


def test_deleting_a_flow_stops_unstarted_loops_and_lets_a_started_one_finish(review: Review) -> None:
    portal = person(review, "deleter", "deleting-team")
    arn = review.flow("deleted", WorkteamArn=team_arn(review, "deleting-team"))
    started, unstarted = (review.ask(arn, name, name) for name in ("held-loop", "free-loop"))
    portal.take()

    review.client("sagemaker").delete_flow_definition(FlowDefinitionName="deleted")

    assert review.events_of(unstarted)[0]["detail"]["humanLoopStatus"] == "Stopped"
    assert review.flow_status("deleted") == "Deleting"
    portal.answer("positive")
    finished = review.events_of(started)[0]["detail"]
    assert finished["humanLoopStatus"] == "Completed"
    assert json.loads(review.read(finished["humanLoopOutput"]["outputS3Uri"]))["humanAnswers"][0]["answerContent"] == {
        "category": {"label": "positive"}
    }
    with pytest.raises(ClientError, match="Could not find"):
        wait_for(lambda: not review.flow_status("deleted"), "the end of the flow")


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


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("Upper", "{}", "regular expression"),
        ("fine", "[1]", "JSON object"),
        ("fine", "{", "not JSON"),
        ("fine", '{"a":"' + "x" * 3_200_000 + '"}', "3145728"),
    ],
)
def test_a_bad_start_is_refused(review: Review, name: str, content: str, expected: str) -> None:
    arn = "arn:aws:sagemaker:us-east-1:000000000000:flow-definition/initializing"
    with pytest.raises(ClientError, match=expected) as raised:
        review.client("sagemaker-a2i-runtime").start_human_loop(
            HumanLoopName=name, FlowDefinitionArn=arn, HumanLoopInput={"InputContent": content}
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


# -- the worker page's rules -----------------------------------------------------------------------


def test_a_wrong_password_and_an_unknown_user_read_the_same(review: Review) -> None:
    review.add_worker("careful")

    pages = [Portal(review).sign_in(name, "Wrong-password-1") for name in ("careful", "nobody")]

    assert all("The user name or the password is wrong." in page for page in pages)


def test_a_user_outside_every_team_is_told_so(review: Review) -> None:
    review.client("cognito-idp").create_group(UserPoolId=review.pool, GroupName="no-team")
    review.add_worker("outsider", group="no-team")

    assert "not a member of a work team" in Portal(review).sign_in("outsider")


def test_an_invited_worker_chooses_a_password_first(review: Review) -> None:
    cognito = review.client("cognito-idp")
    cognito.admin_create_user(UserPoolId=review.pool, Username="invited", TemporaryPassword="Temporary-1!", MessageAction="SUPPRESS")
    cognito.admin_add_user_to_group(UserPoolId=review.pool, Username="invited", GroupName=review.group)
    portal = Portal(review)
    page = portal.sign_in("invited", "Temporary-1!")
    assert "Choose your password" in page
    fields = dict(re.findall(r'name="(token|session|username)" value="([^"]*)"', page))

    form = {**fields, "password": PASSWORD, "repeated": PASSWORD}
    status, _, page = portal.fetch("/worker/first-password", urllib.parse.urlencode(form).encode())

    assert (status, "csrf-token" in page) == (200, True)
    assert "csrf-token" in Portal(review).sign_in("invited"), "the chosen password works from now on"


def test_a_worker_with_an_authenticator_is_asked_for_its_code(review: Review) -> None:
    cognito = review.client("cognito-idp")
    review.add_worker("with-authenticator")
    secret = enrol_authenticator(review, "with-authenticator")
    cognito.set_user_pool_mfa_config(UserPoolId=review.pool, MfaConfiguration="OPTIONAL", SoftwareTokenMfaConfiguration={"Enabled": True})
    portal = Portal(review)
    page = portal.sign_in("with-authenticator")
    assert "Enter your code" in page and not portal.csrf
    fields = dict(re.findall(r'name="(token|session|username)" value="([^"]*)"', page))

    wrong = portal.fetch("/worker/code", urllib.parse.urlencode({**fields, "code": "000000"}).encode())
    right = portal.fetch("/worker/code", urllib.parse.urlencode({**fields, "code": one_time_code(secret)}).encode())

    assert (wrong[0], "csrf-token" in wrong[2]) == (400, False)
    assert (right[0], "csrf-token" in right[2]) == (200, True)


def enrol_authenticator(review: Review, username: str) -> str:
    """The shared secret of an authenticator that the user has enrolled."""
    cognito, client = review.client("cognito-idp"), review.pool_client
    key = cognito.describe_user_pool_client(UserPoolId=review.pool, ClientId=client)["UserPoolClient"]["ClientSecret"]
    digest = hmac.new(key.encode(), f"{username}{client}".encode(), hashlib.sha256).digest()
    parameters = {"USERNAME": username, "PASSWORD": PASSWORD, "SECRET_HASH": base64.b64encode(digest).decode()}
    tokens = cognito.initiate_auth(ClientId=client, AuthFlow="USER_PASSWORD_AUTH", AuthParameters=parameters)["AuthenticationResult"]
    secret = str(cognito.associate_software_token(AccessToken=tokens["AccessToken"])["SecretCode"])
    cognito.verify_software_token(AccessToken=tokens["AccessToken"], UserCode=one_time_code(secret))
    return secret


def one_time_code(secret: str) -> str:
    """RFC 6238 with SHA-1, 30 seconds, six digits."""
    counter = struct.pack(">Q", int(time.time() // 30))
    digest = hmac.new(base64.b32decode(secret), counter, hashlib.sha1).digest()
    offset = digest[-1] & 15
    return f"{(int.from_bytes(digest[offset : offset + 4]) & 0x7FFFFFFF) % 1_000_000:06d}"


def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(review: Review) -> None:
    headers = Portal(review).fetch("/worker")[1]

    assert "httponly" in headers["set-cookie"].lower()
    assert "samesite=strict" in headers["set-cookie"].lower()
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "'unsafe-inline'" not in headers["content-security-policy"]


def test_a_post_needs_the_sessions_token(review: Review) -> None:
    portal = person(review, "forged", "forged-team")
    review.ask(review.flow("csrf", WorkteamArn=team_arn(review, "forged-team")), "csrf", "text")
    body = {"task": portal.take(), "answer": {"category": {"label": "positive"}}}

    assert portal.post("/worker/answers", body, csrf="guessed")[0] == 403
    assert review.loop("csrf")["HumanLoopStatus"] == "InProgress"
    assert portal.post("/worker/answers", body)[0] == 200


@pytest.mark.parametrize("headers", [{"Host": "reviews.example"}, {"Origin": "https://elsewhere.example"}])
def test_requests_by_other_names_and_from_other_sites_are_refused(review: Review, headers: dict[str, str]) -> None:
    assert Portal(review).fetch("/_reviewloop/raters", b'{"votes": {"x": ["y"]}}', headers)[0] == 403


def test_nobody_reads_or_answers_a_task_without_signing_in(review: Review) -> None:
    portal = Portal(review)

    assert portal.fetch("/worker/next")[0] == 401
    assert portal.fetch(f"/worker/tasks/{'0' * 32}")[0] == 401
    assert portal.fetch("/worker/assets/../pages.py")[0] in (401, 404)


def test_a_worker_sees_only_their_own_teams_tasks(review: Review) -> None:
    member, other = person(review, "member", "members"), person(review, "other", "others")
    review.ask(review.flow("for-members", WorkteamArn=team_arn(review, "members")), "for-members", "text")

    assert other.next()["task"] is None
    assert member.next()["task"] is not None


def test_a_skipped_task_is_not_lost(review: Review) -> None:
    portal = person(review, "skipper", "skippers")
    review.ask(review.flow("skips", WorkteamArn=team_arn(review, "skippers")), "skipped", "text")
    task = portal.take()

    _, state = portal.post("/worker/skips", {"task": task})
    assert (state["task"], state["waiting"], state["skipped"]) == (None, 0, 1)

    assert portal.next(skipped=True)["task"]["id"] == task
    portal.answer("neutral")
    assert review.ended("skipped")["HumanLoopStatus"] == "Completed"


def test_an_answer_outside_the_categories_is_refused_and_the_task_stays(review: Review) -> None:
    portal = person(review, "inventive", "inventors")
    review.ask(review.flow("invents", WorkteamArn=team_arn(review, "inventors")), "invents", "text")
    task = portal.take()

    status, refusal = portal.post("/worker/answers", {"task": task, "answer": {"category": {"label": "great"}}})

    assert (status, refusal["message"]) == (400, "category: 'great' is not one of negative, neutral, positive")
    assert portal.next()["task"]["id"] == task
