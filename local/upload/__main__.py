"""``python -m local.upload``: the folder that an operator uploads once: a first dataset version, and the base model.

With a file of a team's own texts, or with the Amazon reviews that come with the project.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from contracts.dataset import Manifest, Row
from contracts.dataset_files import read_rows, write_dataset
from contracts.labels import name_of
from local import options
from local.texts import corpus, packages
from local.texts.options import ReadingOptions, add_reading, reading
from local.texts.own_texts import InvalidTexts, prepare
from local.texts.word_pieces import lines, word_pieces
from stacks.names import Names
from stacks.settings import Settings, SettingsError, load_settings

ROOT = Path(__file__).resolve().parents[2]
MOST_SHOWN = 20
"""Labels in the table; of more, the first and the last half of these by frequency."""


class CannotPrepare(ValueError):
    """The upload cannot be made; the text says why and what to do."""


@dataclass(frozen=True)
class Prepared:
    """What was written below the output folder; ``said`` is how a team's own texts were read, and how much of them a training will read."""

    manifest: Manifest
    splits: Mapping[str, Sequence[Row]]
    said: Sequence[str] = ()


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.upload", description=(__doc__ or "").partition(": ")[2])
    parser.add_argument(
        "--texts",
        type=Path,
        help=".csv, .tsv, .jsonl or .parquet with labelled texts, or a folder with train.csv, ... (default: Amazon reviews)",
    )
    parser.add_argument("--stage", default="dev", help="settings/<stage>.yaml has the limits and may pin the labels (default: dev)")
    parser.add_argument("--seed", type=options.seed, default=1, help="of the split (default: 1)")
    parser.add_argument("--output", type=Path, default=ROOT / "out" / "upload", help="new or empty folder (default: out/upload)")
    parser.add_argument(
        "--base-model", type=Path, metavar="FOLDER", help="config.json, model.safetensors and tokenizer of another base model"
    )
    add_reading(parser)
    return parser.parse_args(arguments)


def _check_base_model(folder: Path) -> None:
    """Raises CannotPrepare: nothing can be trained from this folder."""
    from model_code.base_model import InvalidBaseModel, check_folder  # PyTorch takes seconds to import, and most uploads do without

    try:
        check_folder(folder)
    except InvalidBaseModel as error:
        raise CannotPrepare(f"--base-model: {error}") from None


def make(chosen: argparse.Namespace, settings: Settings, progress: Callable[[int], None]) -> Prepared:
    """Write ``datasets/<version>/`` and ``base-model/`` below the output folder: both, or nothing.

    Raises:
        InvalidTexts, CannotPrepare, packages.CorpusUnavailable: with what to do.
    """
    output: Path = chosen.output
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise CannotPrepare(f"--output {output} is not an empty folder: name a new one")
    if chosen.texts is None and reading(chosen) != ReadingOptions():
        raise CannotPrepare("the options of reading (--text, --label, ...) need a file of your own: give it with --texts FILE")
    if chosen.base_model is not None:
        _check_base_model(chosen.base_model)
    labels = settings.dataset.labels or None
    own, said = None, list[str]()
    if chosen.texts is not None:
        longest, tuning = settings.dataset.max_text_chars, settings.tuning
        own = prepare(chosen.texts, reading(chosen), labels=labels, longest=longest, seed=chosen.seed, progress=progress)
        pieces = word_pieces([row.text for row in own.splits["train"]], chosen.base_model)
        said = [*own.report.lines(), *lines(pieces, tuning.max_length, tuning.max_unknown_share)]
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".upload-") as unfinished:
        made = Path(unfinished) / "made"
        dataset = made / "datasets" / "version"
        if own is None:
            manifest = corpus.first_dataset(dataset, seed=chosen.seed)
            if labels is not None and set(manifest.labels) != set(labels):
                raise CannotPrepare(f"dataset.labels {list(labels)} are not the labels of the Amazon reviews: give your own with --texts")
        else:
            manifest = write_dataset(dataset, own.splits, own.labels, label_names=own.label_names, key_examples=own.key_examples)
        dataset.rename(dataset.with_name(manifest.version))
        (made / "base-model").mkdir()
        for path in corpus.base_model_files(chosen.base_model):
            shutil.copy(path, made / "base-model")
        if output.exists():
            output.rmdir()
        made.rename(output)
    if own is not None:
        return Prepared(manifest, own.splits, said)
    folder = output / "datasets" / manifest.version
    return Prepared(manifest, {split: read_rows(folder / split) for split in manifest.rows})


def table_of(splits: Mapping[str, Sequence[Row]], manifest: Manifest) -> Table:
    """Texts of each label and split. Of many labels the most and the least frequent are shown, and how many are between."""
    counts = {split: Counter(row.label for row in rows) for split, rows in splits.items()}
    totals = {label: sum(of_split[label] for of_split in counts.values()) for label in manifest.labels}
    order = list(manifest.labels) if len(totals) <= MOST_SHOWN else sorted(totals, key=lambda label: (-totals[label], label))
    table = Table(title=f"dataset version {manifest.version}")
    table.add_column("label", max_width=34, overflow="ellipsis", no_wrap=True)
    for name in (*counts, "texts"):
        table.add_column(name, justify="right", no_wrap=True)
    between = range(MOST_SHOWN // 2, len(order) - MOST_SHOWN // 2)
    for place, label in enumerate(order):
        if place not in between or len(order) <= MOST_SHOWN:
            shown = (f"{of_split[label]:,}" for of_split in counts.values())
            table.add_row(escape(name_of(label, manifest.label_names)), *shown, f"{totals[label]:,}")
        elif place == between.start:
            table.add_row(f"({len(between)} labels between)", style="dim")
    table.add_section()
    table.add_row("all", *(f"{len(rows):,}" for rows in splits.values()), f"{sum(totals.values()):,}")
    return table


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0, 2 when the input cannot be used, or 130 when the user interrupts."""
    chosen, console = parse(arguments), Console()
    try:
        settings = load_settings(ROOT / "settings" / f"{chosen.stage}.yaml")
        progress = (TextColumn("{task.description}"), TextColumn("{task.completed:,}"), TimeElapsedColumn())
        shown = Console(stderr=True)
        with Progress(*progress, console=shown, transient=True, disable=not shown.is_terminal) as bar:
            task = bar.add_task("records read", total=None)
            prepared = make(chosen, settings, lambda more: bar.advance(task, more))
    except (CannotPrepare, InvalidTexts, SettingsError, packages.CorpusUnavailable) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: --output {chosen.output} cannot be written: {error.strerror} ({error.filename}); name another", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: nothing was written", file=sys.stderr)
        return 130
    for line in prepared.said:
        console.print(line, highlight=False, markup=False)
    console.print(table_of(prepared.splits, prepared.manifest))
    version = prepared.manifest.version
    names = Names(settings, "$(aws sts get-caller-identity --query Account --output text)")
    bucket = names.bucket("data")
    console.print("Upload it once the stacks are deployed:", highlight=False)
    print(f'  aws s3 cp --recursive {shlex.quote(str(chosen.output))} "s3://{bucket}/"')
    print(f'  aws ssm put-parameter --overwrite --name {names.parameter("dataset")} --value "s3://{bucket}/datasets/{version}"')
    return 0


if __name__ == "__main__":
    sys.exit(main())
