"""Reading an experiment's pairs: slots in order, and each label from the prediction's own record."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from lambdas.common.pairs import Missed, Pairs, PairState, PairStore, Slot, differ_key, done_key, missed_key, slot_key

AT = "2026-11-23T10:05:07.123+00:00"
LATER = "2026-11-23T10:05:09.001+00:00"
SEEN = [{"label": "bad", "suggestion_shown": True}, {"label": "bad", "suggestion_shown": False}]
"""The first of two people saw a model's label beside the text."""
NEXT_DAY = "2026-11-24T00:00:00.000+00:00"


class Table:
    """The items of one table, in pages of two."""

    def __init__(self, name: str, key: str, items: list[dict[str, Any]]) -> None:
        self.name, self.key, self.items = name, key, items
        self.meta = type("Meta", (), {"client": self})

    def query(self, *, KeyConditionExpression: Any, ConsistentRead: bool, ExclusiveStartKey: Any = None) -> dict[str, Any]:  # noqa: N803
        assert ConsistentRead
        equal, starts = (part.get_expression()["values"] for part in KeyConditionExpression.get_expression()["values"])
        found = [one for one in self.items if one[equal[0].name] == equal[1] and one[starts[0].name].startswith(starts[1])]
        found = sorted(
            (one for one in found if ExclusiveStartKey is None or one["at"] > ExclusiveStartKey["at"]), key=lambda one: one["at"]
        )
        return {"Items": found[:2], **({"LastEvaluatedKey": {"at": found[1]["at"]}} if len(found) > 2 else {})}

    def batch_get_item(self, *, RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803
        """One item at a time; the others are unprocessed."""
        [(name, request)] = RequestItems.items()
        assert len(request["Keys"]) <= 100
        assert request["ConsistentRead"]
        first, *rest = request["Keys"]
        answer = [one for one in self.items if one[self.key] == first[self.key]]
        return {"Responses": {name: answer}, "UnprocessedKeys": {name: request | {"Keys": rest}} if rest else {}}


def differing(prediction_id: str, at: str = AT, **more: Any) -> dict[str, Any]:
    answers = {"champion_label": "good", "challenger_label": "bad", "champion_confidence": Decimal("0.7")}
    item = {"experiment": "e1", "at": differ_key(at, prediction_id), "variant": "champion", "challenger_confidence": Decimal("0.6")}
    return item | answers | more


def read(pairs: list[dict[str, Any]], predictions: list[dict[str, Any]] = []) -> Pairs:  # noqa: B006
    return PairStore(Table("pairs", "at", pairs), Table("predictions", "prediction_id", predictions)).read("e1")


def test_an_unknown_experiment_has_no_pairs() -> None:
    assert read([]) == Pairs()


def test_slots_come_in_order_with_their_counts_and_differing_pairs() -> None:
    pairs = read(
        [
            {"experiment": "e1", "at": slot_key(NEXT_DAY), "pairs": 2, "calls_champion": 1, "calls_challenger_by_subject": 1},
            {"experiment": "e1", "at": slot_key(AT), "pairs": 40},
            {"experiment": "e1", "at": missed_key(Missed.LATE), "predictions": 3},
            {"experiment": "e1", "at": done_key("p1"), "outcome": "agreed"},
            {"experiment": "e2", "at": slot_key(AT), "pairs": 1_000},
            differing("p3", LATER),
            differing("p2"),
            differing("p4", "2026-11-23T10:06:00.000+00:00"),
        ],
        [{"prediction_id": name, "review_state": "in_review"} for name in ("p2", "p3", "p4")],
    )
    assert [(one.begin, one.agreed, [pair.prediction_id for pair in one.differ]) for one in pairs.slots] == [
        ("2026-11-23T10:05:00", 40, ["p2", "p3"]),
        ("2026-11-23T10:06:00", 0, ["p4"]),
        ("2026-11-24T00:00:00", 2, []),
    ]
    assert pairs.slots[2].calls == {"champion": 1, "challenger_by_subject": 1}
    assert pairs.missed == {"late": 3}
    assert (pairs.agreed, [pair.created_at for pair in pairs.differ][:2]) == (42, [AT, LATER])


@pytest.mark.parametrize(
    ("record", "state", "label"),
    [
        (None, PairState.EXPIRED, None),
        ({"review_state": "not_required"}, PairState.WAITING, None),
        ({"review_state": "requested"}, PairState.WAITING, None),
        ({"review_state": "in_review"}, PairState.WAITING, None),
        ({"review_state": "dead_lettered"}, PairState.DEAD_LETTERED, None),
        ({"review_state": "reviewed"}, PairState.UNDECIDED, None),
        ({"review_state": "reviewed", "human_label": "bad"}, PairState.LABELLED, "bad"),
        ({"review_state": "reviewed", "human_label": "bad", "answers": [{"label": "bad"}]}, PairState.LABELLED, "bad"),
        ({"review_state": "reviewed", "human_label": "bad", "answers": SEEN[1:]}, PairState.LABELLED, "bad"),
        ({"review_state": "reviewed", "human_label": "bad", "answers": SEEN}, PairState.SWAYED, None),
        ({"review_state": "reviewed", "answers": SEEN}, PairState.SWAYED, None),
        ({"review_state": "reviewed", "human_label": "bad", "model_prior": Decimal("0.6")}, PairState.SWAYED, None),
    ],
)
def test_the_state_and_the_label_are_those_of_the_prediction(record: dict[str, Any] | None, state: PairState, label: str | None) -> None:
    [pair] = read([differing("p1")], [] if record is None else [{"prediction_id": "p1"} | record]).differ
    assert (pair.state, pair.human_label) == (state, label)
    assert (pair.champion_label, pair.champion_confidence) == ("good", 0.7)
    assert (pair.challenger_label, pair.challenger_confidence) == ("bad", 0.6)


def test_labels_of_more_pairs_than_one_request_takes_are_read() -> None:
    names = [f"p{number:03d}" for number in range(120)]
    pairs = read(
        [differing(name) for name in names],
        [{"prediction_id": name, "review_state": "reviewed", "human_label": name} for name in names],
    )
    assert [pair.human_label for pair in pairs.differ] == names


def test_a_slot_without_counts_has_none() -> None:
    assert read([differing("p1")]).slots[0] == Slot("2026-11-23T10:05:00", 0, read([differing("p1")]).differ, {})
