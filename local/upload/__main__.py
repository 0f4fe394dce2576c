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
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from contracts.dataset import Row
from contracts.dataset_files import read_rows, write_dataset
from local import options
from local.texts import corpus
from local.texts.own_texts import InvalidTexts, missing_labels, read_texts
from local.texts.splitting import split_by_group
from local.texts.vader import LABELS
from stacks.settings import Settings, SettingsError, load_settings

ROOT = Path(__file__).resolve().parents[2]


class CannotPrepare(ValueError):
    """The upload cannot be made; the text says why and what to do."""


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.upload", description=(__doc__ or "").partition(": ")[2])
    parser.add_argument(
        "--texts", type=Path, help=".csv or .jsonl with text, label and optionally group, slice, votes (default: Amazon reviews)"
    )
    parser.add_argument("--stage", default="dev", help="settings/<stage>.yaml has the labels (default: dev)")
    parser.add_argument("--seed", type=options.seed, default=1, help="of the split (default: 1)")
    parser.add_argument("--output", type=Path, default=ROOT / "out" / "upload", help="new or empty folder (default: out/upload)")
    return parser.parse_args(arguments)


def prepare(texts: Path | None, settings: Settings, output: Path, *, seed: int) -> tuple[str, Mapping[str, Sequence[Row]], int]:
    """Write ``datasets/<version>/`` and ``base-model/`` below ``output``: both, or nothing.

    Returns:
        The version, its rows by split, and how many repeated lines were left out.

    Raises:
        InvalidTexts, CannotPrepare, corpus.CorpusUnavailable: with what to do.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise CannotPrepare(f"--output {output} is not an empty folder: name a new one")
    labels, repeated = settings.dataset.labels or LABELS, 0
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".upload-") as unfinished:
        made = Path(unfinished) / "made"
        dataset = made / "datasets" / "version"
        if texts is None:
            manifest = corpus.first_dataset(dataset, seed=seed)
            if set(manifest.labels) != set(labels):
                raise CannotPrepare(f"dataset.labels {list(labels)} are not the labels of the Amazon reviews: give your own with --texts")
        else:
            own = read_texts(texts, labels, longest=settings.dataset.max_text_chars)
            splits = split_by_group(own.rows, seed=seed)
            missing = missing_labels(splits, labels)
            if missing:
                raise CannotPrepare(
                    f"{texts}: no text for {', '.join(missing)}. Every label must be in every split: give more texts and groups"
                )
            manifest, repeated = write_dataset(dataset, splits, labels), own.repeated
        dataset.rename(dataset.with_name(manifest.version))
        (made / "base-model").mkdir()
        for path in corpus.base_model_files():
            shutil.copy(path, made / "base-model")
        if output.exists():
            output.rmdir()
        made.rename(output)
    folder = output / "datasets" / manifest.version
    return manifest.version, {split: read_rows(folder / split) for split in manifest.rows}, repeated


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0, or 2 when the input cannot be used."""
    chosen, console = parse(arguments), Console()
    try:
        settings = load_settings(ROOT / "settings" / f"{chosen.stage}.yaml")
        version, splits, repeated = prepare(chosen.texts, settings, chosen.output, seed=chosen.seed)
    except (CannotPrepare, InvalidTexts, SettingsError, corpus.CorpusUnavailable) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: --output {chosen.output} cannot be written: {error.strerror} ({error.filename}); name another", file=sys.stderr)
        return 2
    labels = sorted({row.label for rows in splits.values() for row in rows})
    table = Table("split", *labels, "texts", title=f"dataset version {version}")
    for split, rows in splits.items():
        counts = Counter(row.label for row in rows)
        table.add_row(split, *(str(counts[label]) for label in labels), str(len(rows)))
    console.print(table)
    if repeated:
        console.print(f"{repeated} repeated lines were left out")
    stage = f"{settings.name}-{settings.stage}"
    bucket = f"{stage}-data-$(aws sts get-caller-identity --query Account --output text)-{settings.region}"
    console.print("Upload it once the stacks are deployed:", highlight=False)
    print(f'  aws s3 cp --recursive {shlex.quote(str(chosen.output))} "s3://{bucket}/"')
    print(
        f'  aws ssm put-parameter --overwrite --name /{settings.name}/{settings.stage}/dataset --value "s3://{bucket}/datasets/{version}"'
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
