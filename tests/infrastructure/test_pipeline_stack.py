"""CodePipeline's side: what it runs in which order, across which accounts, and that a stage is the same as without it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from synthesis import run_app

from stacks.settings import Region

ROOT = Path(__file__).resolve().parents[2]
DEV, PROD, TOOLS = "111111111111", "222222222222", "333333333333"
CONNECTION = f"arn:aws:codeconnections:us-east-1:{TOOLS}:connection/12345678-1234-1234-1234-123456789012"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # it synthesises two stages and their pipelines, twice

API = "reviewloop-dev-endpoint"
"""The stack with the only resources whose logical ids CDK makes of the construct's path, which begins with the pipeline."""
DEPLOYMENT = re.compile(r"PredictionsApiDeployment4EFE598F[0-9a-f]{32}")
"""Its id ends with a hash of the API's resources as CDK writes them, tokens and paths included."""
PERMISSION = re.compile(r"PredictionsApipredictPOSTApiPermission(Test)?reviewloop\w+PredictionsApi[0-9A-F]{8}POSTpredict[0-9A-F]{8}")
"""Its id has the API's unique id, which holds the path; one is for the stage and one for the console's test."""

Resources = dict[str, Any]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The settings. Their path stands in the pipeline's commands, of which a project's variables have a hash."""
    accounts = {"dev": DEV, "newacct": PROD}
    settings = {"repository": "acme/texts", "accounts": accounts, "connection_arn": CONNECTION, "pipeline_account": TOOLS}
    path = tmp_path_factory.mktemp("pipeline") / "own.yaml"
    path.write_text(yaml.safe_dump(settings, sort_keys=False))
    return path


@pytest.fixture(scope="module")
def assembly(file: Path) -> Path:
    output = file.parent / "cdk.out"
    run_app(["--pipeline", str(file)], output)
    return output


@pytest.fixture(scope="module")
def resources(assembly: Path) -> Resources:
    found: Resources = json.loads((assembly / "reviewloop-pipeline.template.json").read_bytes())["Resources"]
    return found


def pipeline(resources: Resources, name: str) -> dict[str, Any]:
    """The properties of one pipeline."""
    pipelines = (item["Properties"] for item in resources.values() if item["Type"] == "AWS::CodePipeline::Pipeline")
    (found,) = (one for one in pipelines if one["Name"] == name)
    return dict(found)


def project(resources: Resources, action: dict[str, Any]) -> dict[str, Any]:
    """The properties of the project that an action runs."""
    return dict(resources[action["Configuration"]["ProjectName"]["Ref"]]["Properties"])


def commands(found: dict[str, Any]) -> list[str]:
    phases = json.loads(json.dumps(yaml.safe_load(found["Source"]["BuildSpec"])))["phases"]
    return list(phases["build"]["commands"])


def test_it_verifies_changes_itself_deploys_tests_and_waits_for_approval(resources: Resources) -> None:
    stages = {stage["Name"]: [action["Name"] for action in stage["Actions"]] for stage in pipeline(resources, "reviewloop")["Stages"]}
    assert list(stages) == ["Source", "Build", "UpdatePipeline", "Assets", "Dev", "Newacct"]
    assert stages["Dev"][0] == "reviewloop-dev-foundation.Prepare"
    assert stages["Dev"][-1] == "Smoke"
    assert (stages["Newacct"][0], "Smoke" in stages["Newacct"]) == ("Approve", False)


def test_it_synthesises_its_own_settings_after_lint_and_tests(resources: Resources) -> None:
    (build,) = next(stage["Actions"] for stage in pipeline(resources, "reviewloop")["Stages"] if stage["Name"] == "Build")
    *targets, synthesis = commands(project(resources, build))
    assert targets == ["make install", "make lint", "make test-unit"]
    assert synthesis.startswith(".venv/bin/python app.py --pipeline ")


def test_smoke_and_rollouts_run_the_commands_of_the_workflows_under_the_roles_of_the_stage(resources: Resources) -> None:
    dev = next(stage["Actions"] for stage in pipeline(resources, "reviewloop")["Stages"] if stage["Name"] == "Dev")
    runs = {"smoke": (dev[-1], "dev", DEV)}
    for stage, account in (("dev", DEV), ("newacct", PROD)):
        runs[f"rollout of {stage}"] = (pipeline(resources, f"reviewloop-{stage}-rollout")["Stages"][1]["Actions"][0], stage, account)
    workflows = ROOT / ".github" / "workflows"
    theirs = {
        "smoke": yaml.safe_load((workflows / "deploy.yml").read_text())["jobs"]["smoke"]["steps"][-1]["run"],
        "rollout": yaml.safe_load((workflows / "rollout.yml").read_text())["jobs"]["rollout"]["steps"][-1]["run"],
    }
    for what, (action, stage, account) in runs.items():
        purpose = what.split()[0]
        found = commands(project(resources, action))
        assert found[-1] == theirs[purpose].replace('"$STAGE"', stage) + " --profile stage"
        assert f".role_arn arn:aws:iam::{account}:role/reviewloop-{stage}-pipeline-{purpose}-us-east-1" in found[1]


def test_a_project_may_take_on_no_role_but_its_stages(resources: Resources) -> None:
    for logical, item in resources.items():
        name = item.get("Properties", {}).get("RoleName", "")
        if "-project-" not in str(name):
            continue
        policies = [one["Properties"] for one in resources.values() if one["Type"] == "AWS::IAM::Policy"]
        statements = [s for one in policies if {"Ref": logical} in one["Roles"] for s in one["PolicyDocument"]["Statement"]]
        assumed = [s["Resource"] for s in statements if s["Action"] == "sts:AssumeRole"]
        assert str(name).endswith("-us-east-1"), "IAM is global"
        stage, _, purpose = str(name).removeprefix("reviewloop-").removesuffix("-us-east-1").split("-")
        account = {"dev": DEV, "newacct": PROD}[stage]
        assert assumed == [f"arn:aws:iam::{account}:role/reviewloop-{stage}-pipeline-{purpose}-us-east-1"]


def allowed(resources: Resources) -> dict[str, list[tuple[set[str], list[Any]]]]:
    """Logical id of a role -> (actions, resources) of each of its statements."""
    found: dict[str, list[tuple[set[str], list[Any]]]] = {}
    for item in resources.values():
        if item["Type"] == "AWS::IAM::Policy":
            for statement in item["Properties"]["PolicyDocument"]["Statement"]:
                named, granted = ([one] if isinstance(one, str | dict) else one for one in (statement["Action"], statement["Resource"]))
                for role in item["Properties"]["Roles"]:
                    found.setdefault(role["Ref"], []).append((set(named), granted))
    return found


def test_every_pipeline_may_use_the_connection_by_the_name_that_its_arn_has(resources: Resources) -> None:
    """A connection made since July 2024 is codeconnections, and so must be the action; CDK grants that of codestar-connections alone.

    https://docs.aws.amazon.com/dtconsole/latest/userguide/rename.html
    """
    grants = allowed(resources)
    pipelines = [item["Properties"] for item in resources.values() if item["Type"] == "AWS::CodePipeline::Pipeline"]
    assert len(pipelines) == 3
    for found in pipelines:
        (source,) = found["Stages"][0]["Actions"]
        assert (source["Configuration"]["ConnectionArn"], "RoleArn" in source) == (CONNECTION, False)
        statements = grants[found["RoleArn"]["Fn::GetAtt"][0]]
        actions = set[str]().union(*(actions for actions, granted in statements if CONNECTION in granted))
        assert "codeconnections:UseConnection" in actions, found["Name"]


def services_of(granted: list[Any]) -> set[str]:
    """The services that the ARNs name; ARNs that CloudFormation fills in as a whole are left out."""
    found = (
        re.match(r'"?(?:\{"Fn::Join": \["", \[")?arn:(?:aws|", \{"Ref": "AWS::Partition"\}, "):([a-z0-9-]+):', json.dumps(one))
        for one in granted
    )
    return {match[1] for match in found if match is not None}


def test_an_action_is_of_the_service_of_what_it_is_allowed_on(resources: Resources) -> None:
    """But for what CDK allows by codestar-connections, which names nothing; sts:AssumeRole is on roles of IAM."""
    looked_at = set()
    for statements in allowed(resources).values():
        for actions, granted in statements:
            own = {action.split(":")[0].replace("sts", "iam") for action in actions} - {"codestar-connections"}
            named = services_of(granted)
            looked_at |= named
            assert not own or named <= own, (actions, granted)
    assert {"codeconnections", "iam", "logs", "codebuild"} <= looked_at


def test_a_rollout_starts_by_a_package_alone(resources: Resources) -> None:
    found = pipeline(resources, "reviewloop-dev-rollout")
    source, rollout = (stage["Actions"][0] for stage in found["Stages"])
    assert [variable["Name"] for variable in found["Variables"]] == ["PACKAGE"]
    assert source["Configuration"]["DetectChanges"] is False
    assert json.loads(rollout["Configuration"]["EnvironmentVariables"]) == [
        {"name": "PACKAGE", "type": "PLAINTEXT", "value": "#{variables.PACKAGE}"}
    ]


def as_deployed(value: Any) -> Any:
    """Values as CloudFormation would have them in dev's account: a stage of a pipeline has its account as a literal."""
    match value:
        case list():
            return [as_deployed(item) for item in value]
        case {"Ref": "AWS::AccountId"}:
            return DEV
        case {"Fn::Sub": str(text)}:
            filled = text.replace("${AWS::AccountId}", DEV)
            return {"Fn::Sub": filled} if "${" in filled else filled
        case {"Fn::Join": ["", list(parts)]}:
            joined: list[Any] = []
            for part in as_deployed(parts):
                if joined and isinstance(part, str) and isinstance(joined[-1], str):
                    joined[-1] += part
                else:
                    joined.append(part)
            return joined[0] if len(joined) == 1 and isinstance(joined[0], str) else {"Fn::Join": ["", joined]}
        case dict():
            return {key: as_deployed(item) for key, item in value.items()}
    return value


def compared(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """A template without what may differ, and its logical ids that may differ by what each is.

    cdk-nag copies acknowledged findings into the metadata of an app's own stacks, and not of a stage's. No resource changes by it.
    """
    text = path.read_text(encoding="utf-8")
    named: dict[str, str] = {}
    for key in json.loads(text)["Resources"]:
        if DEPLOYMENT.fullmatch(key):
            named["deployment"] = key
        elif found := PERMISSION.fullmatch(key):
            named["permission of the test" if found[1] else "permission"] = key
    for what, key in named.items():
        text = text.replace(f'"{key}"', f'"{what}"')
    template: dict[str, Any] = as_deployed(json.loads(text))
    for item in template["Resources"].values():
        metadata = item.get("Metadata", {})
        metadata.pop("cdk_nag", None)
        if not metadata:
            item.pop("Metadata", None)
    return template, named


def test_a_stage_has_the_same_templates_as_without_a_pipeline(assembly: Path, synthesised: Callable[[str], Path]) -> None:
    """But for three logical ids, so that a change to or from a pipeline makes these three anew, and nothing else."""
    folder = assembly / "assembly-reviewloop-pipeline-Dev"
    manifest = json.loads((folder / "manifest.json").read_bytes())["artifacts"]
    stacks = {item["properties"]["stackName"]: item for item in manifest.values() if item["type"] == "aws:cloudformation:stack"}
    alone = {path.name.removesuffix(".template.json"): path for path in synthesised("dev").glob("*.template.json")}
    assert set(stacks) == set(alone)
    for name, item in stacks.items():
        assert item["environment"] == f"aws://{DEV}/us-east-1"
        (found, ids), (expected, ids_alone) = compared(folder / item["properties"]["templateFile"]), compared(alone[name])
        assert found == expected, name
        named = {"deployment", "permission", "permission of the test"} if name == API else set[str]()
        assert set(ids) == set(ids_alone) == named
        assert [what for what in named if ids[what] == ids_alone[what]] == []


def is_a_hint(finding: dict[str, Any], template: dict[str, Any]) -> bool:
    """Whether a finding is cfn-lint's hint I1022, to write Fn::Sub for Fn::Join, under another rule's name.

    The hint is left out for templates of the CDK, which cfn-lint knows by metadata that ours do not have. It is no error either, and
    nobody sees it. But rule E3703 puts its own name on whatever the check of a role's ARN has found, the hint included:
    https://github.com/aws-cloudformation/cfn-lint/blob/main/src/cfnlint/rules/resources/codepipeline/PipelineActionConfiguration.py
    """
    path = finding["Location"]["Path"]
    if finding["Rule"]["Id"] != "E3703" or finding["Message"] != "Prefer using Fn::Sub over Fn::Join with an empty delimiter":
        return False
    value: Any = template
    for part in path:
        value = value[part]
    match path, value:
        case ["Resources", _, "Properties", "Stages", _, "Actions", _, "Configuration", "RoleArn"], {"Fn::Join": ["", parts]}:
            return bool(re.fullmatch(r"arn:PARTITION:iam::\d{12}:role/[\w+=,.@/-]+", "".join(map(_or_partition, parts))))
    return False


def _or_partition(part: str | dict[str, str]) -> str:
    return "PARTITION" if part == {"Ref": "AWS::Partition"} else str(part)


def test_cfn_lint_has_nothing_to_say(assembly: Path) -> None:
    """Of what is not in a stage; the templates of stages are the same as without a pipeline, and looked at there."""
    files = [str(path) for path in assembly.glob("*.template.json")]
    command = [str(Path(sys.executable).parent / "cfn-lint"), "--format", "json", "--regions", *get_args(Region), "--", *files]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert len(files) == 3
    found = json.loads(done.stdout)
    template = json.loads((assembly / "reviewloop-pipeline.template.json").read_bytes())
    assert [
        one for one in found if not (Path(one["Filename"]).name == "reviewloop-pipeline.template.json" and is_a_hint(one, template))
    ] == []


def test_it_is_synthesised_as_the_same_bytes_each_time(file: Path, assembly: Path, tmp_path: Path) -> None:
    run_app(["--pipeline", str(file)], tmp_path / "cdk.out")
    first, again = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.template.json")}
        for folder in (assembly, tmp_path / "cdk.out")
    )
    assert again == first != {}
