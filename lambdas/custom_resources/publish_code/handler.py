"""Lays the training code of a deploy where jobs read it, and keeps that of earlier deploys.

An execution keeps the definition that it was started with, and a redrive may use it for 14 days more. So the code that it names must
stay readable when a later deploy has another one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lambdas.common.clients import client
from lambdas.common.observability import logger
from lambdas.common.s3_uri import split_uri
from lambdas.custom_resources.response import ResourceResult, answer


def publish(event: Mapping[str, Any], s3: Any) -> ResourceResult:
    """Create and Update copy ``Source`` to ``Target`` (S3 URIs); Delete removes nothing.

    The target's name is the content's hash, so the same copy made twice is the same object.
    """
    target = str(event["ResourceProperties"]["Target"])
    if event["RequestType"] != "Delete":
        source_bucket, source_key = split_uri(event["ResourceProperties"]["Source"])
        bucket, key = split_uri(target)
        body = s3.get_object(Bucket=source_bucket, Key=source_key)["Body"].read()
        s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/gzip")
        logger.info("code published", extra={"target": target, "bytes": len(body)})
    # One id for all versions: with another one CloudFormation would ask to delete the old code.
    return ResourceResult(physical_id=target.rsplit("/", 1)[0])


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return answer(event, lambda request: publish(request, client("s3")))
