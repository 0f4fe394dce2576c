"""Texts that say nearly the same are found, and joined into one group unless they come from a template."""

from __future__ import annotations

import pytest

from local.texts.near_duplicates import MOST_JOINED, alike, joined, near_key

NEWS = (
    "The central bank left its main rate where it was on Thursday and said that prices would rise more slowly than it had thought in the "
    "spring. Shares in Frankfurt and Paris rose a little after the decision, and the euro fell against the dollar."
)


@pytest.mark.parametrize(
    ("first", "second", "is_alike"),
    [
        ("My order 17 has not come yet, why?", "MY ORDER 230 HAS NOT COME YET: WHY", True),
        ("Café in the middle of nowhere", "cafe\u0301 in the middle of nowhere!!", True),
        ("5 stars", "1 stars", False),
        (NEWS, NEWS.replace("a little", "slightly"), True),
        (NEWS, "UPDATE: " + NEWS + " More to follow.", True),
        (NEWS, NEWS[: len(NEWS) // 2], False),
        ("这家酒店的房间很大服务员也很热情早餐非常丰富下次还来", "这家酒店的房间很大服务员也很热情早餐非常丰富下次还来的", True),
        ("这家酒店的房间很大服务员也很热情", "房间太小了服务员的态度也不太好", False),
        ("!!!", "???", False),
    ],
)
def test_texts_are_alike_when_they_say_nearly_the_same(first: str, second: str, is_alike: bool) -> None:
    others = ["something else altogether, about the weather", "yet another thing that nobody has said"]
    assert [pair for pair in alike([first, *others, second]) if pair == (0, 3)] == ([(0, 3)] if is_alike else [])


def test_the_first_of_a_pair_comes_first_and_every_text_that_is_alike_is_named() -> None:
    assert alike(["a long enough text, number 1", "another thing", "A long enough text: number 2", "a long enough TEXT number"]) == [
        (0, 2),
        (0, 3),
    ]
    assert alike([]) == []


def test_groups_are_joined_over_several_steps_and_named_by_the_first() -> None:
    assert joined(["d", "b", "c", "a", "e"], [(0, 1), (2, 3), (1, 2)]) == ["a", "a", "a", "a", "e"]


def test_a_template_is_not_joined() -> None:
    texts = [f"The server number {n} has been restarted by the operator" for n in range(MOST_JOINED + 1)]
    groups = [f"g{n}" for n in range(len(texts))]
    assert len({near_key(text) for text in texts}) == 1
    assert joined(groups, alike(texts)) == groups
    assert len(set(joined(groups[1:], alike(texts[1:])))) == 1
