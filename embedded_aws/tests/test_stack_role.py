"""CloudFormation under a service role: what the role lacks fails the resource by name, and UpdateStack behaves as a rollout needs it."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from embedded_aws.testing import hosting as support
from embedded_aws.tools import launcher

ClientFactory = Callable[..., Any]
REGION, ACCOUNT = "us-east-1", "000000000000"


def allow(action: str | list[str], resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


EVERY_ACTION = [
    *(f"sagemaker:{verb}{kind}" for verb in ("Create", "Delete") for kind in ("Model", "EndpointConfig", "Endpoint")),
    *(
        f"sagemaker:{verb}"
        for verb in ("UpdateEndpoint", "DescribeEndpoint", "DescribeEndpointConfig", "UpdateEndpointWeightsAndCapacities")
    ),
    *("sagemaker:AddTags", "sagemaker:DeleteTags", "iam:PassRole", "iam:CreateServiceLinkedRole"),
    *(f"application-autoscaling:{verb}ScalableTarget" for verb in ("Register", "Deregister")),
    *(f"application-autoscaling:{verb}ScalingPolicy" for verb in ("Put", "Delete")),
    *(f"application-autoscaling:{verb}" for verb in ("DescribeScalableTargets", "DescribeScalingPolicies", "TagResource", "UntagResource")),
    *(
        f"cloudwatch:{verb}"
        for verb in ("PutMetricAlarm", "PutCompositeAlarm", "DescribeAlarms", "DeleteAlarms", "TagResource", "UntagResource")
    ),
]


class Account:
    """Stacks and roles with names of their own; everything that a test made is removed after it."""

    def __init__(self, aws: ClientFactory, make_role: Callable[..., str]) -> None:
        self.aws, self._make_role, self.stacks = aws, make_role, list[str]()
        self.client = aws("cloudformation")

    def role(self, *lacking: str, services: tuple[str, ...] = ("cloudformation.amazonaws.com",)) -> str:
        """A service role with every action that the covered types take, and reading parameters, but those named."""
        granted = [action for action in [*EVERY_ACTION, "ssm:GetParameters"] if action not in lacking]
        return self._make_role(f"stack-{uuid.uuid4().hex[:8]}", [allow(granted)], services)

    def create(self, template: dict[str, Any], **more: Any) -> dict[str, Any]:
        name = f"role-{uuid.uuid4().hex[:8]}"
        self.stacks.append(name)
        self.client.create_stack(StackName=name, TemplateBody=json.dumps(template), **more)
        return self.settled(name)

    def update(self, name: str, client: Any = None, **more: Any) -> dict[str, Any]:
        (client or self.client).update_stack(StackName=name, **more)
        return self.settled(name)

    def settled(self, name: str) -> dict[str, Any]:
        deadline = time.monotonic() + 90
        while (stack := self.client.describe_stacks(StackName=name)["Stacks"][0])["StackStatus"].endswith("_IN_PROGRESS"):
            assert time.monotonic() < deadline, stack["StackStatus"]
            time.sleep(0.05)
        return stack  # type: ignore[no-any-return]  # boto3 is untyped

    def reason(self, name: str, resource: str) -> str:
        events = self.client.describe_stack_events(StackName=name)["StackEvents"]
        failed = [e for e in events if e["LogicalResourceId"] == resource and e["ResourceStatus"].endswith("_FAILED")]
        return str(failed[-1]["ResourceStatusReason"]) if failed else "nothing failed"

    def delete(self, name: str, **more: Any) -> str:
        stack_id = self.client.describe_stacks(StackName=name)["Stacks"][0]["StackId"]
        self.client.delete_stack(StackName=name, **more)
        return str(self.settled(stack_id)["StackStatus"])


@pytest.fixture(scope="module")
def account(aws: ClientFactory, make_role: Callable[..., str]) -> Iterator[Account]:
    made = Account(aws, make_role)
    yield made
    capable = made.role()
    for name in reversed(made.stacks):
        aws("cloudformation").delete_stack(StackName=name, RoleARN=capable)


@pytest.fixture(scope="module")
def hosting(aws: ClientFactory, make_role: Callable[..., str]) -> support.Hosting:
    return support.prepare(aws, make_role, "stack-role-tests")


@pytest.fixture(scope="module")
def served(hosting: support.Hosting) -> str:
    """An endpoint that scaling targets may name."""
    return hosting.endpoint(hosting.config([{"name": "champion", "model": hosting.model("served")}]))


ALARM = {
    "Namespace": "Nobody", "MetricName": "Writes", "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1, "Threshold": 1,
    "ComparisonOperator": "GreaterThanThreshold",
}  # fmt: skip


def alarm(**more: Any) -> dict[str, Any]:
    return {"Type": "AWS::CloudWatch::Alarm", "Properties": {**ALARM, **more}}


def composite() -> dict[str, Any]:
    return {"Type": "AWS::CloudWatch::CompositeAlarm", "Properties": {"AlarmRule": "FALSE"}}


def model(hosting: support.Hosting, url: Any) -> dict[str, Any]:
    container = {"Image": support.IMAGE, "ModelDataUrl": url}
    return {"Type": "AWS::SageMaker::Model", "Properties": {"PrimaryContainer": container, "ExecutionRoleArn": hosting.role_arn}}


def config() -> dict[str, Any]:
    variant = {
        "VariantName": "champion",
        "ModelName": {"Fn::GetAtt": ["Model", "ModelName"]},
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
        "InitialVariantWeight": 1,
    }
    return {"Type": "AWS::SageMaker::EndpointConfig", "Properties": {"ProductionVariants": [variant]}}


def endpoint(name: str) -> dict[str, Any]:
    properties = {"EndpointName": name, "EndpointConfigName": {"Fn::GetAtt": ["Config", "EndpointConfigName"]}}
    return {"Type": "AWS::SageMaker::Endpoint", "Properties": properties}


def target(endpoint_name: str) -> dict[str, Any]:
    properties = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{endpoint_name}/variant/champion",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
        "MinCapacity": 1,
        "MaxCapacity": 2,
    }
    return {"Type": "AWS::ApplicationAutoScaling::ScalableTarget", "Properties": properties}


def policy() -> dict[str, Any]:
    metric = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}
    tracking = {"TargetValue": 100, "PredefinedMetricSpecification": metric}
    properties = {
        "PolicyName": f"tracking-{uuid.uuid4().hex[:8]}",
        "PolicyType": "TargetTrackingScaling",
        "ScalingTargetId": {"Ref": "Target"},
        "TargetTrackingScalingPolicyConfiguration": tracking,
    }
    return {"Type": "AWS::ApplicationAutoScaling::ScalingPolicy", "Properties": properties}


TAGS = [{"Key": "team", "Value": "platform"}]


@pytest.mark.parametrize(
    ("lacking", "failing"),
    [
        ("sagemaker:CreateModel", "Model"),
        ("sagemaker:AddTags", "Model"),
        ("iam:PassRole", "Model"),
        ("sagemaker:CreateEndpointConfig", "Config"),
        ("cloudwatch:PutMetricAlarm", "Alarm"),
        ("cloudwatch:TagResource", "Alarm"),
        ("cloudwatch:PutCompositeAlarm", "Composite"),
        ("application-autoscaling:RegisterScalableTarget", "Target"),
        ("iam:CreateServiceLinkedRole", "Target"),
        ("sagemaker:UpdateEndpointWeightsAndCapacities", "Target"),
        ("application-autoscaling:PutScalingPolicy", "Policy"),
        ("cloudwatch:DeleteAlarms", "Policy"),
    ],
)
def test_a_missing_action_fails_its_resource_by_name_and_the_stack_rolls_back(
    account: Account, hosting: support.Hosting, served: str, lacking: str, failing: str
) -> None:
    scaling = {"Target": target(served)}
    parts = {
        "Model": {"Model": model(hosting, hosting.upload("lacking"))},
        "Config": {"Model": model(hosting, hosting.upload("lacking")), "Config": config()},
        "Alarm": {"Alarm": alarm()},
        "Composite": {"Composite": composite()},
        "Target": scaling,
        "Policy": {**scaling, "Policy": policy()},
    }
    role = account.role(lacking)
    ended = account.create({"Resources": parts[failing]}, RoleARN=role, Tags=TAGS)
    assert ended["StackStatus"] == "ROLLBACK_COMPLETE"
    principal = f"arn:aws:sts::{ACCOUNT}:assumed-role/{role.rsplit('/', 1)[-1]}/AWSCloudFormation"
    reason = account.reason(ended["StackName"], failing)
    assert reason.startswith(f"User: {principal} is not authorized to perform: {lacking} on resource: arn:aws:")
    assert "AccessDenied" in reason


def test_a_role_that_has_them_all_creates_every_type_and_deletes_it(account: Account, hosting: support.Hosting, served: str) -> None:
    resources = {
        "Model": model(hosting, hosting.upload("all")), "Config": config(), "Alarm": alarm(), "Composite": composite(),
        "Target": target(served), "Policy": policy(),
    }  # fmt: skip
    ended = account.create({"Resources": resources}, RoleARN=account.role(), Tags=TAGS)
    assert ended["StackStatus"] == "CREATE_COMPLETE", [account.reason(ended["StackName"], name) for name in resources]
    assert account.delete(ended["StackName"]) == "DELETE_COMPLETE"


def test_every_decision_is_in_the_audit_log(account: Account, emulator: launcher.Emulator) -> None:
    role = account.role("cloudwatch:TagResource")
    account.create({"Resources": {"Alarm": alarm(AlarmName="audited")}}, RoleARN=role)
    principal, arn = f"assumed-role/{role.rsplit('/', 1)[-1]}/AWSCloudFormation", f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:audited"
    decided = [json.loads(line) for line in emulator.audit_file.read_text().splitlines()]
    assert [(row["action"], row["resource"], row["allowed"]) for row in decided if row["principal"].endswith(principal)] == [
        ("cloudwatch:DescribeAlarms", arn, True),
        ("cloudwatch:PutMetricAlarm", arn, True),
        ("cloudwatch:TagResource", arn, False),
    ]


def test_without_a_role_the_account_root_provisions(account: Account) -> None:
    ended = account.create({"Resources": {"Alarm": alarm()}})
    assert (ended["StackStatus"], "RoleARN" in ended) == ("CREATE_COMPLETE", False)


def test_the_stack_keeps_its_role_for_later_operations(account: Account) -> None:
    ended = account.create({"Resources": {"Alarm": alarm()}}, RoleARN=account.role())
    name, narrow = ended["StackName"], account.role("cloudwatch:DeleteAlarms")
    changed = json.dumps({"Resources": {"Alarm": alarm(Threshold=2)}})
    assert account.update(name, TemplateBody=changed, RoleARN=narrow)["RoleARN"] == narrow
    assert account.delete(name) == "DELETE_FAILED", "the deletion names no role, so it has the narrow one"
    assert "is not authorized to perform: cloudwatch:DeleteAlarms" in account.reason(name, "Alarm")
    assert account.delete(name, RoleARN=account.role()) == "DELETE_COMPLETE"


def test_a_failed_update_goes_back_to_what_was(account: Account, aws: ClientFactory) -> None:
    kept = f"kept-{uuid.uuid4().hex[:8]}"
    name = account.create({"Resources": {"Alarm": alarm(AlarmName=kept)}}, RoleARN=account.role())["StackName"]
    wider = {"Alarm": alarm(AlarmName=kept, Threshold=7), "Second": {**composite(), "DependsOn": "Alarm"}}
    after = account.update(name, TemplateBody=json.dumps({"Resources": wider}), RoleARN=account.role("cloudwatch:PutCompositeAlarm"))
    assert after["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    left = account.client.describe_stack_resources(StackName=name)["StackResources"]
    assert [item["LogicalResourceId"] for item in left] == ["Alarm"]
    assert aws("cloudwatch").describe_alarms(AlarmNames=[kept])["MetricAlarms"][0]["Threshold"] == 1


def test_a_change_set_is_executed_under_its_role(account: Account) -> None:
    name, role = f"role-{uuid.uuid4().hex[:8]}", account.role("cloudwatch:PutMetricAlarm")
    account.stacks.append(name)
    account.client.create_change_set(
        StackName=name,
        ChangeSetName="first",
        ChangeSetType="CREATE",
        TemplateBody=json.dumps({"Resources": {"Alarm": alarm()}}),
        RoleARN=role,
    )
    account.client.execute_change_set(StackName=name, ChangeSetName="first")
    ended = account.settled(name)
    assert (ended["StackStatus"], ended["RoleARN"]) == ("ROLLBACK_COMPLETE", role)
    assert "cloudwatch:PutMetricAlarm" in account.reason(name, "Alarm")


def trust(effect: str = "Allow", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Principal": {"Service": "cloudformation.amazonaws.com"}, "Action": "sts:AssumeRole", **more}


OURS, SOURCE = {"aws:RequestedRegion": REGION}, {"aws:SourceAccount": ACCOUNT}


@pytest.mark.parametrize(
    "statements",
    [
        [trust(Principal={"Service": "lambda.amazonaws.com"})],
        [trust(Condition={"StringNotEquals": OURS})],
        [trust(), trust("Deny", Condition={"StringEquals": OURS})],
        # CloudFormation documents to send it for extensions and stack sets, not for a stack's service role.
        [trust(Condition={"StringEquals": SOURCE})],
    ],
)
def test_a_role_whose_trust_does_not_hold_is_refused(account: Account, aws: ClientFactory, statements: list[dict[str, Any]]) -> None:
    role = account.role()
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    aws("iam").update_assume_role_policy(RoleName=role.rsplit("/", 1)[-1], PolicyDocument=document)
    with pytest.raises(ClientError, match=f"Role {role} is invalid or cannot be assumed"):
        account.create({"Resources": {"Alarm": alarm()}}, RoleARN=role)


def test_a_missing_role_is_refused(account: Account) -> None:
    role = f"arn:aws:iam::{ACCOUNT}:role/nowhere"
    with pytest.raises(ClientError, match=f"Role {role} is invalid or cannot be assumed"):
        account.create({"Resources": {"Alarm": alarm()}}, RoleARN=role)


# -- the rollout's way: an update by the release record ----------------------------------------------


@pytest.fixture(scope="module")
def record(aws: ClientFactory) -> str:
    name = f"/stack-role/{uuid.uuid4().hex[:8]}/release"
    aws("ssm").put_parameter(Name=name, Type="String", Value="none")
    return name


@pytest.fixture(scope="module")
def stack(account: Account, hosting: support.Hosting, record: str) -> str:
    """A stack whose hosting hangs on the record; nothing is released yet."""
    resources = {"Model": model(hosting, {"Ref": "Release"}), "Config": config(), "Endpoint": endpoint(f"released-{uuid.uuid4().hex[:8]}")}
    template = {
        "Parameters": {"Release": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": record}},
        "Conditions": {"HasRelease": {"Fn::Not": [{"Fn::Equals": [{"Ref": "Release"}, "none"]}]}},
        "Resources": {"Always": alarm(), **{name: {**body, "Condition": "HasRelease"} for name, body in resources.items()}},
    }
    return str(account.create(template)["StackName"])


@pytest.fixture(scope="module")
def act_as(aws: ClientFactory, make_role: Callable[..., str], assume: Callable[[str], dict[str, Any]]) -> Callable[..., Any]:
    """``act_as(statements)`` -> CloudFormation's client of a function's role with these grants."""
    return lambda grants: aws("cloudformation", assume(make_role(f"rollout-{uuid.uuid4().hex[:8]}", grants, ["lambda.amazonaws.com"])))


def again(**more: Any) -> dict[str, Any]:
    return {"UsePreviousTemplate": True, "Parameters": [{"ParameterKey": "Release", "UsePreviousValue": True}], **more}


def test_a_rollout_updates_the_stack_with_its_previous_template_under_a_narrow_role(
    account: Account, hosting: support.Hosting, record: str, stack: str, act_as: Callable[[list[dict[str, Any]]], Any]
) -> None:
    narrow, other = account.role(), account.role()
    granted = [
        allow("cloudformation:UpdateStack", f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{stack}/*",
              Condition={"StringEquals": {"cloudformation:RoleArn": narrow}}),
        allow("iam:PassRole", narrow, Condition={"StringEquals": {"iam:PassedToService": "cloudformation.amazonaws.com"}}),
    ]  # fmt: skip
    caller = act_as(granted)

    with pytest.raises(ClientError, match="No updates are to be performed"):
        caller.update_stack(StackName=stack, **again(RoleARN=narrow, ClientRequestToken="before-the-record"))
    first = hosting.upload("first")
    account.aws("ssm").put_parameter(Name=record, Value=first, Overwrite=True)
    for wrong in ({}, {"RoleARN": other}):
        with pytest.raises(ClientError, match="is not authorized to perform: cloudformation:UpdateStack"):
            caller.update_stack(StackName=stack, **again(**wrong))

    begun = caller.update_stack(StackName=stack, **again(RoleARN=narrow, ClientRequestToken="first-release"))
    repeated = caller.update_stack(StackName=stack, **again(RoleARN=narrow, ClientRequestToken="first-release"))
    assert repeated["StackId"] == begun["StackId"], "a retry is the same operation"
    busy = rf"Stack:{begun['StackId']} is in UPDATE_IN_PROGRESS state and can not be updated\."
    with pytest.raises(ClientError, match=busy) as refused:
        caller.update_stack(StackName=stack, **again(RoleARN=narrow, ClientRequestToken="another-release"))
    assert refused.value.response["Error"]["Code"] == "ValidationError"

    ended = account.settled(stack)
    assert (ended["StackStatus"], ended["RoleARN"]) == ("UPDATE_COMPLETE", narrow)
    events = account.client.describe_stack_events(StackName=stack)["StackEvents"]
    began = [e for e in events if e["LogicalResourceId"] == stack and e["ResourceStatus"] == "UPDATE_IN_PROGRESS"]
    assert [e["ClientRequestToken"] for e in began] == ["first-release"], "the retry began nothing"
    name = next(e["PhysicalResourceId"] for e in events if e["LogicalResourceId"] == "Endpoint" and e.get("PhysicalResourceId"))
    assert hosting.invoke(name.rsplit("/", 1)[-1])[0]["label"] == "first"
    with pytest.raises(ClientError, match="No updates are to be performed"):
        caller.update_stack(StackName=stack, **again(RoleARN=narrow, ClientRequestToken="nothing-new"))


def test_who_may_not_pass_the_role_may_not_update_with_it(
    account: Account, stack: str, act_as: Callable[[list[dict[str, Any]]], Any]
) -> None:
    role = account.role()
    caller = act_as([allow("cloudformation:UpdateStack")])
    with pytest.raises(ClientError, match=f"is not authorized to perform: iam:PassRole on resource: {role}"):
        caller.update_stack(StackName=stack, **again(RoleARN=role))


def test_a_release_that_the_role_may_not_make_leaves_the_running_one_in_place(
    account: Account, hosting: support.Hosting, record: str, stack: str
) -> None:
    account.aws("ssm").put_parameter(Name=record, Value=hosting.upload("base"), Overwrite=True)
    account.update(stack, **again(RoleARN=account.role()))
    resources = {r["LogicalResourceId"]: r["PhysicalResourceId"] for r in _resources(account, stack)}
    serving = hosting.describe(resources["Endpoint"].rsplit("/", 1)[-1])["EndpointConfigName"]

    account.aws("ssm").put_parameter(Name=record, Value=hosting.upload("next"), Overwrite=True)
    ended = account.update(stack, **again(RoleARN=account.role("sagemaker:UpdateEndpoint")))
    assert ended["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert "is not authorized to perform: sagemaker:UpdateEndpoint" in account.reason(stack, "Endpoint")
    assert {r["LogicalResourceId"]: r["PhysicalResourceId"] for r in _resources(account, stack)} == resources
    assert hosting.describe(resources["Endpoint"].rsplit("/", 1)[-1])["EndpointConfigName"] == serving


def _resources(account: Account, stack: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = account.client.describe_stack_resources(StackName=stack)["StackResources"]
    return found


def test_the_role_reads_the_parameters(account: Account, record: str, stack: str) -> None:
    account.aws("ssm").put_parameter(Name=record, Value="s3://somewhere/else.tar.gz", Overwrite=True)
    with pytest.raises(ClientError, match=r"AccessDenied\. User doesn't have permission to call ssm:GetParameters"):
        account.update(stack, **again(RoleARN=account.role("ssm:GetParameters")))


def test_a_token_of_another_operation_is_refused(account: Account) -> None:
    ended = account.create({"Resources": {"Alarm": alarm()}}, ClientRequestToken="once")
    with pytest.raises(ClientError) as refused:
        account.update(ended["StackName"], TemplateBody=json.dumps({"Resources": {"Alarm": alarm(Threshold=3)}}), ClientRequestToken="once")
    assert refused.value.response["Error"]["Code"] == "TokenAlreadyExistsException"
