"""A dataset version's files as bytes, for tests that need one; the functions' own code writes them."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from contracts.dataset import SPLITS, Manifest, ReferenceText, Row
from contracts.dataset_files import parse_rows, write_version


def render(
    splits: Mapping[str, Iterable[Row]],
    labels: Iterable[str],
    *,
    parent: str | None,
    watermark: str | None,
    reference: Iterable[ReferenceText] = (),
    label_names: Mapping[str, str] | None = None,
    key_examples: Iterable[Row] = (),
) -> tuple[Manifest, dict[str, bytes]]:
    """The manifest, and the files by name."""
    ordered = {split: sorted(splits[split], key=lambda row: row.id) for split in SPLITS}
    with tempfile.TemporaryDirectory() as folder:
        manifest, files = write_version(
            Path(folder),
            ordered,
            labels,
            parent=parent,
            watermark=watermark,
            reference=reference,
            label_names=label_names,
            key_examples=key_examples,
        )
        return manifest, {name: path.read_bytes() for name, path in files.items()}


def rows_of(data: bytes, where: str) -> tuple[Row, ...]:
    return tuple(parse_rows(io.BytesIO(data), where))
