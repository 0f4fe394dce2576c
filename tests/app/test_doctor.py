"""``doctor`` against the embedded AWS: what an account would refuse is found, named, and cured by what the finding says."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from deployed_app import NAMES
from typer.testing import CliRunner

from cli.main import app
from embedded_aws.tools import launcher
from embedded_aws.tools.clients import Clients
from embedded_aws.tools.deployer import deploy

pytestmark = pytest.mark.slow

REGION, ACCOUNT = "us-east-1", "000000000000"
ROLE_OF_CDK = f"cdk-hnb659fds-cfn-exec-role-{ACCOUNT}-{REGION}"


class Doctor(Protocol):
    """``doctor("--only", "quotas")`` -> (exit code, findings)."""

    def __call__(self, *options: str, assembly: Path | None = None) -> tuple[int, list[dict[str, str]]]: ...


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[launcher.Emulator]:
    """An account of this module's own, in which the tests below leave more and more."""
    running = launcher.start(tmp_path_factory.mktemp("doctor") / "run", port=launcher.free_port(), time_scale=0.02, region=REGION)
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture
def environment(emulator: launcher.Emulator) -> dict[str, str | None]:
    return {
        "AWS_ENDPOINT_URL": emulator.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_SESSION_TOKEN": None,
        "AWS_PROFILE": None,
    }


@pytest.fixture
def doctor(environment: dict[str, str | None], synthesised: Callable[[str], Path]) -> Doctor:
    def run(*options: str, assembly: Path | None = None) -> tuple[int, list[dict[str, str]]]:
        folder = assembly or synthesised("dev")
        done = CliRunner().invoke(app, ["doctor", "--json", "--assembly", str(folder), *options], env=environment)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, json.loads(done.stdout)["findings"] if done.stdout else []

    return run


@pytest.fixture
def client(emulator: launcher.Emulator) -> Clients:
    return Clients(emulator.url, REGION)


def failures(findings: list[dict[str, str]]) -> list[dict[str, str]]:
    return [finding for finding in findings if finding["level"] == "failure"]


def edited(assembly: Path, output: Path, template: str, old: str, new: str) -> Path:
    """A copy of an assembly with one text of one template replaced."""
    shutil.copytree(assembly, output)
    path = output / f"{template}.template.json"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    return output


def test_an_account_without_bootstrap_is_told_the_command(doctor: Doctor) -> None:
    code, findings = doctor()
    assert code == 1
    (failure,) = failures(findings)
    assert failure["check"] == "bootstrap"
    assert failure["cure"] == f"Run `npx cdk bootstrap aws://{ACCOUNT}/{REGION}`."
    looked_at = {finding["check"] for finding in findings}
    assert looked_at == {
        "identity",
        "bootstrap",
        "names",
        "quotas",
        "closed-services",
        "distributions",
        "workforce",
        "api-logs",
        "keys",
        "images",
        "definitions",
        "roles",
    }


def test_planned_roles_may_all_that_their_policies_name(doctor: Doctor) -> None:
    _, findings = doctor("--only", "roles")
    assert len(findings) > 25
    assert failures(findings) == []
    assert all("not deployed yet" in finding["message"] for finding in findings)


def test_a_bucket_that_was_kept_is_in_the_way_of_the_next_deploy(doctor: Doctor, client: Callable[[str], Any]) -> None:
    name = NAMES.bucket("models")
    client("s3").create_bucket(Bucket=name)
    code, findings = doctor("--only", "names")
    assert code == 1
    assert f"The bucket {name} exists already" in failures(findings)[0]["message"]
    client("s3").delete_bucket(Bucket=name)
    assert doctor("--only", "names")[0] == 0


def test_once_deployed_everything_holds(doctor: Doctor, emulator: launcher.Emulator, synthesised: Callable[[str], Path]) -> None:
    deploy(synthesised("dev"), emulator.url, stacks=[NAMES.stack("foundation"), NAMES.stack("tuning")])
    code, findings = doctor()
    assert code == 0, failures(findings)
    deployed = [finding for finding in findings if finding["check"] == "roles" and "as deployed" in finding["message"]]
    assert len(deployed) > 5
    assert any("is enabled and follows" in finding["message"] for finding in findings if finding["check"] == "keys")


def test_a_boundary_on_a_role_is_found(doctor: Doctor, client: Callable[[str], Any]) -> None:
    iam, cloudformation = client("iam"), client("cloudformation")
    resources = cloudformation.list_stack_resources(StackName=NAMES.stack("tuning"))["StackResourceSummaries"]
    roles = [item for item in resources if item["ResourceType"] == "AWS::IAM::Role"]
    (role,) = (item["PhysicalResourceId"] for item in roles if item["LogicalResourceId"].startswith("TrainingRole"))
    allowed = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "logs:*", "Resource": "*"}]}
    policy = iam.create_policy(PolicyName="boundary", PolicyDocument=json.dumps(allowed))["Policy"]["Arn"]
    iam.put_role_permissions_boundary(RoleName=role, PermissionsBoundary=policy)
    code, findings = doctor("--only", "roles")
    assert code == 1
    found = failures(findings)
    assert all("TrainingRole" in failure["message"] for failure in found)
    assert any("s3:GetObject" in failure["message"] and "its permission boundary" in failure["message"] for failure in found)
    assert role in found[0]["cure"]
    iam.delete_role_permissions_boundary(RoleName=role)
    assert doctor("--only", "roles")[0] == 0


def test_a_disabled_key_is_named(doctor: Doctor, client: Callable[[str], Any]) -> None:
    key = client("ssm").get_parameter(Name=NAMES.parameter("key-arn"))["Parameter"]["Value"]
    client("kms").disable_key(KeyId=key)
    code, findings = doctor("--only", "keys")
    assert (code, len(failures(findings))) == (1, 1)
    assert key in findings[0]["message"]
    assert "enable-key" in findings[0]["cure"]
    client("kms").enable_key(KeyId=key)
    assert doctor("--only", "keys")[0] == 0


def test_an_execution_role_without_policy_is_found(doctor: Doctor, client: Callable[[str], Any]) -> None:
    iam = client("iam")
    (policy,) = iam.list_attached_role_policies(RoleName=ROLE_OF_CDK)["AttachedPolicies"]
    iam.detach_role_policy(RoleName=ROLE_OF_CDK, PolicyArn=policy["PolicyArn"])
    code, findings = doctor("--only", "bootstrap")
    assert code == 1
    assert f"{ROLE_OF_CDK} has no policy" in failures(findings)[0]["message"]
    iam.attach_role_policy(RoleName=ROLE_OF_CDK, PolicyArn=policy["PolicyArn"])
    assert doctor("--only", "bootstrap")[0] == 0


def test_another_workforce_is_imported_by_the_line_that_is_shown(doctor: Doctor, client: Callable[[str], Any]) -> None:
    cognito, sagemaker = client("cognito-idp"), client("sagemaker")
    pool = cognito.create_user_pool(PoolName="others")["UserPool"]["Id"]
    app_client = cognito.create_user_pool_client(UserPoolId=pool, ClientName="others", GenerateSecret=True)["UserPoolClient"]["ClientId"]
    cognito.create_user_pool_domain(Domain="others-000", UserPoolId=pool)
    cognito.create_group(GroupName="people", UserPoolId=pool)
    sagemaker.create_workforce(WorkforceName="others", CognitoConfig={"UserPool": pool, "ClientId": app_client})
    member = {"CognitoMemberDefinition": {"UserPool": pool, "ClientId": app_client, "UserGroup": "people"}}
    team = sagemaker.create_workteam(WorkteamName="team", WorkforceName="others", MemberDefinitions=[member], Description="people")
    code, findings = doctor("--only", "workforce")
    assert code == 1
    assert findings[0]["setting"] == f"review: {{workforce: {{mode: import, workteam_arn: {team['WorkteamArn']}}}}}"
    sagemaker.delete_workteam(WorkteamName="team")
    sagemaker.delete_workforce(WorkforceName="others")
    assert doctor("--only", "workforce")[0] == 0


def test_an_account_without_a_distribution_may_have_to_be_verified_first(
    doctor: Doctor, client: Callable[[str], Any], synthesised: Callable[[str], Path], tmp_path: Path
) -> None:
    """A template with a distribution stands for that of a hosted stage, which nothing else here needs."""
    assert doctor("--only", "distributions")[1][0]["level"] == "ok"
    kind = '"Type": "AWS::Cognito::UserPoolDomain"'
    hosted = edited(synthesised("dev"), tmp_path / "cdk.out", NAMES.stack("review"), kind, '"Type": "AWS::CloudFront::Distribution"')
    code, findings = doctor("--only", "distributions", assembly=hosted)
    assert (code, findings[0]["level"]) == (0, "unknown")
    assert "Your account must be verified" in findings[0]["message"]
    assert "AWS Support" in findings[0]["cure"]
    origin = {
        "Id": "own",
        "DomainName": "example.com",
        "CustomOriginConfig": {"HTTPPort": 80, "HTTPSPort": 443, "OriginProtocolPolicy": "https-only"},
    }
    behavior = {"TargetOriginId": "own", "ViewerProtocolPolicy": "https-only", "CachePolicyId": "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"}
    config = {
        "CallerReference": "own",
        "Comment": "",
        "Enabled": True,
        "Origins": {"Quantity": 1, "Items": [origin]},
        "DefaultCacheBehavior": behavior,
    }
    client("cloudfront").create_distribution(DistributionConfig=config)
    assert doctor("--only", "distributions", assembly=hosted)[1][0]["level"] == "ok"


def test_the_role_of_another_api_is_kept(doctor: Doctor, client: Callable[[str], Any]) -> None:
    role = f"arn:aws:iam::{ACCOUNT}:role/logs-of-another-api"
    client("apigateway").update_account(patchOperations=[{"op": "replace", "path": "/cloudwatchRoleArn", "value": role}])
    code, findings = doctor("--only", "api-logs")
    assert code == 0
    assert (findings[0]["level"], findings[0]["setting"]) == ("warning", "api: {manage_account_role: false}")


def test_a_quota_below_the_settings_is_told_with_the_request_that_raises_it(
    doctor: Doctor, client: Callable[[str], Any], synthesised: Callable[[str], Path]
) -> None:
    code, findings = doctor("--stage", "prod", "--only", "quotas", assembly=synthesised("prod"))
    assert code == 1
    (failure,) = failures(findings)
    assert "ml.c5.xlarge for endpoint usage: the account has 20 and 40 are needed" in failure["message"]
    request = failure["cure"].split("`")[1].split()
    options = dict(zip(request[3::2], request[4::2], strict=True))
    client("service-quotas").request_service_quota_increase(
        ServiceCode=options["--service-code"], QuotaCode=options["--quota-code"], DesiredValue=float(options["--desired-value"])
    )
    assert doctor("--stage", "prod", "--only", "quotas", assembly=synthesised("prod"))[0] == 0


@pytest.mark.parametrize(
    ("template", "texts", "check", "words"),
    [
        ("tuning", ("2.9.0-transformers5.3.0-gpu", "9.9.9-none"), "images", "Requested image not found"),
        ("tuning", ("/huggingface-pytorch-training:", "/no-such-repository:"), "images", "does not exist"),
        ("tuning", ('\\"TrainingJobEarlyStoppingType\\"', '\\"RandomSeed\\"'), "definitions", "RandomSeed"),
    ],
)
def test_a_template_that_aws_would_refuse_is_found(  # noqa: PLR0917  (pytest passes fixtures and cases by name)
    doctor: Doctor, synthesised: Callable[[str], Path], tmp_path: Path, template: str, texts: tuple[str, str], check: str, words: str
) -> None:
    broken = edited(synthesised("dev"), tmp_path / "cdk.out", NAMES.stack(template), *texts)
    code, findings = doctor("--only", check, assembly=broken)
    assert code == 1
    assert any(words in failure["message"] for failure in failures(findings))


def test_what_the_caller_may_not_read_is_unknown_and_names_the_call(
    environment: dict[str, str | None], client: Callable[[str], Any], synthesised: Callable[[str], Path]
) -> None:
    iam = client("iam")
    iam.create_user(UserName="reader")
    key = iam.create_access_key(UserName="reader")["AccessKey"]
    own = {**environment, "AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    done = CliRunner().invoke(app, ["doctor", "--json", "--only", "workforce", "--assembly", str(synthesised("dev"))], env=own)
    (finding,) = json.loads(done.stdout)["findings"]
    assert finding["level"] == "unknown"
    assert "you may not call ListWorkforces" in finding["message"]
    assert "sagemaker:ListWorkforces" in finding["message"]


@pytest.mark.parametrize(
    ("options", "variables", "code", "words"),
    [
        (["--stage", "nowhere"], {}, 2, "stages with a file: dev"),
        (["--only", "weather"], {}, 2, "--only weather: no such check; allowed are identity, bootstrap"),
        (["--assembly", "nowhere"], {}, 2, "nowhere"),
        (["--profile", "nobody"], {}, 4, "nobody"),
        ([], {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, 4, "AWS gave no answer"),
    ],
)
def test_what_cannot_start_says_why(
    environment: dict[str, str | None], options: list[str], variables: dict[str, str], code: int, words: str
) -> None:
    done = CliRunner().invoke(app, ["doctor", *options], env={**environment, **variables})
    assert done.exit_code == code
    assert words in done.stderr


def test_a_person_reads_one_line_for_what_is_well(environment: dict[str, str | None], synthesised: Callable[[str], Path]) -> None:
    done = CliRunner().invoke(app, ["doctor", "--only", "images", "--assembly", str(synthesised("dev"))], env=environment)
    assert done.stdout.splitlines() == ["ok  images: 2 looked at, nothing found", "", "2 ok"]
