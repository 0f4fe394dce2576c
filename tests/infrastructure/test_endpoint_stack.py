"""The endpoint stack: two fixed variants, and updates that a failing new fleet takes back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from apps import findings, new_app
from aws_cdk.assertions import Template
from deployed_definition import arn, names_of, problems, properties, resolve, stage_names
from endpoint_choices import CHOICES, DEV, NEW_FLEET, endpoint_template, variant_alarms

from embedded_aws.cloudwatch.alarms import expressions
from stacks.endpoint import EndpointStack

NAMES = stage_names("dev")


@pytest.fixture(scope="module")
def templates() -> dict[str, Template]:
    return {name: endpoint_template(settings) for name, settings in CHOICES.items()}


@pytest.fixture(scope="module")
def template(templates: dict[str, Template]) -> Template:
    return templates["dev"]


def only(template: Template, kind: str) -> dict[str, Any]:
    """The one resource of a type, as it is in the template."""
    (found,) = template.find_resources(kind).values()
    return dict(found)


# -- variants, models, configuration -----------------------------------------------------------------


@pytest.mark.parametrize("name", CHOICES)
def test_the_variants_are_champion_and_challenger_and_each_runs_its_own_package(templates: dict[str, Template], name: str) -> None:
    models = templates[name].find_resources("AWS::SageMaker::Model")
    variants = only(templates[name], "AWS::SageMaker::EndpointConfig")["Properties"]["ProductionVariants"]
    assert [variant["VariantName"] for variant in variants] == ["champion", "challenger"]
    for index, variant in enumerate(variants):
        (model, attribute) = variant["ModelName"]["Fn::GetAtt"]
        assert attribute == "ModelName"
        container = models[model]["Properties"]["PrimaryContainer"]
        assert container == {"ModelPackageName": {"Fn::Select": [index, {"Ref": "Release"}]}}


def test_the_release_is_the_record_and_is_read_at_every_update(template: Template) -> None:
    template.has_parameter("Release", {"Type": "AWS::SSM::Parameter::Value<List<String>>", "Default": NAMES.parameter("release")})


@pytest.mark.parametrize("name", CHOICES)
def test_models_have_no_network_and_wait_for_their_roles_policy(templates: dict[str, Template], name: str) -> None:
    template = templates[name]
    (policy,) = (
        logical_id
        for logical_id, item in template.find_resources("AWS::IAM::Policy").items()
        if item["Properties"]["PolicyName"] == "models"
    )
    for model in template.find_resources("AWS::SageMaker::Model").values():
        assert model["Properties"]["EnableNetworkIsolation"] is True
        assert model["DependsOn"] == [policy]
        assert model["Properties"]["ExecutionRoleArn"]["Fn::GetAtt"][0].startswith("EndpointRole")
        wanted = {"SecurityGroupIds": ["sg-0c2d"], "Subnets": ["subnet-0a1b"]} if name == "vpc" else None
        assert model["Properties"].get("VpcConfig") == wanted


@pytest.mark.parametrize("name", CHOICES)
def test_sagemaker_takes_configuration_and_update(templates: dict[str, Template], name: str) -> None:
    (config,) = properties(templates[name], "AWS::SageMaker::EndpointConfig")
    for variant in config["ProductionVariants"]:
        variant["ModelName"] = "model"
        variant["InitialVariantWeight"] = 1.0
    assert problems("CreateEndpointConfig", {**without_tags(config), "EndpointConfigName": "config"}) == []
    (endpoint,) = properties(templates[name], "AWS::SageMaker::Endpoint")
    assert problems("UpdateEndpoint", {**without_tags(endpoint), "EndpointConfigName": "config"}) == []


def without_tags(resource: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in resource.items() if key != "Tags"}


def test_configuration_and_models_are_unnamed_and_kept_when_replaced(template: Template) -> None:
    """A fixed name would block every update; a rolled-back endpoint still runs what was replaced."""
    kept = [*template.find_resources("AWS::SageMaker::Model").values(), only(template, "AWS::SageMaker::EndpointConfig")]
    for resource in kept:
        assert not {"ModelName", "EndpointConfigName"} & set(resource["Properties"])
        assert (resource["UpdateReplacePolicy"], resource["DeletionPolicy"]) == ("Retain", "Delete")


def test_live_weights_and_counts_survive_a_deploy(template: Template) -> None:
    endpoint = only(template, "AWS::SageMaker::Endpoint")["Properties"]
    assert endpoint["RetainAllVariantProperties"] is True
    assert "ExcludeRetainedVariantProperties" not in endpoint
    assert endpoint["EndpointName"] == NAMES.endpoint


@pytest.mark.parametrize(("name", "champion", "challenger"), [("dev", 0.9, 0.1), ("prod", 1.0, 0.0)])
def test_the_challenger_has_no_traffic_without_a_package_of_its_own(
    templates: dict[str, Template], name: str, champion: float, challenger: float
) -> None:
    variants = only(templates[name], "AWS::SageMaker::EndpointConfig")["Properties"]["ProductionVariants"]
    assert variants[0]["InitialVariantWeight"] == champion
    assert variants[1]["InitialVariantWeight"] == {"Fn::If": ["HasChallenger", challenger, 0]}


def test_prod_has_its_own_values(templates: dict[str, Template]) -> None:
    variants = only(templates["prod"], "AWS::SageMaker::EndpointConfig")["Properties"]["ProductionVariants"]
    assert {(variant["InstanceType"], variant["InitialInstanceCount"]) for variant in variants} == {("ml.c5.xlarge", 2)}
    policy = only(templates["prod"], "AWS::SageMaker::Endpoint")["Properties"]["DeploymentConfig"]["BlueGreenUpdatePolicy"]
    assert (policy["TerminationWaitInSeconds"], policy["MaximumExecutionTimeoutInSeconds"]) == (600, 7_200)
    targets = properties(templates["prod"], "AWS::ApplicationAutoScaling::ScalableTarget")
    assert {(target["MinCapacity"], target["MaxCapacity"]) for target in targets} == {(2, 10)}


def test_requests_and_answers_are_captured_readable_and_encrypted(template: Template) -> None:
    (config,) = properties(template, "AWS::SageMaker::EndpointConfig")
    key = config["KmsKeyId"]
    assert ":key/" in key
    assert config["DataCaptureConfig"] == {
        "EnableCapture": True,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": f"s3://{NAMES.bucket('capture')}/capture",
        "KmsKeyId": key,
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"]},
    }


def test_an_instance_type_with_disks_of_its_own_gets_no_volume_key(templates: dict[str, Template]) -> None:
    (config,) = properties(templates["own disks"], "AWS::SageMaker::EndpointConfig")
    assert "KmsKeyId" not in config
    assert ":key/" in config["DataCaptureConfig"]["KmsKeyId"]


# -- conditions --------------------------------------------------------------------------------------


def holds(template: Template, condition: str, release: list[str]) -> bool:
    """A condition of the template, for a value of the release record."""

    def value(node: Any) -> Any:
        if isinstance(node, dict):
            ((function, argument),) = node.items()
            computed = {
                "Ref": lambda: release,
                "Fn::Select": lambda: value(argument[1])[int(argument[0])],
                "Fn::Equals": lambda: value(argument[0]) == value(argument[1]),
                "Fn::Not": lambda: not value(argument[0]),
            }
            return computed[function]()
        return node

    return bool(value(template.to_json()["Conditions"][condition]))


@pytest.mark.parametrize(
    ("release", "has_release", "has_challenger"),
    [(["none", "none"], False, False), (["arn:1", "arn:1"], True, False), (["arn:1", "arn:2"], True, True)],
)
def test_conditions_follow_the_record(template: Template, release: list[str], has_release: bool, has_challenger: bool) -> None:
    assert holds(template, "HasRelease", release) is has_release
    assert holds(template, "HasChallenger", release) is has_challenger


def test_without_a_release_everything_is_there_but_hosting_and_what_hangs_on_it(template: Template) -> None:
    resources = template.to_json()["Resources"]
    conditional = sorted(item["Type"] for item in resources.values() if item.get("Condition") == "HasRelease")
    assert conditional == [
        *["AWS::ApplicationAutoScaling::ScalableTarget"] * 2,
        *["AWS::ApplicationAutoScaling::ScalingPolicy"] * 2,
        *["AWS::CloudWatch::Alarm"] * 4,
        "AWS::SageMaker::Endpoint",
        "AWS::SageMaker::EndpointConfig",
        *["AWS::SageMaker::Model"] * 2,
    ]
    assert {item["Condition"] for item in resources.values() if "Condition" in item} == {"HasRelease"}
    unconditional = {name for name, item in resources.items() if "Condition" not in item}
    dangling = [name for name in unconditional for other in set(resources) - unconditional if f'"{other}"' in json.dumps(resources[name])]
    assert dangling == []


# -- updates and alarms ------------------------------------------------------------------------------


def metrics_of(alarm: dict[str, Any]) -> list[dict[str, Any]]:
    """Metric name, dimensions, statistic and period of every metric behind an alarm."""
    given = alarm["Properties"]
    if "Metrics" in given:
        stats = [entry["MetricStat"] for entry in given["Metrics"] if "MetricStat" in entry]
        rows = [{**stat["Metric"], "Statistic": stat["Stat"], "Period": stat["Period"]} for stat in stats]
    else:
        rows = [{**given, "Statistic": given.get("ExtendedStatistic") or given["Statistic"]}]
    return [{**row, "Dimensions": {item["Name"]: item["Value"] for item in row["Dimensions"]}} for row in rows]


def name_of(template: Template, alarm: dict[str, Any]) -> str:
    return str(resolve(template.to_json(), alarm["Properties"]["AlarmName"]))


@pytest.mark.parametrize("name", CHOICES)
def test_an_update_is_rolled_back_by_the_new_fleets_alarms_and_by_no_other(templates: dict[str, Template], name: str) -> None:
    template, prefix = templates[name], names_of(CHOICES[name]).prefix
    green = variant_alarms(template, green=True)
    listed = only(template, "AWS::SageMaker::Endpoint")["Properties"]["DeploymentConfig"]["AutoRollbackConfiguration"]["Alarms"]
    assert sorted(item["AlarmName"]["Ref"] for item in listed) == sorted(green)  # by Ref, so they are there before the update
    watched = {(metric["Dimensions"]["VariantName"], metric["MetricName"]) for alarm in green.values() for metric in metrics_of(alarm)}
    names = {"InvocationModelErrors", "Invocations", "ModelLatency"}
    assert watched == {(variant, metric) for variant in ("champion", "challenger") for metric in names}
    for alarm in green.values():
        for metric in metrics_of(alarm):
            assert metric["Dimensions"]["EndpointConfigName"] == NEW_FLEET
            assert metric["Dimensions"]["EndpointName"] == prefix  # literal: the endpoint refers to the alarms


def test_a_new_fleet_gets_new_alarms_so_no_state_of_the_last_one_is_left(template: Template) -> None:
    names = sorted(name_of(template, alarm) for alarm in variant_alarms(template, green=True).values())
    config = str(resolve(template.to_json(), NEW_FLEET))
    assert names == [
        f"{NAMES.rollback_alarms(variant)}{measure}-{config}" for variant in ("challenger", "champion") for measure in ("errors", "latency")
    ]
    assert max(len(name) for name in names) - len(config) + 63 <= 255


def test_operating_alarms_watch_a_variant_whatever_fleet_serves_it(template: Template) -> None:
    found = {name_of(template, alarm): alarm for alarm in variant_alarms(template, green=False).values()}
    wanted = {alarm: variant for variant in ("champion", "challenger") for alarm in NAMES.operating_alarms(variant)}
    assert set(found) == set(wanted)
    for name, alarm in found.items():
        assert "Condition" not in alarm
        for metric in metrics_of(alarm):
            assert metric["Dimensions"] == {"EndpointName": NAMES.endpoint, "VariantName": wanted[name]}


def test_every_alarm_of_the_stack_tells_the_topic_and_takes_silence_for_health(template: Template) -> None:
    alarms = properties(template, "AWS::CloudWatch::Alarm")
    assert len(alarms) == 14
    for alarm in alarms:
        assert alarm["AlarmActions"] == [arn("sns", NAMES.alert_topic)]
        assert alarm["TreatMissingData"] == "notBreaching"
        assert alarm["ComparisonOperator"] == "GreaterThanThreshold"


def test_thresholds_come_from_the_settings_in_the_metrics_units(template: Template) -> None:
    shift = DEV.hosting.fleet_shift
    for alarm in (*variant_alarms(template, green=True).values(), *variant_alarms(template, green=False).values()):
        given = alarm["Properties"]
        latency = "ModelLatency" in str(given)
        assert given["Threshold"] == (shift.max_latency_ms * 1_000 if latency else shift.max_error_rate)
        assert given["EvaluationPeriods"] == shift.alarm_evaluation_periods
        assert {metric["Period"] for metric in metrics_of(alarm)} == {shift.alarm_period_seconds}
        assert {metric["Statistic"] for metric in metrics_of(alarm)} == ({"p90"} if latency else {"Sum"})


@pytest.mark.parametrize(
    ("errors", "invocations", "share"),
    [
        (5.0, 100.0, 0.05),
        (100.0, 100.0, 1.0),
        (None, 100.0, 0.0),
        (None, None, None),  # no traffic: no datapoint
    ],
)
def test_the_failed_share_counts_each_failure_once(
    template: Template, errors: float | None, invocations: float | None, share: float | None
) -> None:
    """By the one metric that sees a hung container; it holds 4xx and 5xx too, so these are not added."""
    failing = [alarm for alarm in template.find_resources("AWS::CloudWatch::Alarm").values() if "InvocationModelErrors" in str(alarm)]
    assert len(failing) == 4  # of either variant: whatever fleet serves, and the new fleet
    for alarm in failing:
        entries = alarm["Properties"]["Metrics"]
        (expression,) = (entry["Expression"] for entry in entries if "Expression" in entry)
        by_metric = {"InvocationModelErrors": errors, "Invocations": invocations}
        series = {entry["Id"]: (by_metric[entry["MetricStat"]["Metric"]["MetricName"]],) for entry in entries if "MetricStat" in entry}
        assert expressions.evaluate(expression, series, {}, 1) == (share,)


@pytest.mark.parametrize("name", CHOICES)
def test_an_alarm_can_go_off_while_the_new_fleet_bakes(templates: dict[str, Template], name: str) -> None:
    policy = only(templates[name], "AWS::SageMaker::Endpoint")["Properties"]["DeploymentConfig"]["BlueGreenUpdatePolicy"]
    routing = policy["TrafficRoutingConfiguration"]
    bake = policy["TerminationWaitInSeconds"] if routing["Type"] == "ALL_AT_ONCE" else routing["WaitIntervalInSeconds"]
    for alarm in variant_alarms(templates[name], green=True).values():
        assert alarm["Properties"]["EvaluationPeriods"] * max(metric["Period"] for metric in metrics_of(alarm)) <= bake


@pytest.mark.parametrize(
    ("name", "kind", "size"), [("dev", "CANARY", "CanarySize"), ("linear", "LINEAR", "LinearStepSize"), ("at once", "ALL_AT_ONCE", None)]
)
def test_a_fleet_shift_has_the_size_that_its_type_takes(templates: dict[str, Template], name: str, kind: str, size: str | None) -> None:
    policy = only(templates[name], "AWS::SageMaker::Endpoint")["Properties"]["DeploymentConfig"]["BlueGreenUpdatePolicy"]
    routing = policy["TrafficRoutingConfiguration"]
    assert routing["Type"] == kind
    sizes = {key: value for key, value in routing.items() if key.endswith("Size")}
    assert sizes == ({size: {"Type": "CAPACITY_PERCENT", "Value": 50}} if size else {})


# -- scaling -----------------------------------------------------------------------------------------


def test_each_variant_scales_by_its_own_invocations(template: Template) -> None:
    targets = properties(template, "AWS::ApplicationAutoScaling::ScalableTarget")
    policies = properties(template, "AWS::ApplicationAutoScaling::ScalingPolicy")
    resources = {f"endpoint/{NAMES.endpoint}/variant/{variant}" for variant in ("champion", "challenger")}
    for rows in (targets, policies):
        assert {row["ResourceId"] for row in rows} == resources
        assert {(row["ServiceNamespace"], row["ScalableDimension"]) for row in rows} == {
            ("sagemaker", "sagemaker:variant:DesiredInstanceCount")
        }
    assert {(target["MinCapacity"], target["MaxCapacity"]) for target in targets} == {(2, 3)}
    scaling = DEV.hosting.scaling
    assert scaling is not None
    for policy in policies:
        assert policy["TargetTrackingScalingPolicyConfiguration"] == {
            "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
            "TargetValue": scaling.invocations_per_instance_per_minute,
            "ScaleInCooldown": scaling.scale_in_cooldown_seconds,
            "ScaleOutCooldown": scaling.scale_out_cooldown_seconds,
        }


def test_concurrency_is_the_load_by_choice_and_only_the_champion_has_floors(templates: dict[str, Template]) -> None:
    for policy in properties(templates["scaled by concurrency"], "AWS::ApplicationAutoScaling::ScalingPolicy"):
        tracking = policy["TargetTrackingScalingPolicyConfiguration"]
        metric = {"PredefinedMetricType": "SageMakerVariantConcurrentRequestsPerModelHighResolution"}
        assert (tracking["PredefinedMetricSpecification"], tracking["TargetValue"]) == (metric, 1.5)
    targets = properties(templates["scaled by concurrency"], "AWS::ApplicationAutoScaling::ScalableTarget")
    actions = {target["ResourceId"].rsplit("/", 1)[1]: target.get("ScheduledActions") for target in targets}
    assert actions["challenger"] is None
    assert [(action["Schedule"], action["ScalableTargetAction"]) for action in actions["champion"]] == [
        ("cron(0 7 ? * MON-FRI *)", {"MinCapacity": 4}), ("cron(0 19 ? * MON-FRI *)", {"MinCapacity": 2}),
    ]  # fmt: skip


def test_scaling_comes_after_the_endpoint_and_goes_before_it(template: Template) -> None:
    for logical_id, target in template.find_resources("AWS::ApplicationAutoScaling::ScalableTarget").items():
        assert target["DependsOn"] == ["Endpoint"]
        policies = template.find_resources("AWS::ApplicationAutoScaling::ScalingPolicy", {"DependsOn": [logical_id]})
        assert len(policies) == 1


def test_without_scaling_nothing_scales(templates: dict[str, Template]) -> None:
    templates["at once"].resource_count_is("AWS::ApplicationAutoScaling::ScalableTarget", 0)
    templates["at once"].resource_count_is("AWS::ApplicationAutoScaling::ScalingPolicy", 0)


# -- audits ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["dev", "prod", "vpc"])
def test_no_finding_is_left_unanswered(name: str) -> None:
    assert findings(EndpointStack, CHOICES[name]) == []


def test_the_same_settings_give_the_same_template(template: Template) -> None:
    assert Template.from_stack(EndpointStack(new_app(), DEV)).to_json() == template.to_json()
