"""The labelling stack: a job that Ground Truth accepts, under a role that can do just that job."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import botocore.session
import botocore.validate
import pytest
from apps import findings, new_app, template_of
from aws_cdk.assertions import Template
from deployed_definition import each, fill_in, grants, properties, stage_names

from lambdas.common.environment import read_environment
from lambdas.labeling.check_manifest.handler import Environment
from stacks.constructs import worker_page
from stacks.labeling import LabelingStack
from stacks.settings import load_settings

NAMES = stage_names("dev")
DEV = load_settings(Path(__file__).resolve().parents[2] / "settings" / "dev.yaml")


@pytest.fixture(scope="module")
def template() -> Template:
    return template_of(LabelingStack, DEV)


def resources(template: Template, kind: str) -> dict[str, dict[str, Any]]:
    return {name: resource["Properties"] for name, resource in template.find_resources(kind).items()}


def resolve(value: Any, template: Template) -> str:
    """A template value with stand-ins for what only a deployment knows."""
    if isinstance(value, str):
        return value
    [(function, argument)] = value.items()
    if function == "Fn::Join":
        return "".join(resolve(part, template) for part in argument[1])
    if function == "Fn::Sub":
        return str(argument).replace("${AWS::AccountId}", "123456789012")
    if function == "Fn::GetAtt":
        kind = template.to_json()["Resources"][argument[0]]["Type"]
        stand_ins = {
            "AWS::IAM::Role": "arn:aws:iam::123456789012:role/job",
            "AWS::Lambda::Function": f"arn:aws:lambda:us-east-1:123456789012:function:{argument[0]}",
        }
        return stand_ins[kind]
    known = {"AWS::AccountId": "123456789012", "AWS::Partition": "aws"}
    if "workteamarn" in argument:
        return "arn:aws:sagemaker:us-east-1:123456789012:workteam/private-crowd/reviewers"
    return known.get(argument, "arn:aws:kms:us-east-1:123456789012:key/0a1b")


@pytest.fixture(scope="module")
def definition(template: Template) -> dict[str, Any]:
    [machine] = resources(template, "AWS::StepFunctions::StateMachine").values()
    parsed: dict[str, Any] = json.loads(resolve(machine["DefinitionString"], template))
    return parsed


def job_request(definition: dict[str, Any]) -> dict[str, Any]:
    """The CreateLabelingJob request of an execution ``{"manifest_uri", "name": "first"}``."""
    parameters: dict[str, Any] = json.loads(json.dumps(definition["States"]["LabelTexts"]["Parameters"]))
    return fill_in(
        parameters,
        {
            "job_name": f"{NAMES.prefix}-first",
            "manifest_uri": f"s3://{NAMES.bucket('data')}/manifests/first.jsonl",
            "page_uri": f"s3://{NAMES.bucket('data')}/labeling-inputs/0a1b/worker-template.liquid",
            "categories_uri": f"s3://{NAMES.bucket('data')}/labeling-inputs/0a1b/categories.json",
        },
    )


def patterns(shape: Any, value: Any, path: str = "") -> list[str]:
    """Strings that break the service model's patterns, which botocore does not check."""
    if shape.type_name == "structure":
        return [problem for key, item in value.items() for problem in patterns(shape.members[key], item, f"{path}.{key}")]
    if shape.type_name == "list":
        return [problem for item in value for problem in patterns(shape.member, item, f"{path}[]")]
    pattern = shape.metadata.get("pattern")
    return [f"{path}: {value}"] if pattern and not re.fullmatch(pattern, value) else []


def test_ground_truth_accepts_the_request(definition: dict[str, Any]) -> None:
    request = job_request(definition)
    shape = botocore.session.get_session().get_service_model("sagemaker").operation_model("CreateLabelingJob").input_shape
    assert botocore.validate.ParamValidator().validate(request, shape).generate_report() == ""
    assert patterns(shape, request) == []
    assert not request["LabelAttributeName"].endswith(("-metadata", "-ref"))


def test_people_are_asked_as_the_settings_say(definition: dict[str, Any]) -> None:
    task = job_request(definition)["HumanTaskConfig"]
    assert task["NumberOfHumanWorkersPerDataObject"] == DEV.labeling.workers_per_object
    assert task["TaskTimeLimitInSeconds"] == DEV.labeling.task_time_limit_seconds
    assert set(task["UiConfig"]) == {"UiTemplateS3Uri"}


def job_role(template: Template) -> dict[str, set[str]]:
    return grants(template, "JobRole")


def test_the_jobs_role_has_what_aws_documents_and_nothing_in_a_bucket_of_others(template: Template) -> None:
    """SageMaker developer guide: sms-security-permission-execution-role, sms-security-kms-permissions."""
    found = job_role(template)
    data, review = (NAMES.bucket_arn(purpose) for purpose in ("data", "review"))
    assert {action: found[action] for action in found if action.startswith("s3:")} == {
        "s3:GetObject": {f"{data}/manifests/*", f"{data}/labeling-inputs/*", f"{review}/labeling/*"},
        **each(["s3:PutObject", "s3:AbortMultipartUpload"], f"{review}/labeling/*"),
        **each(["s3:ListBucket", "s3:GetBucketLocation"], data, review),
    }
    assert {"kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"} <= set(found)
    assert found["cloudwatch:PutMetricData"] == {"*"}


def test_a_deploy_with_another_page_leaves_running_jobs_what_they_read(
    template: Template, definition: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old definition goes on in running executions; its job reads page and categories under the new stack's role."""
    (tmp_path / "page.liquid").write_text(worker_page.TEMPLATE.read_text() + "<!-- another -->")
    monkeypatch.setattr(worker_page, "TEMPLATE", tmp_path / "page.liquid")
    after = Template.from_stack(LabelingStack(new_app(), DEV))
    assert job_role(after) == job_role(template)
    for uri in (
        job_request(definition)["HumanTaskConfig"]["UiConfig"]["UiTemplateS3Uri"],
        job_request(definition)["LabelCategoryConfigS3Uri"],
    ):
        path = uri.removeprefix("s3://")
        assert any(fnmatchcase(f"arn:aws:s3:::{path}", pattern) for pattern in job_role(after)["s3:GetObject"])
    assert "assets" not in json.dumps(definition["States"]["LabelTexts"])
    payload = definition["States"]["CheckManifest"]["Parameters"]
    monkeypatch.undo()
    assert payload["page"] == worker_page.worker_page(DEV.review.guidelines)


def test_the_check_reads_what_the_stack_gives_it(template: Template) -> None:
    [variables] = [
        item["Environment"]["Variables"]
        for item in properties(template, "AWS::Lambda::Function")
        if item["FunctionName"] == NAMES.function("check-manifest")
    ]
    data = f"s3://{NAMES.bucket('data')}"
    assert read_environment(Environment, variables) == Environment(
        NAMES.prefix,
        "label",
        DEV.dataset.max_text_chars,
        f"{data}/labeling-inputs/",
        NAMES.parameter("dataset"),
        cannot_tell=DEV.review.cannot_tell,
    )
    assert DEV.review.cannot_tell


def test_the_input_is_checked_before_anybody_is_asked(definition: dict[str, Any]) -> None:
    check = definition["States"][definition["StartAt"]]
    [choice] = check["Choices"]
    assert {(rule["Variable"], *(key for key in rule if key != "Variable")) for rule in choice["And"]} == {
        ("$.name", "IsString"),
        ("$.manifest_uri", "IsString"),
        ("$.manifest_uri", "StringMatches"),
    }
    assert definition["States"][check["Default"]]["Error"] == "InvalidInput"
    assert choice["Next"] == "CheckManifest"
    assert definition["States"]["CheckManifest"]["Next"] == "LabelTexts"


def test_a_job_that_does_not_complete_fails_with_its_own_words_after_its_labels_are_imported(definition: dict[str, Any]) -> None:
    [caught] = definition["States"]["LabelTexts"]["Catch"]
    assert (caught["ErrorEquals"], caught["ResultPath"]) == (["States.TaskFailed"], "$.failure")
    rescue = definition["States"][caught["Next"]]
    parameters = rescue["Parameters"]
    assert parameters["completed"] is False
    assert parameters["manifest_uri.$"] == (
        f"States.Format('s3://{NAMES.bucket('review')}/labeling/{{}}/manifests/output/output.manifest', $.job_name)"
    )
    end = definition["States"][rescue["Next"]]
    assert (end["Type"], end["ErrorPath"], end["CausePath"]) == ("Fail", "$.failure.Error", "$.failure.Cause")


def test_a_throttled_start_of_the_job_is_tried_again_by_the_name_that_step_functions_gives_the_error(definition: dict[str, Any]) -> None:
    """Step Functions puts the service's name before the error's; without it a name matches nothing."""
    [retry] = definition["States"]["LabelTexts"]["Retry"]
    assert "SageMaker.ThrottlingException" in retry["ErrorEquals"]
    assert all(error.startswith("SageMaker.") for error in retry["ErrorEquals"])


def test_the_labels_of_the_finished_job_are_imported(definition: dict[str, Any]) -> None:
    job = definition["States"]["LabelTexts"]
    assert job["Resource"] == "arn:aws:states:::sagemaker:createLabelingJob.sync"
    assert job["ResultSelector"] == {
        "job_name.$": "$.LabelingJobName",
        "manifest_uri.$": "$.LabelingJobOutput.OutputDatasetS3Uri",
        "attribute.$": "$.LabelAttributeName",
    }
    described = botocore.session.get_session().get_service_model("sagemaker").operation_model("DescribeLabelingJob").output_shape
    assert {"LabelingJobName", "LabelingJobOutput", "LabelAttributeName"} <= set(described.members)
    assert job["Next"] == "ImportLabels"
    assert definition["States"]["ImportLabels"]["End"] is True


def test_ground_truth_may_invoke_its_two_functions_from_this_account_only(template: Template) -> None:
    functions = resources(template, "AWS::Lambda::Function")
    permissions = [p for p in resources(template, "AWS::Lambda::Permission").values() if p["Principal"] == "sagemaker.amazonaws.com"]
    assert all(permission["SourceAccount"] == {"Ref": "AWS::AccountId"} for permission in permissions)
    named = {functions[permission["FunctionName"]["Fn::GetAtt"][0]]["FunctionName"] for permission in permissions}
    assert named == {NAMES.function("SageMaker-pre-annotation"), NAMES.function("SageMaker-consolidate-annotations")}


def test_the_machine_can_stop_its_job_and_passes_the_jobs_role_to_sagemaker_only(template: Template) -> None:
    machine = [
        statement
        for policy in resources(template, "AWS::IAM::Policy").values()
        if any(role["Ref"].startswith("MachineRole") for role in policy["Roles"])
        for statement in policy["PolicyDocument"]["Statement"]
    ]
    [jobs] = [s for s in machine if "sagemaker:CreateLabelingJob" in s["Action"]]
    assert {"sagemaker:DescribeLabelingJob", "sagemaker:StopLabelingJob"} <= set(jobs["Action"])
    assert resolve(jobs["Resource"], template).endswith(f":labeling-job/{NAMES.prefix}-*")
    [passing] = [s for s in machine if s["Action"] == "iam:PassRole"]
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    assert passing["Resource"]["Fn::GetAtt"][0].startswith("JobRole")


def test_an_execution_that_does_not_succeed_is_told(template: Template) -> None:
    [rule] = resources(template, "AWS::Events::Rule").values()
    assert rule["EventPattern"]["source"] == ["aws.states"]
    assert rule["EventPattern"]["detail"]["status"] == ["FAILED", "TIMED_OUT", "ABORTED"]
    assert resolve(rule["Targets"][0]["Arn"], template).endswith(f":{NAMES.alert_topic}")


def test_no_unanswered_finding() -> None:
    assert findings(LabelingStack, DEV) == []
