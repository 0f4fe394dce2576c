"""The errors of AWS that pass by themselves, by the names under which a state machine sees them. Pure."""

from __future__ import annotations

AWS_FAULTS = (
    "ClientError",
    "ProvisionedThroughputExceededException", "RequestLimitExceeded", "ThrottlingException", "KmsThrottlingException",
    "InternalServerError", "InternalServiceException", "InternalServiceFault",
    "TooManyUpdates", "ConcurrentUpdateException", "ConflictException", "TransactionConflictException", "ReplicatedWriteConflictException",
    "ConnectionError", "ConnectTimeoutError", "EndpointConnectionError", "SSLError", "ProxyConnectionError",
    "HTTPClientError", "ReadTimeoutError", "ConnectionClosedError", "ResponseStreamingError", "IncompleteReadError",
    "TableIsBusy",
)  # fmt: skip
"""What a function raises when boto3's own retries were not enough. botocore raises an error that the service's model names as a class of
that name, and others as ``ClientError``. Step Functions compares names, so each stands here. A refusal is a ``ClientError``, too: a task
that AWS refuses fails after its tries."""
