"""What only AWS itself can prove, each with the legs of ``smoke`` that prove it. docs/architecture.md lists the same sentences."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Assumption:
    """``legs``: names of legs of ``smoke``; all of them must have passed. Empty: no leg can prove it."""

    id: str
    text: str
    legs: tuple[str, ...] = ()


ASSUMPTIONS = (
    Assumption("keys-of-jobs", "The key's grants let training and processing jobs read and write encrypted data.", ("tuning",)),
    Assumption("sync-fields", "Step Functions takes the fields of the tuning and processing jobs as defined.", ("tuning",)),
    Assumption("training-image", "The training image runs the code archive from its channel, without network.", ("tuning",)),
    Assumption("inference-image", "The inference image loads the artifact and answers in the contract's form.", ("endpoint",)),
    Assumption("endpoint-role", "The endpoint's role reads artifact, image and key, and writes its log.", ("endpoint",)),
    Assumption("api-chain", "API Gateway, the function and its role answer a signed request.", ("prediction",)),
    Assumption(
        "capture", "Captured lines arrive in S3 by the way that `hosting.capture` names, in the form that drift reads.", ("capture",)
    ),
    Assumption("human-loops", "StartHumanLoop is allowed as granted, and a stopped loop's event arrives.", ("review",)),
    Assumption("athena-query", "Athena reads the capture table by its partitions, under the workgroup's own key.", ("drift",)),
    Assumption("alarm-delivery", "An alarm reaches the encrypted topic: CloudWatch names its account when it asks for the key."),
    Assumption("fleet-rollback", "An alarm on the new fleet alone rolls an endpoint update back."),
    Assumption("stack-update", "CloudFormation updates the endpoint stack under the rollout's role and nothing wider."),
    Assumption("quota-sums", "Service quotas hold while two fleets run side by side."),
    Assumption("prices", "Costs grow as docs/operations.md sums them up."),
)


def proven(passed: Iterable[str]) -> tuple[list[Assumption], list[Assumption]]:
    """(proven, still open) after the legs ``passed``."""
    done = set(passed)
    split: tuple[list[Assumption], list[Assumption]] = ([], [])
    for assumption in ASSUMPTIONS:
        split[0 if assumption.legs and done.issuperset(assumption.legs) else 1].append(assumption)
    return split
