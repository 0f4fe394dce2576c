"""What is added to the report of a candidate for people who look at an account: trials, what was billed, what to type next. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cli import costs
from cli.tune.history import STARTED_BY, Tuning
from cli.tune.jobs import Job, Trial
from stacks.settings import Settings

COMMAND = ".venv/bin/python -m cli"


@dataclass(frozen=True)
class Candidate:
    """A model that was, or was to be, evaluated. ``folder`` is the S3 URI of its evaluation, ``rank`` counts from 1.

    ``passed`` is None when the gates have not judged it; ``package`` is the ARN of its model package, if it has one.
    """

    training_job: str
    rank: int
    folder: str
    passed: bool | None
    refusals: tuple[str, ...]
    package: str | None

    @property
    def evaluation_job(self) -> str:
        """How the names of its evaluation jobs begin."""
        return self.folder.rpartition("/")[2]

    def document(self) -> dict[str, Any]:
        return {"training_job": self.training_job, "rank": self.rank, "passed": self.passed, "package": self.package}


def candidates_of(tuning: Tuning) -> list[Candidate]:
    """The best first; none where the execution ended before it chose any."""
    packages = {one.get("training_job"): str(one["model_package_arn"]) for one in tuning.packages}
    found = []
    for rank, one in enumerate(tuning.candidates, 1):
        folder = one.get("output_uri") or str(one["gates_uri"]).rpartition("/")[0]
        refusals = tuple(map(str, one.get("refusals", ())))
        job = str(one["training_job"])
        found.append(Candidate(job, rank, str(folder), one.get("passed"), refusals, packages.get(job)))
    return found


@dataclass(frozen=True)
class Bill:
    """What the report's ``cost`` is made of; ``read_on`` is the day of the prices, such as ``2026-03-01``."""

    settings: Settings
    trials: Sequence[Trial]
    evaluations: Sequence[Job]
    price: costs.Price
    read_on: str

    def rows(self, review_share: float | None) -> Iterator[costs.Row]:
        """``review_share``: share of the test texts that the model is unsure of, 0..1; None where it is not known."""
        basis = "billed seconds of every job, failed ones too"
        yield from self._jobs("training job", [trial.job for trial in self.trials], "Training", basis)
        yield from self._jobs("evaluation", self.evaluations, "Processing", "from start to end of every job, repeated ones too")
        row, hosted = costs.always_on(self.settings), self.settings.hosting.instance_type
        seconds = costs.endpoint_instances(self.settings) * costs.HOURS_A_MONTH * 3_600
        yield self._priced(row, hosted, seconds, "Hosting")
        if review_share is not None:
            yield from costs.people(self.settings, review_share)

    def _jobs(self, what: str, jobs: Sequence[Job], component: str, basis: str) -> Iterator[costs.Row]:
        for kind in sorted({job.instance_type for job in jobs}):
            found = [job for job in jobs if job.instance_type == kind]
            seconds = sum(job.seconds for job in found)
            row = {
                "what": f"this tuning: {len(found)} {what}{'s' if len(found) > 1 else ''}",
                "amount": f"{seconds:,.0f} s ({seconds / 3_600:.2f} h) of {kind}",
                "basis": basis,
            }
            yield self._priced(row, kind, seconds, component)

    def _priced(self, row: costs.Row, instance_type: str, seconds: float, component: str) -> costs.Row:
        price, region = self.price(instance_type, component), self.settings.region
        said = f"no list price was found for {region}" if price is None else f"list price of {region} on {self.read_on}: ${price:g} an hour"
        return costs.priced({**row, "basis": f"{row['basis']}; {said}"}, instance_type, seconds, price)


def next_steps(settings: Settings, tuning: Tuning, candidate: Candidate, content: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """The commands of an account, in order, as the report's ``next_steps`` has them."""
    yield from _model_steps(settings, tuning, candidate)
    stage, doubts, curve = settings.stage, content.get("labels_in_doubt"), content.get("learning_curve")
    if doubts and doubts["texts"]:
        yield {
            "what": f"Look at the {doubts['found']:,} labels in doubt above. Where one is wrong, give the text the right LABEL by its id, "
            "as here for the first.",
            "command": f"{COMMAND} labels correct {shlex.quote(doubts['texts'][0]['id'])} LABEL --reason 'wrong label' --stage {stage}",
        }
    more = curve["next_point"] if curve else None
    yield {
        "what": (f"About {more['rows']:,} more labels may bring the next point of accuracy. " if more else "")
        + "Have people label more texts.",
        "command": f"{COMMAND} label texts.csv --stage {stage}",
    }
    yield {
        "what": "See how far people agree, which labels they mix up, and what the guidelines lack.",
        "command": f"{COMMAND} labels report --html out/labels.html --stage {stage}",
    }
    yield {
        "what": "Train again with the new and the corrected labels. This needs a released model.",
        "command": f"{COMMAND} tune retrain --watch --stage {stage}",
    }


def _model_steps(settings: Settings, tuning: Tuning, candidate: Candidate) -> Iterator[dict[str, str]]:
    stage = settings.stage
    if candidate.passed is False:
        yield {
            "what": f"The gates refused this model: {'; '.join(candidate.refusals)}. This shows every gate with its value and limit.",
            "command": f"aws s3 cp {candidate.folder}/gates.json - --region {settings.region}",
        }
    if candidate.package is None:
        return
    if settings.gates.approval == "manual":
        yield {
            "what": "Approve the model package, if nobody has done so yet.",
            "command": f"aws sagemaker update-model-package --region {settings.region} --model-approval-status Approved "
            f"--model-package-arn {candidate.package}",
        }
    elif STARTED_BY in tuning.input and candidate.rank == min(one.rank for one in candidates_of(tuning) if one.package):
        yield {"what": "The retraining rolls this model out by itself. Follow it.", "command": f"{COMMAND} release watch --stage {stage}"}
        return
    yield {
        "what": "Release the model. It is compared with the running champion, or released alone if nothing is released yet.",
        "command": f"{COMMAND} release start {candidate.package} --watch --stage {stage}",
    }


def whole(settings: Settings, tuning: Tuning, candidate: Candidate, content: Mapping[str, Any], bill: Bill) -> dict[str, Any]:
    """The report of a candidate with everything that an account adds to it.

    Args:
        content: the candidate's ``report.json``.
    """
    review = content.get("review")
    return {
        **content,
        "candidate": {**candidate.document(), "execution": tuning.id, "refusals": list(candidate.refusals)},
        "trials": [trial.document() for trial in bill.trials],
        "cost": list(bill.rows(review["share"] if review else None)),
        "next_steps": list(next_steps(settings, tuning, candidate, content)),
    }
