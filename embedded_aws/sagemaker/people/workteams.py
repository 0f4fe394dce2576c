"""Work teams: groups of the workforce's Cognito user pool that share tasks.

Source: SageMaker API reference, CreateWorkteam; at most 25 teams per workforce.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection

from botocore.exceptions import ClientError

from embedded_aws.core.api import ApiError, Records, Request, Response, operation, validation_error
from embedded_aws.sagemaker.listing import page
from embedded_aws.sagemaker.people import workforce as workforces
from embedded_aws.sagemaker.people.workforce import cognito, need_workforce

WORKTEAMS = Records("workteam/private-crowd")
MAX_TEAMS = 25


def need_workteam_arn(arn: str) -> Request:
    """The team with this ARN.

    Raises:
        ApiError: ValidationException when there is none, as CreateFlowDefinition and CreateLabelingJob answer.
    """
    for _, record in WORKTEAMS.items():
        if record["WorkteamArn"] == arn:
            return record
    raise validation_error(f"The workteam {arn} does not exist in this account and region.")


def teams_of(user_pool: str, groups: Collection[str]) -> list[Request]:
    """The teams that a member of these groups of the pool works for."""
    return [
        record
        for _, record in WORKTEAMS.items()
        if any(
            member["CognitoMemberDefinition"]["UserPool"] == user_pool and member["CognitoMemberDefinition"]["UserGroup"] in groups
            for member in record["MemberDefinitions"]
        )
    ]


def _check_members(members: list[Request], workforce: Request) -> None:
    client = cognito()
    for member in members:
        definition = member.get("CognitoMemberDefinition")
        if definition is None:
            raise validation_error("A team of a Cognito workforce needs CognitoMemberDefinition in every member definition.")
        if definition["UserPool"] != workforce["CognitoConfig"]["UserPool"]:
            raise validation_error(f"The user pool {definition['UserPool']} is not the pool of the workforce {workforce['WorkforceName']}.")
        try:
            client.get_group(GroupName=definition["UserGroup"], UserPoolId=definition["UserPool"])
            client.describe_user_pool_client(UserPoolId=definition["UserPool"], ClientId=definition["ClientId"])
        except ClientError as error:
            raise validation_error(f"Cognito refuses MemberDefinitions: {error.response['Error']['Message']}") from None


@operation("sagemaker", "CreateWorkteam")
def create_workteam(request: Request) -> Response:
    name = request["WorkteamName"]
    workforce = need_workforce(request.get("WorkforceName"))
    with WORKTEAMS.lock:
        if WORKTEAMS.find(name) is not None:
            raise ApiError("ResourceInUse", f'Cannot create already existing workteam "{WORKTEAMS.arn(name)}".')
        if len(WORKTEAMS.items()) >= MAX_TEAMS:
            raise ApiError("ResourceLimitExceeded", f"A workforce has at most {MAX_TEAMS} work teams.")
        _check_members(request["MemberDefinitions"], workforce)
        now = dt.datetime.now(dt.UTC)
        record = {
            "WorkteamName": name,
            "WorkteamArn": WORKTEAMS.arn(name),
            "WorkforceArn": workforce["WorkforceArn"],
            "SubDomain": workforce["SubDomain"],
            "MemberDefinitions": request["MemberDefinitions"],
            "Description": request["Description"],
            "CreateDate": now,
            "LastUpdatedDate": now,
        }
        if "NotificationConfiguration" in request:
            record["NotificationConfiguration"] = request["NotificationConfiguration"]
        WORKTEAMS.add(name, record)
    return {"WorkteamArn": record["WorkteamArn"]}


@operation("sagemaker", "DescribeWorkteam")
def describe_workteam(request: Request) -> Response:
    return {"Workteam": WORKTEAMS.need(request["WorkteamName"])}


@operation("sagemaker", "UpdateWorkteam")
def update_workteam(request: Request) -> Response:
    record = WORKTEAMS.need(request["WorkteamName"])
    if "MemberDefinitions" in request:
        _check_members(request["MemberDefinitions"], need_workforce(None))
    for key in ("MemberDefinitions", "Description", "NotificationConfiguration"):
        if key in request:
            record[key] = request[key]
    record["LastUpdatedDate"] = dt.datetime.now(dt.UTC)
    return {"Workteam": record}


@operation("sagemaker", "ListWorkteams")
def list_workteams(request: Request) -> Response:
    rows = [record for _, record in WORKTEAMS.items()]
    return page(rows, request, "Workteams", name="WorkteamName", created="CreateDate")


@operation("sagemaker", "DeleteWorkteam")
def delete_workteam(request: Request) -> Response:
    WORKTEAMS.remove(request["WorkteamName"])
    return {"Success": True}


def _refuse_while_teams_exist(_workforce: str) -> None:
    teams = [name for name, _ in WORKTEAMS.items()]
    if teams:
        raise ApiError("ResourceInUse", f"The workforce has work teams ({', '.join(sorted(teams))}): delete them first.")


workforces.on_delete.append(_refuse_while_teams_exist)
