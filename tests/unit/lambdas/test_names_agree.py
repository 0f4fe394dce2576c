"""What stacks and Lambdas both name must agree, though neither imports the other."""

from __future__ import annotations

from lambdas.common import predictions, release
from stacks import names


def test_index_names_are_those_that_the_store_queries() -> None:
    assert set(names.PREDICTION_INDEXES) == {predictions.OPEN_REVIEWS, predictions.LABELS_BY_DAY, predictions.REVIEWED_BY_MODEL}


def test_no_release_is_written_the_same_way() -> None:
    assert names.NO_RELEASE == release.NO_RELEASE
