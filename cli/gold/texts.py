"""A file of gold texts: a CSV with the columns ``text`` and ``label``."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from contracts.labels import listed
from contracts.text import InvalidText, checked_text
from lambdas.common.labels import Labels
from lambdas.review.hosted import MOST_INPUT_BYTES
from lambdas.review.hosted_tasks.gold import GoldText

FEWEST_TEXTS = 10
"""With fewer, people soon know them by heart."""
_COLUMNS = {"text", "label"}
_SHOWN = 10


class BadGold(Exception):
    """The file cannot be used. The text names each line that is wrong, and what is allowed."""


def read_gold(path: Path, labels: Labels, *, longest: int) -> list[GoldText]:
    """Each text once, in the file's order. A label may be an id or a name.

    Args:
        longest: characters of a text.

    Raises:
        BadGold: a single bad line is enough, because people are judged by these labels.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            missing = _COLUMNS - set(reader.fieldnames or ())
            if missing:
                raise BadGold(f"{path}: the first line must name the columns text and label; missing: {', '.join(sorted(missing))}")
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadGold(f"{path} is no CSV file in UTF-8 that can be read: {error}") from None
    found: dict[str, GoldText] = {}
    faults: list[str] = []
    for line, row in rows:
        try:
            text, label = checked_text("text", row["text"], longest=longest), labels.id_of((row["label"] or "").strip())
        except InvalidText as error:
            faults.append(f"line {line}: {error}")
            continue
        if label not in labels.ids:
            faults.append(f"line {line}: label {row['label']!r} is none of {listed(labels.shown)}")
        elif text in found and found[text].label != label:
            faults.append(f"line {line}: the same text has another label further up")
        else:
            found.setdefault(text, GoldText(text, label))
    _check(path, list(found.values()), faults)
    return list(found.values())


def _check(path: Path, texts: list[GoldText], faults: list[str]) -> None:
    if faults:
        more = f"; {len(faults) - _SHOWN} more lines" if len(faults) > _SHOWN else ""
        raise BadGold(f"{path}: {'; '.join(faults[:_SHOWN])}{more}")
    if len(texts) < FEWEST_TEXTS:
        raise BadGold(f"{path} has {len(texts)} different texts, and at least {FEWEST_TEXTS} are needed")
    size = len(json.dumps([(one.text, one.label) for one in texts], ensure_ascii=False).encode())
    if size > MOST_INPUT_BYTES:
        raise BadGold(f"{path}: the texts have {size} bytes, and at most {MOST_INPUT_BYTES} can be stored: leave some out")
