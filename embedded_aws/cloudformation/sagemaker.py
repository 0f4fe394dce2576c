"""SageMaker's CloudFormation types, each over the operations in ``embedded_aws/sagemaker``."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass

from embedded_aws.cloudformation.registry import Properties, ProvisioningError, Resource, ResourceType, register, request
from embedded_aws.core import clock
from embedded_aws.core.api import ApiError, Response, call

_POLL_SECONDS = 0.05
_LONGEST_SECONDS = 1_800 + clock.scaled(28_800)
"""Half an hour to load models, and the longest that a deployment's waits may be declared to take."""
_TURNING = ("Creating", "Updating", "SystemUpdating", "RollingBack")


def _call(operation: str, properties: Properties) -> Response:
    return call("sagemaker", operation, request("sagemaker", operation, properties))


def _name_of(arn: str) -> str:
    """The name in an ARN. A generated name is in lower case, as the ARN is."""
    return arn.rsplit("/", 1)[-1]


def retag(arn: str, old: Properties, new: Properties) -> None:
    """Bring a resource's tags from one template's to another's."""
    before, after = ({tag["Key"]: tag["Value"] for tag in properties.get("Tags", [])} for properties in (old, new))
    gone = sorted(before.keys() - after.keys())
    if gone:
        call("sagemaker", "DeleteTags", {"ResourceArn": arn, "TagKeys": gone})
    changed = [{"Key": key, "Value": value} for key, value in after.items() if before.get(key) != value]
    if changed:
        call("sagemaker", "AddTags", {"ResourceArn": arn, "Tags": changed})


@dataclass(frozen=True)
class Simple:
    """A type with a create and a delete operation, ``<kind>Name`` and ``<kind>Arn``; ``Ref`` gives the ARN.

    ``settle(name)`` waits for what creation leaves running; ``change(arn, name, old, new)`` makes updates in place;
    ``translate(properties)`` renames members that CloudFormation calls otherwise than the API.
    """

    kind: str
    settle: Callable[[str], None] = lambda _: None
    change: Callable[[str, str, Properties, Properties], None] = lambda *_: None
    translate: Callable[[Properties], Properties] = lambda properties: properties
    extra_attributes: Callable[[str], Properties] = lambda _: {}

    def create(self, properties: Properties, generated_name: str) -> Resource:
        name = str(properties.get(f"{self.kind}Name") or generated_name)
        arn = str(_call(f"Create{self.kind}", {**self.translate(properties), f"{self.kind}Name": name})[f"{self.kind}Arn"])
        self.settle(name)
        self.change(arn, name, {}, properties)
        retag(arn, {}, properties)
        return self._resource(arn, name)

    def update(self, physical_id: str, old: Properties, new: Properties) -> Resource:
        name = new.get(f"{self.kind}Name") or _name_of(physical_id)
        self.change(physical_id, name, old, new)
        retag(physical_id, old, new)
        return self._resource(physical_id, name)

    def delete(self, physical_id: str, properties: Properties) -> None:
        call("sagemaker", f"Delete{self.kind}", {f"{self.kind}Name": properties.get(f"{self.kind}Name") or _name_of(physical_id)})

    def _resource(self, arn: str, name: str) -> Resource:
        return Resource(arn, {f"{self.kind}Arn": arn, f"{self.kind}Name": name, **self.extra_attributes(name)})


class Endpoint:
    """``AWS::SageMaker::Endpoint``: create and update wait until the endpoint is InService.

    An update that SageMaker rolls back by itself (a rollback alarm) ends InService on the *previous* endpoint config,
    and CloudFormation then reports UPDATE_COMPLETE, like every tool that waits for InService: whoever releases a model
    compares the running ``EndpointConfigName`` with the wanted one. No source documents the handler's behaviour;
    hashicorp/terraform-provider-aws issue 48997 reports it for another client.
    """

    def create(self, properties: Properties, generated_name: str) -> Resource:
        name = properties.get("EndpointName") or generated_name
        arn = str(_call("CreateEndpoint", {**properties, "EndpointName": name})["EndpointArn"])
        self._settle(name)
        retag(arn, {}, properties)
        return Resource(arn, {"EndpointArn": arn, "EndpointName": name})

    def update(self, physical_id: str, old: Properties, new: Properties) -> Resource:
        name = new.get("EndpointName") or _name_of(physical_id)
        if any(old.get(key) != new.get(key) for key in ("EndpointConfigName", "DeploymentConfig")):
            _call("UpdateEndpoint", {**new, "EndpointName": name})
            self._settle(name)
        retag(physical_id, old, new)
        return Resource(physical_id, {"EndpointArn": physical_id, "EndpointName": name})

    def delete(self, physical_id: str, properties: Properties) -> None:
        name = properties.get("EndpointName") or _name_of(physical_id)
        call("sagemaker", "DeleteEndpoint", {"EndpointName": name})
        _until_gone("DescribeEndpoint", {"EndpointName": name})

    @staticmethod
    def _settle(name: str) -> None:
        endpoint = _settled(
            lambda: call("sagemaker", "DescribeEndpoint", {"EndpointName": name}),
            lambda endpoint: endpoint["EndpointStatus"] in _TURNING,
            f"endpoint {name}",
        )
        if endpoint["EndpointStatus"] != "InService":
            raise ProvisioningError(f"endpoint {name} is {endpoint['EndpointStatus']}: {endpoint.get('FailureReason', 'no reason given')}")


def _settled(describe: Callable[[], Response], is_turning: Callable[[Response], bool], what: str) -> Response:
    """The description of what is no longer on its way; raises ProvisioningError when it stays so."""
    deadline = time.monotonic() + _LONGEST_SECONDS
    while is_turning(described := describe()):
        if time.monotonic() > deadline:
            raise ProvisioningError(f"{what} did not settle within {_LONGEST_SECONDS:.0f} s")
        time.sleep(_POLL_SECONDS)
    return described


def _until_gone(operation: str, names: Properties) -> None:
    def describe() -> Response:
        try:
            return call("sagemaker", operation, names)
        except ApiError:
            return {}

    _settled(describe, bool, f"{' '.join(names.values())}, which is being deleted,")


def _settle_workforce(name: str) -> None:
    workforce = _settled(
        lambda: call("sagemaker", "DescribeWorkforce", {"WorkforceName": name})["Workforce"],
        lambda workforce: workforce.get("Status") == "Initializing",
        f"workforce {name}",
    )
    if workforce.get("Status", "Active") != "Active":
        raise ProvisioningError(f"workforce {name} is {workforce['Status']}: {workforce.get('FailureReason', 'no reason given')}")


def _change_workforce(_arn: str, name: str, old: Properties, new: Properties) -> None:
    mutable = ("SourceIpConfig", "OidcConfig", "WorkforceVpcConfig", "IpAddressType")
    if old and any(old.get(key) != new.get(key) for key in mutable):
        _call("UpdateWorkforce", {**new, "WorkforceName": name})


def _change_workteam(_arn: str, name: str, old: Properties, new: Properties) -> None:
    mutable = ("Description", "MemberDefinitions", "NotificationConfiguration")
    if old and any(old.get(key) != new.get(key) for key in mutable):
        _call("UpdateWorkteam", {**workteam_request(new), "WorkteamName": name})


_MEMBER_NAMES = {"CognitoUserPool": "UserPool", "CognitoUserGroup": "UserGroup", "CognitoClientId": "ClientId", "OidcGroups": "Groups"}


def workteam_request(properties: Properties) -> Properties:
    """The one SageMaker type whose nested members have other names in a template than in the API."""
    members = [
        {kind: {_MEMBER_NAMES.get(key, key): value for key, value in member.items()} for kind, member in definition.items()}
        for definition in properties.get("MemberDefinitions", [])
    ]
    return {**properties, "MemberDefinitions": members}


def _change_group_policy(_arn: str, name: str, old: Properties, new: Properties) -> None:
    policy = new.get("ModelPackageGroupPolicy")
    if policy == old.get("ModelPackageGroupPolicy"):
        return
    group = {"ModelPackageGroupName": name}
    if policy is None:
        call("sagemaker", "DeleteModelPackageGroupPolicy", group)
    else:
        text = policy if isinstance(policy, str) else json.dumps(policy)
        call("sagemaker", "PutModelPackageGroupPolicy", {**group, "ResourcePolicy": text})


def _sub_domain(name: str) -> Properties:
    return {"SubDomain": call("sagemaker", "DescribeWorkforce", {"WorkforceName": name})["Workforce"].get("SubDomain", "")}


def install() -> None:
    types: dict[str, ResourceType] = {
        "Model": Simple("Model"),
        "EndpointConfig": Simple("EndpointConfig"),
        "Endpoint": Endpoint(),
        "ModelPackageGroup": Simple("ModelPackageGroup", change=_change_group_policy),
        "HumanTaskUi": Simple("HumanTaskUi"),
        "Workforce": Simple("Workforce", settle=_settle_workforce, change=_change_workforce, extra_attributes=_sub_domain),
        "Workteam": Simple("Workteam", change=_change_workteam, translate=workteam_request),
    }
    for kind, resource_type in types.items():
        # AWS names those without a name by their logical id alone: "Model-wYrNZpVXhEQp" (https://github.com/aws/aws-cli/issues/4021).
        register(f"AWS::SageMaker::{kind}", resource_type, lower_case=True, tags=True, stack_in_name=False)
