"""What the same run would take in an AWS account: its instances and people, and the commands that take the data there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cli.costs import always_on, people
from local.demo.summary import Trial
from stacks.settings import Settings


def cost(settings: Settings, trials: Sequence[Trial], *, review_share: float) -> Iterator[dict[str, str]]:
    """What is billed, as the report's ``cost`` has it: hours and people, for prices differ by region and change.

    Args:
        review_share: share of the test texts that the model is unsure of, 0..1.
    """
    hours = sum(trial.seconds for trial in trials) / 3_600
    yield {
        "what": f"a tuning: {len(trials)} training jobs",
        "amount": f"{hours:.2f} h of {settings.tuning.instance_type} in all",
        "basis": "the time that the jobs took on this machine; with the instance's GPU they take less; two evaluations come on top",
    }
    yield always_on(settings)
    yield from people(settings, review_share)


def next_steps(settings: Settings, upload: str) -> list[dict[str, str]]:
    """The commands, in order, as the report's ``next_steps`` has them.

    Args:
        upload: the command that prepares the same texts.
    """
    stage = settings.stage
    return [
        {
            "what": "In an AWS account: look at it, then deploy.",
            "command": f".venv/bin/python -m cli doctor --stage {stage}\nnpx cdk deploy --all",
        },
        {"what": "Prepare the same texts, all of them. It prints the two commands that upload them.", "command": upload},
        {
            "what": "Train, evaluate and register (docs/operations.md, the first deploy).",
            "command": f".venv/bin/python -m cli tune start --watch --stage {stage}",
        },
    ]
