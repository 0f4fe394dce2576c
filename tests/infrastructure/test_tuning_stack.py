"""The tuning stack: requests that SageMaker takes, isolated and encrypted jobs, exact grants, no path that ends unnoticed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from apps import findings, new_app
from aws_cdk.assertions import Match, Template
from deployed_definition import definition, fill_in, problems, resolve, stage_names
from tuning_choices import CHAMPION, DEV, EARLIER_JOB, HYPERBAND, PROD, VARIANTS, changed, granted, planned, resources_of, tuning_template

from embedded_aws.step_functions.fields import refused
from lambdas.tuning.plan_tuning.plan import job_name
from lambdas.tuning.plan_tuning.warm_start import Following, choose
from lambdas.tuning.register_candidates.registration import package_request
from lambdas.tuning.select_candidates.selection import evaluation_job_name, processing_inputs
from stacks.constructs.passing_faults import AWS_FAULTS
from stacks.constructs.state_machine import CRASHES, LAMBDA_FAULTS
from stacks.durations import longest_tuning_hours
from stacks.images import NoImage, has_local_storage, inference_image, training_image, volume_key
from stacks.settings import Settings
from stacks.tuning import TuningStack
from stacks.tuning_jobs import OBJECTIVE

NAMES = stage_names("dev")


@pytest.fixture(scope="module")
def templates() -> dict[str, Template]:
    return {name: tuning_template(settings) for name, settings in VARIANTS.items()}


@pytest.fixture(scope="module")
def template(templates: dict[str, Template]) -> Template:
    return templates["dev"]


# -- requests ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize(("state", "parents"), [("Tune", []), ("TuneFromParents", [EARLIER_JOB])])
def test_sagemaker_takes_the_tuning_request(templates: dict[str, Template], name: str, state: str, parents: list[str]) -> None:
    parameters = definition(templates[name])["States"][state]["Parameters"]
    request = fill_in(parameters, planned(VARIANTS[name], parents=parents, again=bool(parents)))
    assert problems("CreateHyperParameterTuningJob", request) == []
    metrics = {item["Name"] for item in request["TrainingJobDefinition"]["AlgorithmSpecification"]["MetricDefinitions"]}
    assert request["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"] == {"Type": "Maximize", "MetricName": OBJECTIVE}
    assert OBJECTIVE in metrics


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("champion", [None, CHAMPION])
def test_sagemaker_takes_the_evaluation_request(templates: dict[str, Template], name: str, champion: str | None) -> None:
    training_job = f"{job_name(VARIANTS[name].name, 'x')}-001-0a1b2c3d"
    candidate = {
        "evaluation_job_name": evaluation_job_name(training_job),
        "output_uri": "s3://models-1/evaluations/x",
        "processing_inputs": processing_inputs(
            code_uri="s3://assets/c.gz", dataset_uri="s3://data-1/datasets/v", model_uri="s3://models-1/m.tar.gz", champion_uri=champion
        ),
    }
    parameters = definition(templates[name])["States"]["EvaluateEach"]["ItemProcessor"]["States"]["Evaluate"]["Parameters"]
    named = {"ProcessingJobName": f"{candidate['evaluation_job_name']}-0-0"}
    request = fill_in({key: value for key, value in parameters.items() if key != "ProcessingJobName.$"}, candidate) | named
    assert problems("CreateProcessingJob", request) == []


def test_sagemaker_takes_the_model_package_request(template: Template) -> None:
    (variables,) = (
        item["Properties"]["Environment"]["Variables"]
        for item in template.find_resources("AWS::Lambda::Function").values()
        if item["Properties"]["FunctionName"] == NAMES.function("register-candidates")
    )
    candidate = {
        "training_job": f"{EARLIER_JOB}-001-0a1b2c3d", "objective": 0.7, "macro_f1": 0.75, "dataset_version": "0123456789abcdef",
        "model_uri": CHAMPION, "evaluation_uri": "s3://models-1/evaluations/x/evaluation.json",
    }  # fmt: skip
    request = package_request(
        candidate,
        group=variables["MODEL_PACKAGE_GROUP"],
        image=variables["INFERENCE_IMAGE"],
        tuning_job=EARLIER_JOB,
        approval=variables["APPROVAL_STATUS"],
    )
    assert problems("CreateModelPackage", request) == []


@pytest.mark.parametrize(("given", "expected"), [(None, "0.06"), (0.1, "0.1")])
def test_the_best_champion_so_far_is_compared_with_as_the_champion_is_unless_the_settings_say_otherwise(
    given: float | None, expected: str
) -> None:
    template = tuning_template(changed(DEV, gates={"max_loss_to_best": given}))
    (variables,) = (
        item["Properties"]["Environment"]["Variables"]
        for item in template.find_resources("AWS::Lambda::Function").values()
        if item["Properties"]["FunctionName"] == NAMES.function("check-gates")
    )
    assert (variables["MAX_LOSS_TO_CHAMPION"], variables["MAX_LOSS_TO_BEST"]) == ("0.06", expected)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"HyperParameterTuningJobName": "x" * 33}, "HyperParameterTuningJobName"),
        ({"HyperParameterTuningJobName": "-x"}, "does not match"),
        ({"WarmStartConfig": None}, "WarmStartConfig"),
    ],
)
def test_the_check_itself_refuses_what_sagemaker_would(template: Template, change: dict[str, Any], named: str) -> None:
    request = fill_in(definition(template)["States"]["Tune"]["Parameters"], planned(DEV, parents=[], again=False))
    assert any(named in text for text in problems("CreateHyperParameterTuningJob", request | change))


def test_hyperband_gets_its_resources_as_the_number_of_epochs(templates: dict[str, Template]) -> None:
    """Without MaxResource the service infers it from the static hyper-parameter ``epochs`` (API reference, HyperbandStrategyConfig)."""
    for name, settings in (("hyperband", HYPERBAND), ("hyperband with extra fields", HYPERBAND)):
        for state, parents, epochs in (("Tune", [], settings.tuning.epochs), ("Tune", ["x"], settings.tuning.retraining.epochs)):
            request = fill_in(
                definition(templates[name])["States"][state]["Parameters"], planned(settings, parents=[], again=bool(parents))
            )
            assert request["TrainingJobDefinition"]["StaticHyperParameters"]["epochs"] == str(max(epochs))
            ranges = request["HyperParameterTuningJobConfig"]["ParameterRanges"]
            assert "epochs" not in {item["Name"] for items in ranges.values() for item in items}


def test_hyperbands_own_configuration_comes_with_the_extra_field(templates: dict[str, Template]) -> None:
    config = {
        name: definition(templates[name])["States"]["Tune"]["Parameters"]["HyperParameterTuningJobConfig"]
        for name in ("extra fields", "hyperband", "hyperband with extra fields")
    }
    most = max(*DEV.tuning.epochs, *DEV.tuning.retraining.epochs)
    assert config["hyperband with extra fields"]["StrategyConfig"] == {"HyperbandStrategyConfig": {"MinResource": 1, "MaxResource": most}}
    assert "StrategyConfig" not in config["hyperband"]
    assert "StrategyConfig" not in config["extra fields"]


# -- what Step Functions takes ---------------------------------------------------------------------


def sync_states(machine: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for state in machine["States"].values():
        if str(state.get("Resource", "")).endswith(".sync"):
            yield state
        if "ItemProcessor" in state:
            yield from sync_states(state["ItemProcessor"])


def unknown_fields(template: Template) -> set[str]:
    """Fields that Step Functions is not known to take, of every job of a template's machine."""
    states = list(sync_states(definition(template)))
    assert states
    return {field for state in states for field in refused(state["Resource"], state["Parameters"], also=frozenset())}


@pytest.mark.parametrize("name", VARIANTS)
def test_jobs_have_no_field_that_step_functions_may_refuse_unless_it_is_asked_for(templates: dict[str, Template], name: str) -> None:
    asked = set(VARIANTS[name].tuning.extra_fields)
    if VARIANTS[name].tuning.strategy != "Hyperband":
        asked.discard("StrategyConfig")
    assert unknown_fields(templates[name]) == asked


def test_what_comes_from_the_input_has_known_fields_too() -> None:
    for parents, again in (([], False), ([EARLIER_JOB], True)):
        plan = planned(DEV, parents=parents, again=again)
        request = {
            "HyperParameterTuningJobConfig": {"ParameterRanges": plan["search"]["ranges"]},
            "TrainingJobDefinition": {"InputDataConfig": plan["input_data_config"]},
            **({"WarmStartConfig": plan["warm_start"]} if parents else {}),
        }
        assert list(refused("arn:aws:states:::sagemaker:createHyperParameterTuningJob.sync", request)) == []
    inputs = processing_inputs(code_uri="s3://a/c.gz", dataset_uri="s3://d/v", model_uri="s3://m/m.tar.gz", champion_uri=CHAMPION)
    assert list(refused("arn:aws:states:::sagemaker:createProcessingJob.sync", {"ProcessingInputs": inputs})) == []


def test_extra_fields_are_the_service_s_own_and_checkpoints_come_with_retries(templates: dict[str, Template]) -> None:
    states = definition(templates["extra fields"])["States"]
    config, job = (states["Tune"]["Parameters"][name] for name in ("HyperParameterTuningJobConfig", "TrainingJobDefinition"))
    assert config["RandomSeed"] == DEV.tuning.seed
    assert config["ResourceLimits"]["MaxRuntimeInSeconds"] == DEV.tuning.max_runtime_seconds * DEV.tuning.max_jobs
    assert job["RetryStrategy"] == {"MaximumRetryAttempts": 2}
    assert job["CheckpointConfig"] == {"S3Uri.$": "$.checkpoint_uri"}
    plain = definition(templates["dev"])["States"]["Tune"]["Parameters"]
    assert "CheckpointConfig" not in plain["TrainingJobDefinition"]  # nobody would read them


def test_every_setting_of_the_search_reaches_the_request(template: Template) -> None:
    states = definition(template)["States"]
    config = states["Tune"]["Parameters"]["HyperParameterTuningJobConfig"]
    assert config["ParameterRanges.$"] == "$.search.ranges"
    for state, trained, rates in (("FirstRanges", "2", (1e-4, 4e-4)), ("RetrainingRanges", "3", (1.6e-4, 2.6e-4))):
        assert (states[state]["ResultPath"], states[state]["Next"]) == ("$.search", "ContinuesEarlierTuning")
        ranges = states[state]["Result"]["ranges"]
        values = {item["Name"]: item["Values"] for item in ranges["CategoricalParameterRanges"]}
        assert values == {"epochs": ["2"], "layers": ["4"], "trained_layers": [trained]}
        (rate,) = ranges["ContinuousParameterRanges"]
        assert (rate["Name"], float(rate["MinValue"]), float(rate["MaxValue"]), rate["ScalingType"]) == (
            "learning_rate", *rates, "Logarithmic",
        )  # fmt: skip
    assert (config["Strategy"], config["TrainingJobEarlyStoppingType"]) == ("Bayesian", "Auto")


def test_every_training_job_knows_how_much_to_read_and_where_checkpoints_lie(templates: dict[str, Template]) -> None:
    for name, replay_rows in (("dev", "700"), ("prod", "2000")):
        for job in jobs_of(templates[name])[:2]:
            static = job["StaticHyperParameters"]
            assert (static["max_length"], static["replay_rows"]) == ("auto", replay_rows)
            assert (static["batch_size"], static["class_weights"]) == ("32", "none")
    (variables,) = (
        item["Properties"]["Environment"]["Variables"]
        for item in templates["dev"].find_resources("AWS::Lambda::Function").values()
        if item["Properties"]["FunctionName"] == NAMES.function("plan-tuning")
    )
    uri = resolve(templates["dev"].to_json(), variables["CHECKPOINTS_URI"])
    assert uri == f"s3://{NAMES.bucket('models')}/checkpoints"


# -- isolation and encryption ------------------------------------------------------------------------


def jobs_of(template: Template) -> list[dict[str, Any]]:
    states = definition(template)["States"]
    tuning = [states[name]["Parameters"]["TrainingJobDefinition"] for name in ("Tune", "TuneFromParents")]
    return [*tuning, states["EvaluateEach"]["ItemProcessor"]["States"]["Evaluate"]["Parameters"]]


@pytest.mark.parametrize("name", VARIANTS)
def test_jobs_are_cut_off_from_the_network_and_encrypt_what_they_write(templates: dict[str, Template], name: str) -> None:
    for job in jobs_of(templates[name]):
        network = job.get("NetworkConfig", job)
        assert network["EnableNetworkIsolation"] is True
        assert network["EnableInterContainerTrafficEncryption"] is True
        written = job.get("OutputDataConfig") or job["ProcessingOutputConfig"]
        assert ":key/" in written["KmsKeyId"]


def test_volumes_have_our_key_where_the_instance_type_takes_one(templates: dict[str, Template]) -> None:
    def keys(name: str) -> list[str | None]:
        return [
            (job.get("ResourceConfig") or job["ProcessingResources"]["ClusterConfig"]).get("VolumeKmsKeyId")
            for job in jobs_of(templates[name])
        ]

    assert keys("dev") == [None, None, None]  # ml.g4dn has local storage, which the service encrypts itself
    assert all(key and ":key/" in key for key in keys("cpu-free volume"))


@pytest.mark.parametrize(
    ("instance_type", "local"),
    [
        ("ml.g4dn.xlarge", True), ("ml.g5.2xlarge", True), ("ml.g6e.xlarge", True), ("ml.p4d.24xlarge", True), ("ml.p4de.24xlarge", True),
        ("ml.p3dn.24xlarge", True), ("ml.p5.48xlarge", True), ("ml.r5d.large", True), ("ml.trn1.2xlarge", True),
        ("ml.m5.large", False), ("ml.c5.xlarge", False), ("ml.c5n.xlarge", False), ("ml.p3.2xlarge", False), ("ml.p2.xlarge", False),
        ("ml.m7i-flex.large", False), ("ml.t3.medium", False),
    ],
)  # fmt: skip
def test_which_instance_types_have_storage_of_their_own(instance_type: str, local: bool) -> None:
    assert has_local_storage(instance_type) is local
    assert volume_key(instance_type, "k") == ({} if local else {"VolumeKmsKeyId": "k"})


def test_a_network_of_the_team_reaches_every_job_and_its_role(templates: dict[str, Template]) -> None:
    expected = {"SecurityGroupIds": ["sg-0c2d"], "Subnets": ["subnet-0a1b"]}
    for job in jobs_of(templates["vpc"]):
        assert job.get("NetworkConfig", job)["VpcConfig"] == expected
    for role in ("TrainingRole", "EvaluationRole"):
        made = resources_of(granted(templates["vpc"], role, "ec2:CreateNetworkInterface"))
        assert {arn.split(":")[-1] for arn in made} == {"subnet/subnet-0a1b", "security-group/sg-0c2d", "network-interface/*"}
        assert not granted(templates["dev"], role, "ec2:CreateNetworkInterface")


# -- warm start ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["dev", "extra fields"])
def test_a_warm_start_is_possible_after_a_tuning_job_of_this_very_stage(templates: dict[str, Template], name: str) -> None:
    """The plan's idea of the next tuning job is what its machine makes, after a first tuning and after a retraining."""
    states = definition(templates[name])["States"]
    idea = states["Plan"]["Parameters"]["following"]
    for again in (False, True):
        request = fill_in(states["Tune"]["Parameters"], planned(VARIANTS[name], parents=[], again=again))
        parent = {**request, "HyperParameterTuningJobStatus": "Completed", "ObjectiveStatusCounters": {"Succeeded": 1}}
        for kind in ("first", "retraining"):
            following = Following(idea["strategy"], idea["objective"], idea["ranges"][kind], idea["definition"], max_jobs=2)
            assert choose({"t": parent}, following).parents == ("t",)


# -- paths -------------------------------------------------------------------------------------------


def test_whatever_happens_to_the_tuning_job_the_selection_decides(template: Template) -> None:
    states = definition(template)["States"]
    for name in ("Tune", "TuneFromParents"):
        assert states[name]["Next"] == "Select"
        assert states[name]["ResultPath"] is None  # the plan must reach the selection
        assert states[name]["Catch"] == [{"ErrorEquals": ["States.TaskFailed"], "ResultPath": "$.tuning_error", "Next": "Select"}]
        assert "SageMaker.ThrottlingException" in states[name]["Retry"][0]["ErrorEquals"]


def test_a_tuning_job_that_nobody_waits_for_is_looked_at_until_it_ends(template: Template) -> None:
    """Its start may be repeated: the second CreateHyperParameterTuningJob is refused, and the job of the first still runs."""
    (retry,) = (rule for rule in definition(template)["States"]["Select"]["Retry"] if rule["ErrorEquals"] == ["TuningUnfinished"])
    assert retry["BackoffRate"] == 1
    assert retry["IntervalSeconds"] * retry["MaxAttempts"] >= longest_tuning_hours(DEV) * 3_600


def test_a_repeated_or_redriven_evaluation_has_a_name_of_its_own(template: Template) -> None:
    evaluate = definition(template)["States"]["EvaluateEach"]["ItemProcessor"]["States"]["Evaluate"]["Parameters"]
    name = "States.Format('{}-{}-{}', $.evaluation_job_name, $$.Execution.RedriveCount, $$.State.RetryCount)"
    assert evaluate["ProcessingJobName.$"] == name
    assert len(evaluation_job_name("t" * 63)) + len("-1000-4") <= 63


def test_a_failed_evaluation_is_judged_not_thrown(template: Template) -> None:
    states = definition(template)["States"]["EvaluateEach"]["ItemProcessor"]["States"]
    assert states["Evaluate"]["Catch"] == [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.evaluation_error", "Next": "CheckGates"}]
    assert states["CheckGates"]["End"] is True


@pytest.mark.parametrize(("state", "error"), [("Select", "NoCandidate"), ("Register", "GatesRefused"), ("Register", "EvaluationFailed")])
def test_the_ends_without_a_model_are_named_and_have_their_reasons(template: Template, state: str, error: str) -> None:
    states = definition(template)["States"]
    assert {"ErrorEquals": [error], "ResultPath": "$.error", "Next": error} in states[state]["Catch"]
    assert states[error] == {"Type": "Fail", "Error": error, "CausePath": "$.error.Cause"}


def test_every_task_that_calls_a_function_retries_faults_of_services_and_crashes_only(template: Template) -> None:
    states = definition(template)["States"]
    tasks = [states["Plan"], states["Select"], states["Register"], states["EvaluateEach"]["ItemProcessor"]["States"]["CheckGates"]]
    passing = {*LAMBDA_FAULTS, *CRASHES, *AWS_FAULTS}
    for task in tasks:
        assert {error for rule in task["Retry"] for error in rule["ErrorEquals"]} - {"TuningUnfinished"} == passing


def test_the_machine_is_traced_logged_encrypted_and_its_failure_reaches_people(template: Template) -> None:
    template.has_resource_properties(
        "AWS::StepFunctions::StateMachine",
        {
            "TracingConfiguration": {"Enabled": True},
            "LoggingConfiguration": {"Level": "ALL", "IncludeExecutionData": False, "Destinations": Match.any_value()},
        },
    )
    template.has_resource_properties(
        "AWS::Logs::LogGroup", {"LogGroupName": f"/aws/vendedlogs/states/{NAMES.state_machine('tuning')}", "KmsKeyId": Match.any_value()}
    )
    (rule,) = template.find_resources("AWS::Events::Rule").values()
    assert rule["Properties"]["EventPattern"]["detail"]["status"] == ["FAILED", "TIMED_OUT", "ABORTED"]
    assert NAMES.alert_topic in json.dumps(rule["Properties"]["Targets"])


@pytest.mark.parametrize(("settings", "hours"), [(DEV, 3), (PROD, 7)])
def test_an_execution_may_take_as_long_as_its_jobs(settings: Settings, hours: int) -> None:
    assert longest_tuning_hours(settings) == hours


def test_approval_follows_the_settings(templates: dict[str, Template]) -> None:
    for name, status in (("dev", "Approved"), ("prod", "PendingManualApproval")):
        templates[name].has_resource_properties(
            "AWS::Lambda::Function", {"Environment": {"Variables": Match.object_like({"APPROVAL_STATUS": status})}}
        )


# -- images ------------------------------------------------------------------------------------------


def test_images_follow_the_region_and_the_instance_type() -> None:
    assert "-gpu-" in training_image("eu-central-1", "ml.g5.xlarge")
    assert ".eu-central-1." in training_image("eu-central-1", "ml.g5.xlarge")
    assert "-cpu-" in inference_image("us-east-1", "ml.m5.large")
    assert "-gpu-" in inference_image("us-east-1", "ml.g4dn.xlarge")


def test_training_on_a_cpu_type_says_what_to_use_instead() -> None:
    with pytest.raises(NoImage, match=r"ml\.m5\.large.*use a GPU type such as ml\.g4dn\.xlarge"):
        training_image("us-east-1", "ml.m5.large")


# -- audits ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["dev", "prod", "vpc", "own dataset"])
def test_no_finding_is_left_unanswered(name: str) -> None:
    assert findings(TuningStack, VARIANTS[name]) == []


def test_the_same_settings_give_the_same_template(template: Template) -> None:
    assert Template.from_stack(TuningStack(new_app(), DEV)).to_json() == template.to_json()
