"""What the account has or may not have: workforce, closed services, CloudFront, API Gateway's role, container images."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sized
from typing import Any

from botocore.exceptions import ClientError

from cli.doctor.examination import Examination
from cli.findings import Finding, Level

_IMAGE = re.compile(r"\b(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/([a-z0-9._/-]+):([A-Za-z0-9._-]+)")


def workforce(examination: Examination) -> Iterator[Finding]:
    """One private workforce per account and region. Source: developer guide, "Create a Private Workforce (Amazon Cognito Console)"."""
    review = examination.settings.review
    if review.backend != "a2i":
        yield Finding("workforce", Level.OK, f"review.backend is {review.backend}: no workforce is needed")
        return
    sagemaker, prefix = examination.account.client("sagemaker"), examination.account.names.prefix
    if review.workforce.mode == "import":
        yield _imported_team(sagemaker, str(review.workforce.workteam_arn))
        return
    others = [force for force in sagemaker.list_workforces()["Workforces"] if force["WorkforceName"] != prefix]
    if not others:
        yield Finding("workforce", Level.OK, f"No other private workforce stands in the way of {prefix}")
        return
    name = others[0]["WorkforceName"]
    teams = [team["WorkteamArn"] for team in sagemaker.list_workteams()["Workteams"]]
    team = teams[0] if teams else "<ARN of a team that you make in it>"
    yield Finding(
        "workforce",
        Level.FAILURE,
        f"The account has the private workforce {name} in this region, and there is only one of them: making {prefix} would fail",
        f"Import one of its teams{': ' + ', '.join(teams) if teams else ''}.",
        f"review: {{workforce: {{mode: import, workteam_arn: {team}}}}}",
    )


def _imported_team(sagemaker: Any, arn: str) -> Finding:
    try:
        found = sagemaker.describe_workteam(WorkteamName=arn.rsplit("/", 1)[-1])["Workteam"]
    except ClientError as error:
        message = f"review.workforce.workteam_arn {arn}: {error.response['Error']['Message']}"
        return Finding("workforce", Level.FAILURE, message, "Name a team that exists: `aws sagemaker list-workteams`.")
    if found["WorkteamArn"] != arn:
        message = f"review.workforce.workteam_arn {arn} is not {found['WorkteamArn']}, which this account and region has under that name"
        return Finding(
            "workforce", Level.FAILURE, message, "Name that ARN.", f"review: {{workforce: {{workteam_arn: {found['WorkteamArn']}}}}}"
        )
    return Finding("workforce", Level.OK, f"The work team {arn} exists")


def closed_services(examination: Examination) -> Iterator[Finding]:
    """A2I, Ground Truth and data capture are closed to new customers. No call says whether an account is one, so its past use decides.

    Nothing is asked about a service that the settings do not use: a closed service may refuse to answer, and its answer changes nothing.
    """
    settings, sagemaker = examination.settings, examination.account.client("sagemaker")
    yield _closed(
        "Amazon A2I",
        settings.review.backend == "a2i",
        lambda: sagemaker.list_flow_definitions(MaxResults=10)["FlowDefinitionSummaries"],
        "flow definitions",
        "review: {backend: hosted}",
    )
    yield _closed(
        "Ground Truth",
        settings.labeling.enabled and settings.labeling.backend == "ground_truth",
        lambda: sagemaker.list_labeling_jobs(MaxResults=10)["LabelingJobSummaryList"],
        "labelling jobs",
        "labeling: {backend: hosted}",
    )
    yield _closed(
        "Endpoint data capture (on the notice of Model Monitor's closing)",
        settings.hosting.capture == "endpoint",
        lambda: sagemaker.list_monitoring_schedules(MaxResults=10)["MonitoringScheduleSummaries"],
        "monitoring schedules",
        "hosting: {capture: app}",
    )


def _closed(service: str, wanted: bool, uses: Callable[[], Sized], what: str, setting: str) -> Finding:
    if not wanted:
        return Finding("closed-services", Level.OK, f"{service} is closed to new customers, and the settings do not use it")
    if used := len(uses()):
        return Finding("closed-services", Level.OK, f"{service} is in use in this account ({used} {what})")
    message = f"{service} is closed to new customers, and this account shows no use of it (no {what}): the deploy may be refused"
    return Finding("closed-services", Level.UNKNOWN, message, "If this account is new to the service, switch it off.", setting)


def distributions(examination: Examination) -> Iterator[Finding]:
    """AWS refuses distributions to accounts that it has not verified. No call says whether an account is, so what it has decides.

    Source: https://github.com/aws-solutions/workload-discovery-on-aws/issues/12
    """
    if not any(True for template in examination.templates for _ in template.resources("AWS::CloudFront::Distribution")):
        yield Finding("distributions", Level.OK, "No template has a CloudFront distribution")
        return
    found = examination.account.client("cloudfront").list_distributions(MaxItems="1")["DistributionList"]
    if found.get("Items"):
        yield Finding("distributions", Level.OK, "The account has a CloudFront distribution already")
        return
    message = (
        "The review page needs a CloudFront distribution, and the account has none yet: AWS refuses them to accounts that it has not "
        'verified ("Your account must be verified before you can add new CloudFront resources"), and the review stack would roll back'
    )
    cure = "If the account is new, ask AWS Support before the deploy to verify it for CloudFront; only a support case can do that."
    yield Finding("distributions", Level.UNKNOWN, message, cure)


def api_log_role(examination: Examination) -> Iterator[Finding]:
    """One role per account and region writes the logs of every API."""
    role = examination.account.client("apigateway").get_account().get("cloudwatchRoleArn")
    managed = examination.settings.api.manage_account_role
    ours = f":role/{examination.account.names.prefix}-endpoint"
    if managed and role and ours not in role:
        message = f"API Gateway logs by the role {role} in this account, and api.manage_account_role would replace it for every API"
        yield Finding("api-logs", Level.WARNING, message, "Keep the one that is there.", "api: {manage_account_role: false}")
    elif not managed and not role:
        message = "api.manage_account_role is false and API Gateway has no role for logs here: the endpoint stack would be refused"
        command = "aws apigateway update-account --patch-operations op=replace,path=/cloudwatchRoleArn,value=<role ARN>"
        cure = f"Switch it on, or set one: `{command}`."
        yield Finding("api-logs", Level.FAILURE, message, cure, "api: {manage_account_role: true}")
    else:
        yield Finding("api-logs", Level.OK, f"API Gateway's role for logs: {role or 'none yet, the endpoint stack sets it'}")


def images(examination: Examination) -> Iterator[Finding]:
    """Ask for every container image that a template names, as a pull would."""
    found = sorted({match.group(0) for template in examination.templates for match in _IMAGE.finditer(str(_strings(template.document)))})
    if not found:
        yield Finding("images", Level.FAILURE, "No template names a container image: the templates are not those of this app")
    for uri in found:
        yield _image(examination, uri)


def _strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in _strings(item)]
    if isinstance(value, list):
        return [text for item in value for text in _strings(item)]
    return [value] if isinstance(value, str) else []


def _image(examination: Examination, uri: str) -> Finding:
    registry, region, repository, tag = _IMAGE.fullmatch(uri).groups()  # type: ignore[union-attr]  # images() found it by this pattern
    client = examination.account.session.client("ecr", region_name=region)
    try:
        answer = client.batch_get_image(registryId=registry, repositoryName=repository, imageIds=[{"imageTag": tag}])
    except ClientError as error:
        reason = error.response["Error"]
        if reason["Code"] == "RepositoryNotFoundException":
            return _no_image(uri, reason["Message"])
        raise
    if not answer.get("images"):
        failures = answer.get("failures") or [{"failureReason": "no image under this tag"}]
        return _no_image(uri, failures[0]["failureReason"])
    return Finding("images", Level.OK, f"{uri} exists")


def _no_image(uri: str, reason: str) -> Finding:
    message = f"The image {uri} cannot be pulled: {reason}"
    return Finding("images", Level.FAILURE, message, "Choose another region or instance type, or other versions in stacks/images.py.")
