"""A team's own labelled texts, as they have them, as dataset rows in three splits. Every problem is named; nothing is dropped unsaid.

What a file may look like, the options and the problems: docs/own-texts.md.
"""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from contracts.dataset import SPLITS, Row, votes_problem
from contracts.labels import FEWEST_LABELS, MOST_LABELS, label_ids
from contracts.phrases import counted
from local.texts.column_names import SPLIT_WORDS, key_of
from local.texts.files import KINDS, is_read
from local.texts.judging import warnings_of
from local.texts.near_duplicates import alike, joined
from local.texts.options import NO_COLUMN, ReadingOptions
from local.texts.problems import InvalidTexts, Problems, shown
from local.texts.records import Example, Reader, Text
from local.texts.report import ReadingReport
from local.texts.splitting import TEST, VALIDATION, sample, shares_without, stratified

__all__ = ["InvalidTexts", "PreparedTexts", "prepare"]
SUBJECT = "subject:"
"""What a group begins with that the file names (contracts/groups.py)."""
MOST_OF_ONE_GROUP = 0.2
"""Share of the texts that one group may have unsaid."""
MOST_RATERS = 100
"""Single votes that are made of one text's counts."""
_DROP = ("on_bad", "drop")
_HELD_OUT = {"test": 2, "validation": 1, "train": 0}
_MISSING_VALUES = {"nan", "null", "none", "n/a", "na", "?", "unknown", "-"}


@dataclass(frozen=True)
class PreparedTexts:
    """A file of texts, ready to be written as a dataset version.

    Attributes:
        splits: rows of train, validation and test.
        labels: ids of the labels.
        label_names: id -> what people see, for the labels whose name is not their id.
        raters: text of a row -> single votes as labels, in a random order; empty where the file has no votes.
        key_examples: rows that every model must label right; they are in no split.
        times: id of a row -> a number that grows with time, for the rows whose time the file tells.
    """

    splits: Mapping[str, list[Row]]
    labels: tuple[str, ...]
    label_names: dict[str, str]
    report: ReadingReport
    raters: dict[str, tuple[str, ...]] = field(default_factory=dict)
    key_examples: tuple[Row, ...] = ()
    times: dict[str, float] = field(default_factory=dict)


def prepare(
    path: Path,
    options: ReadingOptions,
    *,
    labels: Sequence[str] | None,
    longest: int,
    seed: int,
    progress: Callable[[int], None] = lambda _: None,
) -> PreparedTexts:
    """Read, check and split a file or a folder of labelled texts.

    Args:
        labels: ids that the settings pin. When empty, the labels are those of the file.
        longest: characters that a text may have.
        seed: of the split and of every sample.
        progress: is told how many more records were read.

    Raises:
        InvalidTexts: whose text is the whole report of what is wrong.
    """
    problems, warnings, labels = Problems(), list[str](), labels or None
    reader = Reader(options, longest, problems, progress)
    texts = _read_all(path, reader, problems, warnings)
    examples: list[Text] = []
    keys = Reader(options, longest, problems, progress)
    if options.key_examples is not None:
        examples = keys.read(options.key_examples, place=f"{options.key_examples.name} ", other=True)
    ids = _ids(texts, labels, problems, str(path))
    _check_labels([*texts, *examples], ids, labels, problems)
    some_left = bool(texts)
    texts = _each_once(texts, ids, options.on_conflict, problems, reader.left_out)
    examples = _each_once(examples, ids, "refuse", problems, keys.left_out)
    if not texts and not problems:
        why = ", ".join(f"{count:,} {reason}" for reason, count in reader.left_out.items() if count)
        problems.add_file(str(path), "has no record that can be used" + (f" (left out: {why})" if why else ""))
    problems.raise_if_any(path, some_left=some_left)
    held = {text.digest for text in examples}
    reader.left_out["texts that are key examples"] += sum(text.digest in held for text in texts)
    texts = [text for text in texts if text.digest not in held]
    drawn = not any(text.split for text in texts)
    texts = _sampled(texts, options.most_rows, warnings, seed=seed)
    splits = _split(texts, ids, options.near_duplicates, problems, warnings, seed=seed)
    splits = _taught(splits, ids, options.on_bad if labels is None else "refuse", problems, reader.left_out)
    problems.raise_if_any(path)
    if labels is None:
        taught = {ids[text.label] for text in splits["train"]}
        ids = {name: label for name, label in ids.items() if label in taught}
        keys.left_out["key examples of a label that no training text has"] += sum(text.label not in ids for text in examples)
        examples = [text for text in examples if text.label in ids]
    shown_names = _names(ids, texts)
    order = tuple(labels) if labels is not None else tuple(sorted(shown_names, key=lambda label: _natural(shown_names[label])))
    names = {label: name for label, name in shown_names.items() if name != label}
    rows = {split: [_row(text, ids) for text in part] for split, part in splits.items()}
    if sum(all(any(row.label == label for row in part) for part in rows.values()) for label in order) < FEWEST_LABELS:
        counts = Counter(row.label for part in rows.values() for row in part)
        told = ", ".join(f"{names.get(label, label)!r} {counts[label]}" for label in order[:10])
        raise InvalidTexts(
            f"{path} has too few texts: two labels at least must have 3 separate texts, one for each split (texts: {told})"
            + _said_of_groups(rows)
        )
    warnings += _large_group(rows)
    warnings += _label_warnings([names.get(label, label) for label in order]) + warnings_of(rows, order, names, drawn=drawn)
    report = ReadingReport(
        files=(*reader.files, *keys.files),
        columns=reader.columns[0].shown(),
        guessed=reader.columns[0].guessed,
        ignored=tuple(dict.fromkeys(name for columns in reader.columns for name in columns.ignored)),
        left_out=dict(reader.left_out + keys.left_out),
        changed=_changed([*(text for part in splits.values() for text in part), *examples], longest),
        warnings=tuple(dict.fromkeys([*(note for columns in reader.columns for note in columns.notes), *warnings])),
        rows={split: len(part) for split, part in rows.items()},
    )
    times = {_row_id(text): text.time for part in splits.values() for text in part if text.time is not None}
    raters = _raters(splits, ids, seed=seed)
    return PreparedTexts(rows, order, names, report, raters, tuple(_row(text, ids) for text in examples), times)


def _read_all(path: Path, reader: Reader, problems: Problems, warnings: list[str]) -> list[Text]:
    """The texts of a file, or of the files of a folder that are named by their split."""
    try:
        if not path.is_dir():
            return reader.read(path)
        found = sorted(file for file in path.iterdir() if file.is_file())
    except OSError as error:
        problems.add_file(str(path), f"cannot be read: {error.strerror}")
        return []
    parts = [(file, split) for file in found if is_read(file) and (split := _split_of(file))]
    if not any(split == "train" for _, split in parts):
        problems.add_file(str(path), f"is a folder without a file for training: name it train.csv, others valid.csv and test.csv ({KINDS})")
        return []
    if others := [file.name for file in found if file not in dict(parts)]:
        warnings.append(f"files in the folder that were not read: {', '.join(others[:10])}")
    texts: list[Text] = []
    like = None
    for file, split in sorted(parts, key=lambda part: part[1] != "train"):
        texts += reader.read(file, split=split, place=f"{file.name} ", like=like)
        if like is None and reader.columns:
            like = Example(file.name, reader.columns[0], {text.label for text in texts})
    return texts


def _split_of(file: Path) -> str | None:
    first = key_of(file.name.split(".")[0])
    return SPLIT_WORDS.get(first) or next((split for word, split in SPLIT_WORDS.items() if first.startswith(f"{word}_")), None)


def _ids(texts: Sequence[Text], labels: Sequence[str] | None, problems: Problems, path: str) -> dict[str, str]:
    """Label as it stands in the files -> id. With pinned labels, those that are none of them are left out."""
    counts = Counter(text.label for text in texts)
    if labels is not None:
        together = label_ids(counts)
        ids = {}
        for name in counts:
            known = [one for one in (name, together[name], label_ids([name])[name]) if one in labels]
            if known:
                ids[name] = known[0]
        absent = [label for label in labels if label not in ids.values()]
        if texts and absent and len(ids) == len(counts):
            problems.add_file(
                path, f"has no text with the label {' and '.join(map(repr, absent))} (dataset.labels): leave it out there, or give texts"
            )
        return ids
    if texts and len(counts) < FEWEST_LABELS:
        problems.add_file(
            path, f"has one label only ({shown(next(iter(counts)))}): two at least are needed. Is it the right column? --label NAME"
        )
    if len(counts) > MOST_LABELS:
        first = ", ".join(shown(name) for name in list(counts)[:3])
        problems.add_file(
            path, f"has {len(counts):,} different labels ({first}, ...): at most {MOST_LABELS}. Is it the right column? --label NAME"
        )
    return label_ids(counts)


def _check_labels(texts: Iterable[Text], ids: Mapping[str, str], pinned: Sequence[str] | None, problems: Problems) -> None:
    """Labels, of texts and of their votes, that are not among the known ones; and votes that contradict the label."""
    known = ", ".join(pinned[:20]) + (", ..." if len(pinned) > 20 else "") if pinned is not None else "those of the texts"
    place = " (dataset.labels)" if pinned is not None else ""
    correct = f"correct them; allowed are {known}{place}"
    unknown_labels: dict[str, list[Text]] = defaultdict(list)
    for text in texts:
        if text.label not in ids:
            unknown_labels[text.label].append(text)
        elif unknown := next((name for name in text.votes if name not in ids), None):
            cure = f"{correct}. Or do not read the votes: --votes {NO_COLUMN}"
            problems.add("votes are for unknown labels", text.where, f"votes for {shown(unknown)}", cure, ("votes", NO_COLUMN))
        elif text.votes and (problem := votes_problem(ids[text.label], _by_id(text.votes, ids))):
            cure = f"correct them, or do not read the votes: --votes {NO_COLUMN}"
            problems.add("votes contradict the label", text.where, problem, cure, ("votes", NO_COLUMN))
    for label, found in unknown_labels.items():
        problems.add("labels are unknown", found[0].where, f"label = {shown(label)}, in {counted(len(found), 'record')}", correct)


def _each_once(texts: Sequence[Text], ids: Mapping[str, str], on_conflict: str, problems: Problems, left_out: Counter[str]) -> list[Text]:
    """Each text once. Texts with different labels are a problem, or are decided as the user says."""
    same: dict[str, list[Text]] = defaultdict(list)
    for text in texts:
        if text.label in ids:
            same[text.digest].append(text)
    kept = []
    for found in same.values():
        labels = Counter(ids[text.label] for text in found)
        if len(labels) > 1:
            chosen = _decided(found, labels, ids, on_conflict)
            if on_conflict == "refuse":
                _tell_conflict(found, ids, problems)
            left_out[f"records of texts with different labels (--on-conflict {on_conflict})"] += len(found) - len(chosen[:1])
        else:
            chosen = found
            across = len({text.split for text in found}) > 1
            left_out["repeated texts that stand in another split, too" if across else "repeated texts"] += len(found) - 1
        if chosen:
            kept.append(max(chosen, key=lambda text: _HELD_OUT.get(text.split or "", 0)))
    return kept


def _decided(found: Sequence[Text], labels: Counter[str], ids: Mapping[str, str], on_conflict: str) -> list[Text]:
    if on_conflict == "keep-first":
        return [found[0]]
    if on_conflict == "majority":
        (first, most), (_, second) = labels.most_common(2)
        return [text for text in found if ids[text.label] == first][:1] if most > second else []
    return []


def _tell_conflict(found: Sequence[Text], ids: Mapping[str, str], problems: Problems) -> None:
    first = found[0]
    other = next(text for text in found if ids[text.label] != ids[first.label])
    problems.add(
        "texts have different labels",
        other.where,
        f"label = {shown(other.label)}, but {first.where} has the same text as {shown(first.label)}: {shown(first.text)}",
        "correct them, or go on with --on-conflict drop, majority or keep-first",
        ("on_conflict", "drop"),
    )


def _sampled(texts: list[Text], most: int, warnings: list[str], *, seed: int) -> list[Text]:
    """At most ``most`` texts to train on, and held-out texts in proportion."""
    whole = round(most / (1 - TEST - VALIDATION))
    allowed = {None: whole, "train": most, "validation": round(whole * VALIDATION), "test": round(whole * TEST)}
    kept: list[Text] = []
    for split, limit in allowed.items():
        part = [text for text in texts if text.split == split]
        chosen = sample([text.digest for text in part], [text.label for text in part], limit, seed=seed)
        if len(chosen) < len(part):
            where = f" of {split}" if split else ""
            size = f"{len(chosen):,} of {len(part):,} texts{where}"
            warnings.append(f"a sample is used: {size}, with each label's share (seed {seed}, --most-rows {most})")
        kept += [part[position] for position in sorted(chosen)]
    return kept


def _split(
    texts: list[Text], ids: Mapping[str, str], near_duplicates: str, problems: Problems, warnings: list[str], *, seed: int
) -> dict[str, list[Text]]:
    """Texts by split: as given, and drawn where a split is not given."""
    texts = sorted(texts, key=lambda text: text.digest)
    pairs = alike([text.text for text in texts])
    groups = [text.group for text in texts]
    units = joined(groups, pairs) if near_duplicates == "join" else groups
    given = {text.split for text in texts if text.split}
    if given and "train" not in given:
        problems.add_file("the split column", "has no text for training")
        return {split: [] for split in SPLITS}
    missing = [split for split in SPLITS if split not in given]
    places = [text.split or "train" for text in texts]
    if "validation" in missing or "test" in missing:
        free = [at for at, place in enumerate(places) if place == "train"]
        labels = [ids[texts[at].label] for at in free]
        for at, place in zip(free, stratified(labels, [units[at] for at in free], shares_without(missing), seed=seed), strict=True):
            places[at] = place
    if given and missing:
        warnings.append(f"{' and '.join(missing)}: drawn from the training texts, since the file gives none")
    warnings += _across(groups, places, pairs)
    if near_duplicates == "join":
        for text, unit in zip(texts, units, strict=True):
            if not text.has_group and not unit.startswith(SUBJECT):
                text.group = unit
    return {split: [text for text, place in zip(texts, places, strict=True) if place == split] for split in SPLITS}


def _taught(
    splits: dict[str, list[Text]], ids: Mapping[str, str], on_bad: str, problems: Problems, left_out: Counter[str]
) -> dict[str, list[Text]]:
    """The splits without texts of a label that no training text has: a training refuses them. They are a problem, or are left out."""
    taught = {ids[text.label] for text in splits["train"]}
    kept = {}
    for split, texts in splits.items():
        kept[split] = [text for text in texts if ids[text.label] in taught or not taught]
        if on_bad == "drop":
            left_out["texts of a label that no training text has"] += len(texts) - len(kept[split])
            continue
        for text in texts:
            if ids[text.label] not in taught and taught:
                cure = "give training texts of the label, or leave these texts out: --on-bad drop"
                problems.add(f"{split} texts of a label that no training text has", text.where, f"label = {shown(text.label)}", cure, _DROP)
    return kept


def _across(groups: Sequence[str], places: Sequence[str], pairs: Sequence[tuple[int, int]]) -> list[str]:
    """How many texts are nearly the same, and what of them, and of groups, is on two sides of the split."""
    said, better = [], "held-out scores may be too good"
    if pairs:
        near = {other for _, other in pairs}
        apart = len({other for one, other in pairs if places[one] != places[other]})
        sides = f"{apart:,} of them on another side of the split than the other: {better}" if apart else "all on the side of the other"
        said.append(f"{counted(len(near), 'text')} nearly the same as another (--near-duplicates): {sides}")
    of_group: dict[str, set[str]] = defaultdict(set)
    for group, place in zip(groups, places, strict=True):
        of_group[group].add(place)
    if split_apart := [group for group, found in of_group.items() if len(found) > 1]:
        first = shown(split_apart[0].partition(":")[2])
        said.append(f"{counted(len(split_apart), 'group')} in more than one given split, for example {first}: {better}")
    return said


def _said_of_groups(splits: Mapping[str, Sequence[Row]]) -> str:
    groups = {row.group for part in splits.values() for row in part if row.group.startswith(SUBJECT)}
    return f"; no group is split apart, and there are {len(groups)} (--group {NO_COLUMN} reads none)" if groups else ""


def _large_group(splits: Mapping[str, Sequence[Row]]) -> list[str]:
    """A warning of a group with many texts: one value may stand for all texts whose group is not known."""
    counts = Counter(row.group for part in splits.values() for row in part if row.group.startswith(SUBJECT))
    total = sum(map(len, splits.values()))
    return [
        f"the group {shown(group.removeprefix(SUBJECT))} has {count / total:.0%} of the texts, which are all in one split "
        f"(--group {NO_COLUMN} reads no groups; empty is a group of its own)"
        for group, count in counts.most_common(1)
        if count > MOST_OF_ONE_GROUP * total
    ]


def _names(ids: Mapping[str, str], texts: Iterable[Text]) -> dict[str, str]:
    """Id -> its most frequent name in the files."""
    counts = Counter(text.label for text in texts)
    return {ids[name]: name for name in sorted(ids, key=lambda name: (counts[name], name))}


def _natural(name: str) -> tuple[int, float, str]:
    """Sorts numbers by value, before other names."""
    try:
        number = float(name)
    except ValueError:
        number = math.nan
    return (0, number, name) if math.isfinite(number) else (1, 0, name.casefold())


def _changed(texts: Iterable[Text], longest: int) -> dict[str, int]:
    return {f"texts cut to {longest:,} characters (--long cut)": count} if (count := sum(text.cut for text in texts)) else {}


def _by_id(votes: Mapping[str, int], ids: Mapping[str, str]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for name, count in votes.items():
        if name in ids:  # others were left out with their texts
            found[ids[name]] += count
    return dict(sorted(found.items()))


def _row_id(text: Text) -> str:
    return f"text:{text.digest}"


def _row(text: Text, ids: Mapping[str, str]) -> Row:
    return Row(
        id=_row_id(text),
        text=text.text,
        label=ids[text.label],
        votes=_by_id(text.votes, ids),
        group=text.group,
        slice=text.slice,
        source=f"file:{text.source}",
    )


def _raters(splits: Mapping[str, Sequence[Text]], ids: Mapping[str, str], *, seed: int) -> dict[str, tuple[str, ...]]:
    """Counts have no order, so the single votes get a random one: the first of them are like any others."""
    found = {}
    for text in (text for part in splits.values() for text in part if text.votes):
        votes = _by_id(text.votes, ids)
        draw = random.Random(f"{seed}:{text.text}")  # noqa: S311  (a repeatable order, not a secret)
        found[text.text] = tuple(draw.sample(list(votes), k=min(sum(votes.values()), MOST_RATERS), counts=list(votes.values())))
    return found


def _label_warnings(names: Sequence[str]) -> list[str]:
    """Names that may be one label, or none."""
    said = []
    folded: dict[str, list[str]] = defaultdict(list)
    for name in names:
        number = _natural(name)
        folded[str(number[1]) if number[0] == 0 else key_of(name) or name].append(name)
    twins = [" and ".join(map(repr, same)) for same in folded.values() if len(same) > 1]
    if twins:
        said.append(
            f"labels that differ in spelling only are different labels here: {', '.join(twins[:5])}; make them one in the file if they are"
        )
    if nothing := [repr(name) for name in names if name.casefold() in _MISSING_VALUES]:
        said.append(f"{', '.join(nothing)} may mean that the label is missing: it is a label like any other here")
    return said
