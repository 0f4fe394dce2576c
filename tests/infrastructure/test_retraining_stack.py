"""The retraining stack: what starts it, what it starts, with which grants, and that nothing is lost on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from apps import findings, new_app, template_of
from aws_cdk.assertions import Match, Template
from deployed_definition import ACCOUNT, definition, names_of, resolve, stage_names

from contracts.shared_words import LABELS_BY_DAY
from lambdas.common.environment import read_environment
from lambdas.retraining.freeze_dataset import handler as freeze_handler
from lambdas.tuning.plan_tuning.plan import read_input
from stacks.names import PREDICTION_INDEXES
from stacks.retraining import RetrainingStack
from stacks.settings import Settings, load_settings
from stacks.settings.dataset import DatasetSettings

NAMES = stage_names("dev")
EARLIER_JOB = f"{NAMES.prefix}-0a1b2c3d"
SETTINGS = Path(__file__).resolve().parents[2] / "settings"
DEV, PROD = (load_settings(SETTINGS / f"{stage}.yaml") for stage in ("dev", "prod"))
QUIET = DEV.model_copy(update={"retraining": DEV.retraining.model_copy(update={"on_drift": False})})
TEAM_KEY = "arn:aws:kms:us-east-1:999999999999:key/0a1b2c3d"
ELSEWHERE = DEV.model_copy(update={"dataset": DatasetSettings(uri="s3://team-data/texts/v1", kms_key_arn=TEAM_KEY)})


@pytest.fixture(scope="module")
def template() -> Template:
    return template_of(RetrainingStack, DEV)


@pytest.fixture(scope="module")
def manual() -> Template:
    return template_of(RetrainingStack, PROD)


def grants(template: Template, role: str) -> dict[str, set[str]]:
    """Action -> resources of the role whose logical id begins so."""
    document, found = template.to_json(), {}
    for policy in template.find_resources("AWS::IAM::Policy").values():
        if any(item["Ref"].startswith(role) for item in policy["Properties"]["Roles"]):
            for statement in resolve(document, policy["Properties"]["PolicyDocument"]["Statement"]):
                actions, resources = (
                    value if isinstance(value, list) else [value] for value in (statement["Action"], statement["Resource"])
                )
                for action in actions:
                    found.setdefault(action, set()).update(resources)
    assert found, f"no policy for {role}"
    return found


def variables(template: Template, function: str) -> dict[str, Any]:
    (found,) = (
        item["Properties"]["Environment"]["Variables"]
        for item in template.find_resources("AWS::Lambda::Function").values()
        if item["Properties"]["FunctionName"] == function
    )
    return dict(resolve(template.to_json(), found))


# -- the machine -------------------------------------------------------------------------------------


def test_the_tuning_gets_an_input_that_its_plan_takes(template: Template) -> None:
    parameters = definition(template)["States"]["Tune"]["Parameters"]
    assert parameters["StateMachineArn"].endswith(f":stateMachine:{NAMES.state_machine('tuning')}")
    filled = {
        "dataset_uri": "s3://data/datasets/v", "warm_start_parents": [EARLIER_JOB], "reason": "drift",
        "AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID": "arn:x",
    }  # fmt: skip
    raw = {
        key.removesuffix(".$"): filled[key.removesuffix(".$")] if key.endswith(".$") else value
        for key, value in parameters["Input"].items()
    }
    planned = read_input(raw, current_dataset="none", default_jobs=99)
    assert planned.max_jobs == DEV.tuning.retraining.max_jobs
    assert planned.continue_from_champion
    assert planned.warm_start_parents == (EARLIER_JOB,)


def test_the_best_new_model_challenges_the_running_champion(template: Template) -> None:
    rollout = definition(template)["States"]["Rollout"]
    assert rollout["Resource"] == "arn:aws:states:::states:startExecution.sync:2"
    assert rollout["Parameters"]["Input"]["champion.$"] == "$.plan.champion"
    assert rollout["Parameters"]["Input"]["challenger.$"] == "$.tuning.output.packages[0].model_package_arn"


def test_the_output_is_the_contracts(template: Template, manual: Template) -> None:
    finish = definition(template)["States"]["Finish"]
    assert finish["End"] is True
    given = {"dataset_version", "rows", "labels", "reference", "packages", "rollout"}
    assert {key.removesuffix(".$") for key in finish["Parameters"]} == given
    waiting = definition(manual)["States"]["AwaitApproval"]
    assert {key.removesuffix(".$") for key in waiting["Parameters"]} == given
    assert waiting["End"] is True
    assert waiting["Parameters"]["rollout"]["outcome"] == "awaiting_approval"
    assert stage_names("prod").state_machine("rollout") in waiting["Parameters"]["rollout"]["reason"]


def test_with_manual_approval_nothing_is_rolled_out_and_no_right_to_is_there(manual: Template) -> None:
    assert "Rollout" not in definition(manual)["States"]
    started = grants(manual, "MachineRole")["states:StartExecution"]
    assert {arn.rsplit(":", 1)[-1] for arn in started} == {stage_names("prod").state_machine("tuning")}


@pytest.mark.parametrize("step", ["Plan", "Dataset"])
def test_a_step_that_skips_ends_the_execution_with_its_reason(template: Template, step: str) -> None:
    states = definition(template)["States"]
    (branch,) = states[f"Skipped{step}"]["Choices"]
    assert branch == {"Variable": f"$.{step.lower()}.skipped", "IsPresent": True, "Next": f"Skip{step}"}
    assert states[f"Skip{step}"]["Parameters"] == {"skipped.$": f"$.{step.lower()}.skipped"}
    assert states[f"Skip{step}"]["End"] is True


def test_the_machine_may_start_watch_and_stop_the_two_others_only(template: Template) -> None:
    found = grants(template, "MachineRole")
    prefix = f"arn:aws:states:us-east-1:{ACCOUNT}"
    assert found["states:StartExecution"] == {f"{prefix}:stateMachine:{NAMES.state_machine(part)}" for part in ("tuning", "rollout")}
    for action in ("states:DescribeExecution", "states:StopExecution"):
        assert found[action] == {f"{prefix}:execution:{NAMES.state_machine(part)}:*" for part in ("tuning", "rollout")}
    assert found["events:PutRule"] == {f"arn:aws:events:us-east-1:{ACCOUNT}:rule/StepFunctionsGetEventsForStepFunctionsExecutionRule"}


@pytest.mark.parametrize(("state", "part"), [("Tune", "tuning"), ("Rollout", "rollout")])
def test_a_fault_of_step_functions_is_tried_again_and_starts_no_second_execution(template: Template, state: str, part: str) -> None:
    """StartExecution with a running execution's name and input answers with that one; a redrive needs another name."""
    task = definition(template)["States"][state]
    (retry,) = task["Retry"]
    assert retry["ErrorEquals"] == ["StepFunctions.AWSStepFunctionsException", "StepFunctions.ExecutionLimitExceededException"]
    assert "States.TaskFailed" not in retry["ErrorEquals"]  # the other machine's own failure is its answer
    name = task["Parameters"]["Name.$"]
    assert name == f"States.Format('{part}-{{}}-{{}}', States.Hash($$.Execution.Id, 'SHA-1'), $$.Execution.RedriveCount)"


# -- triggers ----------------------------------------------------------------------------------------


def rules(template: Template) -> dict[str, dict[str, Any]]:
    return {item["Properties"]["Name"]: item["Properties"] for item in template.find_resources("AWS::Events::Rule").values()}


def test_the_schedule_and_the_drift_alarm_ask_and_what_they_cannot_deliver_is_kept(template: Template) -> None:
    found = rules(template)
    drift, schedule = found[NAMES.rule("retrain-on-drift")], found[NAMES.rule("decide-retraining-schedule")]
    assert schedule["ScheduleExpression"] == f"rate({DEV.retraining.check_minutes} minutes)"
    assert drift["EventPattern"] == {
        "source": ["aws.cloudwatch"],
        "detail-type": ["CloudWatch Alarm State Change"],
        "detail": {"alarmName": [NAMES.alarm("drift")], "state": {"value": ["ALARM"]}},
    }
    for rule in (drift, schedule):
        (target,) = rule["Targets"]
        assert target["DeadLetterConfig"]["Arn"]
        assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 3_600, "MaximumRetryAttempts": 2}


def test_dead_letters_of_both_rules_and_of_the_function_ring_an_alarm(template: Template) -> None:
    template.has_resource_properties(
        "AWS::CloudWatch::Alarm", {"AlarmName": NAMES.alarm("decide-retraining-dlq-not-empty"), "AlarmActions": Match.any_value()}
    )
    template.has_resource_properties(
        "AWS::Lambda::EventInvokeConfig",
        {"DestinationConfig": {"OnFailure": {"Destination": Match.any_value()}}, "MaximumRetryAttempts": 2},
    )
    policies = [item["Properties"]["PolicyDocument"]["Statement"] for item in template.find_resources("AWS::SQS::QueuePolicy").values()]
    sources = [str(item["Condition"]["ArnEquals"]) for items in policies for item in items if item.get("Condition", {}).get("ArnEquals")]
    assert len(sources) == 3  # the third tells of a failed execution
    for rule in ("DriftRule", "LabelsScheduleRule", "MachineFailureRule"):
        assert sum(rule in source for source in sources) == 1


def test_each_rule_may_invoke_the_function_and_nothing_else_may(template: Template) -> None:
    permissions = [item["Properties"] for item in template.find_resources("AWS::Lambda::Permission").values()]
    assert {item["Principal"] for item in permissions} == {"events.amazonaws.com"}
    assert all(item["SourceArn"] for item in permissions)
    assert len(permissions) == 2


def test_without_on_drift_only_the_schedule_asks() -> None:
    assert set(rules(template_of(RetrainingStack, QUIET))) == {
        NAMES.rule("decide-retraining-schedule"),
        NAMES.rule("retraining-failed"),
    }


# -- grants ------------------------------------------------------------------------------------------


def test_freezing_writes_versions_and_the_one_parameter(template: Template) -> None:
    found = grants(template, "FreezeDatasetRole")
    bucket = NAMES.bucket_arn("data")
    assert found["s3:PutObject"] == {f"{bucket}/datasets/*", f"{bucket}/freezes/*"}
    assert found["ssm:PutParameter"] == {NAMES.arn("ssm", f"parameter{NAMES.parameter('dataset')}")}


def test_freezing_reads_the_captured_texts_and_their_subjects(template: Template) -> None:
    found = grants(template, "FreezeDatasetRole")
    captured = NAMES.bucket_arn("capture", f"capture/{NAMES.endpoint}/*")
    assert {arn for arn in found["s3:GetObject"] if "-capture-" in arn} == {captured}
    assert not [arn for arn in found["s3:PutObject"] if "-capture-" in arn]
    assert {action for action in found if action.startswith("dynamodb:")} == {"dynamodb:Query", "dynamodb:BatchGetItem"}
    (table,) = found["dynamodb:BatchGetItem"]
    assert table.endswith(f":table/{NAMES.predictions_table}")


@pytest.mark.parametrize("settings", [DEV, PROD], ids=["dev", "prod"])
def test_the_functions_get_the_variables_they_read(settings: Settings) -> None:
    found = template_of(RetrainingStack, settings)
    given = variables(found, names_of(settings).function("freeze-dataset"))
    environment = read_environment(freeze_handler.Environment, given)
    assert environment.reference_predictions == settings.drift.reference_predictions
    assert environment.holdout_share == settings.retraining.holdout_share
    assert environment.endpoint_name == names_of(settings).endpoint
    assert environment.capture_bucket == names_of(settings).bucket("capture")


@pytest.mark.parametrize("role", ["FreezeDatasetRole", "DecideRetrainingRole"])
def test_labels_are_read_through_their_index_only(template: Template, role: str) -> None:
    assert LABELS_BY_DAY in PREDICTION_INDEXES
    (resource,) = grants(template, role)["dynamodb:Query"]
    assert resource.endswith(f":table/{NAMES.predictions_table}/index/{LABELS_BY_DAY}")


def test_deciding_reads_and_starts_this_machine_and_changes_nothing(template: Template) -> None:
    found = grants(template, "DecideRetrainingRole")
    own = {action for action in found if not action.startswith(("logs:", "xray:", "sqs:", "kms:"))}
    states = {f"states:{action}" for action in ("StartExecution", "ListExecutions", "DescribeExecution")}
    assert own == {"ssm:GetParameter", "s3:GetObject", "dynamodb:Query", *states}
    assert found["states:DescribeExecution"] == {
        f"arn:aws:states:us-east-1:{ACCOUNT}:execution:{NAMES.state_machine('retraining')}:labels-*"
    }


def test_planning_only_looks(template: Template) -> None:
    own = {action for action in grants(template, "PlanRetrainingRole") if not action.startswith(("logs:", "xray:"))}
    assert own == {"ssm:GetParameter", "sagemaker:DescribeModelPackage"}


@pytest.mark.parametrize("role", ["FreezeDatasetRole", "DecideRetrainingRole"])
def test_a_first_version_in_the_teams_own_bucket_can_be_read_not_written(role: str) -> None:
    found = grants(template_of(RetrainingStack, ELSEWHERE), role)
    assert "arn:aws:s3:::team-data/texts/v1/*" in found["s3:GetObject"]
    assert not [arn for arn in found.get("s3:PutObject", ()) if "team-data" in arn]
    assert {action for action, resources in found.items() if TEAM_KEY in resources} == {"kms:Decrypt"}


# -- audits ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [DEV, PROD, ELSEWHERE], ids=["dev", "prod", "own dataset"])
def test_no_finding_is_left_unanswered(settings: Settings) -> None:
    assert findings(RetrainingStack, settings) == []


def test_the_same_settings_give_the_same_template(template: Template) -> None:
    assert Template.from_stack(RetrainingStack(new_app(), DEV)).to_json() == template.to_json()
