"""Labels as people write them, and the ids that everything else uses: the one place that makes an id of a name.

An id fits everywhere a label has to go: settings, JSON keys, metric dimensions, the categories of a labelling job. A name is what
people see: any script, spaces, punctuation. The names of a dataset version stand in its manifest (``Manifest.label_names``).
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping

LONGEST_ID, LONGEST_NAME = 31, 100
FEWEST_LABELS, MOST_LABELS = 2, 200
MOST_LISTED = 10
CANNOT_TELL = "cannot-tell"
"""The answer of a person who cannot tell which label is right. No label has this id: it counts as an answer without a label."""
ID_FORM = f"a lower-case letter, then up to {LONGEST_ID - 1} lower-case letters, digits, hyphens or underscores"
ID = re.compile(rf"[a-z][a-z0-9_-]{{0,{LONGEST_ID - 1}}}")
_DIGEST = 8


def is_label_id(value: str) -> bool:
    return value != CANNOT_TELL and ID.fullmatch(value) is not None


def label_ids(names: Iterable[str]) -> dict[str, str]:
    """An id for each different name, in the order of the names.

    A name that is an id keeps itself. Others are spelled in lower-case ASCII: ``Sci/Tech`` is ``sci-tech``, ``5 stars`` is
    ``label-5-stars``, ``-1`` is ``minus-1``. Where two names would have one id, and where nothing of a name is left (other scripts), a
    digest of the name is added, and so it is to :data:`CANNOT_TELL`. So an id depends on its name and on the names that collide with
    it, never on their order.
    """
    different = list(dict.fromkeys(names))
    wanted: dict[str, set[str]] = defaultdict(set)
    for name in different:
        wanted[_spelled(name)].add(name)
    result = {}
    for name in different:
        spelled = _spelled(name)
        alone = len(wanted[spelled]) == 1 and spelled not in ("label", CANNOT_TELL)
        result[name] = spelled if is_label_id(name) or alone else _with_digest(spelled, name)
    return result


def name_of(label: str, names: Mapping[str, str]) -> str:
    """What people see of a label id; ``names`` is id -> name, and an id without one is its own name."""
    return names.get(label, label)


def described(label: str, names: Mapping[str, str]) -> str:
    """A label for people who look for it among names and among ids: ``Sci/Tech (sci-tech)``, or the id alone where it is the name."""
    name = name_of(label, names)
    return label if name == label else f"{name} ({label})"


def listed(labels: Iterable[str]) -> str:
    """Labels for a message: the first ten, and how many more there are. Messages of jobs and functions are cut, and end with the cure."""
    every = list(labels)
    more = len(every) - MOST_LISTED
    return ", ".join(every) if more <= 0 else f"{', '.join(every[:MOST_LISTED])} and {more} more"


def _spelled(name: str) -> str:
    if is_label_id(name):
        return name
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower().strip()
    plain = re.sub(r"^[-+](?=\d)", lambda sign: "minus-" if sign[0] == "-" else "plus-", plain)
    words = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    if not words[:1].isalpha():
        words = f"label-{words}".rstrip("-")
    return words if len(words) <= LONGEST_ID else _with_digest(words, name)


def _with_digest(words: str, name: str) -> str:
    digest = hashlib.sha256(unicodedata.normalize("NFC", name).encode()).hexdigest()[:_DIGEST]
    return f"{words[: LONGEST_ID - _DIGEST - 1].rstrip('-')}-{digest}"
