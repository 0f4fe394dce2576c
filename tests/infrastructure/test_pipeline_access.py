"""The roles of pipelines: who may take each on, and what it may do then."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from deployed_definition import stage_names

from stacks.application import new_app
from stacks.names import Names
from stacks.pipeline.access import project_role_name, role_name
from stacks.pipeline.application import add_access, build_pipeline_app, stages_of
from stacks.settings import Region, SettingsError, load_settings
from stacks.settings.pipeline import PipelineSettings, load_pipeline_settings

ROOT = Path(__file__).resolve().parents[2]
DEV, PROD, TOOLS = "111111111111", "222222222222", "333333333333"
CONNECTION = f"arn:aws:codeconnections:us-east-1:{TOOLS}:connection/12345678-1234-1234-1234-123456789012"
GITHUB = "token.actions.githubusercontent.com"

Resources = dict[str, Any]


def named(stage: str, purpose: str) -> str:
    return role_name(stage_names(stage), purpose)


def access(folder: Path, **fields: Any) -> dict[str, Resources]:
    """Account -> the resources of its roles' stack."""
    settings = PipelineSettings.model_validate({"repository": "acme/texts", "accounts": {"dev": DEV, "prod": PROD}} | fields)
    app = new_app(folder)
    add_access(app, settings, stages_of(settings))
    app.synth()
    files = folder.glob("reviewloop-pipeline-access-*.template.json")
    return {path.name.split(".")[0][-12:]: json.loads(path.read_bytes())["Resources"] for path in files}


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Resources]:
    return access(tmp_path_factory.mktemp("access"))


@pytest.fixture(scope="module")
def one_account(tmp_path_factory: pytest.TempPathFactory) -> Resources:
    """Both stages in one account that has a provider already; CodePipeline takes roles on as well."""
    both = {"dev": DEV, "prod": DEV}
    found = access(
        tmp_path_factory.mktemp("one"), accounts=both, oidc_provider="import", subject="repo:acme@1/texts@2", connection_arn=CONNECTION,
        pipeline_account=TOOLS,
    )  # fmt: skip
    assert set(found) == {DEV}
    return found[DEV]


def roles(resources: Resources) -> dict[str, Resources]:
    return {item["Properties"]["RoleName"]: item for item in resources.values() if item["Type"] == "AWS::IAM::Role"}


def statements(resources: Resources, role: str) -> list[dict[str, Any]]:
    (logical,) = (name for name, item in resources.items() if item.get("Properties", {}).get("RoleName") == role)
    found = [item for item in resources.values() if item["Type"] == "AWS::IAM::Policy" and {"Ref": logical} in item["Properties"]["Roles"]]
    return [statement for item in found for statement in item["Properties"]["PolicyDocument"]["Statement"]]


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_each_stage_has_a_role_for_each_purpose_and_only_the_first_is_tested(accounts: dict[str, Resources]) -> None:
    assert set(roles(accounts[DEV])) == {named("dev", purpose) for purpose in ("deploy", "smoke", "rollout")}
    assert set(roles(accounts[PROD])) == {named("prod", purpose) for purpose in ("deploy", "rollout")}


def test_no_role_of_one_region_has_the_name_of_another_regions(accounts: dict[str, Resources]) -> None:
    """IAM is global: the same stage in two regions of an account would meet."""
    names = [name for resources in accounts.values() for name in roles(resources)]
    assert all(name.endswith("-us-east-1") and len(name) <= 64 for name in names)
    longest = load_settings(ROOT / "settings" / "dev.yaml").model_copy(
        update={"name": "n" * 15, "stage": "s" * 8, "region": max(get_args(Region), key=len)}
    )
    longest_names = Names(longest, "1" * 12, "aws", "amazonaws.com")
    assert all(
        len(named_by(longest_names, purpose)) <= 64 for named_by in (role_name, project_role_name) for purpose in ("rollout", "deploy")
    )


def test_a_workflow_takes_a_role_on_from_one_repository_and_one_environment(accounts: dict[str, Resources]) -> None:
    for account, resources in accounts.items():
        for name, role in roles(resources).items():
            _, stage, _, purpose = name.removesuffix("-us-east-1").split("-")
            (statement,) = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
            environment = f"{stage}-rollout" if purpose == "rollout" else stage
            assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
            assert statement["Condition"] == {
                "StringEquals": {f"{GITHUB}:aud": "sts.amazonaws.com", f"{GITHUB}:sub": f"repo:acme/texts:environment:{environment}"}
            }, (account, name)


def test_the_workflows_name_roles_that_trust_their_environment(accounts: dict[str, Resources]) -> None:
    found = {name: role for resources in accounts.values() for name, role in roles(resources).items()}
    taken_on = set()
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        for job in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values():
            arns = [step["with"]["role-to-assume"] for step in job.get("steps", []) if "role-to-assume" in step.get("with", {})]
            for stage in ("dev", "prod"):
                for arn in (re.sub(r"\$\{\{ inputs.stage [^}]*\}\}", stage, one) for one in arns):
                    environment = re.sub(r"\$\{\{ inputs.stage [^}]*\}\}", stage, job["environment"])
                    name = arn.rpartition("/")[2].replace("${{ vars.AWS_REGION }}", "us-east-1")
                    trust = json.dumps(found[name]["Properties"]["AssumeRolePolicyDocument"])
                    assert f'"repo:acme/texts:environment:{environment}"' in trust
                    taken_on.add(name)
    assert taken_on == set(found)


def test_an_account_has_one_provider_which_stays(accounts: dict[str, Resources], one_account: Resources) -> None:
    for resources in accounts.values():
        (provider,) = (item for item in resources.values() if item["Type"] == "AWS::IAM::OIDCProvider")
        assert provider["Properties"]["Url"] == f"https://{GITHUB}"
        assert provider["Properties"]["ClientIdList"] == ["sts.amazonaws.com"]
        assert provider["DeletionPolicy"] == "RetainExceptOnCreate"
    assert [item for item in one_account.values() if item["Type"] == "AWS::IAM::OIDCProvider"] == []


def test_an_imported_provider_and_a_subject_with_ids_are_trusted_as_given(one_account: Resources) -> None:
    trust = roles(one_account)[named("prod", "deploy")]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    (statement,) = trust
    principal = json.dumps(statement["Principal"])
    assert f":iam::{DEV}:oidc-provider/{GITHUB}" in principal
    assert statement["Condition"]["StringEquals"][f"{GITHUB}:sub"] == "repo:acme@1/texts@2:environment:prod"


def test_codepipeline_takes_a_role_on_by_the_role_of_one_project(one_account: Resources) -> None:
    for stage, purpose in (("dev", "smoke"), ("dev", "rollout"), ("prod", "rollout")):
        role = roles(one_account)[named(stage, purpose)]
        trust = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
        (by_project,) = (one for one in trust if one["Action"] == "sts:AssumeRole")
        assert f":iam::{TOOLS}:root" in json.dumps(by_project["Principal"])
        arn = json.dumps(by_project["Condition"]["ArnEquals"]["aws:PrincipalArn"])
        assert f':iam::{TOOLS}:role/{project_role_name(stage_names(stage), purpose)}"' in arn


def test_a_deploy_may_only_take_on_the_bootstraps_roles(accounts: dict[str, Resources]) -> None:
    for stage, account in (("dev", DEV), ("prod", PROD)):
        (statement,) = statements(accounts[account], named(stage, "deploy"))
        assert statement["Action"] == "sts:AssumeRole"
        found = [re.search(r"role/cdk-hnb659fds-([a-z-]+)-role-(\d+)-us-east-1", json.dumps(one)) for one in statement["Resource"]]
        assert [(one[1], one[2]) for one in found if one] == [(part, account) for part in ("deploy", "file-publishing", "lookup")]
        assert "*" not in json.dumps(statement)


def test_a_rollout_may_start_and_read_executions_of_one_machine_and_change_one_parameter(accounts: dict[str, Resources]) -> None:
    names = stage_names("prod")
    found = statements(accounts[PROD], named("prod", "rollout"))
    writes = {
        action: json.dumps(statement["Resource"])
        for statement in found
        for action in listed(statement["Action"])
        if not re.match(r"\w+:(Get|List|Describe)", action)
    }
    assert set(writes) == {"states:StartExecution", "ssm:PutParameter"}
    assert f"stateMachine:{names.state_machine('rollout')}" in writes["states:StartExecution"]
    assert f"parameter{names.parameter('rollout-control')}" in writes["ssm:PutParameter"]
    resources = [json.dumps(resource) for one in found for resource in listed(one["Resource"])]
    assert [resource for resource in resources if not re.search(f"{names.prefix}[-/:]|{names.parameter('')}", resource)] == []


def test_the_smoke_test_may_use_one_key_by_its_alias_alone(accounts: dict[str, Resources]) -> None:
    (statement,) = (one for one in statements(accounts[DEV], named("dev", "smoke")) if "kms:Decrypt" in one["Action"])
    assert statement["Condition"] == {"ForAnyValue:StringEquals": {"kms:ResourceAliases": f"alias/{stage_names('dev').prefix}"}}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"connection_arn": CONNECTION}, "connection_arn and pipeline_account go together"),
        (
            {"connection_arn": CONNECTION, "pipeline_account": DEV},
            f"is of account {TOOLS} in us-east-1, and the pipeline is of account {DEV}",
        ),
        ({"connection_arn": CONNECTION, "pipeline_account": TOOLS, "region": "eu-west-1"}, "of its own account and region"),
        ({"github": False}, "leaves nothing to make"),
        ({"accounts": {}}, "accounts"),
        ({"accounts": {"dev": 123456789012}}, "write it as '123456789012'"),
        ({"repository": "texts"}, "repository"),
        ({"subject": "acme/texts"}, "subject"),
    ],
)
def test_what_cannot_work_is_refused_by_name(fields: dict[str, Any], words: str, tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(yaml.safe_dump({"repository": "acme/texts", "accounts": {"dev": DEV}} | fields))
    with pytest.raises(SettingsError, match=re.escape(words)):
        load_pipeline_settings(file)


def test_a_stage_without_a_file_is_named(tmp_path: Path) -> None:
    settings = PipelineSettings(repository="acme/texts", accounts={"nowhere": DEV})
    with pytest.raises(SettingsError, match=r"nowhere\.yaml does not exist"):
        build_pipeline_app(settings, "settings/pipeline/own.yaml", tmp_path)


def test_the_example_can_be_used() -> None:
    example = load_pipeline_settings(ROOT / "settings" / "pipeline" / "example.yaml")
    assert (list(example.accounts), example.connection_arn) == (["dev", "prod"], None)
