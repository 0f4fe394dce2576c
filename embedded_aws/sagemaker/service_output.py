"""Objects that SageMaker writes for a customer: under the customer's role, with the customer's key."""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from embedded_aws.core import sessions
from embedded_aws.core.api import validation_error

SAGEMAKER = "sagemaker.amazonaws.com"


class OutputRefused(Exception):
    """The role may not do what the service must do with it; the text is the failure reason."""


def split_s3_uri(uri: str) -> tuple[str, str]:
    """``s3://bucket/a/b/`` -> ``("bucket", "a/b")``.

    Raises:
        ApiError: ValidationException for anything but an ``s3://`` URI.
    """
    if not uri.startswith("s3://"):
        raise validation_error(f"{uri} is not an S3 URI of the form s3://bucket/prefix.")
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key.rstrip("/")


class RoleOutput:
    """S3 access as one role. A customer key is used as S3 uses it, so a role without it fails here too."""

    def __init__(self, role_arn: str, kms_key_id: str | None) -> None:
        """Raises ApiError (ValidationException) when the role is missing or does not trust SageMaker."""
        self.session = sessions.role_session(role_arn, SAGEMAKER)
        self._kms_key_id = kms_key_id

    def write(self, uri: str, body: str) -> None:
        """``body`` is JSON. Half a surrogate pair has no bytes, so it is written as JSON's escape. Raises OutputRefused."""
        bucket, key = split_s3_uri(uri)
        content = body.encode(errors="backslashreplace")
        arguments: dict[str, Any] = {"Bucket": bucket, "Key": key, "Body": content, "ContentType": "application/json"}
        try:
            if self._kms_key_id:
                # ministack's S3 does not ask KMS whether the caller may use the key.
                self.session.client("kms").generate_data_key(KeyId=self._kms_key_id, KeySpec="AES_256")
                arguments |= {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self._kms_key_id}
            self.session.client("s3").put_object(**arguments)
        except (ClientError, BotoCoreError) as error:
            raise OutputRefused(f"Cannot write {uri}: {_text(error)}") from None

    def read(self, uri: str) -> str:
        """Raises OutputRefused."""
        bucket, key = split_s3_uri(uri)
        try:
            body: bytes = self.session.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
            return body.decode()
        except (ClientError, BotoCoreError) as error:
            raise OutputRefused(f"Cannot read {uri}: {_text(error)}") from None
        except UnicodeDecodeError:
            raise OutputRefused(f"Cannot read {uri}: it is not UTF-8 text") from None

    def invoke(self, function_arn: str, payload: dict[str, Any]) -> Any:
        """The function's answer, parsed.

        Raises:
            OutputRefused: the role may not invoke it, it does not exist, or it raised.
        """
        try:
            response = self.session.client("lambda").invoke(FunctionName=function_arn, Payload=json.dumps(payload).encode())
        except (ClientError, BotoCoreError) as error:
            raise OutputRefused(f"Cannot invoke {function_arn}: {_text(error)}") from None
        body = response["Payload"].read().decode()
        if response.get("FunctionError"):
            raise OutputRefused(f"{function_arn} failed: {body[:500]}")
        return json.loads(body or "null")


def _text(error: ClientError | BotoCoreError) -> str:
    if isinstance(error, BotoCoreError):
        return str(error)
    return f"{error.response['Error']['Code']}: {error.response['Error']['Message']}"
