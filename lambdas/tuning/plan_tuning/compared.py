"""The models that the candidates of a tuning are compared with: pure, over a way to look up a model package."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lambdas.common.release import Release
from lambdas.tuning.best_so_far import best_so_far


@dataclass(frozen=True)
class Compared:
    """S3 URIs of model.tar.gz, and the ARN of the best champion's package. All are None before the first release.

    ``best`` is None where the champion is the best so far: ``best_package`` is its own then. ``lost`` is the package of a best champion
    that is gone.
    """

    champion: str | None = None
    best: str | None = None
    best_package: str | None = None
    lost: str | None = None


def compared(
    release: Release, package_of: Callable[[str], Mapping[str, Any]], earlier: Callable[[str], Mapping[str, Any] | None]
) -> Compared:
    """The champion's model, and that of the best champion so far.

    Args:
        package_of: DescribeModelPackage. ``earlier``: the same, None for a package that is gone or must not be read. Then nothing is left
            to compare with, and the champion counts as the best.
    """
    if not release.exists:
        return Compared()
    package = package_of(release.champion)
    best = best_so_far(release.champion, package.get("CustomerMetadataProperties", {}))
    found = None if best == release.champion else earlier(best)
    if found is not None:
        return Compared(_model_of(package), _model_of(found), best)
    return Compared(_model_of(package), None, release.champion, None if best == release.champion else best)


def _model_of(package: Mapping[str, Any]) -> str:
    uri: str = package["InferenceSpecification"]["Containers"][0]["ModelDataUrl"]
    return uri
