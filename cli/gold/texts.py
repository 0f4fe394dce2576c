"""A file of gold texts: a table or JSON lines with the columns ``text`` and ``label``."""

from __future__ import annotations

import json
from pathlib import Path

from contracts.labels import listed
from contracts.text import InvalidText, checked_text
from lambdas.common.labels import Labels
from lambdas.review.hosted import MOST_INPUT_BYTES
from lambdas.review.hosted_tasks.gold import GoldText
from local.texts.column_names import key_of
from local.texts.files import Opened, open_records
from local.texts.problems import UnreadableFile
from local.texts.quoting import UnreadableRecord
from local.texts.records import BadRecord, label_of

FEWEST_TEXTS = 10
"""With fewer, people soon know them by heart."""
_COLUMNS = ("text", "label")
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
    found: dict[str, GoldText] = {}
    faults: list[str] = []
    try:
        opened = open_records(path, header="yes")
        texts, names = _columns(path, opened)
        for line, record in opened.records:
            try:
                if isinstance(record, UnreadableRecord):
                    raise record
                text, shown = checked_text("text", record[texts], longest=longest), label_of(record[names])
            except (InvalidText, BadRecord, UnreadableRecord) as error:
                faults.append(f"line {line}: {error}")
                continue
            label = labels.id_of(shown)
            if label not in labels.ids:
                faults.append(f"line {line}: label {shown!r} is none of {listed(labels.shown)}")
            elif text in found and found[text].label != label:
                faults.append(f"line {line}: the same text has another label further up")
            else:
                found.setdefault(text, GoldText(text, label))
    except UnreadableFile as error:
        raise BadGold(f"{path} {error}") from None
    _check(path, list(found.values()), faults)
    return list(found.values())


def _columns(path: Path, opened: Opened) -> list[str]:
    """The columns of the text and of the label, in any spelling."""
    found = {key_of(name): name for name in reversed(opened.columns)}
    if missing := [name for name in _COLUMNS if name not in found]:
        raise BadGold(f"{path}: the first line must name the columns text and label; missing: {' and '.join(missing)}")
    return [found[name] for name in _COLUMNS]


def _check(path: Path, texts: list[GoldText], faults: list[str]) -> None:
    if faults:
        more = f"; {len(faults) - _SHOWN} more lines" if len(faults) > _SHOWN else ""
        raise BadGold(f"{path}: {'; '.join(faults[:_SHOWN])}{more}")
    if len(texts) < FEWEST_TEXTS:
        raise BadGold(f"{path} has {len(texts)} different texts, and at least {FEWEST_TEXTS} are needed")
    size = len(json.dumps([(one.text, one.label) for one in texts], ensure_ascii=False).encode())
    if size > MOST_INPUT_BYTES:
        raise BadGold(f"{path}: the texts have {size} bytes, and at most {MOST_INPUT_BYTES} can be stored: leave some out")
