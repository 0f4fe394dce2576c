"""Whole quick runs of the demo: shuffled labels, and a challenger of flipped labels."""

from __future__ import annotations

import pytest
from demo_command import LONGEST_SECONDS, Demo

pytestmark = [pytest.mark.demo, pytest.mark.timeout(LONGEST_SECONDS + 60)]


def test_shuffled_labels_are_refused_by_the_gates_and_the_demo_says_so(demo: Demo) -> None:
    code, said = demo.run("--quick", "--shuffle-labels")
    assert code == 3, said
    assert "The gates refused" in said
    assert demo.summary["outcome"] == "refused by the gates"
    assert "macro_f1" in demo.summary["reason"]
    assert demo.summary["predictions"] == {}, "nothing was released"
    assert "refused by the gates" in (demo.folder / "out" / "report.html").read_text(encoding="utf-8")
    assert demo.leftovers() == []


def test_a_challenger_of_flipped_labels_is_rolled_back_and_few_callers_met_it(demo: Demo) -> None:
    code, said = demo.run("--quick", "--flip-challenger")
    assert code == 0, said
    summary, rollout = demo.summary, demo.summary["rollout"]
    assert summary["outcome"] == "model of flipped labels rolled back"
    assert rollout["reason"].startswith("the challenger is worse: people agree with the challenger alone on")
    assert rollout["evidence"]["e_roll_back"] >= rollout["evidence"]["threshold"]
    assert rollout["callers_failed"] == 0
    assert rollout["met_the_challenger"] <= 0.1 * rollout["callers_answered"]
    assert (summary["predictions"]["unaccounted"], summary["iam"]["denied_calls"]) == (0, [])
