"""Pairs: one text, answered by champion and challenger. What a rollout is judged by.

The table ``pairs`` holds them under ``experiment`` and the sort key ``at``: counts of ten seconds, and one item for each pair whose
labels differ (docs/contracts.md). What people answered lies on the prediction's own record alone: reading joins it by the
prediction's id, so a label that a lead settles, or that comes after a redrive, is the pair's label too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from boto3.dynamodb.conditions import Key

from lambdas.common.batch_get import batch_get
from lambdas.common.review import MODEL_PRIOR, ReviewState

SLOT, DIFFER, MISSED, ASKED, DONE = "agreed#", "differ#", "missed#", "asked#", "done#"
"""How the sort keys begin: counts of ten seconds, a pair whose labels differ, a count of what was missed, the reviews asked for on a day
because of pairs, a prediction that is dealt with."""


class PairState(StrEnum):
    """Where the review of a pair stands. ``EXPIRED``: the prediction's record is gone, and no label will come. ``SWAYED``: a model had a
    part in what people said, so it judges no model. ``UNDECIDED`` and ``DEAD_LETTERED`` may still become ``LABELLED``: a lead settles the
    one, a redrive asks again about the other."""

    WAITING = "waiting"
    LABELLED = "labelled"
    UNDECIDED = "undecided"
    EXPIRED = "expired"
    SWAYED = "swayed"
    DEAD_LETTERED = "dead_lettered"


class Missed(StrEnum):
    """Why a prediction of the experiment was not paired."""

    LATE = "late"
    """Its experiment was over when its turn came."""
    FAILED = "failed"
    """The other model failed on this text, or gave no usable answer."""
    GONE = "gone"
    """The endpoint has no such variant, or the variant runs another model than the experiment's."""
    OVER_BUDGET = "over_budget"
    """The reviews of that UTC day were spent."""
    UNUSABLE = "unusable"
    """The record cannot be read."""


@dataclass(frozen=True)
class DifferingPair:
    """A pair whose labels differ.

    Attributes:
        created_at: of the prediction, ISO 8601 UTC.
        variant: the variant that answered the caller.
        human_label: what people said; None unless ``state`` is ``LABELLED``. It may be neither of the two labels.
    """

    prediction_id: str
    created_at: str
    variant: str
    champion_label: str
    challenger_label: str
    champion_confidence: float
    challenger_confidence: float
    state: PairState = PairState.WAITING
    human_label: str | None = None


@dataclass(frozen=True)
class Slot:
    """The pairs of the predictions of ten seconds.

    Attributes:
        begin: UTC, such as ``2026-11-23T10:05:30``.
        agreed: pairs of equal labels.
        differ: the others, in the order of ``created_at``.
        calls: who answered the callers of all these pairs. Keys are ``<variant>`` where the endpoint's weights chose, and
            ``<variant>_by_subject`` where the subject's hash did.
    """

    begin: str
    agreed: int = 0
    differ: tuple[DifferingPair, ...] = ()
    calls: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Pairs:
    """All pairs of one experiment.

    Attributes:
        slots: in order.
        missed: reason (:class:`Missed`) -> predictions that were not paired.
        asked: reviews that people were asked for because of a pair; the other differing pairs were in review anyway.
    """

    slots: tuple[Slot, ...] = ()
    missed: Mapping[str, int] = field(default_factory=dict)
    asked: int = 0

    @property
    def agreed(self) -> int:
        return sum(one.agreed for one in self.slots)

    @property
    def differ(self) -> tuple[DifferingPair, ...]:
        return tuple(pair for one in self.slots for pair in one.differ)


def _slot(created_at: str) -> str:
    """Begin of the ten seconds that a time lies in; both ISO 8601 UTC."""
    return f"{created_at[:18]}0"


def slot_key(created_at: str) -> str:
    """Sort key of the counts of the ten seconds in which a prediction was made. ``created_at`` is ISO 8601 UTC."""
    return f"{SLOT}{_slot(created_at)}"


def differ_key(created_at: str, prediction_id: str) -> str:
    return f"{DIFFER}{created_at}#{prediction_id}"


def done_key(prediction_id: str) -> str:
    return f"{DONE}{prediction_id}"


def asked_key(day: str) -> str:
    """Sort key of the reviews asked for on a UTC day, yyyy-mm-dd."""
    return f"{ASKED}{day}"


def missed_key(reason: Missed) -> str:
    return f"{MISSED}{reason.value}"


class PairStore:
    """Reads the table. Both arguments are boto3 Table resources; ``predictions`` is where the labels lie.

    It needs ``dynamodb:Query`` on the pairs and ``dynamodb:BatchGetItem`` on the predictions.
    """

    def __init__(self, pairs: Any, predictions: Any) -> None:
        self._pairs, self._predictions = pairs, predictions

    def read(self, experiment_id: str) -> Pairs:
        """All pairs of an experiment; none for one that nobody knows."""
        counts = {item["at"].removeprefix(SLOT): item for item in self._items(experiment_id, SLOT)}
        found = [{**item, "prediction_id": item["at"].rsplit("#", 1)[1]} for item in self._items(experiment_id, DIFFER)]
        records = self._records([item["prediction_id"] for item in found])
        differ: dict[str, list[DifferingPair]] = defaultdict(list)
        for item in found:
            pair = _differing(item, records.get(item["prediction_id"]))
            differ[_slot(pair.created_at)].append(pair)
        slots = sorted({*counts, *differ})
        return Pairs(
            slots=tuple(_counted(slot, counts.get(slot, {}), differ[slot]) for slot in slots),
            missed={item["at"].removeprefix(MISSED): int(item["predictions"]) for item in self._items(experiment_id, MISSED)},
            asked=sum(int(item["reviews"]) for item in self._items(experiment_id, ASKED)),
        )

    def _items(self, experiment_id: str, start: str) -> Iterator[Mapping[str, Any]]:
        """Consistent: a judge must not see an agreement and miss a difference that was written before it."""
        condition = Key("experiment").eq(experiment_id) & Key("at").begins_with(start)
        arguments: dict[str, Any] = {"KeyConditionExpression": condition, "ConsistentRead": True}
        while True:
            page = self._pairs.query(**arguments)
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _records(self, prediction_ids: list[str]) -> dict[str, Mapping[str, Any]]:
        """Prediction id -> what :func:`_state` reads, of the records that are there."""
        keys = [{"prediction_id": prediction_id} for prediction_id in prediction_ids]
        found = batch_get(self._predictions, keys, ProjectionExpression=", ".join(_FIELDS))
        return {item["prediction_id"]: item for item in found}


_STATES = {
    ReviewState.REVIEWED: PairState.UNDECIDED,
    ReviewState.DEAD_LETTERED: PairState.DEAD_LETTERED,
    ReviewState.REQUESTED: PairState.WAITING,
    ReviewState.IN_REVIEW: PairState.WAITING,
    ReviewState.NOT_REQUIRED: PairState.WAITING,
    ReviewState.WAITING: PairState.WAITING,
    ReviewState.NOT_CHOSEN: PairState.EXPIRED,
    ReviewState.FORGOTTEN: PairState.EXPIRED,
}


_FIELDS = ("prediction_id", "review_state", "human_label", MODEL_PRIOR, "answers")
"""Of the prediction's record."""


def _state(record: Mapping[str, Any] | None) -> tuple[PairState, str | None]:
    if record is None:
        return PairState.EXPIRED, None
    if record.get(MODEL_PRIOR) is not None or any(answer.get("suggestion_shown") is True for answer in record.get("answers") or ()):
        return PairState.SWAYED, None
    if record.get("human_label") is not None:
        return PairState.LABELLED, str(record["human_label"])
    return _STATES[ReviewState(record["review_state"])], None


def _differing(item: Mapping[str, Any], record: Mapping[str, Any] | None) -> DifferingPair:
    state, human_label = _state(record)
    return DifferingPair(
        prediction_id=item["prediction_id"],
        created_at=item["at"].removeprefix(DIFFER).rsplit("#", 1)[0],
        variant=item["variant"],
        champion_label=item["champion_label"],
        challenger_label=item["challenger_label"],
        champion_confidence=float(item["champion_confidence"]),
        challenger_confidence=float(item["challenger_confidence"]),
        state=state,
        human_label=human_label,
    )


def _counted(begin: str, item: Mapping[str, Any], differ: list[DifferingPair]) -> Slot:
    calls = {name.removeprefix("calls_"): int(value) for name, value in item.items() if name.startswith("calls_")}
    return Slot(begin, int(item.get("pairs", 0)), tuple(differ), calls)
