"""A ``model.tar.gz`` as a folder. A file that is missing or damaged is named, so a job's failure says what to repair."""

from __future__ import annotations

import json
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
DOCUMENTS = ("label_map", "calibration", "vocabulary", "model_version")
"""JSON files that serving needs; training writes more."""
LABEL_NAMES = "label_names"
"""The JSON file that serving reads where it is there."""

TRAINED_TEXTS = "trained_texts"
"""The JSON file with digests of all texts that the model was trained on, those of its parents too."""


class InvalidArtifact(ValueError):
    """A model artifact cannot be used; the text names the file, what is wrong with it and what to do."""


@contextmanager
def unpacked(archive: Path) -> Iterator[Path]:
    """The artifact's folder, which is removed afterwards.

    Raises:
        InvalidArtifact: there is no such archive, it is damaged, or a file is missing in it.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        try:
            with tarfile.open(archive) as tar:
                tar.extractall(folder, filter="data")
        except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
            raise InvalidArtifact(
                f"{archive} cannot be unpacked ({type(error).__name__}: {error}): it must be the model.tar.gz that a training job wrote"
            ) from None
        for needed in (CONFIG, WEIGHTS, *(f"{document}.json" for document in DOCUMENTS)):
            if not (folder / needed).is_file():
                raise InvalidArtifact(
                    f"{archive} has no {needed}: it is not a model that this project's training wrote, or its job was stopped meanwhile"
                )
        yield folder


def read_label_names(folder: Path) -> dict[str, str]:
    """Label id -> name. A label without a name is its own name. So are all labels of a model that was made before labels had names.

    Raises:
        InvalidArtifact: the file is no JSON.
    """
    return dict(read_document(folder, LABEL_NAMES)) if (folder / f"{LABEL_NAMES}.json").exists() else {}


def read_trained_texts(folder: Path) -> frozenset[str]:
    """Digests of the texts that the model was trained on (:func:`contracts.groups.text_digest`); none of a model that does not say.

    Raises:
        InvalidArtifact: the file is no JSON.
    """
    return frozenset(read_document(folder, TRAINED_TEXTS)) if (folder / f"{TRAINED_TEXTS}.json").exists() else frozenset()


def read_document(folder: Path, name: str) -> Any:
    """The artifact's JSON file ``<name>.json``. Raises InvalidArtifact when it is missing or no JSON."""
    path = folder / f"{name}.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InvalidArtifact(f"the model artifact has no {path.name}: it is not a model that this project's training wrote") from None
    except ValueError as error:  # JSON and UTF-8 alike
        raise InvalidArtifact(
            f"{path.name} of the model artifact is damaged ({type(error).__name__}: {error}): train the model again"
        ) from None
