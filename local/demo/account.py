"""What the same run would take in an AWS account: its instances and people, and the commands that take the data there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from local.demo.summary import Trial
from stacks.names import Names
from stacks.settings import Settings

HOURS_A_MONTH = 730


def cost(settings: Settings, trials: Sequence[Trial], *, review_share: float) -> Iterator[dict[str, str]]:
    """What is billed, as the report's ``cost`` has it: hours and people, for prices differ by region and change.

    Args:
        review_share: share of the test texts that the model is unsure of, 0..1.
    """
    tuning, hosting, review = settings.tuning, settings.hosting, settings.review
    hours = sum(trial.seconds for trial in trials) / 3_600
    yield {
        "what": f"a tuning: {len(trials)} training jobs",
        "amount": f"{hours:.2f} h of {tuning.instance_type} in all",
        "basis": "the time that the jobs took on this machine; with the instance's GPU they take less; two evaluations come on top",
    }
    instances = hosting.scaling.min_instances if hosting.scaling else hosting.initial_instance_count
    yield {
        "what": "the endpoint, always on",
        "amount": f"{2 * instances} x {HOURS_A_MONTH} h of {hosting.instance_type} a month",
        "basis": f"two variants with {instances} instance{'s' if instances > 1 else ''} each; an update bills both fleets while it lasts",
    }
    share = review_share + (1 - review_share) * review.audit_share
    yield {
        "what": "people, for 1,000 predictions",
        "amount": f"{1_000 * share * review.workers_per_task:.0f} answers",
        "basis": f"{share:.0%} of the texts are reviewed by {review.workers_per_task}: the unsure ones ({review_share:.0%} of the test "
        f"texts), and {review.audit_share:.0%} of the others at random",
    }


def next_steps(settings: Settings, upload: str) -> list[dict[str, str]]:
    """The commands, in order, as the report's ``next_steps`` has them.

    Args:
        upload: the command that prepares the same texts.
    """
    stage, names = settings.stage, Names(settings, "$ACCOUNT")
    return [
        {"what": "Look at the account, then deploy.", "command": f".venv/bin/python -m cli doctor --stage {stage}\nnpx cdk deploy --all"},
        {"what": "Prepare the same texts, all of them. It prints the two commands that upload them.", "command": upload},
        {
            "what": "Train, evaluate and register (docs/operations.md, the first deploy).",
            "command": "aws stepfunctions start-execution --input '{}' --state-machine-arn "
            f'"{names.arn("states", "stateMachine:" + names.state_machine("tuning"))}"',
        },
    ]
