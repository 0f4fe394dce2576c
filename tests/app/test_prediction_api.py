"""``POST /predict`` over real HTTP on the deployed app: every answer says what is wrong, and every 200 has its record.

The order of releases is part of it: none at first, then a champion that fails on everything, then one that works.
"""

from __future__ import annotations

import json
import time
import unicodedata
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from deployed_app import NAMES
from hypothesis import given, settings
from hypothesis import strategies as st
from released_app import ACCOUNT, Answer, ReleasedApp, TinyModel, deploy, in_background

pytestmark = pytest.mark.slow

PREDICT = f"arn:aws:execute-api:us-east-1:{ACCOUNT}:*/v1/POST/predict"
LIMIT = 5_000
"""dataset.max_text_chars of the dev stage."""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, synthesised: Callable[[str], Path]) -> Iterator[ReleasedApp]:
    with deploy(tmp_path_factory.mktemp("app"), assembly=synthesised("dev")) as deployed:
        yield deployed


@pytest.fixture(scope="module")
def unreleased(app: ReleasedApp) -> Answer:
    """What the API says before anything is released."""
    return app.predict("good positive")


@pytest.fixture(scope="module")
def packages(app: ReleasedApp, unreleased: Answer) -> dict[str, str]:
    """Model packages by name; ``broken`` fails on every text, and is released first."""
    models = (TinyModel("broken", fail_share=1.0), TinyModel("working"), TinyModel("challenging"))
    made = {model.version: app.register(model) for model in models}
    app.release(made["broken"])
    return made


@pytest.fixture(scope="module")
def repair(app: ReleasedApp, packages: dict[str, str]) -> dict[str, Any]:
    """The update from the broken champion to the working one, under traffic: what rang before it, and how it ended."""
    with traffic(app) as statuses:
        deadline = time.monotonic() + 30
        while NAMES.alarm("champion-errors") not in (ringing := ringing_alarms(app)):
            assert time.monotonic() < deadline, "the operating alarm did not go off"
            time.sleep(0.2)
        app.release(packages["working"], packages["challenging"])
    alarms = app.client("cloudwatch").describe_alarms(AlarmNamePrefix=NAMES.alarm("ch"))["MetricAlarms"]
    return {
        "ringing": ringing, "running": app.running(), "endpoint": app.endpoint(), "statuses": statuses,
        "green": {alarm["AlarmName"] for alarm in alarms if "-green-" in alarm["AlarmName"]},
    }  # fmt: skip


@pytest.fixture(scope="module")
def released(app: ReleasedApp, repair: dict[str, Any]) -> ReleasedApp:
    """The app with ``working`` as champion and ``challenging`` beside it."""
    return app


@contextmanager
def traffic(app: ReleasedApp) -> Iterator[list[int]]:
    """A caller without a pause; yields the status codes that it got, and gets."""
    statuses: list[int] = []
    with in_background(lambda: statuses.append(app.predict(f"text {len(statuses)}").status)):
        yield statuses


def ringing_alarms(app: ReleasedApp) -> set[str]:
    return {alarm["AlarmName"] for alarm in app.client("cloudwatch").describe_alarms(StateValue="ALARM")["MetricAlarms"]}


def recorded(app: ReleasedApp, answer: Answer, text: str) -> dict[str, Any]:
    """The record behind a 200, held against what the caller was told."""
    assert answer.status == 200, answer
    record = app.record(answer.body["prediction_id"])
    assert record["text"] == text
    for field in ("label", "variant", "model_version"):
        assert record[field] == answer.body[field]
    assert float(record["confidence"]) == answer.body["confidence"]
    return record


def refused(answer: Answer, status: int, field: str, says: str) -> None:
    assert answer.status == status, answer
    assert answer.headers["content-type"] == "application/json"
    assert answer.body["error"]["field"] == field
    assert says in answer.body["error"]["message"]


# -- releases ----------------------------------------------------------------------------------------


def test_before_the_first_release_the_answer_says_so_and_when_to_come_back(unreleased: Answer) -> None:
    assert (unreleased.status, unreleased.headers["retry-after"]) == (503, "5")
    assert "No model is released yet" in unreleased.body["error"]["message"]


def test_a_failing_champion_does_not_keep_its_successor_away(packages: dict[str, str], repair: dict[str, Any]) -> None:
    """An alarm over both fleets rang, and would have taken the update back; the rollback alarms watch the new fleet alone."""
    assert NAMES.alarm("champion-errors") in repair["ringing"]
    assert repair["running"] == {"champion": packages["working"], "challenger": packages["challenging"]}
    assert "FailureReason" not in repair["endpoint"]
    assert set(repair["statuses"]) == {502, 200}


def test_each_fleet_has_rollback_alarms_of_its_own(repair: dict[str, Any]) -> None:
    """None is left that could still ring for an earlier fleet: PutMetricAlarm keeps the state of an alarm that exists."""
    config = repair["endpoint"]["EndpointConfigName"]
    assert repair["green"] == {
        f"{NAMES.rollback_alarms(variant)}{measure}-{config}" for variant in ("champion", "challenger") for measure in ("errors", "latency")
    }


# -- answers -----------------------------------------------------------------------------------------


def test_an_answer_has_its_record_with_everything_that_later_steps_need(released: ReleasedApp) -> None:
    text = "a positive surprise"
    answer = released.predict(text, subject="product 7")
    record = recorded(released, answer, text)
    fields = {"prediction_id", "label", "label_name", "confidence", "probabilities", "variant", "model_version", "truncated", "review"}
    assert set(answer.body) == fields
    assert (answer.body["label"], answer.body["probabilities"]["positive"]) == ("positive", 0.9)
    assert answer.body["model_version"] == {"champion": "working", "challenger": "challenging"}[answer.body["variant"]]
    assert (record["subject"], float(record["review_threshold"]), int(record["attempt"])) == ("product 7", 0.6, 1)
    assert record["expires_at"] > time.time() + 89 * 86_400


TEXTS = {
    "plain": "Not bad at all",
    "one letter": "x",
    "arabic": "مرحبا بالعالم، هذا رائع",
    "chinese": "这个产品非常好",
    "emoji": "😀" * 200,
    "combining marks": "Z̴̧a̴̧ļ̴ģ̴o̴̧",
    "right to left override": "abc\u202edef",
    "script tag": "<script>fetch('//x')</script>",
    "sql": "'; DROP TABLE predictions; --",
    "template": "{{ task.input.text }} ${jndi:ldap://x}",
    "line breaks": "one\r\ntwo\u2028three\u0085four\tfive",
    "as long as allowed": "a" * LIMIT,
    "long and wide": "😀" * LIMIT,
}


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("escaped", [True, False], ids=["escaped", "utf-8"])
def test_any_text_is_answered_and_recorded_as_it_came(released: ReleasedApp, name: str, escaped: bool) -> None:
    body = json.dumps({"text": TEXTS[name]}, ensure_ascii=escaped).encode()
    recorded(released, released.post(body), unicodedata.normalize("NFC", TEXTS[name]))


@pytest.mark.parametrize(
    ("body", "status", "field", "says"),
    [
        (b"", 400, "body", "must be JSON"),
        (b'{"text": "unfinished', 400, "body", "must be JSON"),
        (b"text=hello", 400, "body", "must be JSON"),
        (b"\xff\xfe\x00", 400, "body", "must be JSON"),
        (b'\xef\xbb\xbf{"text": "after a byte order mark"}', 400, "body", "must be JSON"),
        (b'{"text": "caf\xe9"}', 400, "body", "is not UTF-8: byte 0xE9 at position 13"),
        (b"[" * 50_000, 400, "body", "nested deeper than the 20 levels"),
        (b"null", 400, "body", "not null"),
        (b'["text"]', 400, "body", "not a list"),
        (b"{}", 400, "text", "is missing"),
        (b'{"txt": "hello"}', 400, "body", "allowed are text and subject"),
        (b'{"text": "hello", "label": "positive"}', 400, "body", "unknown field 'label'"),
        (b'{"\\ud800": 1}', 400, "body", "unknown field"),
        (b'{"text": 5}', 400, "text", "must be a string, not the number 5"),
        (b'{"text": null}', 400, "text", "not null"),
        (b'{"text": {"inputs": "x"}}', 400, "text", "not an object"),
        (b'{"text": ["a", "b"]}', 400, "text", "not a list"),
        (b'{"text": ""}', 400, "text", f"allowed is 1 to {LIMIT} characters"),
        (b'{"text": "  \\n\\u3000"}', 400, "text", "is empty"),
        (b'{"text": "half a pair \\ud83d"}', 400, "text", "U+D83D at position 12"),
        (b'{"text": "\\uffff"}', 400, "text", "U+FFFF at position 0, a noncharacter"),
        (b'{"text": "a\\u0000b"}', 400, "text", "U+0000 at position 1, a control character"),
        (b'{"text": "a", "subject": " "}', 400, "subject", "is empty"),
        (b'{"text": "a", "subject": 7}', 400, "subject", "1 to 256 characters"),
        (b'{"text": "a", "subject": "\\udc00"}', 400, "subject", "U+DC00"),
        (json.dumps({"text": "a" * (LIMIT + 1)}).encode(), 413, "text", f"has {LIMIT + 1} characters: allowed is 1 to {LIMIT}"),
        (json.dumps({"text": "a" * 1_000_000}).encode(), 413, "text", "has 1000000 characters"),
    ],
    ids=lambda value: repr(value[:30]) if isinstance(value, bytes) else None,
)
def test_what_cannot_be_answered_is_refused_by_its_field(released: ReleasedApp, body: bytes, status: int, field: str, says: str) -> None:
    refused(released.post(body), status, field, says)


@settings(max_examples=40, deadline=None)
@given(body=st.binary(max_size=300) | st.text(max_size=100).map(lambda text: json.dumps({"text": text}).encode()))
def test_no_body_makes_a_server_error(released: ReleasedApp, body: bytes) -> None:
    answer = released.post(body)
    if answer.status == 200:
        recorded(released, answer, unicodedata.normalize("NFC", json.loads(body)["text"]))
    else:
        assert answer.status in (400, 413), answer
        assert answer.body["error"]["field"] in ("body", "text", "subject")


@pytest.mark.parametrize("content_type", ["text/plain", "application/octet-stream", "application/x-www-form-urlencoded", "nonsense"])
def test_a_body_of_another_type_is_refused(released: ReleasedApp, content_type: str) -> None:
    refused(released.post(b'{"text": "typed"}', content_type=content_type), 415, "Content-Type", "allowed is application/json, in UTF-8")


def test_a_letter_with_an_accent_is_recorded_in_one_form(released: ReleasedApp) -> None:
    recorded(released, released.predict("cafe\u0301"), "café")


@pytest.mark.parametrize(("marker", "says"), [("[break]", "failed on this text"), ("[garbage]", "no usable answer")])
def test_a_model_that_fails_is_a_502_with_the_reason_and_no_record(released: ReleasedApp, marker: str, says: str) -> None:
    before = count_of_records(released)
    answer = released.predict(f"a text {marker}")
    assert (answer.status, answer.headers["content-type"]) == (502, "application/json")
    assert says in answer.body["error"]["message"]
    assert count_of_records(released) == before


def count_of_records(app: ReleasedApp) -> int:
    return int(app.client("dynamodb").scan(TableName=app.names.predictions_table, Select="COUNT")["Count"])


def test_an_unsure_answer_comes_at_once_and_people_are_asked(released: ReleasedApp, wait_until: Callable[..., Any]) -> None:
    text = "[unsure] negative or not"
    answer = released.predict(text)
    review = answer.body["review"]
    assert (review["status"], review["review_id"]) == ("requested", f"{answer.body['prediction_id']}-1")
    assert review["reason"] in ("low_confidence", "audit_unsure"), "the second one, where the id is drawn for the audit sample"
    record = recorded(released, answer, text)
    assert record["review_state"] in ("requested", "in_review")
    wait_until(lambda: released.record(answer.body["prediction_id"])["review_state"] == "in_review")
    loop = released.client("sagemaker-a2i-runtime").describe_human_loop(HumanLoopName=review["review_id"])
    assert loop["HumanLoopStatus"] == "InProgress"


def test_callers_at_the_same_time_all_get_their_own_answer(released: ReleasedApp) -> None:
    texts = [f"{label} number {number}" for number in range(16) for label in ("negative", "neutral", "positive")]
    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(released.predict, texts))
    for text, answer in zip(texts, answers, strict=True):
        recorded(released, answer, text)
        assert answer.body["label"] == text.split()[0]
    assert len({answer.body["prediction_id"] for answer in answers}) == len(texts)


# -- who may call ------------------------------------------------------------------------------------


def invoke(resource: str = PREDICT, effect: str = "Allow") -> dict[str, Any]:
    return {"Effect": effect, "Action": "execute-api:Invoke", "Resource": resource}


def test_a_role_with_the_one_grant_may_call(released: ReleasedApp) -> None:
    recorded(released, released.post(b'{"text": "granted"}', credentials=released.role("caller", invoke())), "granted")


def test_without_a_signature_nobody_is_answered(released: ReleasedApp) -> None:
    answer = released.post(b'{"text": "anonymous"}', credentials=None)
    assert answer.status == 403
    assert "Missing Authentication Token" in answer.text


@pytest.mark.parametrize(
    ("name", "statements"),
    [
        ("nothing", []),
        ("another-method", [invoke(PREDICT.replace("POST", "GET"))]),
        ("another-stage", [invoke(PREDICT.replace("/v1/", "/v2/"))]),
        ("the-endpoint-itself", [{"Effect": "Allow", "Action": "sagemaker:InvokeEndpoint", "Resource": "*"}]),
        ("forbidden", [invoke(), invoke(effect="Deny")]),
    ],
)
def test_a_role_without_the_grant_is_refused(released: ReleasedApp, name: str, statements: list[dict[str, Any]]) -> None:
    answer = released.post(b'{"text": "ungranted"}', credentials=released.role(f"without-{name}", *statements))
    assert answer.status == 403, answer
    assert "not authorized to perform: execute-api:Invoke" in answer.text


def test_a_wrong_secret_is_refused(released: ReleasedApp) -> None:
    role = released.role("stolen", invoke())
    assert released.post(b'{"text": "forged"}', credentials=Credentials(role.access_key, "wrong", role.token)).status == 403


def test_a_body_that_was_changed_after_signing_is_refused(released: ReleasedApp) -> None:
    signed = AWSRequest("POST", released.predict_url, data=b'{"text": "signed"}', headers={"Content-Type": "application/json"})
    SigV4Auth(released.role("signer", invoke()), "execute-api", "us-east-1").add_auth(signed)
    call = urllib.request.Request(released.predict_url, b'{"text": "forged"}', dict(signed.headers))  # noqa: S310  (the emulator on 127.0.0.1)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(call, timeout=30)  # noqa: S310  (the emulator on 127.0.0.1)
    assert caught.value.code == 403


def test_nothing_was_denied_to_the_apps_own_roles(released: ReleasedApp) -> None:
    ours = [one for one in released.denied() if released.names.prefix in one.split()[0]]
    assert ours == []


def test_an_endpoint_that_the_function_may_not_call_is_told_by_action_and_resource(
    released: ReleasedApp, wait_until: Callable[..., Any]
) -> None:
    """It is a fault of the stack, so no "busy" that callers wait for, and an alarm of its own."""
    iam, action = released.client("iam"), "sagemaker:InvokeEndpoint"
    (role,) = (one["RoleName"] for one in iam.list_roles()["Roles"] if "PredictionsPredictRole" in one["RoleName"])
    (policy,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
    whole = json.dumps(iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"])
    iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=whole.replace(action, "sagemaker:ListEndpoints"))
    try:
        answer = released.predict("a positive text")
    finally:
        iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=whole)
    assert (answer.status, "retry-after" in answer.headers) == (500, False)
    group = {"logGroupName": f"/aws/lambda/{released.names.function('predict')}"}
    lines = [event["message"] for event in released.client("logs").filter_log_events(**group)["events"]]
    told = [json.loads(line) for line in lines if '"access denied"' in line]
    endpoint = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:endpoint/{released.names.endpoint}"
    assert [(one["level"], one["action"], one["resource"]) for one in told] == [("ERROR", action, endpoint)]
    wait_until(lambda: released.names.alarm("endpoint-access-denied") in ringing_alarms(released))


# -- an update that fails ------------------------------------------------------------------------------


def test_a_failing_new_fleet_is_taken_back_and_the_next_update_works(released: ReleasedApp, packages: dict[str, str]) -> None:
    """CloudFormation reports success and would clean up the running configuration: it is kept, so an update is still possible."""
    running, before = released.running(), released.endpoint()["EndpointConfigName"]
    with traffic(released) as statuses:
        released.release(packages["broken"], packages["challenging"])
    endpoint = released.endpoint()
    assert released.running() == running
    assert endpoint["EndpointConfigName"] == before
    assert f"{NAMES.rollback_alarms('champion')}errors-" in endpoint["FailureReason"]
    assert released.client("sagemaker").describe_endpoint_config(EndpointConfigName=before)["EndpointConfigName"] == before
    assert set(statuses) <= {200, 502}
    released.release(packages["working"])
    assert set(released.running().values()) == {packages["working"]}
