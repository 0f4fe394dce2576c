"""The errors after which a task of the rollout is tried again. Pure."""

from __future__ import annotations

AWS_FAULTS = (
    "ClientError",
    "ProvisionedThroughputExceededException", "RequestLimitExceeded", "ThrottlingException", "KmsThrottlingException",
    "InternalServerError", "InternalServiceException", "InternalServiceFault",
    "TooManyUpdates", "ConcurrentUpdateException",
    "ConnectionError", "ConnectTimeoutError", "EndpointConnectionError", "SSLError", "ProxyConnectionError",
    "HTTPClientError", "ReadTimeoutError", "ConnectionClosedError", "ResponseStreamingError",
    "TableIsBusy",
)  # fmt: skip
"""What a function raises when boto3's own retries were not enough: a throttled call ends no rollout. botocore raises an error that the
service's model names as a class of that name, and others as ``ClientError``. Step Functions compares names, so each stands here."""
