"""Every literal name of the deployment, in one place: for the stacks, and for everything that works with what they made.

Stacks share resources by these names or by SSM parameters, never by CloudFormation exports, so a stack
can be changed without its readers being in the way. Names carry no time stamp and no random part.

Nothing here needs the CDK: the stacks have CloudFormation's pseudo parameters in place of the account (stacks/template_names.py).
"""

from __future__ import annotations

from dataclasses import dataclass

from contracts.shared_words import DUE_TASKS, LABELS_BY_DAY, OPEN_REVIEWS, OPEN_TASKS
from stacks.settings import Settings

PREDICTION_INDEXES = {
    OPEN_REVIEWS: ("open_state", "created_at"),
    LABELS_BY_DAY: ("label_day", "reviewed_at"),
}
"""Index name -> (partition key, sort key); ``lambdas/common/prediction_store.py`` queries them."""

PAIR_KEYS = ("experiment", "at")
"""Partition and sort key of the table of pairs; ``lambdas/common/pairs.py`` queries it."""

TASK_INDEXES = {OPEN_TASKS: ("queue", "waiting_since"), DUE_TASKS: ("due", "due_at")}
"""The same of the table of review tasks, which ``lambdas/review/hosted_tasks/table.py`` queries."""

REVIEWERS = "reviewers"
"""The user pool's group of people who are asked."""
LEADS = "leads"
"""The user pool's group of people who lead the reviewers; only the hosted backend has it."""
BUCKET_PURPOSES = ("data", "capture", "review", "models", "access-logs")


@dataclass(frozen=True)
class Names:
    """Names of one stage in one account."""

    settings: Settings
    account: str
    partition: str = "aws"
    url_suffix: str = "amazonaws.com"

    @property
    def prefix(self) -> str:
        return f"{self.settings.name}-{self.settings.stage}"

    def stack(self, part: str) -> str:
        """``foundation`` -> ``reviewloop-dev-foundation``."""
        return f"{self.prefix}-{part}"

    def bucket(self, purpose: str) -> str:
        """Literal bucket name, with the account in it.

        Raises:
            KeyError: ``purpose`` is not one of :data:`BUCKET_PURPOSES`.
        """
        if purpose not in BUCKET_PURPOSES:
            raise KeyError(f"bucket purpose {purpose!r} is unknown; known: {', '.join(BUCKET_PURPOSES)}")
        return f"{self.prefix}-{purpose}-{self.account}-{self.settings.region}"

    def bucket_arn(self, purpose: str, key: str = "") -> str:
        """ARN of a bucket; with ``key`` of the object with that key, or of all that it fits (``datasets/*``).

        Raises:
            KeyError: ``purpose`` is not one of :data:`BUCKET_PURPOSES`.
        """
        return bucket_arn(self.bucket(purpose), key)

    def function(self, part: str) -> str:
        """Lambda function name. Ground Truth only invokes functions with ``SageMaker`` in the name."""
        return f"{self.prefix}-{part}"

    def state_machine(self, part: str) -> str:
        return f"{self.prefix}-{part}"

    def queue(self, part: str) -> str:
        return f"{self.prefix}-{part}"

    def queue_url(self, part: str) -> str:
        return f"https://sqs.{self.settings.region}.{self.url_suffix}/{self.account}/{self.queue(part)}"

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

    def scaling_policy(self, variant: str) -> str:
        return f"{self.prefix}-{variant}"

    def alarm(self, part: str) -> str:
        return f"{self.prefix}-{part}"

    @property
    def drift_alarm(self) -> str:
        """When this alarm goes off, a rule starts a retraining."""
        return self.alarm("drift")

    def operating_alarms(self, variant: str) -> tuple[str, str]:
        """Alarms on a variant's failures and latency, whatever fleet serves it."""
        return self.alarm(f"{variant}-errors"), self.alarm(f"{variant}-latency")

    def rollback_alarms(self, variant: str) -> str:
        """How the names of a variant's rollback alarms begin; they end with the measure and the configuration that they watch."""
        return self.alarm(f"{variant}-green-")

    @property
    def flow_definition(self) -> str:
        """How the names of the flow definition and of its worker page begin; they end with a hash of their content."""
        return f"{self.prefix}-review"

    @property
    def reviewers(self) -> str:
        """The work team and the user pool of its members."""
        return f"{self.prefix}-{REVIEWERS}"

    @property
    def sign_in_domain(self) -> str:
        """Prefix of the user pool's domain: unique in the region over all accounts, without a lookup, since the account is part of it."""
        return f"{self.prefix}-{self.account}-{self.settings.region}"

    def rule(self, part: str) -> str:
        """EventBridge rule."""
        return f"{self.prefix}-{part}"

    @property
    def model_package_group(self) -> str:
        return self.prefix

    @property
    def model_packages_arn(self) -> str:
        """ARN of all packages of our group; the service numbers them."""
        return self.arn("sagemaker", f"model-package/{self.model_package_group}/*")

    @property
    def predictions_table(self) -> str:
        return f"{self.prefix}-predictions"

    @property
    def pairs_table(self) -> str:
        return f"{self.prefix}-pairs"

    @property
    def review_tasks_table(self) -> str:
        return f"{self.prefix}-review-tasks"

    @property
    def alert_topic(self) -> str:
        return f"{self.prefix}-alerts"

    @property
    def task_topic(self) -> str:
        """Topic of the mails that review tasks wait (``review.mail``)."""
        return f"{self.prefix}-review-tasks"

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

    def arn(self, service: str, resource: str, *, account: str | None = None) -> str:
        owner = self.account if account is None else account
        return f"arn:{self.partition}:{service}:{self.settings.region}:{owner}:{resource}"


def bucket_arn(bucket: str, key: str = "") -> str:
    """ARN of any bucket by its name, or of its objects."""
    return f"arn:aws:s3:::{bucket}/{key}" if key else f"arn:aws:s3:::{bucket}"
