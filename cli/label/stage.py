"""What a stage knows that a labelling job needs: its labels, the terms of its tasks, and the function that imports labels."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from botocore.config import Config
from botocore.exceptions import ClientError

from cli.account import Account
from cli.console import not_deployed
from cli.label.ground_truth import output_key
from cli.label.job import LABEL_ATTRIBUTE
from contracts.dataset import Manifest
from contracts.labels import FEWEST_LABELS, MOST_LABELS, label_ids
from contracts.shared_words import TASK_DESCRIPTION, TASK_TITLE
from lambdas.common.answers_wanted import AnswerRule
from lambdas.common.labels import Labels
from lambdas.common.prediction_store import PredictionStore
from lambdas.common.s3_uri import read_bytes
from lambdas.review.hosted import Terms
from lambdas.review.hosted_tasks.table import TaskTable
from stacks.names import REVIEWERS
from stacks.settings import Settings

_IMPORT_SECONDS = 910
_AVAILABLE_SECONDS = 10 * 86_400
"""As long as Ground Truth shows a task (``stacks/labeling.py``)."""


class NoStage(Exception):
    """The stage cannot do it; the text says what to do."""


class NoLabels(NoStage):
    """People cannot choose from these labels, so nobody was asked."""


def given_labels(said: str) -> Labels:
    """``--labels "Very good,Bad"``. Raises NoLabels."""
    names = list(dict.fromkeys(name.strip() for name in said.split(",") if name.strip()))
    if not FEWEST_LABELS <= len(names) <= MOST_LABELS:
        raise NoLabels(
            f"--labels {said!r}: {FEWEST_LABELS} to {MOST_LABELS} different labels, separated by commas, are needed, "
            'such as --labels "Good,Bad"'
        )
    ids = label_ids(names)
    return Labels.of(list(ids.values()), {ids[name]: name for name in names})


def stage_labels(account: Account) -> Labels | None:
    """The labels that the stage's people choose from; None where nothing says which there are."""
    uri, pinned = (account.parameter("dataset") or "none").rstrip("/"), account.settings.dataset.labels
    if uri == "none":
        return Labels.of(pinned) if pinned else None
    where = f"{uri}/manifest.json"
    manifest = Manifest.parse(read_bytes(account.client("s3"), where), where)
    return Labels.of(pinned or manifest.labels, manifest.label_names)


def terms_of(settings: Settings) -> Terms:
    return Terms(
        team=REVIEWERS,
        title=TASK_TITLE,
        description=TASK_DESCRIPTION,
        rule=AnswerRule(settings.review.answer_rule),
        most=settings.labeling.workers_per_object,
        time_limit_seconds=settings.labeling.task_time_limit_seconds,
        availability_seconds=_AVAILABLE_SECONDS,
        undo_seconds=settings.review.undo_seconds,
        gold_share=settings.review.gold_share,
    )


def task_table(account: Account) -> TaskTable:
    table = account.session.resource("dynamodb").Table(account.names.review_tasks_table)
    return TaskTable(table, account.settings.retention.review_days)


def forgotten_among(account: Account, subjects: Collection[str]) -> set[str]:
    """Those that `labels forget` was told of."""
    if not subjects:
        return set()
    return PredictionStore(account.session.resource("dynamodb").Table(account.names.predictions_table)).forgotten_among(subjects)


def import_labels(account: Account, name: str, manifest: Path) -> dict[str, Any]:
    """The output manifest to where Ground Truth would have left it, and its labels into the prediction table, each once.

    Returns the function's counts.

    Raises:
        NoStage: the function has failed.
    """
    bucket, key = account.names.bucket("review"), output_key(account.names.prefix, name)
    account.client("s3").put_object(Bucket=bucket, Key=key, Body=manifest.read_bytes(), ContentType="application/jsonlines")
    # A thousand labels take minutes, and one call is enough: the next run of the command makes it again.
    waits = Config(read_timeout=_IMPORT_SECONDS, retries={"total_max_attempts": 1})
    event = {"job_name": name, "manifest_uri": f"s3://{bucket}/{key}", "attribute": LABEL_ATTRIBUTE, "service": "labeling"}
    function = account.names.function("import-labels")
    try:
        answer = account.session.client("lambda", config=waits).invoke(FunctionName=function, Payload=json.dumps(event).encode())
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        stack = account.names.stack("labeling")
        raise NoStage(f"{not_deployed(stack, account.settings.stage)}. Then run the same command again") from None
    found: dict[str, Any] = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        raise NoStage(f"{function} has failed: {found.get('errorMessage', found)}")
    return found
