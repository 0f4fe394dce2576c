"""Amazon A2I in the embedded AWS, what a review needs: workforce, teams, worker templates, flow definitions."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from embedded_aws.testing.reviews import TEMPLATE, Portal, Review, code, person, team_arn, wait_for
from embedded_aws.tools import launcher


@pytest.fixture(scope="module")
def own_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Review]:
    """An emulator without a workforce, for tests that end with an empty one."""
    running = launcher.start(tmp_path_factory.mktemp("bare") / "run", port=launcher.free_port(), time_scale=0.02)
    try:
        yield Review(running)
    finally:
        running.stop()


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

    printed = subprocess.run([launcher.EMULATOR_PYTHON, "-c", program], capture_output=True, text=True, check=True).stdout

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
