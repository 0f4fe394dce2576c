"""Which champion is the best so far: what a package remembers, over releases, deletions and edits."""

from __future__ import annotations

from typing import Any

import pytest

from lambdas.common.release import EMPTY_RELEASE, Release
from lambdas.tuning.best_so_far import best_so_far, compared_with_best
from lambdas.tuning.plan_tuning.compared import Compared, compared

GROUP = "arn:aws:sagemaker:us-east-1:111122223333:model-package/reviewloop-dev"


def arn(number: int) -> str:
    return f"{GROUP}/{number}"


def package(number: int, best: int | None = None, difference: float | None = None) -> dict[str, Any]:
    """DescribeModelPackage of a model that was compared with the package ``best``."""
    properties = compared_with_best(None if best is None else arn(best), difference)
    containers = [{"Image": "i", "ModelDataUrl": f"s3://models/training/{number}/output/model.tar.gz"}]
    return {
        "InferenceSpecification": {"Containers": containers},
        "CustomerMetadataProperties": {"training_job": f"job-{number}", **properties},
    }


def plan(packages: dict[int, dict[str, Any]], champion: int) -> Compared:
    known = {arn(number): found for number, found in packages.items()}
    return compared(Release(arn(champion), arn(champion)), known.__getitem__, known.get)


def model(number: int) -> str:
    return f"s3://models/training/{number}/output/model.tar.gz"


def test_before_the_first_release_there_is_nothing_to_compare_with() -> None:
    assert compared(EMPTY_RELEASE, dict[str, Any]().__getitem__, dict[str, Any]().get) == Compared()


def test_a_first_champion_and_one_of_an_earlier_version_is_the_best_itself() -> None:
    assert plan({1: package(1)}, 1) == Compared(model(1), None, arn(1))


@pytest.mark.parametrize("difference", [0.0, 0.0001, 0.03])
def test_a_champion_that_is_no_worse_than_the_best_is_the_best_from_then_on(difference: float) -> None:
    assert plan({1: package(1), 2: package(2, 1, difference)}, 2) == Compared(model(2), None, arn(2))


def test_a_champion_that_is_worse_hands_the_best_on_over_any_number_of_retrainings() -> None:
    packages = {1: package(1)}
    for number in range(2, 12):
        found = plan(packages, number - 1)
        packages[number] = package(number, int(str(found.best_package).rsplit("/", 1)[1]), -0.01 * number)
        assert plan(packages, number) == Compared(model(number), model(1), arn(1))


def test_a_champion_that_nothing_could_compare_is_not_taken_for_the_best() -> None:
    assert plan({1: package(1), 2: package(2, 1, None)}, 2) == Compared(model(2), model(1), arn(1))


def test_after_the_bests_package_was_deleted_the_champion_is_the_best() -> None:
    assert plan({2: package(2, 1, -0.02)}, 2) == Compared(model(2), None, arn(2), lost=arn(1))


def test_a_champion_of_before_brings_back_its_own_best() -> None:
    """Somebody releases an older package again: what it was compared with counts."""
    packages = {1: package(1), 2: package(2, 1, -0.02), 3: package(3, 1, 0.01)}
    assert plan(packages, 3).best_package == arn(3)
    assert plan(packages, 2) == Compared(model(2), model(1), arn(1))


@pytest.mark.parametrize("edited", ["", "better", "nan", "-0.0001"])
def test_a_difference_that_is_no_gain_leaves_the_best_as_it_was(edited: str) -> None:
    assert best_so_far(arn(2), {"best_package": arn(1), "difference_to_best": edited}) == arn(1)
