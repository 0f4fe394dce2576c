"""How each resource type is described by its service, in the shape of its CloudFormation properties.

A reader takes the clients, the physical id (the value of ``Ref``) and the expected properties, and returns what it found.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from embedded_aws.tools.read_back.template import Session, named, parsed

Properties = dict[str, Any]


class Clients:
    """One client a service."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._made: dict[str, Any] = {}

    @property
    def account(self) -> str:
        return str(self["sts"].get_caller_identity()["Account"])

    def __getitem__(self, service: str) -> Any:
        if service not in self._made:
            self._made[service] = self._session.client(service)
        return self._made[service]


Reader = Callable[[Clients, str, Properties], Properties]


def upper_keys(value: Any) -> Any:
    """``{"logGroupName": ...}`` -> ``{"LogGroupName": ...}``, deeply."""
    if isinstance(value, Mapping):
        return {key[:1].upper() + key[1:]: upper_keys(item) for key, item in value.items()}
    return [upper_keys(item) for item in value] if isinstance(value, list) else value


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _optional(probe: Callable[[], Any], absent: Any = None) -> Any:
    """A configuration that the service reports as missing is absent, not an error."""
    try:
        return probe()
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if "NoSuch" in code or "NotFound" in code or "NotSet" in code:
            return absent
        raise


# -- storage ---------------------------------------------------------------------------------------


def bucket(clients: Clients, name: str, _: Properties) -> Properties:
    s3 = clients["s3"]

    def part(operation: str, key: str) -> Any:
        return _optional(lambda: getattr(s3, operation)(Bucket=name).get(key))

    encryption = part("get_bucket_encryption", "ServerSideEncryptionConfiguration") or {}
    rules = [
        {**rule, "ServerSideEncryptionByDefault": rule.get("ApplyServerSideEncryptionByDefault")} for rule in encryption.get("Rules", [])
    ]
    logging = part("get_bucket_logging", "LoggingEnabled") or {}
    versioning = s3.get_bucket_versioning(Bucket=name).get("Status")
    return {
        "BucketName": name,
        "BucketEncryption": {"ServerSideEncryptionConfiguration": rules},
        "VersioningConfiguration": {"Status": versioning},
        "LoggingConfiguration": {"DestinationBucketName": logging.get("TargetBucket"), "LogFilePrefix": logging.get("TargetPrefix")},
        "LifecycleConfiguration": {"Rules": [_lifecycle_rule(rule) for rule in part("get_bucket_lifecycle_configuration", "Rules") or []]},
        "OwnershipControls": part("get_bucket_ownership_controls", "OwnershipControls"),
        "PublicAccessBlockConfiguration": part("get_public_access_block", "PublicAccessBlockConfiguration"),
        "CorsConfiguration": {"CorsRules": part("get_bucket_cors", "CORSRules")},
        "Tags": part("get_bucket_tagging", "TagSet"),
    }


def _lifecycle_rule(rule: Properties) -> Properties:
    expiration = rule.get("Expiration", {})
    noncurrent = rule.get("NoncurrentVersionExpiration", {})
    return {
        "Id": rule.get("ID"),
        "Status": rule.get("Status"),
        "Prefix": rule.get("Prefix") or rule.get("Filter", {}).get("Prefix"),
        "ExpirationInDays": expiration.get("Days"),
        "ExpiredObjectDeleteMarker": expiration.get("ExpiredObjectDeleteMarker"),
        "NoncurrentVersionExpiration": {**noncurrent, "NoncurrentDays": noncurrent.get("NoncurrentDays")},
        "AbortIncompleteMultipartUpload": rule.get("AbortIncompleteMultipartUpload"),
        "Transitions": [{**item, "TransitionInDays": item.get("Days")} for item in rule.get("Transitions", [])],
    }


def bucket_policy(clients: Clients, _: str, expected: Properties) -> Properties:
    policy = clients["s3"].get_bucket_policy(Bucket=named(expected["Bucket"]))["Policy"]
    return {"Bucket": expected["Bucket"], "PolicyDocument": parsed(policy)}


def table(clients: Clients, name: str, _: Properties) -> Properties:
    client = clients["dynamodb"]
    table = client.describe_table(TableName=name)["Table"]
    encryption = table.get("SSEDescription", {})
    backups = client.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    recovery = backups.get("PointInTimeRecoveryDescription", {})
    lifetime = client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    return {
        **table,
        "BillingMode": table.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED"),
        "SSESpecification": {
            "SSEEnabled": encryption.get("Status") == "ENABLED",
            "SSEType": encryption.get("SSEType"),
            "KMSMasterKeyId": encryption.get("KMSMasterKeyArn"),
        },
        "PointInTimeRecoverySpecification": {
            "PointInTimeRecoveryEnabled": recovery.get("PointInTimeRecoveryStatus") == "ENABLED",
            "RecoveryPeriodInDays": recovery.get("RecoveryPeriodInDays"),
        },
        "TimeToLiveSpecification": {
            "Enabled": lifetime.get("TimeToLiveStatus") in ("ENABLED", "ENABLING"),
            "AttributeName": lifetime.get("AttributeName"),
        },
        "Tags": client.list_tags_of_resource(ResourceArn=table["TableArn"])["Tags"],
    }


def key(clients: Clients, key_id: str, _: Properties) -> Properties:
    kms = clients["kms"]
    tags = kms.list_resource_tags(KeyId=key_id)["Tags"]
    return {
        **kms.describe_key(KeyId=key_id)["KeyMetadata"],
        "EnableKeyRotation": kms.get_key_rotation_status(KeyId=key_id)["KeyRotationEnabled"],
        "KeyPolicy": parsed(kms.get_key_policy(KeyId=key_id, PolicyName="default")["Policy"]),
        "Tags": [{"Key": tag["TagKey"], "Value": tag["TagValue"]} for tag in tags],
    }


def alias(clients: Clients, name: str, expected: Properties) -> Properties:
    metadata = clients["kms"].describe_key(KeyId=name)["KeyMetadata"]
    wanted = expected.get("TargetKeyId")
    return {"AliasName": name, "TargetKeyId": wanted if wanted in (metadata["KeyId"], metadata["Arn"]) else metadata["Arn"]}


# -- messages --------------------------------------------------------------------------------------


def queue(clients: Clients, url: str, _: Properties) -> Properties:
    sqs = clients["sqs"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return {
        **attributes,
        "QueueName": attributes["QueueArn"].rsplit(":", 1)[-1],
        "RedrivePolicy": parsed(attributes.get("RedrivePolicy", "{}")),
        "RedriveAllowPolicy": parsed(attributes.get("RedriveAllowPolicy", "{}")),
        "Tags": tag_list(sqs.list_queue_tags(QueueUrl=url).get("Tags", {})),
    }


def queue_policy(clients: Clients, _: str, expected: Properties) -> Properties:
    found = [clients["sqs"].get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"]) for url in map(named, expected["Queues"])]
    policies = [parsed(attributes.get("Attributes", {}).get("Policy", "{}")) for attributes in found]
    same = all(policy == policies[0] for policy in policies)
    return {"Queues": expected["Queues"], "PolicyDocument": policies[0] if same else policies}


def topic(clients: Clients, arn: str, _: Properties) -> Properties:
    sns = clients["sns"]
    attributes = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
    return {**attributes, "TopicName": arn.rsplit(":", 1)[-1], "Tags": sns.list_tags_for_resource(ResourceArn=arn)["Tags"]}


def topic_policy(clients: Clients, _: str, expected: Properties) -> Properties:
    policies = [
        parsed(clients["sns"].get_topic_attributes(TopicArn=arn)["Attributes"].get("Policy", "{}"))
        for arn in map(named, expected["Topics"])
    ]
    same = all(policy == policies[0] for policy in policies)
    return {"Topics": expected["Topics"], "PolicyDocument": policies[0] if same else policies}


def subscription(clients: Clients, arn: str, _: Properties) -> Properties:
    found = clients["sns"].get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    listed = clients["sns"].list_subscriptions_by_topic(TopicArn=arn.rsplit(":", 1)[0])["Subscriptions"]
    found |= next(entry for entry in listed if entry["SubscriptionArn"] == arn)
    return {key: parsed(value) if value.startswith(("{", "[")) else value for key, value in found.items() if isinstance(value, str)}


def rule(clients: Clients, reference: str, expected: Properties) -> Properties:
    events = clients["events"]
    name = reference.rsplit("/", 1)[-1].rsplit("|", 1)[-1]
    bus = {"EventBusName": expected["EventBusName"]} if "EventBusName" in expected else {}
    rule = events.describe_rule(Name=name, **bus)
    targets = events.list_targets_by_rule(Rule=name, **bus)["Targets"]
    tags = events.list_tags_for_resource(ResourceARN=rule["Arn"])["Tags"]
    return {**rule, "EventPattern": parsed(rule.get("EventPattern", "null")), "Targets": targets, "Tags": tags}


def schedule(clients: Clients, name: str, expected: Properties) -> Properties:
    return dict(clients["scheduler"].get_schedule(Name=name, GroupName=expected.get("GroupName", "default")))


# -- code ------------------------------------------------------------------------------------------


def function(clients: Clients, name: str, _: Properties) -> Properties:
    lambda_ = clients["lambda"]
    found = lambda_.get_function(FunctionName=name)
    configuration = found["Configuration"]
    concurrency = _optional(lambda: lambda_.get_function_concurrency(FunctionName=name), {})
    return {
        **configuration,
        "Layers": [layer["Arn"] for layer in configuration.get("Layers", [])],
        "ReservedConcurrentExecutions": concurrency.get("ReservedConcurrentExecutions"),
        "Tags": tag_list(found.get("Tags", {})),
    }


def layer(clients: Clients, arn: str, _: Properties) -> Properties:
    return dict(clients["lambda"].get_layer_version_by_arn(Arn=arn))


def permission(clients: Clients, _: str, expected: Properties) -> Properties:
    policy = parsed(clients["lambda"].get_policy(FunctionName=named(expected["FunctionName"]))["Policy"])
    for statement in policy["Statement"]:
        conditions = {key: value for block in statement.get("Condition", {}).values() for key, value in block.items()}
        principal = statement["Principal"]
        found = {
            "FunctionName": expected["FunctionName"],
            "Action": statement["Action"],
            "Principal": principal.get("Service") or principal.get("AWS") if isinstance(principal, dict) else principal,
            "SourceArn": next((value for key, value in conditions.items() if key.lower() == "aws:sourcearn"), None),
            "SourceAccount": next((value for key, value in conditions.items() if key.lower() == "aws:sourceaccount"), None),
        }
        if all(str(found.get(key)) == str(value) or repr(value) == "anything" for key, value in expected.items()):
            return found
    return {"FunctionName": expected["FunctionName"], "Action": None}


def event_source(clients: Clients, identifier: str, expected: Properties) -> Properties:
    found = clients["lambda"].get_event_source_mapping(UUID=identifier)
    name = named(expected.get("FunctionName", "")).rsplit(":", 1)[-1]
    same = found["FunctionArn"].rsplit(":", 1)[-1] == name
    arn = found.get("EventSourceMappingArn") or found["FunctionArn"].split(":function:")[0] + f":event-source-mapping:{identifier}"
    return {
        **found,
        "FunctionName": expected.get("FunctionName") if same else found["FunctionArn"],
        "Enabled": found["State"] == "Enabled",
        "Tags": tag_list(clients["lambda"].list_tags(Resource=arn).get("Tags", {})),
    }


def async_configuration(clients: Clients, _: str, expected: Properties) -> Properties:
    names = {"FunctionName": named(expected["FunctionName"])}
    qualifier = {"Qualifier": expected["Qualifier"]} if expected.get("Qualifier", "$LATEST") != "$LATEST" else {}
    return {"Qualifier": "$LATEST", **clients["lambda"].get_function_event_invoke_config(**names, **qualifier), **names, **qualifier}


def role(clients: Clients, name: str, _: Properties) -> Properties:
    iam = clients["iam"]
    role = iam.get_role(RoleName=name)["Role"]
    inline = iam.list_role_policies(RoleName=name)["PolicyNames"]
    attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    return {
        **role,
        "AssumeRolePolicyDocument": parsed(role["AssumeRolePolicyDocument"]),
        "ManagedPolicyArns": [policy["PolicyArn"] for policy in attached],
        "Policies": [
            {"PolicyName": policy, "PolicyDocument": parsed(iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"])}
            for policy in inline
        ],
        "Tags": role.get("Tags", []),
    }


def inline_policy(clients: Clients, _: str, expected: Properties) -> Properties:
    name, roles = expected["PolicyName"], [named(role) for role in expected.get("Roles", [])]
    found = [clients["iam"].get_role_policy(RoleName=role, PolicyName=name) for role in roles]
    documents = [parsed(policy["PolicyDocument"]) for policy in found]
    same = all(item == documents[0] for item in documents)
    return {"PolicyName": name, "Roles": roles, "PolicyDocument": documents[0] if documents and same else documents}


def managed_policy(clients: Clients, arn: str, _: Properties) -> Properties:
    iam = clients["iam"]
    policy = iam.get_policy(PolicyArn=arn)["Policy"]
    version = iam.get_policy_version(PolicyArn=arn, VersionId=policy["DefaultVersionId"])["PolicyVersion"]
    roles = iam.list_entities_for_policy(PolicyArn=arn)["PolicyRoles"]
    document, name = parsed(version["Document"]), policy["PolicyName"]
    return {**policy, "ManagedPolicyName": name, "PolicyDocument": document, "Roles": [role["RoleName"] for role in roles]}


def state_machine(clients: Clients, arn: str, expected: Properties) -> Properties:
    states = clients["stepfunctions"]
    found = states.describe_state_machine(stateMachineArn=arn)
    same = isinstance(expected.get("DefinitionString"), str) and json.loads(found["definition"]) == json.loads(expected["DefinitionString"])
    return {
        **upper_keys({key: value for key, value in found.items() if key != "definition"}),
        "StateMachineName": found["name"],
        "StateMachineType": found.get("type", "STANDARD"),
        "DefinitionString": expected["DefinitionString"] if same else found["definition"],
        "Tags": upper_keys(states.list_tags_for_resource(resourceArn=arn)["tags"]),
    }


def parameter(clients: Clients, name: str, _: Properties) -> Properties:
    ssm = clients["ssm"]
    metadata = ssm.describe_parameters(ParameterFilters=[{"Key": "Name", "Option": "Equals", "Values": [name]}])["Parameters"][0]
    tags = ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=name)["TagList"]
    return {**metadata, **ssm.get_parameter(Name=name)["Parameter"], "Tags": {tag["Key"]: tag["Value"] for tag in tags}}


# -- watching --------------------------------------------------------------------------------------


def log_group(clients: Clients, name: str, _: Properties) -> Properties:
    logs = clients["logs"]
    groups = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    found = upper_keys(next(group for group in groups if group["logGroupName"] == name))
    return {**found, "Tags": tag_list(logs.list_tags_log_group(logGroupName=name)["tags"])}


def query_definition(clients: Clients, identifier: str, expected: Properties) -> Properties:
    found = clients["logs"].describe_query_definitions(queryDefinitionNamePrefix=expected["Name"])["queryDefinitions"]
    query: Properties = upper_keys(next(query for query in found if query["queryDefinitionId"] == identifier))
    return query


def alarm(kind: str) -> Reader:
    def read(clients: Clients, name: str, _: Properties) -> Properties:
        cloudwatch = clients["cloudwatch"]
        found = cloudwatch.describe_alarms(AlarmNames=[name], AlarmTypes=[kind])[f"{kind}s"][0]
        return {**found, "Tags": cloudwatch.list_tags_for_resource(ResourceARN=found["AlarmArn"])["Tags"]}

    return read


def dashboard(clients: Clients, name: str, expected: Properties) -> Properties:
    body = clients["cloudwatch"].get_dashboard(DashboardName=name)["DashboardBody"]
    wanted = expected["DashboardBody"]
    same = isinstance(wanted, str) and json.loads(body) == json.loads(wanted)
    return {"DashboardName": name, "DashboardBody": wanted if same else body}


def workgroup(clients: Clients, name: str, _: Properties) -> Properties:
    athena = clients["athena"]
    found = athena.get_work_group(WorkGroup=name)["WorkGroup"]
    arn = f"arn:aws:athena:{athena.meta.region_name}:{clients.account}:workgroup/{name}"
    tags = _optional(lambda: athena.list_tags_for_resource(ResourceARN=arn)["Tags"], [])
    return {**found, "WorkGroupConfiguration": found["Configuration"], "Tags": tags}


def glue_database(clients: Clients, name: str, _: Properties) -> Properties:
    found = clients["glue"].get_database(Name=name)["Database"]
    return {"CatalogId": found.get("CatalogId"), "DatabaseInput": found}


def glue_table(clients: Clients, name: str, expected: Properties) -> Properties:
    found = clients["glue"].get_table(DatabaseName=named(expected["DatabaseName"]), Name=name.rsplit("|", 1)[-1])["Table"]
    return {"CatalogId": found.get("CatalogId"), "DatabaseName": found["DatabaseName"], "TableInput": found}


def named_query(clients: Clients, identifier: str, _: Properties) -> Properties:
    return dict(clients["athena"].get_named_query(NamedQueryId=identifier)["NamedQuery"])


def described(service: str, operation: str, parameter: str, result: str | None = None, *, tags: Sequence[str] = ()) -> Reader:
    """A reader for services whose description has the template's member names.

    Args:
        parameter: the member that takes the resource's name: the template's, else the physical id's last path segment.
        result: the member of the response that holds the description; the response itself when None.
        tags: operation and parameter that list the tags of the ARN in the physical id.
    """

    def read(clients: Clients, physical_id: str, expected: Properties) -> Properties:
        name = expected.get(parameter)
        name = name if isinstance(name, str) else physical_id.rsplit("/", 1)[-1]
        response = getattr(clients[service], operation)(**{parameter: name})
        found = dict(response[result] if result else response)
        if tags:
            found["Tags"] = getattr(clients[service], tags[0])(**{tags[1]: physical_id})["Tags"]
        return found

    return read
