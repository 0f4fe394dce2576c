from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from contracts.labels import CANNOT_TELL, is_label_id, label_ids, name_of


def test_names_that_are_ids_keep_themselves() -> None:
    names = ("negative", "neutral", "card_arrival", "a-b")
    assert label_ids(names) == {name: name for name in names}


def test_other_names_are_spelled_in_ascii() -> None:
    names = ("Sci/Tech", "5 stars", "card arrival", "-1", "Très négatif", "1")
    assert list(label_ids(names).values()) == ["sci-tech", "label-5-stars", "card-arrival", "minus-1", "tres-negatif", "label-1"]


def test_names_that_would_share_an_id_are_told_apart_whatever_their_order() -> None:
    names = ["C", "C++", "C#", "c", "积极", "消极"]
    ids = label_ids(names)
    assert len(set(ids.values())) == len(names)
    assert ids["c"] == "c"
    assert label_ids(reversed(names)) == dict(reversed(ids.items()))


@given(st.lists(st.text(min_size=1, max_size=120), unique=True, max_size=30))
def test_every_name_has_an_id_of_its_own(names: list[str]) -> None:
    ids = label_ids(names)
    assert all(is_label_id(one) for one in ids.values())
    assert len(set(ids.values())) == len(names)


def test_a_label_without_a_name_is_its_own() -> None:
    assert (name_of("a", {"a": "Sci/Tech"}), name_of("b", {"a": "Sci/Tech"})) == ("Sci/Tech", "b")


def test_no_label_has_the_id_of_the_answer_cannot_tell() -> None:
    ids = label_ids(["Cannot tell", "cannot-tell", "can"])
    assert not is_label_id(CANNOT_TELL)
    assert CANNOT_TELL not in ids.values()
    assert len(set(ids.values())) == len(ids)
    assert label_ids(["cannot-tell"])["cannot-tell"] == ids["cannot-tell"]
