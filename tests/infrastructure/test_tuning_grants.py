"""The tuning stack's grants: own prefixes, the keys, the code of every deploy, and what the machine needs for its jobs."""

from __future__ import annotations

import json

import pytest
from apps import new_app
from aws_cdk.assertions import Template
from deployed_definition import definition, resolve, stage_names
from tuning_choices import DEV, TEAM_KEY, VARIANTS, granted, resources_of, statements, tuning_template

from stacks.constructs import model_code_asset
from stacks.tuning import TuningStack

NAMES = stage_names("dev")


@pytest.fixture(scope="module")
def templates() -> dict[str, Template]:
    return {name: tuning_template(VARIANTS[name]) for name in ("dev", "own dataset")}


@pytest.fixture(scope="module")
def template(templates: dict[str, Template]) -> Template:
    return templates["dev"]


def test_job_roles_read_and_write_their_own_prefixes_only(template: Template) -> None:
    models, data = (NAMES.bucket_arn(purpose) for purpose in ("models", "data"))
    expected = {
        "TrainingRole": (
            {f"{data}/datasets/*", f"{data}/base-model/*", f"{models}/training/*", f"{models}/checkpoints/*", f"{models}/code/*"},
            {f"{models}/training/*", f"{models}/checkpoints/*"},
        ),
        "EvaluationRole": ({f"{data}/datasets/*", f"{models}/training/*", f"{models}/code/*"}, {f"{models}/evaluations/*"}),
    }
    for role, (read, written) in expected.items():
        assert resources_of(granted(template, role, "s3:GetObject")) == read
        assert resources_of(granted(template, role, "s3:PutObject")) == written
        listed = granted(template, role, "s3:ListBucket")
        assert resources_of(listed) == {resource.split("/", 1)[0] for resource in read}, "what is read is listed, and nothing else"
        # The service chooses how it lists: AWS's documented minimum has no condition on the prefix.
        assert [statement for statement in listed if "Condition" in statement] == []


DOCUMENTED = {"kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext",
              "kms:ReEncryptFrom", "kms:ReEncryptTo"}  # fmt: skip
"""Source: stacks/constructs/job_role.py."""


@pytest.mark.parametrize("role", ["TrainingRole", "EvaluationRole"])
def test_jobs_may_use_the_key_as_aws_documents_it_and_a_teams_key_to_decrypt_only(templates: dict[str, Template], role: str) -> None:
    found = [
        (actions if isinstance(actions, list) else [actions], item["Resource"], item.get("Condition"))
        for item in statements(templates["own dataset"], role)
        if "kms:" in json.dumps(actions := item["Action"])
    ]
    uses: dict[str, set[str]] = {}
    for actions, resource, condition in found:
        assert isinstance(resource, str), "one key a statement"
        if actions == ["kms:CreateGrant"]:
            assert condition == {"Bool": {"kms:GrantIsForAWSResource": "true"}}
        else:
            uses.setdefault(resource, set()).update(actions)
    assert uses.pop(TEAM_KEY) == {"kms:Decrypt"}
    assert list(uses.values()) == [DOCUMENTED]


def test_the_code_of_every_deploy_stays_readable_and_only_the_deploy_writes_it(template: Template, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_code_asset, "model_code_archive", lambda: b"other code")
    later = Template.from_stack(TuningStack(new_app(), DEV))
    keys = [code_uri(template).rsplit("/", 1)[-1], code_uri(later).rsplit("/", 1)[-1]]
    assert keys[0] != keys[1]
    code = NAMES.bucket_arn("models", "code")
    for role in ("TrainingRole", "EvaluationRole"):
        assert f"{code}/*" in resources_of(granted(later, role, "s3:GetObject")), "the key of the deploy before as well"
        assert not [arn for arn in resources_of(granted(later, role, "s3:GetObject")) if ":cdk-" in arn]
        assert not [arn for arn in resources_of(granted(later, role, "s3:PutObject")) if arn.startswith(code)]
    assert resources_of(granted(later, "PublishCodeRole", "s3:PutObject")) == {f"{code}/*"}
    (source,) = resources_of(granted(later, "PublishCodeRole", "s3:GetObject"))
    assert source.endswith(f"/{keys[1]}"), "the one asset, not its whole bucket"


def code_uri(template: Template) -> str:
    uri: str = definition(template)["States"]["Plan"]["Parameters"]["code_uri"]
    return uri


def test_the_code_is_there_before_a_definition_names_it(template: Template) -> None:
    ((published, made),) = template.find_resources("Custom::PublishedCode").items()
    (machine,) = template.find_resources("AWS::StepFunctions::StateMachine").values()
    assert published in machine["DependsOn"]
    assert any(name.startswith("PublishCodeRoleDefaultPolicy") for name in made["DependsOn"])
    assert resolve(template.to_json(), made["Properties"]["Target"]) == code_uri(template)
    assert made["Properties"]["ServiceTimeout"] == "360"


def test_an_execution_goes_on_with_the_code_that_it_was_started_with(template: Template) -> None:
    """The code stands in the definition, which an execution keeps, and in no function's variables, which a deploy changes at once."""
    states = definition(template)["States"]
    static = states["Tune"]["Parameters"]["TrainingJobDefinition"]["StaticHyperParameters"]
    assert static["sagemaker_submit_directory"].rsplit("/", 1)[-1] == code_uri(template).rsplit("/", 1)[-1]
    for function in template.find_resources("AWS::Lambda::Function").values():
        assert ".gz" not in json.dumps(function["Properties"].get("Environment"))


def test_a_dataset_in_the_teams_own_bucket_is_readable_below_its_prefix(templates: dict[str, Template]) -> None:
    for role in ("TrainingRole", "EvaluationRole"):
        assert "arn:aws:s3:::team-data/texts/v1/*" in resources_of(granted(templates["own dataset"], role, "s3:GetObject"))
        assert not [arn for arn in resources_of(granted(templates["own dataset"], role, "s3:PutObject")) if "team-data" in arn]


def test_sync_jobs_can_be_watched_stopped_and_tagged_and_roles_passed_to_sagemaker_only(template: Template) -> None:
    for job, kind in (("HyperParameterTuningJob", "hyper-parameter-tuning-job"), ("ProcessingJob", "processing-job")):
        for verb in ("Create", "Describe", "Stop"):
            found = resources_of(granted(template, "MachineRole", f"sagemaker:{verb}{job}"))
            assert any(arn.endswith(f":{kind}/{NAMES.prefix}-*") for arn in found), verb
            assert "*" not in found
    (passed,) = granted(template, "MachineRole", "iam:PassRole")
    assert passed["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    assert {arn.rsplit("/", 1)[-1][:8] for arn in resources_of([passed])} == {"Training", "Evaluati"}
    rules = {arn.rsplit("/", 1)[-1] for arn in resources_of(granted(template, "MachineRole", "events:PutRule"))}
    assert rules == {"StepFunctionsGetEventsForSageMakerTuningJobsRule", "StepFunctionsGetEventsForSageMakerProcessingJobsRule"}
    (grant,) = granted(template, "MachineRole", "kms:CreateGrant")
    assert grant["Condition"] == {"Bool": {"kms:GrantIsForAWSResource": "true"}}


def test_the_machine_invokes_these_four_functions_and_nothing_else(template: Template) -> None:
    called = {arn.rsplit("/", 1)[-1] for arn in resources_of(granted(template, "MachineRole", "lambda:InvokeFunction"))}
    named = {
        name
        for prefix in ("PlanTuning", "SelectCandidates", "CheckGates", "RegisterCandidates")
        for name in called
        if name.startswith(prefix)
    }
    assert called == named
    assert len(called) == 4
