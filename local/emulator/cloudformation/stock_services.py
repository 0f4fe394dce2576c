"""Types of services that ministack has and its CloudFormation lacks: composite alarms, users, saved queries."""

from __future__ import annotations

from typing import Any

from local.emulator.cloudformation.registry import Properties, Resource, register, request
from local.emulator.sessions import root_session


def _client(service: str) -> Any:
    return root_session().client(service)


class CompositeAlarm:
    """``AWS::CloudWatch::CompositeAlarm``; ``Ref`` gives the name."""

    def create(self, properties: Properties, generated_name: str) -> Resource:
        return self._put(properties.get("AlarmName") or generated_name, properties)

    def update(self, physical_id: str, old: Properties, new: Properties) -> Resource:
        resource = self._put(physical_id, {key: value for key, value in new.items() if key != "Tags"})
        gone = {tag["Key"] for tag in old.get("Tags", [])} - {tag["Key"] for tag in new.get("Tags", [])}
        if gone:
            _client("cloudwatch").untag_resource(ResourceARN=resource.attributes["Arn"], TagKeys=sorted(gone))
        if new.get("Tags"):
            _client("cloudwatch").tag_resource(ResourceARN=resource.attributes["Arn"], Tags=new["Tags"])
        return resource

    def delete(self, physical_id: str, properties: Properties) -> None:  # noqa: ARG002
        _client("cloudwatch").delete_alarms(AlarmNames=[physical_id])

    @staticmethod
    def _put(name: str, properties: Properties) -> Resource:
        client = _client("cloudwatch")
        client.put_composite_alarm(**request("cloudwatch", "PutCompositeAlarm", {**properties, "AlarmName": name}))
        alarm = client.describe_alarms(AlarmNames=[name], AlarmTypes=["CompositeAlarm"])["CompositeAlarms"][0]
        return Resource(name, {"Arn": alarm["AlarmArn"]})


class CreateOnly:
    """Types all of whose properties are create-only: an update replaces them."""

    def update(self, physical_id: str, old: Properties, new: Properties) -> Resource:
        raise NotImplementedError(f"{physical_id}: {old} -> {new}: every property is create-only")


class UserPoolUser(CreateOnly):
    """``AWS::Cognito::UserPoolUser``; ``Ref`` gives the user name."""

    def create(self, properties: Properties, generated_name: str) -> Resource:
        name = properties.get("Username") or generated_name
        _client("cognito-idp").admin_create_user(**request("cognito-idp", "AdminCreateUser", {**properties, "Username": name}))
        return Resource(name)

    def delete(self, physical_id: str, properties: Properties) -> None:
        _client("cognito-idp").admin_delete_user(UserPoolId=properties["UserPoolId"], Username=physical_id)


class UserPoolUserToGroupAttachment(CreateOnly):
    """``AWS::Cognito::UserPoolUserToGroupAttachment``."""

    def create(self, properties: Properties, generated_name: str) -> Resource:
        _client("cognito-idp").admin_add_user_to_group(**request("cognito-idp", "AdminAddUserToGroup", properties))
        return Resource(generated_name)

    def delete(self, physical_id: str, properties: Properties) -> None:  # noqa: ARG002
        _client("cognito-idp").admin_remove_user_from_group(**request("cognito-idp", "AdminRemoveUserFromGroup", properties))


class QueryDefinition:
    """``AWS::Logs::QueryDefinition``; ``Ref`` gives its id."""

    def create(self, properties: Properties, generated_name: str) -> Resource:  # noqa: ARG002  (the name is required)
        return self._put(properties, {})

    def update(self, physical_id: str, old: Properties, new: Properties) -> Resource:  # noqa: ARG002  (the whole query is put)
        return self._put(new, {"queryDefinitionId": physical_id})

    def delete(self, physical_id: str, properties: Properties) -> None:  # noqa: ARG002
        _client("logs").delete_query_definition(queryDefinitionId=physical_id)

    @staticmethod
    def _put(properties: Properties, identity: Properties) -> Resource:
        lower = {key[0].lower() + key[1:]: value for key, value in properties.items()}
        identifier = _client("logs").put_query_definition(**request("logs", "PutQueryDefinition", {**lower, **identity}))[
            "queryDefinitionId"
        ]
        return Resource(identifier, {"QueryDefinitionId": identifier})


class NamedQuery(CreateOnly):
    """``AWS::Athena::NamedQuery``; ``Ref`` gives its id."""

    def create(self, properties: Properties, generated_name: str) -> Resource:
        wanted = request("athena", "CreateNamedQuery", {"Name": generated_name, **properties})
        identifier = _client("athena").create_named_query(**wanted)["NamedQueryId"]
        return Resource(identifier, {"NamedQueryId": identifier})

    def delete(self, physical_id: str, properties: Properties) -> None:  # noqa: ARG002
        _client("athena").delete_named_query(NamedQueryId=physical_id)


def install() -> None:
    register("AWS::CloudWatch::CompositeAlarm", CompositeAlarm(), name_length=255, tags=True)
    register("AWS::Cognito::UserPoolUser", UserPoolUser(), name_length=128)
    register("AWS::Cognito::UserPoolUserToGroupAttachment", UserPoolUserToGroupAttachment())
    register("AWS::Logs::QueryDefinition", QueryDefinition())
    register("AWS::Athena::NamedQuery", NamedQuery(), name_length=128)
