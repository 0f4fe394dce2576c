"""Which columns hold the texts and the labels: what the user said, else what the names and the contents say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contracts.labels import MOST_LABELS
from contracts.phrases import counted
from local.texts.column_names import GROUP, LABEL, SLICE, SPLIT, SPLIT_WORDS, TEXT, TIME, VOTES, VOTES_PREFIX, key_of
from local.texts.moments import moment
from local.texts.options import NO_COLUMN
from local.texts.problems import UnreadableFile

_FEW = 3
"""A label comes at least this many times on average, where its column is guessed by content."""
_LONG = 20
"""Characters of a text on average, where its column is guessed by content."""
_MOSTLY = 0.95
"""Share of the values that are words for splits, in a column that is called so: to draw splits anew for a typing error would mix them."""
_MOST_SPLITS = 30
"""Different values of such a column, with spellings and typing errors."""
_NAMED = 12
"""Columns that an error names."""


@dataclass(frozen=True)
class Columns:
    """Role -> columns. ``text`` may have several, ``votes`` one with objects or one per label.

    Attributes:
        guessed: roles that the user did not say.
        ignored: columns without a role.
        notes: what the user should know of a choice.
    """

    text: tuple[str, ...]
    label: str
    group: str | None = None
    slice: str | None = None
    split: str | None = None
    time: str | None = None
    votes: str | None = None
    votes_by_label: Mapping[str, str] | None = None
    guessed: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def shown(self) -> dict[str, tuple[str, ...]]:
        """Role -> its columns, for the report."""
        votes = tuple(self.votes_by_label) if self.votes_by_label else (self.votes,)
        roles = {
            "text": self.text,
            "label": (self.label,),
            "group": (self.group,),
            "slice": (self.slice,),
            "split": (self.split,),
            "time": (self.time,),
            "votes": votes,
        }
        return {role: tuple(name for name in names if name) for role, names in roles.items() if any(names)}


def choose(
    columns: Sequence[str],
    sample: Sequence[Mapping[str, Any]],
    said: Mapping[str, str],
    whole: Callable[[], Sequence[Mapping[str, Any]]] | None = None,
) -> Columns:
    """Find the columns of each role.

    Args:
        columns: names, in their order.
        sample: the first records.
        said: role -> what the user said of its column; :data:`~local.texts.options.NO_COLUMN`: it has none.
        whole: records from all over the file. They are asked for when no name tells the label: in a file that is sorted by its labels,
            the first records have one of them only.

    Raises:
        UnreadableFile: a column that was said is not there, or text or label cannot be told; the text says what to do.
    """
    stats = _stats(columns, sample)
    none = {role for role, name in said.items() if name == NO_COLUMN}
    if needed := none & {"text", "label"}:
        raise UnreadableFile(f"cannot be used without a {needed.pop()}: {NO_COLUMN} stands for no column of the other roles only")
    said = {role: name for role, name in said.items() if role not in none}
    found = {role: _find(role, said[role], columns) for role in ("label", "group", "slice", "split", "time") if role in said}
    text = _texts(said["text"], columns) if "text" in said else ()
    taken = {*found.values(), *text}
    notes: list[str] = []

    def by_name(role: str, names: Sequence[str], fits: Callable[[_Stats], bool]) -> str | None:
        if role in none:
            return None
        fitting = [(names.index(key_of(name)), name) for name in columns if key_of(name) in names and name not in taken]
        for _, name in sorted(fitting, key=lambda item: item[0]):
            if fits(stats[name]):
                taken.add(name)
                return name
            notes.append(f"column {name!r} is not the {role}: it has {stats[name].words()}")
        return None

    votes, by_label = (None, None) if "votes" in none else _votes(said.get("votes"), columns, stats, taken)
    if not text and (name := by_name("text", TEXT, _Stats.may_be_text)):
        text = (name,)
    label = found.get("label") or by_name("label", LABEL, _Stats.may_be_label)
    split = found.get("split") or by_name("split", SPLIT, _Stats.may_be_split)
    group = found.get("group") or by_name("group", GROUP, bool)
    part = found.get("slice") or by_name("slice", SLICE, bool)
    time = found.get("time") or by_name("time", TIME, _Stats.may_be_time)
    if label is None:
        stats = _stats(columns, whole()) if whole else stats
        label = _label_by_content(stats, taken | set(text), known=bool(text))
    taken.add(label)
    if "label" not in said and stats[label].numbers:
        notes += [
            f"column {name!r} has a name for each value of {label!r}: with --label, people see these" for name in _names_of(label, sample)
        ]
    if not text:
        named = next((name for name in columns if key_of(name) == TEXT[0]), None)
        text = (_text_by_content(stats, taken, named),)
    taken |= set(text)
    _check_twins({"text": text, "label": (label,)}, columns, said)
    ignored = tuple(_ignored(name, stats[name]) for name in columns if name not in taken)
    chosen = {"text": text, "label": label, "group": group, "slice": part, "split": split, "time": time, "votes": votes or by_label}
    guessed = tuple(role for role, name in chosen.items() if name and role not in said)
    return Columns(text, label, group, part, split, time, votes, by_label, guessed, ignored, tuple(notes))


def choose_text(columns: Sequence[str], sample: Sequence[Mapping[str, Any]], said: Mapping[str, str]) -> tuple[tuple[str, ...], str | None]:
    """The columns of the text, and of the group where the user said one, of a file that has no labels yet.

    Raises:
        UnreadableFile: as :func:`choose` does.
    """
    group = _find("group", said["group"], columns) if "group" in said else None
    if "text" in said:
        return _texts(said["text"], columns), group
    stats = _stats(columns, sample)
    named = [(TEXT.index(key_of(name)), name) for name in columns if key_of(name) in TEXT and stats[name].may_be_text() and name != group]
    if named:
        return (min(named)[1],), group
    return (_text_by_content(stats, {group} if group else set(), None),), group


def known(columns: Sequence[str], said: Mapping[str, str]) -> dict[str, str]:
    """What the user said, as far as a file has these columns."""

    def is_known(role: str, name: str) -> bool:
        parts = [name] if name in columns or role not in ("text", "votes") else name.split("+" if role == "text" else ",")
        try:
            return name == NO_COLUMN or all(_find(role, part.strip(), columns) for part in parts)
        except UnreadableFile:
            return False

    return {role: name for role, name in said.items() if is_known(role, name)}


def _check_twins(chosen: Mapping[str, Sequence[str]], columns: Sequence[str], said: Mapping[str, str]) -> None:
    """A column that is there twice is refused, unless the user has said its number."""
    for role, names in chosen.items():
        for name in names:
            same = [one for one in columns if one == name or one.startswith(f"{name} (column ")]
            if len(same) > 1 and not said.get(role, "").isdecimal():
                number = columns.index(name) + 1
                raise UnreadableFile(
                    f"has the column {name!r} {len(same)} times: keep one of them, or say its number, such as --{role} {number}"
                )


def _ignored(name: str, stats: _Stats) -> str:
    """A column without a name is told with how much is in it: a text that was cut apart lands there."""
    return f"{name} ({counted(stats.given, 'value')})" if name.startswith("column ") else name


@dataclass(frozen=True)
class _Stats:
    """One column in the sample: how many values it has, how many different ones, their characters on average, and some of them."""

    given: int
    different: int
    characters: float
    longest: int
    objects: bool
    numbers: bool
    splits: bool
    times: bool

    @classmethod
    def of(cls, values: Iterable[Any]) -> _Stats:
        given = [value for value in values if value is not None and value != ""]
        texts = [value if isinstance(value, str) else str(value) for value in given]
        lengths = [len(text) for text in texts]
        different = set(texts)
        return cls(
            given=len(given),
            different=len(different),
            characters=sum(lengths) / max(len(lengths), 1),
            longest=max(lengths, default=0),
            objects=any(isinstance(value, dict) or text.lstrip().startswith("{") for value, text in zip(given, texts, strict=True)),
            numbers=bool(texts) and all(_is_number(text) for text in different),
            splits=_are_splits(texts),
            times=bool(texts) and all(moment(value) is not None for value in given),
        )

    def __bool__(self) -> bool:
        return self.given > 0

    def may_be_text(self) -> bool:
        return not self.numbers or self.given == 0

    def may_be_label(self) -> bool:
        return self.different <= max(MOST_LABELS, 2) or self.given == 0

    def may_be_split(self) -> bool:
        return self.splits

    def may_be_time(self) -> bool:
        return self.times

    def repeats(self) -> bool:
        """Whether a few values come again and again."""
        return 2 <= self.different <= min(MOST_LABELS, max(2, self.given // _FEW)) and self.longest <= 100

    def words(self) -> str:
        if self.numbers and self.different > MOST_LABELS:
            return f"{counted(self.different, 'different number')}"
        return "numbers only" if self.numbers else f"{counted(self.different, 'different value')}"


def _are_splits(texts: Sequence[str]) -> bool:
    counts = Counter(texts)
    return 0 < len(counts) <= _MOST_SPLITS and sum(counts[text] for text in counts if key_of(text) in SPLIT_WORDS) >= _MOSTLY * len(texts)


def _stats(columns: Sequence[str], records: Sequence[Mapping[str, Any]]) -> dict[str, _Stats]:
    return {name: _Stats.of([record.get(name) for record in records]) for name in columns}


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _find(role: str, said: str, columns: Sequence[str]) -> str:
    """The column that the user means: by its name, its name in another spelling, or its number."""
    same = [name for name in columns if name == said] or [name for name in columns if key_of(name) == key_of(said) and key_of(said)]
    if len(same) == 1:
        return same[0]
    if not same and said.isdecimal() and 1 <= int(said) <= len(columns):
        return columns[int(said) - 1]
    if said in columns or len(same) > 1:
        raise UnreadableFile(f"has the column {said!r} {len(same)} times (--{role}): name another, or keep one of them")
    raise UnreadableFile(f"has no column {said!r} (--{role}): its columns are {_listed(columns)}")


def _texts(said: str, columns: Sequence[str]) -> tuple[str, ...]:
    """The columns that the user joins by ``+``, or the one that has a ``+`` in its name."""
    return tuple(_find("text", part, columns) for part in ([said] if said in columns else said.split("+")))


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(repr(name[:40]) for name in names[:_NAMED]) + more


def _votes(
    said: str | None, columns: Sequence[str], stats: Mapping[str, _Stats], taken: set[str]
) -> tuple[str | None, dict[str, str] | None]:
    """One column with objects, or a column for each label (column -> label as it is called)."""
    if said:
        parts = [said] if said in columns else said.split(",")
        names = [_find("votes", part.strip(), columns) for part in parts if part.strip()]
        taken |= set(names)
        return (names[0], None) if len(names) == 1 else (None, {name: _voted(name) for name in names})
    for name in columns:
        if key_of(name) in VOTES and (stats[name].objects or not stats[name].numbers):
            taken.add(name)
            return name, None
    by_label = {name: _voted(name) for name in columns if name.casefold().startswith(VOTES_PREFIX) and len(name) > len(VOTES_PREFIX)}
    taken |= set(by_label)
    return None, by_label or None


def _voted(column: str) -> str:
    return column[len(VOTES_PREFIX) :] if column.casefold().startswith(VOTES_PREFIX) else column


def _label_by_content(stats: Mapping[str, _Stats], taken: set[str], *, known: bool) -> str:
    """The one column with a few values that come again."""
    free = {name: one for name, one in stats.items() if name not in taken and one.given}
    few = [name for name, one in free.items() if one.repeats() and not one.splits]
    if not known and few:  # the text is not known either: it is the column with the longest values
        longest = max(free, key=lambda name: free[name].characters)
        few = [name for name in few if name != longest]
    if len(few) == 1:
        return few[0]
    names = _listed(list(stats))
    if few:
        raise UnreadableFile(f"has several columns that could be the label: {_listed(few)}. Say which one: --label NAME")
    raise UnreadableFile(
        f"has no column that is called label, class, category or the like, and none with a few values (columns: {names}): --label NAME"
    )


def _names_of(label: str, sample: Sequence[Mapping[str, Any]]) -> list[str]:
    """Columns that are called as a label may be, and name each number in the column of the labels."""
    found = []
    for name in sample[0]:
        values = (
            {(str(record.get(label)), str(record.get(name))) for record in sample} if name != label and key_of(name) in LABEL else set()
        )
        numbers, names = ({value[side] for value in values} for side in (0, 1))
        if 1 < len(values) == len(numbers) == len(names) and not any(map(_is_number, names)):
            found.append(name)
    return found


def _text_by_content(stats: Mapping[str, _Stats], taken: set[str], named: str | None) -> str:
    """The column with the longest values; ``named`` is called text, and is it where no other can be."""
    free = {name: one for name, one in stats.items() if name not in taken and one.given and not one.numbers}
    if not free and named is not None:
        return named
    if not free:
        raise UnreadableFile(f"has no column with texts beside the others (columns: {_listed(list(stats))}): --text NAME")
    longest = max(free, key=lambda name: free[name].characters)
    if free[longest].characters < _LONG and len(free) > 1:
        raise UnreadableFile(
            f"has no column that is called text, review, comment or the like, and none with long values: --text NAME, of "
            f"{_listed(list(free))}"
        )
    return longest
