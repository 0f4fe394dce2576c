"""Whole quick runs of the demo: shuffled labels, and a challenger of flipped labels."""

from __future__ import annotations

import math

import pytest
from demo_command import LONGEST_SECONDS, ROOT, Demo

from stacks.settings import load_settings

pytestmark = [pytest.mark.demo, pytest.mark.timeout(LONGEST_SECONDS + 60)]

CHANCE = 1e-6
"""So seldom a challenger that keeps its share meets more callers than :func:`most_by_chance`."""


def most_by_chance(callers: int, share: float) -> int:
    """How many of them a variant with this share may answer: the exact bound of the binomial distribution.

    The endpoint draws the variant of each caller by the weights. Of sixty callers at 5 % seven or more meet it in 3 runs of 100.
    """
    more, most = 1.0, -1
    while more > CHANCE:
        most += 1
        more -= math.comb(callers, most) * share**most * (1 - share) ** (callers - most)
    return most


def test_shuffled_labels_are_refused_by_the_gates_and_the_demo_says_so(demo: Demo) -> None:
    code, said = demo.run("--quick", "--shuffle-labels")
    assert code == 3, said
    assert "The gates refused" in said
    assert demo.summary["outcome"] == "refused by the gates"
    assert "macro_f1" in demo.summary["reason"]
    assert demo.summary["predictions"] == {}, "nothing was released"
    assert "refused by the gates" in (demo.folder / "out" / "report.html").read_text(encoding="utf-8")
    assert demo.leftovers() == []


def test_a_challenger_of_flipped_labels_is_rolled_back_at_its_first_share(demo: Demo) -> None:
    code, said = demo.run("--quick", "--flip-challenger")
    assert code == 0, said
    summary, rollout = demo.summary, demo.summary["rollout"]
    assert summary["outcome"] == "model of flipped labels rolled back"
    assert rollout["reason"].startswith("the challenger is worse: people agree with the challenger alone on")
    assert rollout["evidence"]["e_roll_back"] >= rollout["evidence"]["threshold"]
    assert rollout["callers_failed"] == 0
    first = load_settings(ROOT / "settings" / "dev.yaml").rollout.weight_steps[0]
    assert [change["challenger"] for change in rollout["weights"]] == [first, 0.0], "however late people answered"
    assert rollout["met_the_challenger"] <= most_by_chance(rollout["callers_answered"], first)
    assert (summary["predictions"]["unaccounted"], summary["iam"]["denied_calls"]) == (0, [])
