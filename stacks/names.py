"""Every literal name of the deployment, in one place.

Stacks share resources by these names or by SSM parameters, never by CloudFormation exports, so a stack
can be changed without its readers being in the way. Names carry no time stamp and no random part.
"""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import Aws

from contracts.names import LABELS_BY_DAY, OPEN_REVIEWS, REVIEWED_BY_MODEL
from stacks.settings import Settings

PREDICTION_INDEXES = {
    OPEN_REVIEWS: ("open_state", "created_at"),
    LABELS_BY_DAY: ("label_day", "reviewed_at"),
    REVIEWED_BY_MODEL: ("model_version", "reviewed_at"),
}
"""Index name -> (partition key, sort key); ``lambdas/common/prediction_store.py`` queries them."""

BUCKET_PURPOSES = ("data", "capture", "review", "models", "access-logs")


@dataclass(frozen=True)
class Names:
    """Names of one stage. ``account`` defaults to the CloudFormation pseudo parameter."""

    settings: Settings

    @property
    def prefix(self) -> str:
        return f"{self.settings.name}-{self.settings.stage}"

    def stack(self, part: str) -> str:
        """``foundation`` -> ``reviewloop-dev-foundation``."""
        return f"{self.prefix}-{part}"

    def bucket(self, purpose: str) -> str:
        """Literal bucket name with the account as a pseudo parameter.

        Raises:
            KeyError: ``purpose`` is not one of :data:`BUCKET_PURPOSES`.
        """
        if purpose not in BUCKET_PURPOSES:
            raise KeyError(f"bucket purpose {purpose!r} is unknown; known: {', '.join(BUCKET_PURPOSES)}")
        return f"{self.prefix}-{purpose}-{Aws.ACCOUNT_ID}-{self.settings.region}"

    def function(self, part: str) -> str:
        """Lambda function name. Ground Truth only invokes functions with ``SageMaker`` in the name."""
        return f"{self.prefix}-{part}"

    def state_machine(self, part: str) -> str:
        return f"{self.prefix}-{part}"

    def queue(self, part: str) -> str:
        return f"{self.prefix}-{part}"

    def parameter(self, path: str) -> str:
        """SSM parameter name: ``release`` -> ``/reviewloop/dev/release``."""
        return f"/{self.settings.name}/{self.settings.stage}/{path}"

    @property
    def endpoint(self) -> str:
        """Literal endpoint name: alarms refer to it without a circular dependency."""
        return self.prefix

    @property
    def endpoint_role(self) -> str:
        """Name of the models' execution role; a literal one, so that a rollout's role may pass it and no other. IAM is global."""
        return f"{self.prefix}-endpoint-{self.settings.region}"

    def operating_alarms(self, variant: str) -> tuple[str, str]:
        """Alarms on a variant's failures and latency, whatever fleet serves it."""
        return f"{self.prefix}-{variant}-errors", f"{self.prefix}-{variant}-latency"

    @property
    def model_package_group(self) -> str:
        return self.prefix

    @property
    def predictions_table(self) -> str:
        return f"{self.prefix}-predictions"

    @property
    def alert_topic(self) -> str:
        return f"{self.prefix}-alerts"

    @property
    def database(self) -> str:
        """Glue database of the captured data."""
        return self.prefix.replace("-", "_")

    @property
    def workgroup(self) -> str:
        """Athena workgroup of the drift queries."""
        return self.prefix

    @property
    def metric_namespace(self) -> str:
        """Namespace of our own CloudWatch metrics."""
        return f"ReviewLoop/{self.settings.name}/{self.settings.stage}"

    def arn(self, service: str, resource: str, *, account: str = Aws.ACCOUNT_ID) -> str:
        return f"arn:{Aws.PARTITION}:{service}:{self.settings.region}:{account}:{resource}"
