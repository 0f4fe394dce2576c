"""The hosted review service as the review backend: one task per (prediction, attempt) in a table of our own."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from contracts.groups import group_of
from lambdas.common.answers_wanted import AnswerRule, ModelPrior
from lambdas.common.labels import Labels
from lambdas.common.review import ReviewReason, ReviewRequest
from lambdas.common.split_side import side_of
from lambdas.review.hosted_tasks import suggestions
from lambdas.review.hosted_tasks.edges import task_table
from lambdas.review.hosted_tasks.gold import draw, gold_id
from lambdas.review.hosted_tasks.table import TaskTable
from lambdas.review.hosted_tasks.task import Task, about, excerpt_of, task_id_of
from lambdas.review.port import ReviewRefused

MOST_CONFIDENT = 0.99
"""The largest confidence of a model that counts as a prior."""
MOST_INPUT_BYTES = 300_000
"""DynamoDB takes items of up to 400 KB (Developer Guide, "Quotas")."""


@dataclass(frozen=True)
class Adaptive:
    """When the model's answer is a prior for how many people are asked (``review.answers.adaptive``).

    ``holdout_share`` is that of the retraining: it says which texts may become validation or test rows.
    """

    certainty: float
    accuracy: float
    holdout_share: float


@dataclass(frozen=True)
class Terms:
    """What every new task gets, from the stage's settings. A task keeps its own terms, so a deployment changes new tasks only."""

    team: str
    title: str
    description: str
    rule: AnswerRule
    most: int
    time_limit_seconds: int
    availability_seconds: int
    undo_seconds: int
    suggestion_share: float = 0.0
    """For this share of people and tasks the page shows the model's label (:mod:`~lambdas.review.hosted_tasks.suggestions`)."""
    gold_share: float = 0.0
    """How many gold tasks come with one review, on the average."""
    adaptive: Adaptive | None = None


def starter(target: str, labels: Labels) -> HostedStarter:
    """``target``: JSON ``{"table", "retention_days", "terms"}``."""
    given = json.loads(target)
    return HostedStarter(task_table(given["table"], given["retention_days"]), terms_of(given["terms"]), labels)


def terms_of(given: Mapping[str, Any]) -> Terms:
    """The ``terms`` of a starter's target."""
    adaptive = given.get("adaptive")
    return Terms(**{**given, "adaptive": None if adaptive is None else Adaptive(**adaptive)})


class HostedStarter:
    """Opens tasks.

    Args:
        labels: what a reviewer may choose. The task's input keeps ids and names, so its answers get ids even if labels change meanwhile.
        clock: epoch seconds.
    """

    def __init__(self, table: TaskTable, terms: Terms, labels: Labels, clock: Callable[[], float] = time.time) -> None:
        self._table, self._terms, self._labels, self._clock = table, terms, labels, clock

    def start(self, request: ReviewRequest, *, in_experiment: bool = False) -> None:
        """Open the task of the review. The id of the review makes it idempotent: a task that is or was there stays as it is.

        Raises:
            ReviewRefused: the text is too long for the table.
            botocore.exceptions.ClientError: anything that may pass, such as throttling; try again later.
        """
        content = {
            "text": request.text,
            **self._labels.task_fields(),
            "predictionId": request.prediction_id,
            "attempt": request.attempt,
            **({} if in_experiment else self._suggestion(request)),
        }
        size = len(json.dumps(content, ensure_ascii=False, allow_nan=False).encode())
        if size > MOST_INPUT_BYTES:
            raise ReviewRefused(f"the task of {request.review_id} has {size} bytes, and at most {MOST_INPUT_BYTES} can be stored")
        now = int(self._clock() * 1_000)
        task, prior = self._task(request.review_id, request.text, now), None if in_experiment else self._prior(request)
        task = replace(task, about=None if request.origin is None else about(request.origin.subject))
        self._table.add(task if prior is None else replace(task, rule=AnswerRule.ADAPTIVE, prior=prior), content)
        self._mix_in(request.review_id, now)

    def _mix_in(self, review_id: str, now: int) -> None:
        """The gold task that comes with the review, if one is drawn. A text whose label people can no longer choose is left out."""
        if not self._terms.gold_share:
            return
        names = dict(zip(self._labels.ids, self._labels.shown, strict=True))
        known = [one for one in self._table.gold(self._terms.team) if one.label in names]
        drawn = draw(review_id, self._terms.gold_share, known)
        if drawn is not None:
            task = replace(self._task(gold_id(review_id), drawn.text, now), gold=names[drawn.label], rule=AnswerRule.FIXED)
            self._table.add(task, {"text": drawn.text, **self._labels.task_fields(), "predictionId": task.task_id, "attempt": 1})

    def _task(self, review_id: str, text: str, now: int) -> Task:
        terms = self._terms
        return Task(
            task_id=task_id_of(review_id),
            review_id=review_id,
            team=terms.team,
            title=terms.title,
            description=terms.description,
            created_at=now,
            gone_at=now + terms.availability_seconds * 1_000,
            time_limit=terms.time_limit_seconds * 1_000,
            undo=terms.undo_seconds * 1_000,
            rule=AnswerRule(terms.rule),
            most=terms.most,
            excerpt=excerpt_of(text),
        )

    def _suggestion(self, request: ReviewRequest) -> dict[str, Any]:
        """Nobody sees the model's label of a drawn text or of a pair, because people's answers to them judge the model.

        A text of an experiment may become a pair while it is in review for another reason, so :meth:`start` asks for no suggestion there.
        """
        names = dict(zip(self._labels.ids, self._labels.shown, strict=True))
        if request.reason is not ReviewReason.LOW_CONFIDENCE or request.predicted_label not in names:
            return {}
        return suggestions.task_fields(names[request.predicted_label], self._terms.suggestion_share)

    def _prior(self, request: ReviewRequest) -> ModelPrior | None:
        """What the model said, where the label can do nothing but train: a low confidence is the reason, and the group is in no held-out
        split. Without an origin nobody knows whose text it is, so nobody knows the group."""
        adaptive, count = self._terms.adaptive, len(self._labels.ids)
        if adaptive is None or request.origin is None or request.reason is not ReviewReason.LOW_CONFIDENCE:
            return None
        names = dict(zip(self._labels.ids, self._labels.shown, strict=True))
        if request.predicted_label not in names:
            return None
        if side_of(group_of(request.text, request.origin.subject), adaptive.holdout_share) != "train":
            return None
        # No model is so sure that no answer may change the label, and its own label is at least as likely as the others.
        confidence = min(max(request.confidence, 1 / count), MOST_CONFIDENT)
        return ModelPrior(names[request.predicted_label], confidence, count, adaptive.accuracy, adaptive.certainty)
