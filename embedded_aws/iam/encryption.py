"""KMS permissions that a caller needs because what it touches is encrypted with a customer key.

AWS calls KMS with the caller's own permissions (``kms:ViaService``): a role that may read a bucket but not decrypt with
its key gets AccessDenied. Hooks: the stores of buckets, queues, topics, tables and keys.
"""

from __future__ import annotations

from collections.abc import Iterator

from ministack.services import dynamodb, kms, s3, sns, sqs

from embedded_aws.iam.requests import Call, Check

_WRITE, _READ, _BOTH = ("kms:GenerateDataKey",), ("kms:Decrypt",), ("kms:GenerateDataKey", "kms:Decrypt")
_NEEDED = {
    "s3:PutObject": _WRITE,
    "s3:GetObject": _READ,
    "sqs:SendMessage": _BOTH,
    "sqs:SendMessageBatch": _BOTH,
    "sqs:ReceiveMessage": _READ,
    "sns:Publish": _BOTH,
    "sns:PublishBatch": _BOTH,
    **dict.fromkeys(
        (
            f"dynamodb:{operation}"
            for operation in (
                "GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "Scan", "BatchGetItem", "BatchWriteItem", "ConditionCheckItem",
            )
        ),
        _READ,
    ),
}  # fmt: skip


def implied_checks(action: str, resource: str, call: Call) -> Iterator[Check]:
    """The KMS checks behind one allowed data-plane action; none without a customer key."""
    needed = _NEEDED.get(action)
    if needed is None or call.method == "HEAD":
        return
    if action == "s3:PutObject" and {"uploads", "uploadId"} & call.query.keys():
        needed = _BOTH
    service = action.split(":", 1)[0]
    key = _customer_key(service, resource)
    if key is not None:
        for kms_action in needed:
            yield Check(kms_action, key, {"kms:ViaService": f"{service}.{call.region}.amazonaws.com"})


def _customer_key(service: str, resource: str) -> str | None:
    named = {"s3": _bucket_key, "sqs": _queue_key, "sns": _topic_key, "dynamodb": _table_key}[service](resource)
    if not named or "alias/aws/" in named:
        return None
    record = kms._resolve_key(named)
    return str(record["Arn"]) if record else None


def _bucket_key(resource: str) -> str | None:
    bucket = resource.rsplit(":::", 1)[-1].split("/", 1)[0]
    key: str | None = s3._bucket_default_sse_headers(bucket).get("x-amz-server-side-encryption-aws-kms-key-id")
    return key


def _queue_key(resource: str) -> str | None:
    queue = sqs._queue_by_arn(resource)
    return queue["attributes"].get("KmsMasterKeyId") if queue else None


def _topic_key(resource: str) -> str | None:
    topic = sns._topic_by_arn_any_scope(resource)
    return topic.get("attributes", {}).get("KmsMasterKeyId") if topic else None


def _table_key(resource: str) -> str | None:
    name = resource.split(":table/", 1)[-1].split("/", 1)[0]
    table = dynamodb._tables.get(name)
    return ((table or {}).get("SSEDescription") or {}).get("KMSMasterKeyArn")
