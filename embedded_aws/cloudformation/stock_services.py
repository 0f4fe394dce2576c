"""Types of services that ministack has and its CloudFormation lacks: composite alarms, users, saved queries."""

from __future__ import annotations

import secrets

from embedded_aws.cloudformation.registry import Properties, Resource, register, request, root_client


class CompositeAlarm:
    """``AWS::CloudWatch::CompositeAlarm``; ``Ref`` gives the name. CloudWatch takes no ``aws:`` tags from a request."""

    def create(self, properties: Properties, generated_name: str) -> Resource:
        return self._put(properties.get("AlarmName") or generated_name, {**properties, "Tags": self._own_tags(properties)})

    def update(self, physical_id: str, old: Properties, new: Properties) -> Resource:
        resource = self._put(physical_id, {key: value for key, value in new.items() if key != "Tags"})
        client, arn = root_client("cloudwatch"), resource.attributes["Arn"]
        before, after = self._own_tags(old), self._own_tags(new)
        gone = sorted({tag["Key"] for tag in before} - {tag["Key"] for tag in after})
        if gone:
            client.untag_resource(ResourceARN=arn, TagKeys=gone)
        if after:
            client.tag_resource(ResourceARN=arn, Tags=after)
        return resource

    def delete(self, physical_id: str, properties: Properties) -> None:  # noqa: ARG002  (its name is enough)
        root_client("cloudwatch").delete_alarms(AlarmNames=[physical_id])

    @staticmethod
    def _own_tags(properties: Properties) -> list[dict[str, str]]:
        return [tag for tag in properties.get("Tags", []) if not tag["Key"].startswith("aws:")]

    @staticmethod
    def _put(name: str, properties: Properties) -> Resource:
        client = root_client("cloudwatch")
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
        # Cognito makes up a temporary password that fits the pool's policy; the stock one is too short for a strict policy.
        wanted = {**properties, "Username": name, "TemporaryPassword": f"Aa1!{secrets.token_urlsafe(32)}"}
        root_client("cognito-idp").admin_create_user(**request("cognito-idp", "AdminCreateUser", wanted))
        return Resource(name)

    def delete(self, physical_id: str, properties: Properties) -> None:
        root_client("cognito-idp").admin_delete_user(UserPoolId=properties["UserPoolId"], Username=physical_id)


class UserPoolUserToGroupAttachment(CreateOnly):
    """``AWS::Cognito::UserPoolUserToGroupAttachment``."""

    def create(self, properties: Properties, generated_name: str) -> Resource:
        root_client("cognito-idp").admin_add_user_to_group(**request("cognito-idp", "AdminAddUserToGroup", properties))
        return Resource(generated_name)

    def delete(self, physical_id: str, properties: Properties) -> None:  # noqa: ARG002  (user and group identify it)
        root_client("cognito-idp").admin_remove_user_from_group(**request("cognito-idp", "AdminRemoveUserFromGroup", properties))


class QueryDefinition:
    """``AWS::Logs::QueryDefinition``; ``Ref`` gives its id."""

    def create(self, properties: Properties, generated_name: str) -> Resource:  # noqa: ARG002  (the name is required)
        return self._put(properties, {})

    def update(self, physical_id: str, old: Properties, new: Properties) -> Resource:  # noqa: ARG002  (the whole query is put)
        return self._put(new, {"queryDefinitionId": physical_id})

    def delete(self, physical_id: str, properties: Properties) -> None:  # noqa: ARG002  (its id is enough)
        root_client("logs").delete_query_definition(queryDefinitionId=physical_id)

    @staticmethod
    def _put(properties: Properties, identity: Properties) -> Resource:
        lower = {key[0].lower() + key[1:]: value for key, value in properties.items()}
        identifier = root_client("logs").put_query_definition(**request("logs", "PutQueryDefinition", {**lower, **identity}))[
            "queryDefinitionId"
        ]
        return Resource(identifier, {"QueryDefinitionId": identifier})


class NamedQuery(CreateOnly):
    """``AWS::Athena::NamedQuery``; ``Ref`` gives its id."""

    def create(self, properties: Properties, generated_name: str) -> Resource:
        wanted = request("athena", "CreateNamedQuery", {"Name": generated_name, **properties})
        identifier = root_client("athena").create_named_query(**wanted)["NamedQueryId"]
        return Resource(identifier, {"NamedQueryId": identifier})

    def delete(self, physical_id: str, properties: Properties) -> None:  # noqa: ARG002  (its id is enough)
        root_client("athena").delete_named_query(NamedQueryId=physical_id)


class RequestValidator:
    """``AWS::ApiGateway::RequestValidator``, of which ministack's provisioner keeps nothing; ``Ref`` gives its id."""

    _FLAGS = ("ValidateRequestBody", "ValidateRequestParameters")

    def create(self, properties: Properties, generated_name: str) -> Resource:
        wanted = {"name": properties.get("Name") or generated_name, "restApiId": properties["RestApiId"]}
        flags = {flag[0].lower() + flag[1:]: properties.get(flag, False) for flag in self._FLAGS}
        created = root_client("apigateway").create_request_validator(**request("apigateway", "CreateRequestValidator", {**wanted, **flags}))
        return Resource(created["id"], {"RequestValidatorId": created["id"]})

    def update(self, physical_id: str, old: Properties, new: Properties) -> Resource:
        operations = [
            {"op": "replace", "path": f"/{flag[0].lower() + flag[1:]}", "value": str(new.get(flag, False)).lower()}
            for flag in self._FLAGS
            if old.get(flag) != new.get(flag)
        ]
        root_client("apigateway").update_request_validator(
            restApiId=new["RestApiId"], requestValidatorId=physical_id, patchOperations=operations
        )
        return Resource(physical_id, {"RequestValidatorId": physical_id})

    def delete(self, physical_id: str, properties: Properties) -> None:
        root_client("apigateway").delete_request_validator(restApiId=properties["RestApiId"], requestValidatorId=physical_id)


def install() -> None:
    register("AWS::ApiGateway::RequestValidator", RequestValidator(), name_length=128)
    register("AWS::CloudWatch::CompositeAlarm", CompositeAlarm(), name_length=255, tags=True)
    register("AWS::Cognito::UserPoolUser", UserPoolUser(), name_length=128)
    register("AWS::Cognito::UserPoolUserToGroupAttachment", UserPoolUserToGroupAttachment())
    register("AWS::Logs::QueryDefinition", QueryDefinition())
    register("AWS::Athena::NamedQuery", NamedQuery(), name_length=128)
