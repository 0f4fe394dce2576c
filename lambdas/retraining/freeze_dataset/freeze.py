"""Makes a new dataset version of its parent and of new human labels. The same input gives the same version.

All test and validation rows of the parent stay, and no text that a model was trained on becomes one of them. A group (one subject, or one
text) is in one split only. The group's hash decides the split, so it is always the same one. All training rows of the parent stay, too: a
version by itself shows every text that a model was trained on. The key examples do not change.

Only amendments change rows of the parent. A corrected row gets another label, in whichever split it is, and so does a new row. The rows
of a person who shall be forgotten are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from sys import intern

from contracts.amendments import Amendment, Amendments
from contracts.dataset import Manifest, ReferenceText, Row, votes_problem
from contracts.dataset_files import write_version
from contracts.groups import group_of
from contracts.labels import described, listed
from contracts.shared_words import RECENT, RECENT_UNSURE, SUGGESTED
from contracts.text import InvalidText, checked_text
from lambdas.common.predictions import StoredPrediction
from lambdas.common.review import MODEL_PRIOR, ReviewReason
from lambdas.common.split_side import side_of
from lambdas.retraining.freeze_dataset.corrections import Corrections, corrected, outdates
from lambdas.retraining.freeze_dataset.row_files import Entry, RowFile, Version, text_key, texts_of
from lambdas.retraining.freeze_dataset.worker_share import Capped, capped
from lambdas.retraining.new_labels import is_imported

_CHOSEN_BY_MODELS = (ReviewReason.LOW_CONFIDENCE, ReviewReason.PAIR)
"""People saw these texts because a model was unsure, or because two models differed. Those that were drawn at random are not among them, so
``recent`` is a sample of the traffic that favours no model."""
MOST_NAMED_LABELS = 5
_OWN_TEXT = "text:"
"""What the group of a text begins with that nobody is named for."""
_NO_AMENDMENTS = Amendments()
LEAST_REFERENCE = 20
"""The least number of served texts. Fewer do not show what is normal."""


@dataclass(frozen=True)
class FreezePolicy:
    """``retraining`` of the settings: ``holdout_share`` of the new groups goes to the test set, half as much to validation.

    ``max_worker_share``: of the new labels, those that one worker may have given (:mod:`.worker_share`).
    """

    min_new_labels: int
    holdout_share: float
    max_worker_share: float = field(default=1.0, kw_only=True)


@dataclass(frozen=True)
class Trained:
    """Texts (their keys) and groups of training rows, those of each person who sent a text."""

    texts: frozenset[bytes]
    groups: frozenset[str]

    @classmethod
    def of(cls, entries: Sequence[Entry]) -> Trained:
        return cls(frozenset(texts_of(entries)), frozenset(group for entry in entries for group in entry.groups))


@dataclass(frozen=True)
class ServedText:
    """A text of a recent request, with the subject that its caller named."""

    text: str
    subject: str | None = None


@dataclass(frozen=True)
class Skipped:
    """Nothing was frozen, for this reason."""

    reason: str


@dataclass(frozen=True)
class LabelCounts:
    """What became of the new labels; the others add up to ``new``.

    ``over_worker_share``: they are left out, since one worker had given too many. ``frozen``: their texts lie in validation or test
    already, or are key examples. ``unusable``: there is a newer label for the same text, the dataset has no such label, the text may
    not enter, or its group is held out although the text was trained on or the model had a part in its label.
    """

    new: int
    trained_on: int
    held_out: int
    frozen: int
    unusable: int
    over_worker_share: int = 0


@dataclass(frozen=True)
class Frozen:
    """A new version: manifest, files by name, what became of the labels, the size of the reference sample, and how many
    rows got another label by a correction or were left out."""

    manifest: Manifest
    files: Mapping[str, Path]
    labels: LabelCounts
    reference: int
    corrected: int = 0
    forgotten: int = 0


@dataclass(frozen=True, slots=True)
class Placed:
    """A row of the new version: where it is read from, and what is different about it."""

    entry: Entry
    source: RowFile
    group: str
    new: bool = False
    change: Amendment | None = None
    others: tuple[str, ...] = ()
    """Groups of the row that this one replaces."""

    @property
    def other_groups(self) -> tuple[str, ...]:
        """A text of its own has a group only until somebody is named."""
        found = {*self.entry.groups, *self.others} - {self.group}
        return tuple(sorted(group for group in found if not group.startswith(_OWN_TEXT)))

    def row(self) -> Row:
        row = replace(self.source.read(self.entry), group=self.group, other_groups=self.other_groups, new=self.new)
        return row if self.change is None else corrected(row, self.change)


@dataclass(frozen=True)
class NewLabels:
    """Labels that no version has decided on: how many, the row of each text, the newest time, labels that the dataset lacks, and by id of
    the row who answered, and when the label was stored."""

    count: int
    rows: Sequence[Entry]
    watermark: str
    unknown: Mapping[str, int]
    workers: Mapping[str, Sequence[str]]
    reviewed_at: Mapping[str, str]

    def within(self, max_worker_share: float) -> tuple[NewLabels, Capped]:
        """These labels without those that give one worker too large a share."""
        found = capped({row.id: self.workers[row.id] for row in self.rows}, max_worker_share)
        kept = set(found.kept)
        return replace(self, rows=[row for row in self.rows if row.id in kept]), found


def freeze(  # noqa: PLR0917  (the four before are of every freeze)
    parent: Version,
    labelled: Iterable[StoredPrediction],
    policy: FreezePolicy,
    folder: Path,
    served: Iterable[ServedText] = (),
    amendments: Amendments = _NO_AMENDMENTS,
) -> Frozen | Skipped:
    """The next dataset version: all rows of the parent, new labels on the side of their group, and a reference sample.

    Texts are on disk all the time, so the memory is that of the indices: about 300 bytes for each row.

    Args:
        labelled: records with a human label.
        folder: an empty folder for the new files.
        served: of the newest traffic; the reference sample is drawn from them.
        amendments: those that the parent did not know yet.
    """
    new_rows = RowFile(folder / "new.jsonl")
    forgotten = forget(parent, amendments)
    labelled = (one for one in labelled if not amendments.forgets(group_of(one.text, one.subject), known_at=one.reviewed_at))
    try:
        labels = new_labels(parent, labelled, new_rows)
        since = parent.manifest.watermark or "the first dataset"
        if labels.count < policy.min_new_labels:
            return Skipped(f"{labels.count} new labels since {since}: at least {policy.min_new_labels} are needed")
        labels, cap = labels.within(policy.max_worker_share)
        if cap.over:
            worker, share = cap.over
            return Skipped(
                f"worker {worker} gave {share:.0%} of the new labels, and retraining.max_worker_share is {policy.max_worker_share:g}. "
                "Leaving labels out does not change that: ask more people, or raise it"
            )
        placed = place(labels.rows, parent, policy.holdout_share)
        if not placed["train"]:
            reason = f"none of the {labels.count} new labels is for a text that may be trained on"
            return Skipped(
                reason + unknown_labels(labels.unknown, [described(label, parent.manifest.label_names) for label in parent.manifest.labels])
            )
        usable = {name: one for name, one in amendments.corrections.items() if one.label in parent.manifest.labels}
        changes = Corrections.of(usable, [*parent.splits["train"].entries, *new_rows.entries])
        splits = {"train": merge(parent.splits["train"], placed["train"], new_rows)}
        for name in ("validation", "test"):
            old = parent.splits[name]
            kept = [Placed(entry, old, entry.group) for entry in old.entries]
            splits[name] = [*kept, *(Placed(entry, new_rows, entry.group) for entry in placed[name])]
        for name, items in splits.items():
            splits[name] = [amended(item, changes, labels.reviewed_at.get(item.entry.id), trained_on=name == "train") for item in items]
        train, keys = splits["train"], []
        if parent.key_examples is not None:
            found = parent.key_examples
            keys = [amended(Placed(entry, found, entry.group), changes) for entry in found.entries]
        trained = Trained(frozenset(item.entry.text for item in train), _groups(train))
        served = (item for item in served if not amendments.forgets(group_of(item.text, item.subject)))
        reference = reference_of(served, trained, policy.holdout_share)
        manifest, files = write_version(
            folder,
            {name: (item.row() for item in sorted(kept, key=lambda item: item.entry.id)) for name, kept in splits.items()},
            parent.manifest.labels,
            parent=parent.manifest.version,
            watermark=max(labels.watermark, parent.manifest.watermark or ""),
            reference=reference,
            label_names=parent.manifest.label_names,
            key_examples=(item.row() for item in keys),
            known=parent.manifest.known.and_also(amendments.keys),
        )
        counts = _count(labels, placed, parent, cap.left_out)
        changed = sum(item.change is not None for kept in (*splits.values(), keys) for item in kept)
        return Frozen(manifest, files, counts, len(reference), changed, forgotten)
    finally:
        new_rows.remove()


def forget(parent: Version, amendments: Amendments) -> int:
    """Leave out the parent's rows that are about somebody who shall be forgotten; returns how many these are."""
    left_out = 0
    for rows in (*parent.splits.values(), parent.key_examples):
        if rows is not None:
            kept = [entry for entry in rows.entries if not any(map(amendments.forgets, entry.groups))]
            left_out += len(rows.entries) - len(kept)
            rows.entries = kept
    return left_out


def amended(item: Placed, changes: Corrections, reviewed_at: str | None = None, *, trained_on: bool = False) -> Placed:
    """A training row with another label is new again: a retraining learns it, and does not only replay some of the old ones."""
    change = changes.change(item.entry, reviewed_at)
    return item if change is None or not outdates(change, item.row()) else replace(item, change=change, new=trained_on)


def new_labels(parent: Version, labelled: Iterable[StoredPrediction], target: RowFile) -> NewLabels:
    """Write the labelled records that no version has used yet to ``target``, each once. For one text, the newest record counts.

    Records a little older than the watermark are read again, because an index lags behind its table. Such a record is ignored when the
    parent holds its text already: then an earlier freeze has used it.

    A first version may be made of a labelling job, whose labels are records, too. Those that it has already are not new, and the next
    watermark is after them.
    """
    entries = [entry for kept in parent.splits.values() for entry in kept.entries]
    ids, texts = {entry.id for entry in entries}, texts_of(entries)
    watermark, labels = parent.manifest.watermark, parent.manifest.labels
    known = {(entry.text, entry.job_label) for entry in entries if entry.job_label} if watermark is None else set()
    newest_known = ""
    found: dict[str, tuple[str, Entry | None]] = {}
    unknown: dict[str, int] = {}
    workers: dict[str, Sequence[str]] = {}
    stored_at: dict[str, str] = {}
    for stored in labelled:
        name, reviewed_at = stored.prediction_id, stored.given("reviewed_at", stored.reviewed_at)
        late = watermark is not None and reviewed_at <= watermark
        if name in found or row_id(stored) in ids or (late and text_key(stored.text) in texts):
            continue
        if known and is_imported(stored) and (text_key(stored.text), stored.human_label) in known:
            newest_known = max(newest_known, reviewed_at)
            continue
        row = row_of(stored, labels)
        found[name] = (reviewed_at, target.append(row) if row is not None else None)
        stored_at[row_id(stored)] = reviewed_at
        workers[row_id(stored)] = tuple(intern(answer.worker_id) for answer in stored.answers or () if answer.label in labels)
        if (label := stored.given("human_label", stored.human_label)) not in labels:
            unknown[label] = unknown.get(label, 0) + 1
    ordered = [entry for _, _, entry in sorted((at, name, entry) for name, (at, entry) in found.items() if entry is not None)]
    newest = {entry.text: entry for entry in ordered}
    seen = max((at for at, _ in found.values()), default="")
    return NewLabels(len(found), list(newest.values()), max(seen, newest_known), unknown, workers, stored_at)


def unknown_labels(unknown: Mapping[str, int], known: Sequence[str]) -> str:
    """A part of a sentence that names the labels which people gave and the dataset does not know, the most frequent first; else empty."""
    if not unknown:
        return ""
    named = sorted(unknown.items(), key=lambda item: (-item[1], item[0]))[:MOST_NAMED_LABELS]
    said = ", ".join(f"{count} have the label {label!r}" for label, count in named)
    return (
        f"; {said}, but the dataset's labels are {listed(known)}: "
        "new labels need a new first dataset version that has them (docs/operations.md)"
    )


def row_id(stored: StoredPrediction) -> str:
    return f"prediction:{stored.prediction_id}"


def row_of(stored: StoredPrediction, labels: tuple[str, ...]) -> Row | None:
    """A labelled record as a dataset row. None when the dataset does not have its label, or when its text may not enter."""
    label = stored.given("human_label", stored.human_label)
    try:
        text = checked_text("text", stored.text)
    except InvalidText:
        return None
    if label not in labels:
        return None
    votes = {name: count for name, count in sorted((stored.votes or {}).items()) if name in labels}
    basis = dict(stored.label_basis) if stored.label_basis else None
    suggested = sum(answer.suggestion_shown is True for answer in stored.answers or ())
    if suggested:
        basis = {**(basis or {}), SUGGESTED: suggested}
    if stored.model_prior is not None:
        basis = {**(basis or {}), MODEL_PRIOR: stored.model_prior}
    if votes_problem(label, votes):
        # Training would learn what the votes say, and the label was found otherwise: by what is known of the workers, or by a lead.
        basis, votes = {**(basis or {}), "votes": votes}, {}
    return Row(
        id=row_id(stored),
        text=text,
        label=label,
        votes=votes,
        group=group_of(text, stored.subject),
        slice=RECENT_UNSURE if stored.review_reason in _CHOSEN_BY_MODELS else RECENT,
        source=stored.label_source or f"review:{stored.prediction_id}",
        label_basis=basis,
    )


def place(rows: Sequence[Entry], parent: Version, holdout_share: float) -> dict[str, list[Entry]]:
    """New rows by split. A row whose text is frozen already, or that would bring a trained text into a held-out split, is in none.

    Neither is a held-out row whose label somebody gave beside the model's: no gate is measured with it. The page draws by chance who sees
    the model's label, so the other held-out rows stay a fair sample.

    With ``review.answers.adaptive``, people are asked with the model's answer only about groups whose hash says train. An earlier version
    may hold such a group out, and then its rows with the model's answer must stay out. The others of these groups are left out with them:
    they are the texts that the model was sure of, and alone they would make the test set easier.
    """
    frozen, trained = {split: parent.splits[split].entries for split in ("test", "validation")}, Trained.of(parent.splits["train"].entries)
    frozen_texts = frozen_texts_of(parent)
    sides = {entry.group: split for split, kept in frozen.items() for entry in kept}
    for row in rows:
        if row.group not in sides and (row.group in trained.groups or row.text in trained.texts):
            sides[row.group] = "train"
    adaptive = any(row.with_prior for row in rows)
    placed: dict[str, list[Entry]] = {"train": [], "validation": [], "test": []}
    for row in rows:
        drawn = side_of(row.group, holdout_share)
        side = sides.get(row.group) or drawn
        with_model = row.suggested or row.with_prior or (adaptive and drawn == "train")
        leaks = side != "train" and (with_model or row.text in trained.texts)
        if row.text not in frozen_texts and not leaks:
            placed[side].append(row)
    return placed


def frozen_texts_of(parent: Version) -> set[bytes]:
    """Texts whose labels stand: those of validation and test, and the key examples."""
    held = [*parent.splits["validation"].entries, *parent.splits["test"].entries]
    return texts_of([*held, *parent.key_examples.entries] if parent.key_examples else held)


def merge(old: RowFile, added: Iterable[Entry], new_rows: RowFile) -> list[Placed]:
    """All training rows. A text with a new label gets it, and stays in the group in which it was trained. Only added rows are new.

    The new label may be of a text that somebody else sent. Then the row is about both.
    """
    fresh = {entry.text: Placed(entry, new_rows, entry.group, new=True) for entry in added}
    kept = []
    for entry in old.entries:
        newer = fresh.get(entry.text)
        if newer is None:
            kept.append(Placed(entry, old, entry.group))
        else:
            group = newer.group if entry.group.startswith(_OWN_TEXT) else entry.group
            fresh[entry.text] = replace(newer, group=group, others=entry.groups)
    return [*kept, *fresh.values()]


def _groups(items: Iterable[Placed]) -> frozenset[str]:
    return frozenset(group for item in items for group in (item.group, *item.other_groups))


def reference_of(served: Iterable[ServedText], trained: Trained, holdout_share: float) -> list[ReferenceText]:
    """Served texts that no model is trained on: those of held-out groups.

    Texts without a label would be the wrong sample: people label the texts that the champion is unsure of, so the others are the easy
    ones. The hash of a group does not depend on that. So the held-out groups are a random sample of the traffic.
    """
    texts = [ReferenceText(item.text, group_of(item.text, item.subject)) for item in served]
    kept = [
        item
        for item in texts
        if side_of(item.group, holdout_share) != "train" and item.group not in trained.groups and text_key(item.text) not in trained.texts
    ]
    return kept if len(kept) >= LEAST_REFERENCE else []


def _count(labels: NewLabels, placed: Mapping[str, Sequence[Entry]], parent: Version, left_out: int) -> LabelCounts:
    trained_on, held_out = len(placed["train"]), len(placed["validation"]) + len(placed["test"])
    frozen_texts = frozen_texts_of(parent)
    frozen = sum(entry.text in frozen_texts for entry in labels.rows)
    unusable = labels.count - trained_on - held_out - frozen - left_out
    return LabelCounts(labels.count, trained_on, held_out, frozen, unusable, left_out)
