"""Several answers become one label: plurality, agreement, and the reasons for having none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from review_fakes import LABELS

from lambdas.common.consolidation import Plurality
from lambdas.common.review import HumanAnswer


def answers(*labels: str | None) -> list[HumanAnswer]:
    return [HumanAnswer(f"worker-{number}", label, 1.0) for number, label in enumerate(labels)]


@pytest.mark.parametrize(
    ("given_labels", "label", "votes", "agreement", "reason"),
    [
        (("positive", "positive", "positive"), "positive", {"positive": 3}, 1.0, "plurality: 3 of 3 votes"),
        (("neutral", "positive", "neutral"), "neutral", {"neutral": 2, "positive": 1}, 2 / 3, "plurality: 2 of 3 votes"),
        (("negative",), "negative", {"negative": 1}, 1.0, "plurality: 1 of 1 votes"),
        (("negative", None), "negative", {"negative": 1}, 1.0, "plurality: 1 of 1 votes"),
        (("positive", "negative"), None, {"negative": 1, "positive": 1}, 0.5, "tie between negative and positive, 1 of 2"),
        (
            ("positive", "neutral", "negative"), None, {"negative": 1, "neutral": 1, "positive": 1}, 1 / 3,
            "tie between negative and neutral and positive, 1 of 3",
        ),
        ((None, None), None, {}, 0.0, "none of 2 answers"),
        (("sarcastic", "sarcastic", "positive"), "positive", {"positive": 1}, 1.0, "plurality: 1 of 1"),
        ((), None, {}, 0.0, "none of 0 answers"),
        (("positive", "positive", "cannot-tell"), "positive", {"positive": 2}, 2 / 3, "plurality: 2 of 3 votes"),
        (("positive", "cannot-tell", "cannot-tell"), None, {"positive": 1}, 1 / 3, "2 of 3 people cannot tell"),
        (("positive", "cannot-tell"), None, {"positive": 1}, 0.5, "1 of 2 people cannot tell"),
        (("cannot-tell", "cannot-tell"), None, {}, 0.0, "2 of 2 people cannot tell, and nobody chose a label"),
    ],
)  # fmt: skip
def test_plurality(given_labels: tuple[str | None, ...], label: str | None, votes: dict[str, int], agreement: float, reason: str) -> None:
    consolidated = Plurality(LABELS).consolidate(answers(*given_labels))
    assert (consolidated.label, dict(consolidated.votes), consolidated.agreement) == (label, votes, pytest.approx(agreement))
    assert reason in consolidated.reason


choices = st.lists(st.sampled_from([*LABELS, None, "not a label"]), max_size=9)


@given(choices.flatmap(lambda labels: st.tuples(st.just(labels), st.permutations(labels))))
def test_the_order_of_the_answers_never_matters(pair: tuple[list[str | None], list[str | None]]) -> None:
    given_order, another_order = pair
    rule = Plurality(LABELS)
    assert rule.consolidate(answers(*given_order)) == rule.consolidate(answers(*another_order))


@given(choices)
def test_agreement_is_the_winners_share_and_a_label_is_never_a_minority_of_one_against_more(labels: list[str | None]) -> None:
    consolidated = Plurality(LABELS).consolidate(answers(*labels))
    usable = [label for label in labels if label in LABELS]
    assert sum(consolidated.votes.values()) == len(usable)
    if not usable:
        assert (consolidated.label, consolidated.agreement) == (None, 0.0)
        return
    assert 1 / len(LABELS) <= consolidated.agreement <= 1.0
    assert consolidated.agreement * len(usable) == pytest.approx(max(consolidated.votes.values()))
    if consolidated.label is not None:
        others = [count for label, count in consolidated.votes.items() if label != consolidated.label]
        assert all(consolidated.votes[consolidated.label] > count for count in others)
