"""The control record: written by people, so a wrong one is refused by field, and no rollout obeys another's."""

from __future__ import annotations

import pytest

from lambdas.common.rollout_control import NONE, InvalidControl, RolloutControl

TOLD = RolloutControl("r-1", paused=True, approved=False, by="ada: wait for the campaign")


def test_a_record_reads_back_as_it_was_written() -> None:
    assert RolloutControl.parse(TOLD.format()) == TOLD
    assert RolloutControl.parse(NONE) is None
    assert RolloutControl.parse('{"rollout": "r-1", "approved": true}') == RolloutControl("r-1", approved=True)


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        ("", "control record '' must be 'none' or a JSON object of rollout, paused, approved, by"),
        ("[]", "must be 'none' or a JSON object"),
        ('{"paused": true}', "must be 'none' or a JSON object"),
        ('{"rollout": "r-1", "pause": true}', "must be 'none' or a JSON object"),
        ('{"rollout": "r-1", "paused": "yes"}', "paused 'yes' must be a bool"),
        ('{"rollout": 7}', "rollout 7 must be a str"),
    ],
)
def test_another_form_is_refused_by_field_and_pauses_until_it_is_put_right(record: str, problem: str) -> None:
    with pytest.raises(InvalidControl) as refused:
        RolloutControl.parse(record)
    assert problem in str(refused.value)
    obeyed = RolloutControl.of("r-1", record)
    assert (obeyed.paused, obeyed.approved) == (True, False)
    assert problem in obeyed.by


def test_a_rollout_obeys_its_own_record_only() -> None:
    assert RolloutControl.of("r-1", TOLD.format()) == TOLD
    assert RolloutControl.of("r-2", TOLD.format()) == RolloutControl("r-2")
    assert RolloutControl.of("r-1", NONE) == RolloutControl("r-1")
