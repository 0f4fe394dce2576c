"""Which labels there are now: those of the current dataset version, or the ones that the settings pin."""

from __future__ import annotations

import time
from collections.abc import Sequence

from botocore.exceptions import ClientError

from contracts.dataset import InvalidDataset, Manifest
from lambdas.common.clients import client
from lambdas.common.labels import Labels
from lambdas.common.s3_uri import read_bytes

KEPT_SECONDS = 60.0
"""How long a function keeps the labels that it has read. Labels change only with a new first version, which an operator uploads."""
_UNREADABLE = ("NoSuchKey", "NoSuchBucket", "AccessDenied", "InvalidObjectState")
"""Any other error of S3 may pass, so a caller may try again."""
NO_DATASET = "none"
"""Value of the parameter before the first upload."""

_kept: dict[tuple[str, tuple[str, ...]], tuple[float, Labels]] = {}


class NoLabels(RuntimeError):
    """Nothing says which labels there are; the text says what to upload."""


def current_labels(parameter: str, pinned: Sequence[str] = ()) -> Labels:
    """The labels that people choose from now, at most :data:`KEPT_SECONDS` old.

    Args:
        parameter: name of the SSM parameter that holds the current version's S3 prefix.
        pinned: ``dataset.labels`` of the settings; none: the version's own. The names are the version's either way.

    Raises:
        NoLabels: there is no dataset version and no label is pinned, or the version's manifest cannot be read.
        ClientError: a call failed that may work later.
    """
    key = (parameter, tuple(pinned))
    read_at, labels = _kept.get(key, (float("-inf"), None))
    now = time.monotonic()
    if labels is None or now - read_at >= KEPT_SECONDS:
        labels = _read(*key)
        _kept[key] = (now, labels)
    return labels


def forget() -> None:
    """Read anew at the next call."""
    _kept.clear()


def _read(parameter: str, pinned: tuple[str, ...]) -> Labels:
    uri = client("ssm").get_parameter(Name=parameter)["Parameter"]["Value"].rstrip("/")
    if uri == NO_DATASET:
        if pinned:
            return Labels.of(pinned)
        raise NoLabels(
            f"there is no dataset version yet, so nobody knows which labels there are: upload a first version and set the parameter "
            f"{parameter} to its S3 prefix (docs/operations.md), or name the labels in dataset.labels of the settings and deploy"
        )
    where = f"{uri}/manifest.json"
    try:
        manifest = Manifest.parse(read_bytes(client("s3"), where), where)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code not in _UNREADABLE:
            raise
        raise NoLabels(
            f"{where} cannot be read ({code}): upload the version that the parameter {parameter} names, or correct it"
        ) from error
    except InvalidDataset as error:
        raise NoLabels(f"{error}: upload the version that the parameter {parameter} names again") from error
    return Labels.of(pinned or manifest.labels, manifest.label_names)
