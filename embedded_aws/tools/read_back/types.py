"""The readers by resource type, with those of APIs, user pools and SageMaker; and what cannot be read back."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from embedded_aws.tools.read_back import readers, web
from embedded_aws.tools.read_back.readers import Clients, Properties, Reader, described, tag_list, upper_keys
from embedded_aws.tools.read_back.template import named

UNREADABLE: dict[str, str] = {
    "AWS::CDK::Metadata": "describes the CDK app, not a resource",
    "AWS::CloudFormation::CustomResource": "whatever its function does",
    "AWS::Lambda::Function.Code": "an archive; its hash is in the asset's key",
    "AWS::Lambda::LayerVersion.Content": "an archive; its hash is in the asset's key",
    "AWS::ApiGateway::Deployment": "a snapshot of the API's methods; the stage names it",
    "AWS::ApiGateway::RestApi.Body": "an OpenAPI document, read back as methods",
    "AWS::Cognito::UserPoolUser.MessageAction": "write-only",
    "AWS::Cognito::UserPoolUser.DesiredDeliveryMediums": "write-only",
    "AWS::Cognito::UserPoolUser.ForceAliasCreation": "write-only",
    "AWS::SageMaker::Endpoint.RetainAllVariantProperties": "write-only: it says how to update",
    "AWS::SageMaker::Endpoint.ExcludeRetainedVariantProperties": "write-only: it says how to update",
    "AWS::SageMaker::Endpoint.RetainDeploymentConfig": "write-only: it says how to update",
    "AWS::SageMaker::Workteam.WorkforceName": "write-only",
    "AWS::Athena::WorkGroup.RecursiveDeleteOption": "says how to delete",
    "AWS::KMS::Key.PendingWindowInDays": "says how to delete",
    "AWS::CloudWatch::Dashboard.Tags": "ListTagsForResource does not take dashboards in every region",
}
"""What cannot be read back by nature, with the reason."""


# -- API Gateway -----------------------------------------------------------------------------------


def _rest_api(clients: Clients, api: str, _: Properties) -> Properties:
    found = clients["apigateway"].get_rest_api(restApiId=api)
    return {**upper_keys({key: value for key, value in found.items() if key != "tags"}), "Tags": tag_list(found.get("tags", {}))}


def _resource(clients: Clients, identifier: str, expected: Properties) -> Properties:
    found = clients["apigateway"].get_resource(restApiId=named(expected["RestApiId"]), resourceId=identifier)
    return {**upper_keys(found), "RestApiId": expected["RestApiId"]}


def _method(clients: Clients, _: str, expected: Properties) -> Properties:
    gateway = clients["apigateway"]
    resource = expected["ResourceId"]
    if not isinstance(resource, str):  # the API's RootResourceId
        resources = gateway.get_resources(restApiId=named(expected["RestApiId"]))["items"]
        resource = next(item["id"] for item in resources if item["path"] == "/")
    found = gateway.get_method(restApiId=named(expected["RestApiId"]), resourceId=resource, httpMethod=expected["HttpMethod"])
    integration = found.get("methodIntegration", {})
    integration["integrationHttpMethod"] = integration.pop("httpMethod", None)
    responses = {
        "integrationResponses": list(integration.get("integrationResponses", {}).values()),
        "methodResponses": list(found.get("methodResponses", {}).values()),
    }
    shown = {key: value for key, value in found.items() if key not in ("requestParameters", "requestModels", "methodIntegration")}
    integration_shown = {**integration, "integrationResponses": responses["integrationResponses"]}
    return {
        **upper_keys({**shown, "methodResponses": responses["methodResponses"]}),
        "RequestParameters": found.get("requestParameters"),
        "RequestModels": found.get("requestModels"),
        "Integration": _with_maps(integration_shown, ("requestParameters", "requestTemplates")),
        "RestApiId": expected["RestApiId"],
        "ResourceId": expected["ResourceId"],
    }


def _with_maps(value: Properties, maps: tuple[str, ...]) -> Properties:
    """Upper-case member names, but leave the keys of free maps as they are."""
    return {**upper_keys(value), **{name[0].upper() + name[1:]: value.get(name) for name in maps}}


def _stage(clients: Clients, name: str, expected: Properties) -> Properties:
    found = clients["apigateway"].get_stage(restApiId=named(expected["RestApiId"]), stageName=name)
    settings = [
        {
            **upper_keys(value),
            "ResourcePath": "/" + path.rsplit("/", 1)[0].replace("~1", "/").strip("/") if path != "*/*" else "/*",
            "HttpMethod": path.rsplit("/", 1)[-1],
            "CacheDataEncrypted": value.get("cacheDataEncrypted"),
        }
        for path, value in found.get("methodSettings", {}).items()
    ]
    access_log = found.get("accessLogSettings", {})
    return {
        **upper_keys(
            {key: value for key, value in found.items() if key not in ("tags", "methodSettings", "accessLogSettings", "variables")}
        ),
        "RestApiId": expected["RestApiId"],
        "MethodSettings": settings,
        "AccessLogSetting": upper_keys(access_log),
        "Variables": found.get("variables"),
        "Tags": tag_list(found.get("tags", {})),
    }


def _validator(clients: Clients, identifier: str, expected: Properties) -> Properties:
    found = clients["apigateway"].get_request_validator(restApiId=named(expected["RestApiId"]), requestValidatorId=identifier)
    return {**upper_keys(found), "RestApiId": expected["RestApiId"]}


def _model(clients: Clients, name: str, expected: Properties) -> Properties:
    found = clients["apigateway"].get_model(restApiId=named(expected["RestApiId"]), modelName=name)
    return {**upper_keys(found), "RestApiId": expected["RestApiId"], "Schema": json.loads(found["schema"])}


def _usage_plan(clients: Clients, identifier: str, _: Properties) -> Properties:
    found = clients["apigateway"].get_usage_plan(usagePlanId=identifier)
    return {**upper_keys(found), "UsagePlanName": found.get("name")}


def _gateway_account(clients: Clients, _: str, __: Properties) -> Properties:
    return {"CloudWatchRoleArn": clients["apigateway"].get_account().get("cloudwatchRoleArn")}


def _gateway_response(clients: Clients, _: str, expected: Properties) -> Properties:
    found = clients["apigateway"].get_gateway_response(restApiId=named(expected["RestApiId"]), responseType=expected["ResponseType"])
    return {**_with_maps(found, ("responseParameters", "responseTemplates")), "RestApiId": expected["RestApiId"]}


# -- Cognito ---------------------------------------------------------------------------------------


def _user_pool(clients: Clients, identifier: str, _: Properties) -> Properties:
    cognito = clients["cognito-idp"]
    pool = cognito.describe_user_pool(UserPoolId=identifier)["UserPool"]
    mfa = cognito.get_user_pool_mfa_config(UserPoolId=identifier)
    enabled = [
        name
        for name, member in (("SMS_MFA", "SmsMfaConfiguration"), ("SOFTWARE_TOKEN_MFA", "SoftwareTokenMfaConfiguration"))
        if mfa.get(member) and mfa[member].get("Enabled", True)
    ]
    return {
        **pool,
        "UserPoolName": pool["Name"],
        "Schema": pool.get("SchemaAttributes", []),
        "MfaConfiguration": mfa.get("MfaConfiguration", pool.get("MfaConfiguration")),
        "EnabledMfas": enabled,
    }


def _user_pool_client(clients: Clients, identifier: str, expected: Properties) -> Properties:
    found = clients["cognito-idp"].describe_user_pool_client(UserPoolId=named(expected["UserPoolId"]), ClientId=identifier)[
        "UserPoolClient"
    ]
    return {**found, "GenerateSecret": bool(found.get("ClientSecret"))}


def _user_pool_domain(clients: Clients, domain: str, _: Properties) -> Properties:
    return dict(clients["cognito-idp"].describe_user_pool_domain(Domain=domain)["DomainDescription"])


def _user_pool_group(clients: Clients, name: str, expected: Properties) -> Properties:
    return dict(clients["cognito-idp"].get_group(UserPoolId=named(expected["UserPoolId"]), GroupName=name)["Group"])


def _user(clients: Clients, name: str, expected: Properties) -> Properties:
    names = {"UserPoolId": named(expected["UserPoolId"]), "Username": name}
    return {**clients["cognito-idp"].admin_get_user(**names), "UserPoolId": names["UserPoolId"]}


def _group_member(clients: Clients, _: str, expected: Properties) -> Properties:
    names = {"UserPoolId": named(expected["UserPoolId"]), "Username": named(expected["Username"])}
    groups = clients["cognito-idp"].admin_list_groups_for_user(**names)["Groups"]
    return {**names, "GroupName": next((g["GroupName"] for g in groups if g["GroupName"] == expected["GroupName"]), None)}


# -- SageMaker and scaling -------------------------------------------------------------------------


def _sagemaker(kind: str, result: str | None = None, parameter: str | None = None) -> Reader:
    snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in kind)
    return described("sagemaker", f"describe{snake}", parameter or f"{kind}Name", result, tags=("list_tags", "ResourceArn"))


_MEMBER_NAMES = {"UserPool": "CognitoUserPool", "UserGroup": "CognitoUserGroup", "ClientId": "CognitoClientId", "Groups": "OidcGroups"}


def _workteam(clients: Clients, arn: str, expected: Properties) -> Properties:
    """CloudFormation has other names for the members than the API."""
    found = _sagemaker("Workteam", "Workteam")(clients, arn, expected)
    definitions = [
        {kind: {_MEMBER_NAMES.get(key, key): value for key, value in member.items()} for kind, member in definition.items()}
        for definition in found["MemberDefinitions"]
    ]
    return {**found, "MemberDefinitions": definitions}


def _endpoint(clients: Clients, arn: str, expected: Properties) -> Properties:
    return {**_sagemaker("Endpoint")(clients, arn, expected), "DeploymentConfig": _deployment_config(clients, arn)}


def _deployment_config(clients: Clients, arn: str) -> Any:
    return clients["sagemaker"].describe_endpoint(EndpointName=arn.rsplit("/", 1)[-1]).get("LastDeploymentConfig")


def _human_task_ui(clients: Clients, arn: str, expected: Properties) -> Properties:
    """The service describes a template by its hash only."""
    found = _sagemaker("HumanTaskUi")(clients, arn, expected)
    content = str(expected.get("UiTemplate", {}).get("Content", ""))
    if found["UiTemplate"]["ContentSha256"] == hashlib.sha256(content.encode()).hexdigest():
        found["UiTemplate"] = {**found["UiTemplate"], "Content": content}
    return found


def _scalable_target(clients: Clients, identifier: str, _: Properties) -> Properties:
    resource, dimension, namespace = identifier.split("|")
    scaling = clients["application-autoscaling"]
    names = {"ServiceNamespace": namespace, "ScalableDimension": dimension}
    found = scaling.describe_scalable_targets(**names, ResourceIds=[resource])["ScalableTargets"]
    return dict(found[0]) if found else {}


def _scaling_policy(clients: Clients, arn: str, expected: Properties) -> Properties:
    target = expected.get("ScalingTargetId")
    namespace = target.split("|")[2] if isinstance(target, str) else expected["ServiceNamespace"]
    found = clients["application-autoscaling"].describe_scaling_policies(ServiceNamespace=namespace)["ScalingPolicies"]
    policy = next(policy for policy in found if policy["PolicyARN"] == arn)
    return {**policy, "ScalingTargetId": "|".join(policy[key] for key in ("ResourceId", "ScalableDimension", "ServiceNamespace"))}


READERS: dict[str, Reader] = {
    "AWS::ApiGateway::Account": _gateway_account,
    "AWS::ApiGateway::GatewayResponse": _gateway_response,
    "AWS::ApiGateway::Method": _method,
    "AWS::ApiGateway::Model": _model,
    "AWS::ApiGateway::RequestValidator": _validator,
    "AWS::ApiGateway::Resource": _resource,
    "AWS::ApiGateway::RestApi": _rest_api,
    "AWS::ApiGateway::Stage": _stage,
    "AWS::ApiGateway::UsagePlan": _usage_plan,
    "AWS::ApiGatewayV2::Api": web.http_api,
    "AWS::ApiGatewayV2::Integration": web.integration,
    "AWS::ApiGatewayV2::Route": web.route,
    "AWS::ApiGatewayV2::Stage": web.stage,
    "AWS::ApplicationAutoScaling::ScalableTarget": _scalable_target,
    "AWS::ApplicationAutoScaling::ScalingPolicy": _scaling_policy,
    "AWS::Athena::NamedQuery": readers.named_query,
    "AWS::Athena::WorkGroup": readers.workgroup,
    "AWS::CloudFront::Distribution": web.distribution,
    "AWS::CloudFront::OriginAccessControl": web.origin_access_control,
    "AWS::CloudFront::ResponseHeadersPolicy": web.response_headers_policy,
    "AWS::CloudWatch::Alarm": readers.alarm("MetricAlarm"),
    "AWS::CloudWatch::CompositeAlarm": readers.alarm("CompositeAlarm"),
    "AWS::CloudWatch::Dashboard": readers.dashboard,
    "AWS::Cognito::UserPool": _user_pool,
    "AWS::Cognito::UserPoolClient": _user_pool_client,
    "AWS::Cognito::UserPoolDomain": _user_pool_domain,
    "AWS::Cognito::UserPoolGroup": _user_pool_group,
    "AWS::Cognito::UserPoolUser": _user,
    "AWS::Cognito::UserPoolUserToGroupAttachment": _group_member,
    "AWS::DynamoDB::Table": readers.table,
    "AWS::Events::Rule": readers.rule,
    "AWS::Glue::Database": readers.glue_database,
    "AWS::Glue::Table": readers.glue_table,
    "AWS::IAM::ManagedPolicy": readers.managed_policy,
    "AWS::IAM::Policy": readers.inline_policy,
    "AWS::IAM::Role": readers.role,
    "AWS::KMS::Alias": readers.alias,
    "AWS::KMS::Key": readers.key,
    "AWS::Lambda::EventInvokeConfig": readers.async_configuration,
    "AWS::Lambda::EventSourceMapping": readers.event_source,
    "AWS::Lambda::Function": readers.function,
    "AWS::Lambda::LayerVersion": readers.layer,
    "AWS::Lambda::Permission": readers.permission,
    "AWS::Logs::LogGroup": readers.log_group,
    "AWS::Logs::QueryDefinition": readers.query_definition,
    "AWS::S3::Bucket": readers.bucket,
    "AWS::S3::BucketPolicy": readers.bucket_policy,
    "AWS::SNS::Subscription": readers.subscription,
    "AWS::SNS::Topic": readers.topic,
    "AWS::SNS::TopicPolicy": readers.topic_policy,
    "AWS::SQS::Queue": readers.queue,
    "AWS::SQS::QueuePolicy": readers.queue_policy,
    "AWS::SSM::Parameter": readers.parameter,
    "AWS::SageMaker::Endpoint": _endpoint,
    "AWS::SageMaker::EndpointConfig": _sagemaker("EndpointConfig"),
    "AWS::SageMaker::HumanTaskUi": _human_task_ui,
    "AWS::SageMaker::Model": _sagemaker("Model"),
    "AWS::SageMaker::ModelPackageGroup": _sagemaker("ModelPackageGroup"),
    "AWS::SageMaker::Workforce": _sagemaker("Workforce", "Workforce"),
    "AWS::SageMaker::Workteam": _workteam,
    "AWS::Scheduler::Schedule": readers.schedule,
    "AWS::StepFunctions::StateMachine": readers.state_machine,
}
