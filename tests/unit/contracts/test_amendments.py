"""Amendments: what one may say, and that its record holds no name."""

from __future__ import annotations

import json

import pytest

from contracts.amendments import CORRECT, FORGET, Amendment, Amendments, InvalidAmendment, group_digest

AT = "2026-11-23T10:00:00.000+00:00"
CORRECTION = Amendment(CORRECT, AT, "operator-1", "prediction:a", "positive", "irony")
DELETION = Amendment(FORGET, AT, "operator-1", group_digest("subject:ann"))


@pytest.mark.parametrize("one", [CORRECTION, DELETION])
def test_an_amendment_is_read_as_it_was_written(one: Amendment) -> None:
    assert Amendment.parse(one.to_json(), "there") == one
    assert one.key.startswith(f"amendments/{AT}-")


def test_a_deletion_does_not_hold_whom_it_is_about() -> None:
    assert "ann" not in DELETION.to_json()
    assert Amendments.of([DELETION]).forgets("subject:ann")
    assert not Amendments.of([DELETION]).forgets("subject:anna")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"kind": "delete"}, "kind 'delete'"),
        ({"label": None}, "label None"),
        ({"kind": FORGET, "label": None, "target": "subject:ann"}, "64 hexadecimal digits"),
        ({"at": "2026-11-23T10:00:00"}, "with its zone"),
        ({"at": 5}, "must be texts"),
        ({"by": None}, "must be texts"),
    ],
)
def test_anything_else_is_refused_by_name(changes: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidAmendment, match=f"there.*{said}"):
        Amendment.parse(json.dumps({**json.loads(CORRECTION.to_json()), **changes}), "there")


@pytest.mark.parametrize(("data", "said"), [("[]", "there"), ("{", "is not JSON"), ("{}", "has no field 'kind'")])
def test_what_is_no_amendment_at_all_is_refused(data: str, said: str) -> None:
    with pytest.raises(InvalidAmendment, match=said):
        Amendment.parse(data, "there")
