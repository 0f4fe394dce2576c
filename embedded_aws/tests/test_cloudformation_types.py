"""Resource types and patches of the embedded CloudFormation: like the registry, over the services, nothing dropped."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import botocore.session
import cfnlint
import pytest
from botocore.exceptions import ClientError

from embedded_aws.cloudformation.schema import SCHEMAS, TypeSchema
from embedded_aws.cloudformation.shapes import coerce
from embedded_aws.testing import platform_template as platform
from embedded_aws.testing.hosting import IMAGE, artifact
from embedded_aws.tools import launcher
from embedded_aws.tools.read_back.comparison import compare, read_back
from embedded_aws.tools.read_back.template import Anything

ClientFactory = Callable[..., Any]
REGISTRY = Path(cfnlint.__file__).parent / "data" / "schemas"
OPERATIONS = {
    "AWS::SageMaker::Model": ("sagemaker", "CreateModel"),
    "AWS::SageMaker::EndpointConfig": ("sagemaker", "CreateEndpointConfig"),
    "AWS::SageMaker::Endpoint": ("sagemaker", "UpdateEndpoint"),
    "AWS::SageMaker::ModelPackageGroup": ("sagemaker", "CreateModelPackageGroup"),
    "AWS::SageMaker::HumanTaskUi": ("sagemaker", "CreateHumanTaskUi"),
    "AWS::SageMaker::Workforce": ("sagemaker", "CreateWorkforce"),
    "AWS::SageMaker::Workteam": ("sagemaker", "CreateWorkteam"),
    "AWS::ApplicationAutoScaling::ScalableTarget": ("application-autoscaling", "RegisterScalableTarget"),
    "AWS::ApplicationAutoScaling::ScalingPolicy": ("application-autoscaling", "PutScalingPolicy"),
    "AWS::CloudWatch::CompositeAlarm": ("cloudwatch", "PutCompositeAlarm"),
    "AWS::Cognito::UserPoolUser": ("cognito-idp", "AdminCreateUser"),
    "AWS::Cognito::UserPoolUserToGroupAttachment": ("cognito-idp", "AdminAddUserToGroup"),
    "AWS::Athena::NamedQuery": ("athena", "CreateNamedQuery"),
}
RENAMED = {
    # handled one by one in embedded_aws/cloudformation
    "MemberDefinitions.CognitoMemberDefinition.CognitoClientId",
    "MemberDefinitions.CognitoMemberDefinition.CognitoUserGroup",
    "MemberDefinitions.CognitoMemberDefinition.CognitoUserPool",
    "MemberDefinitions.OidcMemberDefinition.OidcGroups",
    "ModelPackageGroupPolicy",
    "ScheduledActions",
    "ScalingTargetId",
    "Tags",
}


def registry_schema(type_name: str) -> dict[str, Any]:
    index = json.loads((REGISTRY / "providers" / "us-east-1.json").read_text())
    schema: dict[str, Any] = json.loads((REGISTRY / "resources" / f"{index[type_name]}.json").read_text())
    return schema


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=lambda schema: schema.type_name)
def test_types_have_the_registrys_properties(schema: TypeSchema) -> None:
    published = registry_schema(schema.type_name)
    read_only = {pointer.rsplit("/", 1)[-1] for pointer in published.get("readOnlyProperties", [])}
    create_only = {pointer.split("/")[2] for pointer in published.get("createOnlyProperties", [])}
    assert schema.properties == set(published["properties"]) - read_only
    assert schema.create_only == create_only
    assert schema.required == set(published.get("required", []))


def unknown_members(schema: dict[str, Any], node: dict[str, Any], shape: Any, path: str = "") -> Iterator[str]:
    """Members of a registry schema that the operation does not know."""
    if "$ref" in node:
        node = schema["definitions"][node["$ref"].rsplit("/", 1)[-1]]
    if "items" in node and shape.type_name == "list":
        yield from unknown_members(schema, node["items"], shape.member, path)
    for name, member in node.get("properties", {}).items():
        here = f"{path}.{name}".lstrip(".")
        if shape.type_name != "structure" or f"/properties/{name}" in schema.get("readOnlyProperties", []):
            continue
        if name in shape.members:
            yield from unknown_members(schema, member, shape.members[name], here)
        else:
            yield here


@pytest.mark.parametrize("type_name", OPERATIONS)
def test_nested_properties_are_called_as_in_the_api_or_translated(type_name: str) -> None:
    service, operation = OPERATIONS[type_name]
    shape = botocore.session.get_session().get_service_model(service).operation_model(operation).input_shape
    schema = registry_schema(type_name)
    assert set(unknown_members(schema, {"properties": schema["properties"]}, shape)) <= RENAMED


def test_scalars_of_a_template_become_the_apis_types() -> None:
    shape = botocore.session.get_session().get_service_model("sagemaker").operation_model("CreateEndpointConfig").input_shape
    given = {
        "ProductionVariants": [{"InitialInstanceCount": "2", "InitialVariantWeight": 1, "VariantName": 7, "EnableSSMAccess": "true"}],
        "DataCaptureConfig": {"EnableCapture": "false", "InitialSamplingPercentage": "many"},
        "Nonsense": "1",
    }
    assert coerce(shape, given) == {
        "ProductionVariants": [{"InitialInstanceCount": 2, "InitialVariantWeight": 1.0, "VariantName": "7", "EnableSSMAccess": True}],
        "DataCaptureConfig": {"EnableCapture": False, "InitialSamplingPercentage": "many"},
        "Nonsense": "1",
    }


@pytest.mark.parametrize(
    ("expected", "found", "paths"),
    [
        ({"A": 1}, {"A": "1", "B": 2}, []),
        ({"A": True}, {"A": "true"}, []),
        ({"A": True}, {"A": False}, ["A"]),
        ({"A": {"B": [1, 2]}}, {"A": {"B": [2]}}, ["A.B[0]"]),
        ({"A": [{"K": "x", "V": 1}]}, {"A": [{"K": "y", "V": 2}, {"K": "x", "V": 2}]}, ["A[0].V"]),
        ({"A": Anything()}, {"A": "whatever"}, []),
        ({"A": Anything()}, {}, ["A"]),
        ({"A": []}, {}, []),
    ],
)
def test_comparison_names_what_is_missing(expected: Any, found: Any, paths: list[str]) -> None:
    assert [path for path, _, _ in compare(expected, found)] == paths


# -- in the emulator -------------------------------------------------------------------------------


class Session:
    def __init__(self, aws: ClientFactory) -> None:
        self.client = aws


class StackFailed(AssertionError):
    pass


class Stacks:
    """Creates and updates stacks and waits; what fails raises with the first reason."""

    def __init__(self, aws: ClientFactory, wait_until: Callable[..., Any]) -> None:
        self.client, self.wait_until = aws("cloudformation"), wait_until

    def create(self, name: str, template: Any, **more: Any) -> dict[str, Any]:
        self.client.create_stack(StackName=name, TemplateBody=json.dumps(template), Capabilities=["CAPABILITY_NAMED_IAM"], **more)
        return self.ended(name)

    def update(self, name: str, template: Any = None, **more: Any) -> dict[str, Any]:
        body = {"TemplateBody": json.dumps(template)} if template else {"UsePreviousTemplate": True}
        self.client.update_stack(StackName=name, Capabilities=["CAPABILITY_NAMED_IAM"], **body, **more)
        return self.ended(name)

    def ended(self, name: str) -> dict[str, Any]:
        def settled() -> Any:
            found = self.client.describe_stacks(StackName=name)["Stacks"][0]
            return None if found["StackStatus"].endswith("_IN_PROGRESS") else found

        stack: dict[str, Any] = self.wait_until(settled, 90)
        if stack["StackStatus"] not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            events = self.client.describe_stack_events(StackName=name)["StackEvents"]
            failed = [e for e in reversed(events) if e["ResourceStatus"].endswith("_FAILED")]
            raise StackFailed("; ".join(f"{e['LogicalResourceId']}: {e.get('ResourceStatusReason')}" for e in failed))
        return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}

    def physical(self, name: str) -> dict[str, str]:
        rows = self.client.describe_stack_resources(StackName=name)["StackResources"]
        return {row["LogicalResourceId"]: row["PhysicalResourceId"] for row in rows}


@pytest.fixture(scope="module")
def stacks(aws: ClientFactory, wait_until: Callable[..., Any]) -> Stacks:
    return Stacks(aws, wait_until)


@pytest.fixture(scope="module")
def everything(stacks: Stacks) -> dict[str, str]:
    """Outputs of one stack with all types but hosting."""
    return stacks.create("platform", platform.everything())


def test_nothing_of_the_template_is_dropped(everything: dict[str, str], aws: ClientFactory) -> None:
    assert [str(difference) for difference in read_back(platform.everything(), Session(aws), "platform")] == []


def test_custom_resources_give_attributes(everything: dict[str, str]) -> None:
    assert everything["Echoed"] == "hello"
    assert everything["Alarm"].endswith(":alarm:platform-both")


def test_what_is_changed_behind_the_template_is_noticed(everything: dict[str, str], stacks: Stacks, aws: ClientFactory) -> None:
    table = stacks.physical("platform")["Table"]
    aws("dynamodb").update_time_to_live(TableName=table, TimeToLiveSpecification={"Enabled": False, "AttributeName": "expires_at"})
    try:
        found = read_back(platform.everything(), Session(aws), "platform")
    finally:
        aws("dynamodb").update_time_to_live(TableName=table, TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires_at"})
    assert [(d.resource, d.path) for d in found] == [("Table", "TimeToLiveSpecification.Enabled")] or {d.path for d in found} == {
        "TimeToLiveSpecification.Enabled",
        "TimeToLiveSpecification.AttributeName",
    }


def test_a_dropped_destination_is_noticed(everything: dict[str, str], stacks: Stacks, aws: ClientFactory) -> None:
    function = stacks.physical("platform")["Function"]
    before = aws("lambda").get_function_event_invoke_config(FunctionName=function)
    kept = {key: before[key] for key in ("MaximumRetryAttempts", "MaximumEventAgeInSeconds")}
    aws("lambda").put_function_event_invoke_config(FunctionName=function, **kept)
    try:
        found = read_back(platform.everything(), Session(aws), "platform")
    finally:
        aws("lambda").put_function_event_invoke_config(FunctionName=function, **kept, DestinationConfig=before["DestinationConfig"])
    assert [(d.resource, d.path.split(".")[0]) for d in found] == [("Async", "DestinationConfig")]


def test_a_resource_that_the_stack_lacks_is_noticed(everything: dict[str, str], aws: ClientFactory) -> None:
    more = platform.everything()
    more["Conditions"] = {**more.get("Conditions", {}), "Never": {"Fn::Equals": ["a", "b"]}}
    more["Resources"]["Added"] = platform.resource("SSM::Parameter", Name="/platform/added", Type="String", Value="x")
    more["Resources"]["Unwanted"] = {**more["Resources"]["Added"], "Condition": "Never"}
    (found,) = read_back(more, Session(aws), "platform")
    assert (found.resource, found.path, found.found) == ("Added", "", None)


def test_updates_reach_the_services(everything: dict[str, str], stacks: Stacks, aws: ClientFactory) -> None:
    changed = platform.everything()
    resources = changed["Resources"]
    resources["Bucket"]["Properties"]["LifecycleConfiguration"]["Rules"][0]["ExpirationInDays"] = 60
    resources["Bucket"]["Properties"]["Tags"] = [{"Key": "team", "Value": "data"}]
    resources["Machine"]["Properties"]["LoggingConfiguration"]["Level"] = "ALL"
    resources["Both"]["Properties"]["AlarmRule"] = {"Fn::Sub": 'NOT ALARM("${Alarm}")'}
    resources["Stage"]["Properties"]["AccessLogSetting"]["Format"] = "$context.requestId"
    before = stacks.physical("platform")
    stacks.update("platform", changed)
    assert [str(difference) for difference in read_back(changed, Session(aws), "platform")] == []
    assert stacks.physical("platform") == before
    stacks.update("platform", platform.everything())


def test_an_unknown_property_is_refused_by_name(stacks: Stacks) -> None:
    wrong = platform.resource("SageMaker::ModelPackageGroup", ModelPackageGroupName="wrong-one", Colour="red")
    with pytest.raises(StackFailed, match=r"extraneous key \[Colour\] is not permitted"):
        stacks.create("unknown-property", platform.template({"Wrong": wrong}))


def test_a_replacement_under_an_explicit_name_is_refused(stacks: Stacks) -> None:
    def group(text: str) -> Any:
        wanted = platform.resource("SageMaker::ModelPackageGroup", ModelPackageGroupName="named-group", ModelPackageGroupDescription=text)
        return platform.template({"Group": wanted})

    stacks.create("named-replacement", group("one"))
    with pytest.raises(StackFailed, match="cannot update a stack when a custom-named resource requires replacing"):
        stacks.update("named-replacement", group("two"))


def test_a_failing_custom_resource_fails_the_stack_with_its_reason(stacks: Stacks) -> None:
    parts = platform.code()
    for name in ("Async", "Feed", "Query", "Machine", "MachineRole"):
        del parts[name]
    parts["Logs"]["Properties"].pop("KmsKeyId")
    stacks.create("custom-resource", platform.template(parts))
    parts["Echo"]["Properties"]["Say"] = "fail"
    with pytest.raises(StackFailed, match="Echo: told to fail"):
        stacks.update("custom-resource", platform.template(parts))


def test_a_custom_resource_that_never_answers_times_out_in_scaled_time(stacks: Stacks) -> None:
    parts = {name: body for name, body in platform.code().items() if name in ("Logs", "FunctionRole", "Function", "Echo")}
    parts["Logs"]["Properties"].pop("KmsKeyId")
    parts["Function"]["Properties"]["Code"] = {"ZipFile": "def handler(event, context):\n    raise RuntimeError('broken')\n"}
    parts["Echo"]["Properties"]["ServiceTimeout"] = "300"
    parts["Echo"]["DeletionPolicy"] = "Retain"
    with pytest.raises(StackFailed, match=r"Echo: .*timed out after 300s"):
        stacks.create("custom-silent", platform.template(parts))


def test_conditions_follow_an_ssm_list_that_is_read_anew(stacks: Stacks, aws: ClientFactory) -> None:
    """The release record's pattern: UsePreviousTemplate, and the parameter's value decides what exists."""
    aws("ssm").put_parameter(Name="/platform/release", Type="StringList", Value="none,none")
    release = {"Type": "AWS::SSM::Parameter::Value<List<String>>", "Default": "/platform/release"}
    has_release = {"Fn::Not": [{"Fn::Equals": [{"Fn::Select": [0, platform.ref("Release")]}, "none"]}]}
    served = platform.resource("SSM::Parameter", Name="/platform/served", Type="String", Value={"Fn::Select": [1, platform.ref("Release")]})
    always = platform.resource("SSM::Parameter", Name="/platform/always", Type="String", Value="x")
    template = platform.template(
        {"Served": {**served, "Condition": "HasRelease"}, "Always": always},
        Parameters={"Release": release},
        Conditions={"HasRelease": has_release},
    )
    stacks.create("conditions", template)
    assert set(stacks.physical("conditions")) == {"Always"}
    keep = [{"ParameterKey": "Release", "UsePreviousValue": True}]
    with pytest.raises(ClientError, match="No updates are to be performed"):
        stacks.update("conditions", Parameters=keep)
    aws("ssm").put_parameter(Name="/platform/release", Type="StringList", Value="a,b", Overwrite=True)
    stacks.update("conditions", Parameters=keep)
    assert aws("ssm").get_parameter(Name="/platform/served")["Parameter"]["Value"] == "b"
    assert read_back(template, Session(aws), "conditions") == []


# -- hosting ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def host(aws: ClientFactory, make_role: Callable[..., str]) -> Callable[..., Any]:
    """``host(weight=..., retain=...)`` -> a template that serves a tiny model."""
    bucket = f"platform-hosting-{uuid.uuid4().hex[:8]}"
    aws("s3").create_bucket(Bucket=bucket)
    aws("s3").put_object(Bucket=bucket, Key="model.tar.gz", Body=artifact("tiny"))
    arn = make_role("platform-hosting", [platform.allow(["s3:*", "cloudwatch:*", "logs:*", "ecr:*"])])

    def make(**choices: Any) -> Any:
        return platform.template(platform.hosting(bucket, arn, IMAGE, url=f"s3://{bucket}/model.tar.gz", **choices))

    return make


def weights(aws: ClientFactory) -> dict[str, float]:
    found = aws("sagemaker").describe_endpoint(EndpointName="platform-endpoint")
    return {variant["VariantName"]: variant["CurrentWeight"] for variant in found["ProductionVariants"]}


def tagged(aws: ClientFactory) -> set[str]:
    """ARNs of the models and configurations that carry the template's tags."""
    filters = [{"Key": tag["Key"], "Values": [tag["Value"]]} for tag in platform.TAGS]
    kinds = ["sagemaker:model", "sagemaker:endpoint-config"]
    pages = aws("resourcegroupstaggingapi").get_paginator("get_resources").paginate(ResourceTypeFilters=kinds, TagFilters=filters)
    return {found["ResourceARN"] for page in pages for found in page["ResourceTagMappingList"]}


def test_an_endpoint_lives_through_replaced_configs(
    emulator: launcher.Emulator, stacks: Stacks, aws: ClientFactory, host: Callable[..., Any], wait_until: Callable[..., Any]
) -> None:
    sagemaker = aws("sagemaker")
    stacks.create("hosting", host())
    assert [str(difference) for difference in read_back(host(), Session(aws), "hosting")] == []
    first = stacks.physical("hosting")
    arns = {first["HostedModel"], first["Config"]}
    assert sorted(arn.split(":", 5)[5].rsplit("-", 1)[0] for arn in arns) == ["endpoint-config/config", "model/hostedmodel"]
    assert tagged(aws) == arns, "AWS names neither by its stack, so that only tags find them"

    def in_service() -> bool:
        return bool(sagemaker.describe_endpoint(EndpointName="platform-endpoint")["EndpointStatus"] == "InService")

    shift = [{"VariantName": "champion", "DesiredWeight": 0.3}, {"VariantName": "challenger", "DesiredWeight": 0.7}]
    sagemaker.update_endpoint_weights_and_capacities(EndpointName="platform-endpoint", DesiredWeightsAndCapacities=shift)
    wait_until(in_service)

    stacks.update("hosting", host(weight=2))
    second = stacks.physical("hosting")
    assert second["Config"] != first["Config"]
    assert second["Endpoint"] == first["Endpoint"]
    assert weights(aws) == pytest.approx({"champion": 0.3, "challenger": 0.7}), "retained"
    assert sagemaker.describe_endpoint(EndpointName="platform-endpoint")["EndpointConfigName"] == second["Config"].rsplit("/", 1)[-1]
    with pytest.raises(ClientError, match="Could not find"):
        sagemaker.describe_endpoint_config(EndpointConfigName=first["Config"].rsplit("/", 1)[-1])
    assert tagged(aws) == {second["HostedModel"], second["Config"]}

    stacks.update("hosting", host(weight=3, retain=False))
    assert weights(aws) == pytest.approx({"champion": 3.0, "challenger": 0.0}), "without retention a deploy resets live weights"
    stacks.client.delete_stack(StackName="hosting")
    wait_until(lambda: not any(e["EndpointName"] == "platform-endpoint" for e in sagemaker.list_endpoints()["Endpoints"]))


def test_a_rollback_by_alarm_is_reported_as_success_and_takes_the_running_config_away(
    stacks: Stacks, aws: ClientFactory, host: Callable[..., Any], wait_until: Callable[..., Any]
) -> None:
    """The trap: only the running EndpointConfigName tells, and a config without UpdateReplacePolicy Retain is gone."""
    sagemaker = aws("sagemaker")
    aws("cloudwatch").put_metric_alarm(
        AlarmName="platform-rollback", Namespace="T/Rollback", MetricName="Errors", Statistic="Sum", Period=60, EvaluationPeriods=1,
        Threshold=1, ComparisonOperator="GreaterThanOrEqualToThreshold", TreatMissingData="notBreaching",
    )  # fmt: skip
    policy = {
        "TrafficRoutingConfiguration": {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": "600"},
        "TerminationWaitInSeconds": 600,
        "MaximumExecutionTimeoutInSeconds": 1200,
    }
    guarded = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "platform-rollback"}]}, "BlueGreenUpdatePolicy": policy}
    stacks.create("hosting-rollback", host(deployment=guarded))
    before = sagemaker.describe_endpoint(EndpointName="platform-endpoint")["EndpointConfigName"]
    changed = host(deployment=guarded, weight=2)
    stacks.client.update_stack(StackName="hosting-rollback", TemplateBody=json.dumps(changed), Capabilities=["CAPABILITY_IAM"])

    def failing() -> bool:
        aws("cloudwatch").put_metric_data(Namespace="T/Rollback", MetricData=[{"MetricName": "Errors", "Value": 1.0}])
        found = stacks.client.describe_stacks(StackName="hosting-rollback")["Stacks"][0]
        return not found["StackStatus"].endswith("_IN_PROGRESS")

    wait_until(failing, 90)
    stacks.ended("hosting-rollback")
    endpoint = sagemaker.describe_endpoint(EndpointName="platform-endpoint")
    wanted = stacks.physical("hosting-rollback")["Config"].rsplit("/", 1)[-1]
    assert (endpoint["EndpointStatus"], endpoint["EndpointConfigName"]) == ("InService", before)
    assert wanted != before
    with pytest.raises(ClientError, match="Could not find"):
        sagemaker.describe_endpoint_config(EndpointConfigName=before)
    stacks.client.delete_stack(StackName="hosting-rollback")
    wait_until(lambda: not any(e["EndpointName"] == "platform-endpoint" for e in sagemaker.list_endpoints()["Endpoints"]))


def test_an_endpoint_that_cannot_start_fails_the_stack_with_its_reason(stacks: Stacks, host: Callable[..., Any]) -> None:
    template = host()
    template["Resources"]["HostedModel"]["Properties"]["PrimaryContainer"]["Environment"] = {"REFUSE_TO_START": "1"}
    for name in ("Target", "Tracking"):
        del template["Resources"][name]
    with pytest.raises(StackFailed, match="Endpoint: endpoint platform-endpoint is Failed"):
        stacks.create("hosting-fails", template)


def test_a_missing_artifact_fails_the_model(stacks: Stacks, host: Callable[..., Any]) -> None:
    template = host()
    template["Resources"]["HostedModel"]["Properties"]["PrimaryContainer"]["ModelDataUrl"] = "s3://platform-nowhere/model.tar.gz"
    with pytest.raises(StackFailed, match="HostedModel: "):
        stacks.create("model-fails", template)


@pytest.mark.parametrize(
    ("wait", "said"),
    [
        ("sagemaker.Endpoint._settle('e')", "endpoint e did not settle within 0 s"),
        ("sagemaker._settle_workforce('w')", "workforce w did not settle within 0 s"),
        ("sagemaker._until_gone('DescribeEndpoint', {'EndpointName': 'e'})", "e, which is being deleted, did not settle within 0 s"),
    ],
)
def test_what_stays_on_its_way_fails_the_resource_in_the_end(wait: str, said: str) -> None:
    code = f"""
from embedded_aws.cloudformation import sagemaker
sagemaker.call = lambda *_: {{"EndpointStatus": "Updating", "Workforce": {{"Status": "Initializing"}}}}
sagemaker._LONGEST_SECONDS = 0.1
try:
    {wait}
except sagemaker.ProvisioningError as error:
    print(error)
"""
    done = subprocess.run(
        [str(launcher.EMULATOR_PYTHON), "-c", code], cwd=launcher.ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines()[-1] == said
