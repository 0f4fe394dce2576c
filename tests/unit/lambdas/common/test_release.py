"""The release record: parse, refuse, promote."""

from __future__ import annotations

import pytest

from lambdas.common.release import EMPTY_RELEASE, InvalidRelease, Release

A = "arn:aws:sagemaker:us-east-1:000000000000:model-package/reviewloop-dev/1"
B = "arn:aws:sagemaker:us-east-1:000000000000:model-package/reviewloop-dev/2"


def test_record_survives_a_round_trip() -> None:
    assert Release.parse(Release(A, B).format()) == Release(A, B)


def test_empty_record_means_no_release() -> None:
    assert Release.parse("none,none") == EMPTY_RELEASE
    assert not EMPTY_RELEASE.exists


@pytest.mark.parametrize("record", ["", A, f"{A},none", f"none,{A}", f"{A},{B},{A}", f"{A},{A[:-2]}", "a,b"])
def test_half_or_wrong_records_are_refused(record: str) -> None:
    with pytest.raises(InvalidRelease, match="release"):
        Release.parse(record)


def test_champion_alone_has_no_challenger() -> None:
    assert Release(A, B).has_challenger
    assert not Release(A, B).without_challenger().has_challenger
    assert Release(A, B).promoted() == Release(B, B)
