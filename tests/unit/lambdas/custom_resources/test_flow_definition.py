"""The flow definition's life: created before the old one goes, polled to Active, errors surfaced, open reviews kept."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError
from service_models import problems

from lambdas.custom_resources import response
from lambdas.custom_resources.flow_definition.definition import FlowDefinitionFailed, FlowDefinitions, creation_request

ACCOUNT = "arn:aws:sagemaker:us-east-1:123456789012"
ROLE = "arn:aws:iam::123456789012:role/flow"
UI_TEMPLATE = "<p>{{ task.input.text }}</p>"
PROPERTIES = {
    "ServiceToken": "arn:aws:lambda:us-east-1:123456789012:function:f",
    "ServiceTimeout": "300",
    "BaseName": "reviewloop-dev-review",
    "RoleArn": ROLE,
    "WorkteamArn": f"{ACCOUNT}:workteam/private-crowd/reviewers",
    "UiTemplate": UI_TEMPLATE,
    "TaskTitle": "Choose the label that fits a text",
    "TaskDescription": "Read one text and choose the label that fits it best.",
    "TaskKeywords": ["text", "classification"],
    "TaskCount": "3",
    "TaskTimeLimitInSeconds": "3600",
    "TaskAvailabilityLifetimeInSeconds": "259200",
    "S3OutputPath": "s3://reviewloop-dev-review-123456789012-us-east-1/a2i",
    "KmsKeyId": "arn:aws:kms:us-east-1:123456789012:key/0a1b2c3d-0a1b-0a1b-0a1b-0a1b2c3d4e5f",
}
PAGE = f"{ACCOUNT}:human-task-ui/reviewloop-dev-review-{hashlib.sha256(UI_TEMPLATE.encode()).hexdigest()[:12]}"
NAME = creation_request(PROPERTIES, PAGE)["FlowDefinitionName"]


def client_error(code: str, message: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


@dataclass
class FakeSageMaker:
    """Flow definitions that need ``looks`` descriptions to reach ``ends_as``."""

    looks: int = 2
    ends_as: str = "Active"
    refusals: list[ClientError] = field(default_factory=list)
    flows: dict[str, dict[str, Any]] = field(default_factory=dict)
    pages: dict[str, str] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def holding(self, name: str, status: str) -> FakeSageMaker:
        self.flows[name] = self._flow(name, status)
        return self

    @staticmethod
    def _flow(name: str, status: str) -> dict[str, Any]:
        return {
            "FlowDefinitionName": name,
            "FlowDefinitionArn": f"{ACCOUNT}:flow-definition/{name}",
            "FlowDefinitionStatus": status,
            "seen": 0,
        }

    def create_human_task_ui(self, **request: Any) -> dict[str, Any]:
        assert problems("sagemaker", "CreateHumanTaskUi", request) == []
        name = request["HumanTaskUiName"]
        if name in self.pages:
            raise client_error("ResourceInUse", "taken", "CreateHumanTaskUi")
        self.pages[name] = request["UiTemplate"]["Content"]
        return {"HumanTaskUiArn": f"{ACCOUNT}:human-task-ui/{name}"}

    def describe_human_task_ui(self, **request: str) -> dict[str, Any]:
        assert request["HumanTaskUiName"] in self.pages
        return {"HumanTaskUiArn": f"{ACCOUNT}:human-task-ui/{request['HumanTaskUiName']}"}

    def create_flow_definition(self, **request: Any) -> dict[str, Any]:
        assert problems("sagemaker", "CreateFlowDefinition", request) == []
        self.calls.append("create")
        if self.refusals:
            raise self.refusals.pop(0)
        name = request["FlowDefinitionName"]
        if name in self.flows:
            raise client_error("ResourceInUse", "taken", "CreateFlowDefinition")
        self.flows[name] = self._flow(name, "Initializing")
        return {"FlowDefinitionArn": self.flows[name]["FlowDefinitionArn"]}

    def describe_flow_definition(self, **request: str) -> dict[str, Any]:
        assert problems("sagemaker", "DescribeFlowDefinition", request) == []
        name = request["FlowDefinitionName"]
        flow = self.flows.get(name)
        if flow is None:
            raise client_error("ResourceNotFound", "no such flow", "DescribeFlowDefinition")
        flow["seen"] += 1
        if flow["seen"] >= self.looks and flow["FlowDefinitionStatus"] == "Initializing":
            flow["FlowDefinitionStatus"] = self.ends_as
            if self.ends_as == "Failed":
                flow["FailureReason"] = "the role may not write there"
        if flow["seen"] >= self.looks and flow["FlowDefinitionStatus"] == "Deleting":
            del self.flows[name]
        return dict(flow)

    def delete_flow_definition(self, **request: str) -> dict[str, Any]:
        self.calls.append("delete")
        if self.flows.pop(request["FlowDefinitionName"], None) is None:
            raise client_error("ResourceNotFound", "no such flow", "DeleteFlowDefinition")
        return {}


@dataclass
class FakeRuntime:
    """Human loops by status, one page each."""

    statuses: tuple[str, ...] = ()

    def list_human_loops(self, **request: Any) -> dict[str, Any]:
        assert problems("sagemaker-a2i-runtime", "ListHumanLoops", request) == []
        page = int(request.get("NextToken", 0))
        answer: dict[str, Any] = {"HumanLoopSummaries": [{"HumanLoopStatus": s} for s in self.statuses[page : page + 1]]}
        if page + 1 < len(self.statuses):
            answer["NextToken"] = str(page + 1)
        return answer


def flows(sagemaker: FakeSageMaker, runtime: FakeRuntime | None = None, looks: int = 10) -> FlowDefinitions:
    return FlowDefinitions(sagemaker, runtime or FakeRuntime(), pause=lambda _: None, looks=looks)


def event(kind: str, physical_id: str | None = None, **changes: Any) -> dict[str, Any]:
    request = {
        "RequestType": kind,
        "ResponseURL": "https://cloudformation-custom-resource-response.example/answer",
        "StackId": "stack",
        "RequestId": "request",
        "LogicalResourceId": "FlowA74D6E88",
        "ResourceProperties": {**PROPERTIES, **changes},
    }
    return request | ({"PhysicalResourceId": physical_id} if physical_id else {})


def test_create_waits_until_the_flow_is_active_and_gives_its_arn() -> None:
    sagemaker = FakeSageMaker(looks=4)
    result = flows(sagemaker).handle(event("Create"))
    assert result.physical_id == NAME
    arns = {"FlowDefinitionArn": f"{ACCOUNT}:flow-definition/{NAME}", "HumanTaskUiArn": PAGE}
    assert result.attributes == {**arns, "FlowDefinitionName": NAME}
    assert sagemaker.flows[NAME]["FlowDefinitionStatus"] == "Active"


def test_the_request_has_numbers_where_cloudformation_has_text_and_no_empty_condition() -> None:
    request = creation_request(PROPERTIES, PAGE)
    assert problems("sagemaker", "CreateFlowDefinition", request) == []
    assert request["HumanLoopConfig"]["TaskCount"] == 3
    assert set(request) == {"FlowDefinitionName", "RoleArn", "HumanLoopConfig", "OutputConfig"}


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"ServiceTimeout": "60", "ServiceToken": "another"}, True),
        ({"TaskCount": "2"}, False),
        ({"UiTemplate": "another page"}, True),  # it counts by its ARN
        ({"KmsKeyId": "other"}, False),
    ],
)
def test_the_name_follows_the_content_only(changes: dict[str, str], same: bool) -> None:
    assert (creation_request({**PROPERTIES, **changes}, PAGE)["FlowDefinitionName"] == NAME) is same
    assert creation_request(PROPERTIES, f"{ACCOUNT}:human-task-ui/other")["FlowDefinitionName"] != NAME


def test_a_change_makes_a_new_flow_and_leaves_the_old_one_to_the_later_delete() -> None:
    sagemaker = FakeSageMaker().holding(NAME, "Active")
    result = flows(sagemaker).handle(event("Update", NAME, TaskCount="1"))
    assert result.physical_id != NAME  # so CloudFormation deletes the old one after it has moved everyone over
    assert sagemaker.flows.keys() == {NAME, result.physical_id}
    flows(sagemaker).handle(event("Delete", NAME))
    assert sagemaker.flows.keys() == {result.physical_id}


@pytest.mark.parametrize("kind", ["Create", "Update"])
def test_a_request_that_comes_again_makes_nothing_new(kind: str) -> None:
    sagemaker = FakeSageMaker().holding(NAME, "Active")
    assert flows(sagemaker).handle(event(kind, NAME)).physical_id == NAME
    assert sagemaker.calls == []


def test_a_retry_that_meets_its_own_first_try_goes_on() -> None:
    """The first try created the flow between our look and our creation."""

    class Overtaken(FakeSageMaker):
        def create_flow_definition(self, **request: Any) -> dict[str, Any]:
            self.holding(request["FlowDefinitionName"], "Active")
            return super().create_flow_definition(**request)

    assert flows(Overtaken()).handle(event("Create")).physical_id == NAME


def test_a_flow_that_fails_surfaces_the_reason_and_is_not_left_behind() -> None:
    sagemaker = FakeSageMaker(ends_as="Failed")
    with pytest.raises(FlowDefinitionFailed, match="the role may not write there"):
        flows(sagemaker).handle(event("Create"))
    assert sagemaker.flows == {}


def test_a_flow_that_failed_before_is_made_again() -> None:
    sagemaker = FakeSageMaker().holding(NAME, "Failed")
    assert flows(sagemaker).handle(event("Create")).physical_id == NAME
    assert sagemaker.calls == ["delete", "create"]


def test_a_name_that_is_being_deleted_is_awaited() -> None:
    sagemaker = FakeSageMaker().holding(NAME, "Deleting")
    assert flows(sagemaker).handle(event("Update", "other")).physical_id == NAME


def test_waiting_has_an_end_and_leaves_nothing_behind() -> None:
    sagemaker = FakeSageMaker(looks=99)
    pauses: list[float] = []
    subject = FlowDefinitions(sagemaker, FakeRuntime(), pause=pauses.append, looks=5)
    with pytest.raises(FlowDefinitionFailed, match="still not Active after 5 seconds"):
        subject.handle(event("Create"))
    assert (len(pauses), sagemaker.flows) == (5, {})


def test_all_waiting_fits_into_the_functions_timeout() -> None:
    """Otherwise CloudFormation would wait for an hour for an answer that never comes."""
    assert FlowDefinitions(None, None, pause=lambda _: None).longest_wait <= 0.8 * 900


def test_a_page_that_comes_back_is_found_and_the_flow_gets_it_again() -> None:
    """Pages stay, so that of A is still there when B goes back to it."""
    sagemaker = FakeSageMaker()
    first = flows(sagemaker).handle(event("Create"))
    second = flows(sagemaker).handle(event("Update", NAME, UiTemplate="<p>another</p>"))
    flows(sagemaker).handle(event("Delete", NAME))
    assert second.attributes["HumanTaskUiArn"] != first.attributes["HumanTaskUiArn"]
    assert flows(sagemaker).handle(event("Update", second.physical_id)).attributes == first.attributes
    assert sorted(sagemaker.pages.values()) == ["<p>another</p>", UI_TEMPLATE]


def test_a_role_that_is_not_everywhere_yet_is_tried_again() -> None:
    late = client_error("ValidationException", f"SageMaker cannot assume the role {ROLE}", "CreateFlowDefinition")
    sagemaker = FakeSageMaker(refusals=[late, late])
    assert flows(sagemaker).handle(event("Create")).physical_id == NAME
    assert sagemaker.calls == ["create"] * 3


@pytest.mark.parametrize(
    "refusal",
    [
        client_error("ValidationException", "the work team does not exist", "CreateFlowDefinition"),
        client_error("ResourceLimitExceeded", "too many flows", "CreateFlowDefinition"),
        client_error("AccessDeniedException", "not allowed", "CreateFlowDefinition"),
    ],
)
def test_any_other_refusal_surfaces_at_once(refusal: ClientError) -> None:
    sagemaker = FakeSageMaker(refusals=[refusal])
    with pytest.raises(ClientError, match=refusal.response["Error"]["Message"]):
        flows(sagemaker).handle(event("Create"))
    assert sagemaker.calls == ["create"]


@pytest.mark.parametrize("open_loop", ["InProgress", "Stopping"])
def test_a_flow_with_open_reviews_is_kept(open_loop: str) -> None:
    sagemaker = FakeSageMaker().holding(NAME, "Active")
    flows(sagemaker, FakeRuntime(("Completed", "Failed", open_loop))).handle(event("Delete", NAME))
    assert NAME in sagemaker.flows


def test_a_flow_whose_reviews_have_ended_is_deleted() -> None:
    sagemaker = FakeSageMaker().holding(NAME, "Active")
    flows(sagemaker, FakeRuntime(("Completed", "Failed", "Stopped"))).handle(event("Delete", NAME))
    assert sagemaker.flows == {}


@pytest.mark.parametrize("physical_id", [NAME, "FlowA74D6E88-not-created", "someone-elses-flow"])
def test_deleting_what_is_not_there_or_not_ours_succeeds_and_deletes_nothing(physical_id: str) -> None:
    sagemaker = FakeSageMaker().holding("someone-elses-flow", "Active")
    assert flows(sagemaker).handle(event("Delete", physical_id)).physical_id == physical_id
    assert sagemaker.flows.keys() == {"someone-elses-flow"}


# -- the answer to CloudFormation ------------------------------------------------------------------


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    bodies: list[dict[str, Any]] = []

    class Response:
        def __enter__(self) -> Response:
            return self

        def __exit__(self, *_: object) -> None: ...

    def urlopen(request: Any, timeout: float) -> Response:
        bodies.append(json.loads(request.data))
        return Response()

    monkeypatch.setattr(response.urllib.request, "urlopen", urlopen)
    return bodies


@pytest.mark.parametrize(
    ("sagemaker", "kind", "status", "physical_id"),
    [
        (FakeSageMaker(), "Create", "SUCCESS", NAME),
        (FakeSageMaker(ends_as="Failed"), "Create", "FAILED", "FlowA74D6E88-not-created"),
        (FakeSageMaker(refusals=[client_error("AccessDeniedException", "no", "CreateFlowDefinition")]), "Update", "FAILED", "old-flow"),
        (FakeSageMaker(), "Delete", "SUCCESS", "old-flow"),
    ],
)
def test_cloudformation_is_always_answered(
    sent: list[dict[str, Any]], sagemaker: FakeSageMaker, kind: str, status: str, physical_id: str
) -> None:
    request = event(kind, None if kind == "Create" else "old-flow")
    response.answer(request, flows(sagemaker).handle)
    [body] = sent
    assert (body["Status"], body["PhysicalResourceId"]) == (status, physical_id)
    assert (body["StackId"], body["RequestId"], body["LogicalResourceId"]) == ("stack", "request", "FlowA74D6E88")
    assert ("Reason" in body) is (status == "FAILED")
