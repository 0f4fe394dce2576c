"""What a job leaves in its folder: the output manifest, the rows nobody was asked about, and a dataset version of the labelled texts."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from cli.label.job import LABEL_ATTRIBUTE, has_failed, label_of
from cli.label.texts import Refused, Wanted
from contracts.dataset import Manifest, Row
from contracts.dataset_files import write_dataset
from contracts.groups import text_digest
from lambdas.common.labels import Labels

OUTPUT_MANIFEST, REFUSED_ROWS = "output.manifest", "refused.jsonl"


@dataclass(frozen=True)
class Counts:
    """Texts by what became of them; ``open``: people have not answered yet."""

    labelled: int
    undecided: int
    failed: int
    open: int
    by_label: Mapping[str, int]


def counts_of(wanted: Sequence[Wanted], lines: Mapping[str, Mapping[str, Any]]) -> Counts:
    failed = sum(has_failed(line) for line in lines.values())
    by_label = Counter(label for line in lines.values() if (label := label_of(line)) is not None)
    labelled = by_label.total()
    return Counts(labelled, len(lines) - failed - labelled, failed, len(wanted) - len(lines), dict(sorted(by_label.items())))


def write_manifest(folder: Path, wanted: Iterable[Wanted], lines: Mapping[str, Mapping[str, Any]]) -> Path:
    """One line for each text that has one, in the order of the file."""
    given = (lines[one.key] for one in wanted if one.key in lines)
    return _write(folder / OUTPUT_MANIFEST, (json.dumps(line, ensure_ascii=False, allow_nan=False) for line in given))


def write_refused(folder: Path, refused: Iterable[Refused]) -> Path:
    return _write(folder / REFUSED_ROWS, (json.dumps(asdict(one), ensure_ascii=False) for one in refused))


def write_version(folder: Path, wanted: Sequence[Wanted], lines: Mapping[str, Mapping[str, Any]], labels: Labels, job: str) -> Manifest:
    """``datasets/<version>/`` of the texts that have a label, split as `local.upload` splits texts. An equal version is written once.

    Raises:
        InvalidTexts: they are too few, or have one label only; the text says so.
    """
    from local.texts.options import ReadingOptions
    from local.texts.own_texts import InvalidTexts, prepare  # scikit-learn takes a second to import

    labelled = {one.key: (one, label) for one in wanted if one.key in lines and (label := label_of(lines[one.key])) is not None}
    known = {label for _, label in labelled.values()}
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".label-") as name:
        rows = Path(name) / f"{job}.jsonl"
        _write(rows, (json.dumps(_record(one, label, lines[one.key], known), ensure_ascii=False) for one, label in labelled.values()))
        options = ReadingOptions(text="text", label="label", group="group", votes="votes", long="cut", most_rows=10**9)
        longest = max((len(one.text) for one, _ in labelled.values()), default=1)
        try:
            prepared = prepare(rows, options, labels=None, longest=longest, seed=1)
        except InvalidTexts as error:
            raise InvalidTexts(str(error).replace(str(rows), "the job"), error.go_on) from None
        splits = {split: [_row(row, lines, job) for row in found] for split, found in prepared.splits.items()}
        names = {label: shown for label, shown in zip(labels.ids, labels.shown, strict=True) if label in known}
        made = Path(name) / "made"
        manifest = write_dataset(made, splits, [label for label in labels.ids if label in known], label_names=names)
        target = folder / "datasets" / manifest.version
        if not target.exists():
            target.parent.mkdir(exist_ok=True)
            made.rename(target)
    return manifest


def _record(one: Wanted, label: str, line: Mapping[str, Any], known: set[str]) -> dict[str, Any]:
    """A label that no text got has no place in the version, so its single votes have none either."""
    votes = {name: count for name, count in line[LABEL_ATTRIBUTE]["votes"].items() if name in known}
    return {"text": one.text, "label": label, "votes": votes, "group": one.group.partition(":")[2] if _is_subject(one) else ""}


def _is_subject(one: Wanted) -> bool:
    return one.group.startswith("subject:")


def _row(row: Row, lines: Mapping[str, Mapping[str, Any]], job: str) -> Row:
    content = lines[text_digest(row.text)][LABEL_ATTRIBUTE]
    basis = {"method": "plurality", "plurality": content["label"]}
    return replace(row, id=f"label:{text_digest(row.text)}", source=f"labeling:{job}", label_basis=basis)


def _write(path: Path, lines: Iterable[str]) -> Path:
    """All or nothing: a run that is killed leaves the file of the run before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    with unfinished.open("w", encoding="utf-8", newline="\n") as stream:
        stream.writelines(f"{line}\n" for line in lines)
    unfinished.replace(path)
    return path
