"""Properties that ministack's provisioners drop without a word, set through the services' public operations."""

from __future__ import annotations

from typing import Any

from ministack.core import responses
from ministack.services import stepfunctions

from embedded_aws.cloudformation.registry import Properties, guard, patch, request, root_client
from embedded_aws.cloudformation.stack_role_needs import PUBLIC_SERVICES


def _changed(name: str, old: Properties, new: Properties) -> bool:
    return old.get(name) != new.get(name)


# -- S3 --------------------------------------------------------------------------------------------


def _bucket(name: str, old: Properties, new: Properties) -> None:
    s3 = root_client("s3")
    if _changed("BucketEncryption", old, new):
        _encrypt_bucket(s3, name, new.get("BucketEncryption"))
    if _changed("LifecycleConfiguration", old, new):
        rules = [_lifecycle_rule(rule) for rule in new.get("LifecycleConfiguration", {}).get("Rules", [])]
        if rules:
            s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": rules})
        else:
            s3.delete_bucket_lifecycle(Bucket=name)
    if _changed("LoggingConfiguration", old, new):
        s3.put_bucket_logging(Bucket=name, BucketLoggingStatus=_logging(name, new.get("LoggingConfiguration")))
    if _changed("Tags", old, new):
        if new.get("Tags"):
            s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": new["Tags"]})
        else:
            s3.delete_bucket_tagging(Bucket=name)


def _encrypt_bucket(s3: Any, name: str, encryption: Properties | None) -> None:
    if not encryption:
        s3.delete_bucket_encryption(Bucket=name)
        return
    rules = []
    for rule in encryption["ServerSideEncryptionConfiguration"]:
        default = dict(rule.get("ServerSideEncryptionByDefault", {}))
        # AWS takes its own key when none is named; ministack then refuses every upload, so it is named here.
        if default.get("SSEAlgorithm") == "aws:kms":
            default.setdefault("KMSMasterKeyID", "alias/aws/s3")
        rules.append(
            {"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": str(rule.get("BucketKeyEnabled")).lower() == "true"}
        )
    s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": rules})


def _lifecycle_rule(rule: Properties) -> Properties:
    expiration = {
        key: value
        for key, value in (
            ("Days", rule.get("ExpirationInDays")),
            ("Date", rule.get("ExpirationDate")),
            ("ExpiredObjectDeleteMarker", rule.get("ExpiredObjectDeleteMarker")),
        )
        if value is not None
    }
    transitions = [
        {"Days": item.get("TransitionInDays", 0), "StorageClass": item["StorageClass"]}
        for item in rule.get("Transitions", []) + ([rule["Transition"]] if "Transition" in rule else [])
    ]
    noncurrent = rule.get("NoncurrentVersionExpiration")
    if noncurrent is None and "NoncurrentVersionExpirationInDays" in rule:
        noncurrent = {"NoncurrentDays": rule["NoncurrentVersionExpirationInDays"]}
    parts = {
        "ID": rule.get("Id"),
        "Status": rule["Status"],
        "Filter": {"Prefix": rule.get("Prefix", "")},
        "Expiration": expiration,
        "NoncurrentVersionExpiration": noncurrent,
        "AbortIncompleteMultipartUpload": rule.get("AbortIncompleteMultipartUpload"),
        "Transitions": transitions,
    }
    kept = {key: value for key, value in parts.items() if value}
    coerced: Properties = request_part("s3", "PutBucketLifecycleConfiguration", ("LifecycleConfiguration", "Rules"), kept)
    return coerced


def request_part(service: str, operation: str, path: tuple[str, ...], value: Any) -> Any:
    """``value`` coerced to the shape of one member of an operation's request; lists along the path are entered."""
    from embedded_aws.cloudformation.shapes import coerce
    from embedded_aws.core.api import operation_model

    shape = operation_model(service, operation).input_shape
    for name in path:
        shape = shape.members[name]
        shape = shape.member if shape.type_name == "list" else shape
    return coerce(shape, value)


def _logging(name: str, configuration: Properties | None) -> Properties:
    """No destination means the bucket itself, as CloudFormation does it."""
    if not configuration:
        return {}
    enabled = {
        "TargetBucket": configuration.get("DestinationBucketName", name),
        "TargetPrefix": configuration.get("LogFilePrefix", ""),
    }
    return {"LoggingEnabled": enabled}


# -- DynamoDB --------------------------------------------------------------------------------------


def _table(name: str, old: Properties, new: Properties) -> None:
    client = root_client("dynamodb")
    encryption = new.get("SSESpecification")
    if _changed("SSESpecification", old, new) and encryption:
        wanted = {"Enabled": encryption["SSEEnabled"], **{key: value for key, value in encryption.items() if key != "SSEEnabled"}}
        client.update_table(TableName=name, SSESpecification=request_part("dynamodb", "UpdateTable", ("SSESpecification",), wanted))
    if _changed("PointInTimeRecoverySpecification", old, new):
        recovery = new.get("PointInTimeRecoverySpecification") or {"PointInTimeRecoveryEnabled": False}
        member = "PointInTimeRecoverySpecification"
        client.update_continuous_backups(
            TableName=name, PointInTimeRecoverySpecification=request_part("dynamodb", "UpdateContinuousBackups", (member,), recovery)
        )
    if _changed("TimeToLiveSpecification", old, new):
        lifetime = new.get("TimeToLiveSpecification") or {**old["TimeToLiveSpecification"], "Enabled": False}
        client.update_time_to_live(
            TableName=name, TimeToLiveSpecification=request_part("dynamodb", "UpdateTimeToLive", ("TimeToLiveSpecification",), lifetime)
        )


# -- Step Functions --------------------------------------------------------------------------------


def _lower_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {key[:1].lower() + key[1:]: _lower_keys(item) for key, item in value.items()}
    return [_lower_keys(item) for item in value] if isinstance(value, list) else value


def _state_machine(arn: str, old: Properties, new: Properties) -> None:
    names = ("LoggingConfiguration", "TracingConfiguration", "EncryptionConfiguration")
    defaults: dict[str, Properties] = {
        "LoggingConfiguration": {"level": "OFF", "includeExecutionData": False},
        "TracingConfiguration": {"enabled": False},
        "EncryptionConfiguration": {"type": "AWS_OWNED_KEY"},
    }
    wanted = {
        name[0].lower() + name[1:]: _lower_keys(new[name]) if new.get(name) else defaults[name]
        for name in names
        if _changed(name, old, new)
    }
    if wanted:
        client = root_client("stepfunctions")
        if "encryptionConfiguration" in wanted:  # Step Functions encrypts the definition anew, so it wants it again
            described = client.describe_state_machine(stateMachineArn=arn)
            wanted |= {"definition": described["definition"], "roleArn": described["roleArn"]}
        client.update_state_machine(stateMachineArn=arn, **request("stepfunctions", "UpdateStateMachine", wanted))
        # UpdateStateMachine drops it too; DescribeStateMachine shows whatever the record holds.
        stepfunctions._state_machines[arn]["tracingConfiguration"] = wanted.get(
            "tracingConfiguration", stepfunctions._state_machines[arn].get("tracingConfiguration")
        )


# -- messages and functions ------------------------------------------------------------------------


def _topic(arn: str, old: Properties, new: Properties) -> None:
    if _changed("KmsMasterKeyId", old, new):
        key = new.get("KmsMasterKeyId", "")
        root_client("sns").set_topic_attributes(TopicArn=arn, AttributeName="KmsMasterKeyId", AttributeValue=key)


def _event_source(identifier: str, old: Properties, new: Properties) -> None:
    if _changed("Tags", old, new) and new.get("Tags"):
        client = root_client("lambda")
        arn = f"arn:aws:lambda:{responses.get_region()}:{responses.get_account_id()}:event-source-mapping:{identifier}"
        client.tag_resource(Resource=arn, Tags={tag["Key"]: tag["Value"] for tag in new["Tags"]})
    enabled = str(new.get("Enabled", True)).lower() == "true"
    if enabled != (str(old.get("Enabled", True)).lower() == "true"):
        root_client("lambda").update_event_source_mapping(UUID=identifier, Enabled=enabled)


def _async_configuration(_: str, __: Properties, new: Properties) -> None:
    """On AWS, ``$LATEST`` and no qualifier mean the same configuration. ministack's invocations look for the one without a qualifier."""
    if new.get("Qualifier") == "$LATEST":
        members = ("FunctionName", "MaximumEventAgeInSeconds", "MaximumRetryAttempts", "DestinationConfig")
        wanted = {key: new[key] for key in members if key in new}
        root_client("lambda").put_function_event_invoke_config(**request("lambda", "PutFunctionEventInvokeConfig", wanted))


# -- API Gateway -----------------------------------------------------------------------------------


def _rest_api(properties: Properties) -> Properties:
    if "EndpointConfiguration" not in properties:
        return properties
    return {**properties, "EndpointConfiguration": _lower_keys(properties["EndpointConfiguration"])}


def _method(_: str, old: Properties, new: Properties) -> None:
    if not _changed("RequestValidatorId", old, new):
        return
    validator = new.get("RequestValidatorId")
    operation = (
        {"op": "replace", "path": "/requestValidatorId", "value": validator}
        if validator
        else {"op": "remove", "path": "/requestValidatorId"}
    )
    names = {"restApiId": new["RestApiId"], "resourceId": new["ResourceId"], "httpMethod": new["HttpMethod"]}
    root_client("apigateway").update_method(**names, patchOperations=[operation])


def _stage(name: str, old: Properties, new: Properties) -> None:
    if not _changed("AccessLogSetting", old, new):
        return
    setting = new.get("AccessLogSetting")
    members = (("destinationArn", "DestinationArn"), ("format", "Format"))
    operations = [
        {"op": "replace", "path": f"/accessLogSettings/{path}", "value": setting[member]}
        for path, member in members
        if setting and member in setting
    ]
    root_client("apigateway").update_stage(
        restApiId=new["RestApiId"], stageName=name, patchOperations=operations or [{"op": "remove", "path": "/accessLogSettings"}]
    )


def _http_api(properties: Properties) -> Properties:
    if "CorsConfiguration" not in properties:
        return properties
    return {**properties, "CorsConfiguration": _lower_keys(properties["CorsConfiguration"])}


def _http_stage(properties: Properties) -> Properties:
    """Rename the throttling settings: ministack keeps the template's spelling, which GetStage does not know, so it would show none."""
    prepared = dict(properties)
    if "DefaultRouteSettings" in properties:
        prepared["DefaultRouteSettings"] = _lower_keys(properties["DefaultRouteSettings"])
    if "RouteSettings" in properties:
        prepared["RouteSettings"] = {route: _lower_keys(settings) for route, settings in properties["RouteSettings"].items()}
    return prepared


# -- CloudFront ------------------------------------------------------------------------------------


def _distribution(properties: Properties) -> Properties:
    """Members that CloudFormation may leave out and that the API always shows."""
    config = properties.get("DistributionConfig", {})
    ports = {"HTTPPort": 80, "HTTPSPort": 443}
    origins = [
        {**origin, "CustomOriginConfig": {**ports, **origin["CustomOriginConfig"]}} if "CustomOriginConfig" in origin else origin
        for origin in config.get("Origins", [])
    ]
    return {**properties, "DistributionConfig": {"Comment": "", **config, "Origins": origins}}


# -- functions -------------------------------------------------------------------------------------


def _function(name: str, old: Properties, new: Properties) -> None:
    reserved = new.get("ReservedConcurrentExecutions")
    if not _changed("ReservedConcurrentExecutions", old, new):
        return
    if reserved is None:
        root_client("lambda").delete_function_concurrency(FunctionName=name)
    else:
        root_client("lambda").put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=int(reserved))


def install() -> None:
    patch("AWS::S3::Bucket", _bucket)
    patch("AWS::DynamoDB::Table", _table)
    patch("AWS::StepFunctions::StateMachine", _state_machine)
    patch("AWS::SNS::Topic", _topic)
    patch("AWS::ApiGateway::RestApi", prepare=_rest_api)
    patch("AWS::ApiGateway::Method", _method)
    patch("AWS::ApiGateway::Stage", _stage)
    patch("AWS::ApiGatewayV2::Api", prepare=_http_api)
    patch("AWS::ApiGatewayV2::Stage", prepare=_http_stage)
    patch("AWS::CloudFront::Distribution", prepare=_distribution)
    patch("AWS::Lambda::Function", _function)
    patch("AWS::Lambda::EventSourceMapping", _event_source)
    patch("AWS::Lambda::EventInvokeConfig", _async_configuration)
    guard("AWS::CloudWatch::Alarm", "AlarmName", name_length=255)
    for type_name in PUBLIC_SERVICES:
        guard(type_name, "", name_length=64)
