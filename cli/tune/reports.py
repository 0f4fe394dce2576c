"""Which execution's reports are wanted, and what AWS has of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cli import costs
from cli.account import Account
from cli.console import NotDone, Refused
from cli.executions import Execution, Machine
from cli.tune.candidates import Bill, Candidate, candidates_of, whole
from cli.tune.history import Tuning
from cli.tune.jobs import evaluations_of, trials_of
from contracts.report.page import SCHEMA_VERSION, page
from contracts.report.serving import PREDICTIONS, at_fixed_threshold
from contracts.text import InvalidJson, parse_json
from lambdas.common.s3_uri import read_json, split_uri

MOST_LOOKED_AT = 20
"""Newest executions among which one with an evaluation is looked for."""
GATES_SAID = {True: "it passed the gates", False: "the gates refused it", None: "the gates have not judged it"}
_EVALUATION, _REPORT = "evaluation.json", "report.json"


@dataclass(frozen=True)
class Evaluated:
    """An ended tuning with its candidates. ``files`` are the names of the files in the folder of each."""

    tuning: Tuning
    candidates: Sequence[Candidate]
    files: Mapping[str, frozenset[str]]

    @property
    def judged(self) -> bool:
        """Whether a candidate has an evaluation."""
        return any(_EVALUATION in names for names in self.files.values())


@dataclass(frozen=True)
class Made:
    """The whole report of a candidate, and its page; ``why`` says why there is none."""

    candidate: Candidate
    content: dict[str, Any] | None
    html: str
    why: str = ""


def tuning_of(retraining: Execution, tunings: Machine) -> Execution:
    """The tuning that a retraining started, the last of a redriven one. ``stacks/retraining.py`` makes the name.

    Raises:
        Refused: it has not started any.
    """
    begin = f"tuning-{hashlib.sha1(retraining.arn.encode()).hexdigest()}-"  # noqa: S324  (the name's form, no secret)
    found = next((one for one in tunings.listed() if one.name.startswith(begin)), None)
    if found is None:
        raise Refused(f"the retraining {retraining.name} has started no tuning: `tune history` says how it ended")
    return found


def newest(tunings: Machine) -> Evaluated:
    """The newest ended execution that has an evaluation.

    Raises:
        Refused: none has.
    """
    looked_at = list(tunings.listed(most=MOST_LOOKED_AT))
    for execution in looked_at:
        if not execution.runs:
            found = _read(tunings, execution)
            if found.judged:
                return found
    running = next((one for one in looked_at if one.runs), None)
    if running is not None:
        raise Refused(f"no tuning with an evaluation has ended yet: {running.name} runs, `tune watch {running.name}` follows it")
    raise Refused(f"none of the newest {MOST_LOOKED_AT} tunings has an evaluation: `tune start` starts one, `tune history` lists them")


def named(tunings: Machine, execution: Execution) -> Evaluated:
    """This execution.

    Raises:
        Refused: it still runs.
        NotDone: it ended before an evaluation did.
    """
    found = _read(tunings, execution)
    tuning = found.tuning
    if tuning.runs:
        raise Refused(f"{tuning.id} still runs ({tuning.doing}): `tune watch {tuning.id}` follows it to its end")
    if not found.judged:
        how = f"{tuning.outcome}: {tuning.why}" if tuning.why else tuning.outcome
        raise NotDone(
            f"{tuning.id} has no evaluation, or its files were removed. It ended as {how}. `tune redrive {tuning.id}` lets a failed "
            "one go on, and `tune start` starts another"
        )
    return found


def _read(tunings: Machine, execution: Execution) -> Evaluated:
    tuning = Tuning(execution.name, tunings.part).after(tunings.events(execution.arn))
    candidates = candidates_of(tuning)
    s3 = tunings.account.client("s3")
    files = {} if tuning.runs else {one.training_job: _names(s3, f"{one.folder}/") for one in candidates}
    return Evaluated(tuning, candidates, files)


def _names(s3: Any, folder: str) -> frozenset[str]:
    bucket, prefix = split_uri(folder)
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
    return frozenset(str(one["Key"]).removeprefix(prefix) for one in listed)


def bill_of(account: Account, evaluated: Evaluated) -> Bill:
    """The tuning's jobs and today's prices."""
    sagemaker, tuning_job = account.client("sagemaker"), evaluated.tuning.tuning_job
    return Bill(
        account.settings,
        trials_of(sagemaker, tuning_job) if tuning_job else [],
        evaluations_of(sagemaker, [one.evaluation_job for one in evaluated.candidates]),
        costs.list_price(account.session, account.settings.region),
        f"{datetime.now(UTC):%Y-%m-%d}",
    )


def made_of(account: Account, evaluated: Evaluated, bill: Bill) -> list[Made]:
    """The report of every candidate, the best first."""
    return [_made(account, evaluated, bill, one) for one in evaluated.candidates]


def _made(account: Account, evaluated: Evaluated, bill: Bill, candidate: Candidate) -> Made:
    files = evaluated.files[candidate.training_job]
    if _EVALUATION not in files:
        return Made(candidate, None, "", "; ".join(candidate.refusals) or "it was not evaluated")
    if _REPORT not in files:
        return Made(
            candidate, None, "", "its evaluation wrote no report.json: the job ran with `--report none`, or the app was too old. Tune again"
        )
    try:
        read = read_json(account.client("s3"), f"{candidate.folder}/{_REPORT}")
        version = read.get("schema_version") if isinstance(read, dict) else None
        if version != SCHEMA_VERSION:
            return Made(candidate, None, "", _of_another_version(f"schema_version {version!r}, and this command reads {SCHEMA_VERSION}"))
        if account.settings.review.threshold != "model":
            read["serving_review"] = _serving(account, candidate, account.settings.review.threshold, files)
        content = whole(account.settings, evaluated.tuning, candidate, read, bill)
        return Made(candidate, content, page(content))
    except InvalidJson as error:
        return Made(candidate, None, "", f"{error}: tune again")
    except (AttributeError, LookupError, TypeError, ValueError) as error:  # such as null where a number belongs
        what = f"no {error.args[0]!r}" if isinstance(error, KeyError) else f"a field of another form ({error})"
        return Made(candidate, None, "", _of_another_version(what))


def _serving(account: Account, candidate: Candidate, threshold: float, files: frozenset[str]) -> dict[str, Any]:
    """What the settings' threshold does with the test texts; the threshold alone where the evaluation kept no answers."""
    if PREDICTIONS not in files:
        return {"threshold": threshold}
    bucket, key = split_uri(f"{candidate.folder}/{PREDICTIONS}")
    body = account.client("s3").get_object(Bucket=bucket, Key=key)["Body"]
    return at_fixed_threshold(threshold, map(parse_json, body.read().splitlines()))


def _of_another_version(what: str) -> str:
    return f"its report.json has {what}: another version of the app wrote it. Use that version, or tune again"
