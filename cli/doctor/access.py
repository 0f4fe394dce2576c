"""Who calls, where, and whether the CDK may deploy there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from cli.assembly import StackTemplate
from cli.doctor.examination import Examination
from cli.findings import Finding, Level

BOOTSTRAP_VERSION = "/cdk-bootstrap/hnb659fds/version"
REQUIRED_BOOTSTRAP = 6
"""The least bootstrap version that an assembly of aws-cdk-lib 2 names (``requiresBootstrapStackVersion``)."""


def identity(examination: Examination) -> Iterator[Finding]:
    account, region = examination.account, examination.settings.region
    yield Finding("identity", Level.OK, f"{account.identity['Arn']} in account {account.id}, region {region} (settings: region)")
    if account.identity["Arn"].endswith(":root"):
        message = "The caller is the account's root user, whom no policy limits"
        yield Finding("identity", Level.WARNING, message, "Deploy with a role, such as one of IAM Identity Center.")


def bootstrap(examination: Examination) -> Iterator[Finding]:
    account = examination.account
    command = f"npx cdk bootstrap aws://{account.id}/{examination.settings.region}"
    version = account.ssm_value(BOOTSTRAP_VERSION)
    if version is None:
        message = f"The account has no CDK bootstrap in {examination.settings.region} (no parameter {BOOTSTRAP_VERSION})"
        yield Finding("bootstrap", Level.FAILURE, message, f"Run `{command}`.")
        return
    if int(version) < REQUIRED_BOOTSTRAP:
        message = f"The CDK bootstrap has version {version}, and the stacks need {REQUIRED_BOOTSTRAP} or newer"
        yield Finding("bootstrap", Level.FAILURE, message, f"Run `{command}` again.")
    else:
        yield Finding("bootstrap", Level.OK, f"CDK bootstrap version {version}")
    yield from _execution_role(examination, command)


def _execution_role(examination: Examination, command: str) -> Iterator[Finding]:
    """CloudFormation's role: without a policy every resource of every stack is refused."""
    iam, account = examination.account.client("iam"), examination.account
    name = f"cdk-hnb659fds-cfn-exec-role-{account.id}-{examination.settings.region}"
    try:
        attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
        inline = iam.list_role_policies(RoleName=name)["PolicyNames"]
    except iam.exceptions.NoSuchEntityException:
        yield Finding("bootstrap", Level.FAILURE, f"The role {name}, by which CloudFormation deploys, does not exist", f"Run `{command}`.")
        return
    if not attached and not inline:
        message = f"The role {name} has no policy: CloudFormation could make nothing"
        yield Finding("bootstrap", Level.FAILURE, message, f"Run `{command} --cloudformation-execution-policies <policy ARN>`.")
    else:
        policies = ", ".join(policy["PolicyName"] for policy in attached) or f"{len(inline)} inline"
        yield Finding("bootstrap", Level.OK, f"CloudFormation deploys by {name} with {policies}")


def names_free(examination: Examination) -> Iterator[Finding]:
    """Find literal names that are taken already. CloudFormation would fail at the first of them."""
    for template in examination.templates:
        if template.name in examination.physical:
            continue
        taken = [name for name in _literal_names(template) if _exists(examination, *name)]
        for kind, name in taken:
            yield Finding(
                "names",
                Level.FAILURE,
                f"The {kind} {name} exists already and no stack {template.name} owns it",
                'It was kept when an earlier stage of this name was taken down: delete it (docs/operations.md, "Taking it down"), '
                f"or bring it back into the stack with `npx cdk import {template.name}`.",
                "stage: <another name>",
            )
    deployed = [template.name for template in examination.templates if template.name in examination.physical]
    state = f"deployed already: {', '.join(deployed)}" if deployed else "nothing of the stage is deployed yet"
    yield Finding("names", Level.OK, f"The stage's names were looked up; {state}")


def _literal_names(template: StackTemplate) -> list[tuple[str, str]]:
    kinds = {"AWS::S3::Bucket": ("bucket", "BucketName"), "AWS::DynamoDB::Table": ("table", "TableName")}
    found = []
    for kind, (word, key) in kinds.items():
        for _, resource in template.resources(kind):
            if key in resource["Properties"]:
                found.append((word, str(template.resolve(resource["Properties"][key]))))
    return found


def _exists(examination: Examination, kind: str, name: str) -> bool:
    account = examination.account
    try:
        if kind == "bucket":
            account.client("s3").head_bucket(Bucket=name)
        else:
            account.client("dynamodb").describe_table(TableName=name)
    except ClientError as error:
        # 403: the bucket is another account's, and its name is taken all the same.
        return bool(error.response["ResponseMetadata"]["HTTPStatusCode"] == 403)
    return True


def dataset_key(examination: Examination) -> Iterator[Finding]:
    """Check the key of a team's own dataset and, once it exists, the app's key: enabled, and open for this account's IAM policies."""
    keys = {"dataset.kms_key_arn": examination.settings.dataset.kms_key_arn}
    keys[examination.account.names.parameter("key-arn")] = examination.account.parameter("key-arn")
    looked = False
    for source, arn in keys.items():
        if arn:
            looked = True
            yield from _key(examination, source, arn)
    if not looked:
        yield Finding("keys", Level.OK, "No key to look at: the stage makes its own, and `dataset` names none")


def _key(examination: Examination, source: str, arn: str) -> Iterator[Finding]:
    kms = examination.account.client("kms")
    state = kms.describe_key(KeyId=arn)["KeyMetadata"]
    if state["KeyState"] != "Enabled":
        message = f"The key {arn} ({source}) is {state['KeyState']}, so nothing that it encrypts can be read"
        yield Finding("keys", Level.FAILURE, message, f"Enable it: `aws kms enable-key --key-id {arn}`.")
        return
    policy = json.loads(kms.get_key_policy(KeyId=arn, PolicyName="default")["Policy"])
    if not _trusts_account(policy, examination.account.id):
        message = f"The policy of the key {arn} ({source}) does not let IAM policies of account {examination.account.id} grant its use"
        cure = (
            "Add the statement that AWS makes by default (Principal: the account's root, Action: kms:*), or name the app's job roles in it."
        )
        yield Finding("keys", Level.FAILURE, message, cure)
    else:
        yield Finding("keys", Level.OK, f"The key {arn} ({source}) is enabled and follows this account's IAM policies")


def _trusts_account(policy: dict[str, Any], account: str) -> bool:
    for statement in policy["Statement"]:
        principal = statement.get("Principal", {})
        trusted = principal if isinstance(principal, str) else principal.get("AWS", [])
        trusted = [trusted] if isinstance(trusted, str) else trusted
        actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        names_account = any(name in ("*", account) or (name.endswith(":root") and f":{account}:" in name) for name in trusted)
        if statement["Effect"] == "Allow" and {"kms:*", "kms:Decrypt", "*"} & set(actions) and names_account:
            return True
    return False
