"""Application Auto Scaling's CloudFormation types."""

from __future__ import annotations

from embedded_aws.cloudformation.registry import Properties, Resource, register, request
from embedded_aws.core.api import Response, call

_TARGET_KEYS = ("ServiceNamespace", "ResourceId", "ScalableDimension")


def _call(operation: str, properties: Properties) -> Response:
    return call("application-autoscaling", operation, request("application-autoscaling", operation, properties))


class ScalableTarget:
    """``Ref`` gives ``<resource id>|<dimension>|<namespace>``, which a policy takes as its ``ScalingTargetId``."""

    def create(self, properties: Properties, generated_name: str) -> Resource:  # noqa: ARG002  (a target has no name)
        tags = {tag["Key"]: tag["Value"] for tag in properties.get("Tags", [])}
        _call("RegisterScalableTarget", {**properties, "Tags": tags})
        for action in properties.get("ScheduledActions", []):
            _call("PutScheduledAction", {**self._keys(properties), **action})
        identifier = "|".join(properties[key] for key in ("ResourceId", "ScalableDimension", "ServiceNamespace"))
        return Resource(identifier, {"Id": identifier})

    def update(self, physical_id: str, old: Properties, new: Properties) -> Resource:
        _call("RegisterScalableTarget", {key: value for key, value in new.items() if key != "Tags"})
        kept = {action["ScheduledActionName"] for action in new.get("ScheduledActions", [])}
        for action in old.get("ScheduledActions", []):
            if action["ScheduledActionName"] not in kept:
                _call("DeleteScheduledAction", {**self._keys(new), **action})
        for action in new.get("ScheduledActions", []):
            _call("PutScheduledAction", {**self._keys(new), **action})
        return Resource(physical_id, {"Id": physical_id})

    def delete(self, physical_id: str, properties: Properties) -> None:  # noqa: ARG002  (the three keys identify it)
        _call("DeregisterScalableTarget", self._keys(properties))

    @staticmethod
    def _keys(properties: Properties) -> Properties:
        return {key: properties[key] for key in _TARGET_KEYS}


class ScalingPolicy:
    """Names its target either by ``ScalingTargetId`` or by the three keys."""

    def create(self, properties: Properties, generated_name: str) -> Resource:  # noqa: ARG002  (the name is required)
        arn = _call("PutScalingPolicy", self._with_target(properties))["PolicyARN"]
        return Resource(arn, {"Arn": arn})

    def update(self, physical_id: str, old: Properties, new: Properties) -> Resource:  # noqa: ARG002  (the whole policy is put)
        _call("PutScalingPolicy", self._with_target(new))
        return Resource(physical_id, {"Arn": physical_id})

    def delete(self, physical_id: str, properties: Properties) -> None:  # noqa: ARG002  (its name and target identify it)
        _call("DeleteScalingPolicy", self._with_target(properties))

    @staticmethod
    def _with_target(properties: Properties) -> Properties:
        if "ScalingTargetId" not in properties:
            return properties
        resource, dimension, namespace = properties["ScalingTargetId"].split("|")
        return {**properties, "ResourceId": resource, "ScalableDimension": dimension, "ServiceNamespace": namespace}


def install() -> None:
    register("AWS::ApplicationAutoScaling::ScalableTarget", ScalableTarget())
    register("AWS::ApplicationAutoScaling::ScalingPolicy", ScalingPolicy())
