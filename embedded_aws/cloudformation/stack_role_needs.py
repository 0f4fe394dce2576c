"""What CloudFormation needs allowed to create, update or delete a resource under a stack's service role. Pure.

Source: the registry schemas' ``handlers.<verb>.permissions``, reduced to what a resource's own properties make necessary (no
``kms:DescribeKey`` without a key, no Lambda concurrency for a SageMaker target), and, for Application Auto Scaling, its user
guide's "Permissions validation for Application Auto Scaling API calls on target resources": it tries its caller's permissions on
the endpoint and on CloudWatch. Only the types in :data:`COVERED` are judged; everything else is provisioned unchecked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from embedded_aws.iam.requests import Check, Context

Properties = Mapping[str, Any]
Verb = Literal["create", "update", "delete"]
_LINKED_ROLE = "sagemaker.application-autoscaling.amazonaws.com"
LINKED_ROLE_NAME = "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"


@dataclass(frozen=True)
class Change:
    """One resource's change; ``name`` is its physical name, ``old`` is empty on create and ``new`` on delete."""

    verb: Verb
    name: str
    region: str
    account: str
    old: Properties = field(default_factory=dict)
    new: Properties = field(default_factory=dict)

    def arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"

    def tag_keys(self) -> Context:
        """Condition keys: ``aws:RequestTag/...`` of what is made, ``aws:ResourceTag/...`` of what is there."""
        if self.verb == "create":
            return {f"aws:RequestTag/{key}": value for key, value in _own_tags(self.new).items()}
        return {f"aws:ResourceTag/{key}": value for key, value in _own_tags(self.old).items()}

    def differs_beyond_tags(self) -> bool:
        return any(self.old.get(key) != self.new.get(key) for key in (self.old.keys() | self.new.keys()) - {"Tags"})


def needed(type_name: str, change: Change) -> list[Check]:
    """The checks in the order of the calls; empty for a type that is not covered."""
    find = COVERED.get(type_name)
    return list(find(change)) if find else []


def _own_tags(properties: Properties) -> dict[str, str]:
    """The tags without those that begin with ``aws:``. Only some types' handlers set these through the service."""
    return {tag["Key"]: tag["Value"] for tag in properties.get("Tags", []) if not tag["Key"].startswith("aws:")}


def _tagging(change: Change, resource: str, add: str, remove: str, *, system_tags: bool, created_by: str = "") -> Iterator[Check]:
    """``system_tags``: CloudFormation tags every resource of this type, so creating one always takes ``add``.

    ``created_by``: SageMaker's operation that sets the tags with the resource, its condition key ``sagemaker:TaggingAction``.
    """
    if change.verb == "delete":
        return
    before, after = _own_tags(change.old), _own_tags(change.new)
    if any(before.get(key) != value for key, value in after.items()) or (system_tags and change.verb == "create"):
        tagging = {"sagemaker:TaggingAction": created_by} if created_by and change.verb == "create" else {}
        yield Check(add, resource, {**change.tag_keys(), **tagging})
    if before.keys() - after.keys():
        yield Check(remove, resource)


def _passed(role: object, service: str) -> Iterator[Check]:
    if role:
        yield Check("iam:PassRole", str(role), {"iam:PassedToService": service})


# -- SageMaker -------------------------------------------------------------------------------------


def _model(change: Change) -> Iterator[Check]:
    arn = change.arn("sagemaker", f"model/{change.name.lower()}")
    if change.verb == "create":
        yield Check("sagemaker:CreateModel", arn, change.tag_keys())
        yield from _passed(change.new.get("ExecutionRoleArn"), "sagemaker.amazonaws.com")
    elif change.verb == "delete":
        yield Check("sagemaker:DeleteModel", arn, change.tag_keys())
    yield from _tagging(change, arn, "sagemaker:AddTags", "sagemaker:DeleteTags", system_tags=True, created_by="CreateModel")


def _endpoint_config(change: Change) -> Iterator[Check]:
    arn = change.arn("sagemaker", f"endpoint-config/{change.name.lower()}")
    if change.verb == "create":
        yield Check("sagemaker:CreateEndpointConfig", arn, change.tag_keys())
        yield from _passed(change.new.get("ExecutionRoleArn"), "sagemaker.amazonaws.com")
        key = change.new.get("KmsKeyId")
        if key:
            yield Check("kms:DescribeKey", str(key) if str(key).startswith("arn:") else change.arn("kms", f"key/{key}"))
    elif change.verb == "delete":
        yield Check("sagemaker:DeleteEndpointConfig", arn, change.tag_keys())
    created_by = "CreateEndpointConfig"
    yield from _tagging(change, arn, "sagemaker:AddTags", "sagemaker:DeleteTags", system_tags=False, created_by=created_by)


def _endpoint(change: Change) -> Iterator[Check]:
    arn = change.arn("sagemaker", f"endpoint/{change.name.lower()}")
    if change.verb == "delete":
        yield Check("sagemaker:DeleteEndpoint", arn)
        yield Check("sagemaker:DescribeEndpoint", arn)
        return
    if change.differs_beyond_tags():
        action = "sagemaker:CreateEndpoint" if change.verb == "create" else "sagemaker:UpdateEndpoint"
        yield Check(action, arn)
        yield Check(action, change.arn("sagemaker", f"endpoint-config/{str(change.new.get('EndpointConfigName', '')).lower()}"))
        yield Check("sagemaker:DescribeEndpoint", arn)
    yield from _tagging(change, arn, "sagemaker:AddTags", "sagemaker:DeleteTags", system_tags=False, created_by="CreateEndpoint")


# -- Application Auto Scaling ----------------------------------------------------------------------


def _target(change: Change) -> Iterator[Check]:
    properties = change.old if change.verb == "delete" else change.new
    resource_id = str(properties.get("ResourceId", ""))
    arn, service = change.arn("application-autoscaling", f"scalable-target/{resource_id}"), "application-autoscaling"
    if change.verb == "delete":
        yield Check(f"{service}:DeregisterScalableTarget", arn)
        return
    yield Check(f"{service}:DescribeScalableTargets")
    yield Check(f"{service}:RegisterScalableTarget", arn)
    if change.verb == "create":
        linked = f"arn:aws:iam::{change.account}:role/aws-service-role/{_LINKED_ROLE}/{LINKED_ROLE_NAME}"
        yield Check("iam:CreateServiceLinkedRole", linked, {"iam:AWSServiceName": _LINKED_ROLE})
        yield from _passed(properties.get("RoleARN"), "application-autoscaling.amazonaws.com")
    endpoint = change.arn("sagemaker", f"endpoint/{resource_id.split('/')[1].lower()}") if resource_id.count("/") == 3 else "*"
    yield Check("sagemaker:DescribeEndpoint", endpoint)
    yield Check("sagemaker:DescribeEndpointConfig", change.arn("sagemaker", "endpoint-config/*"))
    yield Check("sagemaker:UpdateEndpointWeightsAndCapacities", endpoint)
    before, after = (
        {action["ScheduledActionName"]: action for action in side.get("ScheduledActions", [])} for side in (change.old, change.new)
    )
    if before.keys() - after.keys():
        yield Check(f"{service}:DeleteScheduledAction", arn)
    if after:
        yield Check(f"{service}:PutScheduledAction", arn)
    yield from _tagging(change, arn, f"{service}:TagResource", f"{service}:UntagResource", system_tags=False)


def _policy(change: Change) -> Iterator[Check]:
    properties, service = change.old if change.verb == "delete" else change.new, "application-autoscaling"
    resource_id = str(properties.get("ResourceId") or str(properties.get("ScalingTargetId", "")).split("|")[0])
    arn = change.arn(service, f"scalable-target/{resource_id}")
    yield Check(f"{service}:DescribeScalingPolicies")
    if change.verb == "delete":
        yield Check(f"{service}:DeleteScalingPolicy", arn)
        return
    yield Check(f"{service}:PutScalingPolicy", arn)
    alarms = change.arn("cloudwatch", f"alarm:TargetTracking-{resource_id}-*")
    for action in ("DescribeAlarms", "PutMetricAlarm", "DeleteAlarms"):
        yield Check(f"cloudwatch:{action}", alarms)


# -- CloudWatch ------------------------------------------------------------------------------------


def _alarm(put: str) -> Callable[[Change], Iterator[Check]]:
    def find(change: Change) -> Iterator[Check]:
        arn = change.arn("cloudwatch", f"alarm:{change.name}")
        yield Check("cloudwatch:DescribeAlarms", arn)
        yield Check("cloudwatch:DeleteAlarms" if change.verb == "delete" else put, arn)
        yield from _tagging(change, arn, "cloudwatch:TagResource", "cloudwatch:UntagResource", system_tags=True)

    return find


# -- public services -------------------------------------------------------------------------------


def _http_api(collection: str) -> Callable[[Change], Iterator[Check]]:
    """An HTTP API, or one of its parts: POST on the collection makes one, and everything else is done to itself."""

    def find(change: Change) -> Iterator[Check]:
        properties = change.old if change.verb == "delete" else change.new
        below = f"/{properties.get('ApiId', '')}/{collection}" if collection else ""
        every = f"arn:aws:apigateway:{change.region}::/apis{below}"
        one = f"{every}/{change.name.rsplit('/', 1)[-1]}"
        if change.verb == "create":
            yield Check("apigateway:POST", every)
        else:
            if collection != "stages":
                yield Check("apigateway:GET", one)
            yield Check("apigateway:PATCH" if change.verb == "update" else "apigateway:DELETE", one)
        if collection == "integrations" and change.verb != "delete":
            yield from _passed(properties.get("CredentialsArn"), "apigateway.amazonaws.com")
        if collection == "stages" and change.verb != "delete":
            yield from _stage_tags(change, one)

    return find


def _stage_tags(change: Change, stage: str) -> Iterator[Check]:
    if change.new.get("Tags") and change.new.get("Tags") != change.old.get("Tags"):
        yield Check("apigateway:TagResource", stage)
    if change.old.get("Tags") and change.new.get("Tags") != change.old.get("Tags"):
        yield Check("apigateway:UntagResource", stage)


def _cloudfront(kind: str, resource: str) -> Callable[[Change], Iterator[Check]]:
    def find(change: Change) -> Iterator[Check]:
        every = f"arn:aws:cloudfront::{change.account}:{resource}"
        one = f"{every}/{'*' if change.verb == 'create' else change.name}"
        yield Check(f"cloudfront:{change.verb.capitalize()}{kind}", one)
        if change.verb != "create" or kind == "Distribution":
            yield Check(f"cloudfront:Get{kind}", one)
        if kind == "Distribution":
            yield Check("cloudfront:GetDistributionConfig", one)
            yield from _tagging(change, one, "cloudfront:TagResource", "cloudfront:UntagResource", system_tags=True)

    return find


def _user_pool_domain(change: Change) -> Iterator[Check]:
    properties = change.old if change.verb == "delete" else change.new
    pool = change.arn("cognito-idp", f"userpool/{properties.get('UserPoolId', '')}")
    yield Check(f"cognito-idp:{change.verb.capitalize()}UserPoolDomain", pool)
    yield Check("cognito-idp:DescribeUserPoolDomain")


PUBLIC_SERVICES: dict[str, Callable[[Change], Iterator[Check]]] = {
    "AWS::ApiGatewayV2::Api": _http_api(""),
    "AWS::ApiGatewayV2::Integration": _http_api("integrations"),
    "AWS::ApiGatewayV2::Route": _http_api("routes"),
    "AWS::ApiGatewayV2::Stage": _http_api("stages"),
    "AWS::CloudFront::Distribution": _cloudfront("Distribution", "distribution"),
    "AWS::CloudFront::OriginAccessControl": _cloudfront("OriginAccessControl", "origin-access-control"),
    "AWS::CloudFront::ResponseHeadersPolicy": _cloudfront("ResponseHeadersPolicy", "response-headers-policy"),
    "AWS::Cognito::UserPoolDomain": _user_pool_domain,
}
"""Types that CloudFormation names by ids, so what is made has no ARN to be checked on yet."""

COVERED: dict[str, Callable[[Change], Iterator[Check]]] = {
    "AWS::SageMaker::Model": _model,
    "AWS::SageMaker::EndpointConfig": _endpoint_config,
    "AWS::SageMaker::Endpoint": _endpoint,
    "AWS::ApplicationAutoScaling::ScalableTarget": _target,
    "AWS::ApplicationAutoScaling::ScalingPolicy": _policy,
    "AWS::CloudWatch::Alarm": _alarm("cloudwatch:PutMetricAlarm"),
    "AWS::CloudWatch::CompositeAlarm": _alarm("cloudwatch:PutCompositeAlarm"),
    **PUBLIC_SERVICES,
}
