"""A run on a team's own texts: what is held back for callers, who answers, and settings that suit the size of the data."""

from __future__ import annotations

import math
import random
import shlex
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from rich.markup import escape

from contracts.dataset import Row
from contracts.dataset_files import write_dataset
from contracts.intervals import unseen_share
from local.demo.budget import Budget
from local.demo.source import HELD_BACK_LABEL, Later, Source
from local.texts.options import ReadingOptions
from local.texts.own_texts import PreparedTexts
from local.texts.vader import shuffle_labels
from local.texts.word_pieces import word_pieces

MOST_ROWS = 6_000
"""Most rows of a file that a run uses by default: what two cores can train several times in a few minutes."""
HELD_BACK = 0.25
"""Share of the training groups whose texts callers send, where there is no other kind of texts to drift to."""
LEAST_MINORITY, MOST_MINORITY_SHARE = 300, 0.4
"""Limits of a slice that callers drift to: its least number of texts, and its largest share of all texts."""
HELD_OUT_SHARE, MOST_HELD_OUT = 1 / 3, 600
"""The part of that slice's groups that is neither sent nor trained on: a share, and at most so many texts."""
NEWEST = 0.25
"""Share of the texts that callers send as the newest ones, where the file says when each was written."""
REVIEWED_SHARE = 0.25
"""Share of the texts that is reviewed, about: those that the model is unsure of, and the audit sample."""
STEPS = 100
"""Optimiser steps that a first training should have at least: a few hundred rows need more passes for them than thousands."""
FEW_PIECES, MOST_PIECES = 110_000, 250_000
"""Word pieces that a first training reads. Up to the first number there is time for four of them, beyond for two. What would exceed the
second makes fewer passes (two at least), then reads less of each text (64 pieces at least): two cores need some minutes for it."""
WHOLE_TEXTS = 0.95
LENGTHS = (512, 384, 256, 192, 128, 96)
LARGEST_UNKNOWN_SHARE = 0.3
"""``tuning.max_unknown_share`` of the settings, beyond which only a run that shows it trains."""
DEV_TEST_ROWS = 900
"""Test texts that the limits of settings/dev.yaml were chosen for."""


class OwnTexts:
    """A file's texts as the demo uses them."""

    def __init__(
        self, path: Path, prepared: PreparedTexts, *, seed: int, options: ReadingOptions | None = None, base_model: Path | None = None
    ) -> None:
        self._path, self._prepared, self._seed = path, prepared, seed
        self._options, self._base_model = options or ReadingOptions(), base_model
        rows = [row for split in prepared.splits.values() for row in split]
        self.minority = minority_slice(prepared.splits)
        self.workers = min((len(votes) for votes in prepared.raters.values()), default=0) if covers(prepared.raters, rows) else 0
        self.newest = newest_groups(prepared.splits, prepared.times) if self.minority is None else set()
        if self.minority is None and not self.newest:
            self._splits, self._sent, self._held_out = self._hold_back()
        else:
            self._splits, self._sent, self._held_out = self._set_apart()
        self._pieces = word_pieces([row.text for row in self._splits["train"]], base_model)

    @property
    def unknown(self) -> float:
        """Share of the word pieces that the base model does not know, 0..1."""
        return self._pieces.unknown

    @property
    def people(self) -> str:
        """Who answers the reviews, in words."""
        return "replayed raters (the file's votes)" if self.workers else "held-back labels (the file's label answers as one person would)"

    def budget(self, base: Budget) -> Budget:
        """``base`` with settings that suit the size of the data."""
        sizes = {split: len(rows) for split, rows in self._splits.items()}
        first = min(base.first_texts, sizes["test"])
        sent = first + min(base.most_later, len(self._sent))
        most_jobs = next((value for section, field, value in base.overrides if (section, field) == ("tuning", "max_jobs")), 4)
        return replace(base, first_texts=first, overrides=(*base.overrides, *self._suited(sizes, first, sent, most_jobs)))

    def write(self, folder: Path, *, labels_shuffled: bool = False) -> Source:
        """Write the first dataset version, without what is held back."""
        prepared, splits = self._prepared, self._splits
        if labels_shuffled:
            splits = {name: shuffle_labels(rows, seed=self._seed) if name != "test" else rows for name, rows in splits.items()}
        manifest = write_dataset(folder, splits, prepared.labels, label_names=prepared.label_names, key_examples=prepared.key_examples)
        known = [*splits["test"], *self._sent]
        answers: Mapping[str, Sequence[str]] = {row.text: prepared.raters[row.text] if self.workers else (row.label,) for row in known}
        return Source(
            name=_plain(self._path.stem) if self._later is None else "the other texts",
            dataset=folder,
            manifest=manifest,
            later=Later(
                _plain(self._later or "held-back texts"), [row.text for row in self._sent], self._held_out, drifts=self._later is not None
            ),
            answers=answers,
            people=self.people,
            person="replayed rater" if self.workers else HELD_BACK_LABEL,
            said=list(self._said(manifest.version)),
            upload=self.upload(),
            origin={**prepared.report.as_json(), "unknown_pieces": round(self.unknown, 4)},
        )

    def upload(self) -> str:
        """The command that prepares the same texts for an account, all of them, read in the same way."""
        said = {field.name: getattr(self._options, field.name) for field in fields(self._options) if field.name != "most_rows"}
        said |= {"base_model": self._base_model}
        usual = {**vars(ReadingOptions()), "base_model": None}
        given = {"texts": self._path, "seed": self._seed} | {name: value for name, value in said.items() if value != usual[name]}
        typed = [part for name, value in given.items() for part in _typed(f"--{name.replace('_', '-')}", str(value))]
        return shlex.join([".venv/bin/python", "-m", "local.upload", *typed])

    def _said(self, version: str) -> Iterator[str]:
        yield from map(escape, self._prepared.report.lines())
        rows = ", ".join(f"{len(rows)} {split}" for split, rows in self._splits.items())
        yield f"{len(self._prepared.labels)} labels; the first model learns from {rows} (version {version})"
        if self.newest:
            yield f"callers drift along time: the {len(self._sent)} newest texts are sent, {len(self._held_out)} of that time are held out"
        elif self.minority is None:
            yield (
                f"nothing to drift to: no slice of at least {LEAST_MINORITY} texts beside a larger one that has every label, "
                "and no times (--time)"
            )
            yield f"callers send {len(self._sent)} held-back texts of the same kind"
        else:
            named = escape(repr(self.minority))
            yield f"callers drift to the slice {named}: {len(self._sent)} texts to send, {len(self._held_out)} held out"
        yield f"people are {self.people}"
        yield self._pieces.said()
        here, account = self._first_training().max_length or self._pieces.chosen("cpu"), self._pieces.chosen("cuda")
        more = f"; to read more takes longer here, and an account would read {account}" if account > here else ""
        yield f"the first training: {self._pieces.said_of(here)}{more}"
        if self.unknown > LARGEST_UNKNOWN_SHARE:
            yield (
                f"[yellow]the base model does not know {100 * self.unknown:.0f} % of the word pieces: it is for another language. "
                "This run goes on all the same; use another base model for these texts (docs/own-texts.md)[/]"
            )

    def _hold_back(self) -> tuple[dict[str, list[Row]], list[Row], list[Row]]:
        """Training groups become callers' texts, as far as every label keeps one: a model cannot have a label that it was not taught."""
        splits = {name: list(rows) for name, rows in self._prepared.splits.items()}
        apart = self._some_groups(splits["train"], HELD_BACK)
        of_label: dict[str, set[str]] = defaultdict(set)
        for row in splits["train"]:
            of_label[row.label].add(row.group)
        for _, groups in sorted(of_label.items()):
            if groups <= apart:
                apart.remove(min(groups))
        sent = [row for row in splits["train"] if row.group in apart]
        splits["train"] = [row for row in splits["train"] if row.group not in apart]
        return splits, self._shuffled(sent), []

    @property
    def _later(self) -> str | None:
        """What callers drift to, in words; None where there is nothing."""
        return "the newest texts" if self.newest else self.minority

    def _is_later(self, row: Row) -> bool:
        return row.group in self.newest or row.slice == self.minority

    def _set_apart(self) -> tuple[dict[str, list[Row]], list[Row], list[Row]]:
        """What callers drift to becomes their texts, some of it held out."""
        splits = {name: [row for row in rows if not self._is_later(row)] for name, rows in self._prepared.splits.items()}
        rows = [row for part in self._prepared.splits.values() for row in part if self._is_later(row)]
        apart = self._some_groups(rows, HELD_OUT_SHARE)
        held_out = self._shuffled([row for row in rows if row.group in apart])[:MOST_HELD_OUT]
        return splits, self._shuffled([row for row in rows if row.group not in apart]), held_out

    def _some_groups(self, rows: Sequence[Row], share: float) -> set[str]:
        groups = sorted({row.group for row in rows})
        return set(random.Random(self._seed).sample(groups, round(share * len(groups))))  # noqa: S311  (a repeatable draw)

    def _shuffled(self, rows: list[Row]) -> list[Row]:
        return random.Random(self._seed).sample(rows, len(rows))  # noqa: S311  (a repeatable draw)

    def _first_training(self) -> FirstTraining:
        found = self._pieces
        labels, batches = len(self._prepared.labels), math.ceil(len(self._splits["train"]) / 32)
        wanted = min(20, max(2, math.ceil(STEPS * max(1, labels / 10) / batches)))
        epochs = min(wanted, max(2, int(MOST_PIECES / found.read(64))))
        longest = next((length for length in LENGTHS if epochs * found.read(length) <= MOST_PIECES), 64)
        auto_suffices = found.unread(longest)[0] <= 1 - WHOLE_TEXTS
        return FirstTraining(epochs, epochs * found.read(longest), None if auto_suffices else longest)

    def _suited(self, sizes: Mapping[str, int], first: int, sent: int, most_jobs: int) -> Iterator[tuple[str, str, Any]]:
        """Settings for these data, as a Budget's overrides."""
        first_training = self._first_training()
        if self.unknown > LARGEST_UNKNOWN_SHARE:
            yield "tuning", "max_unknown_share", 1.0
        yield "review", "workers_per_task", min(3, self.workers) or 1
        yield "review", "guidelines", {}  # those of the stage's file explain the labels of the demo's own texts
        yield "tuning", "epochs", (first_training.epochs,)
        yield "tuning", "max_jobs", min(most_jobs, 4 if first_training.pieces <= FEW_PIECES else 2)
        if first_training.max_length is not None:
            yield "tuning", "max_length", first_training.max_length
        # The level that a model can reach is the data's: what stays is what compares.
        margin = 0.06 * math.sqrt(max(1.0, DEV_TEST_ROWS / sizes["test"]))
        # A loss that few groups cannot show must be allowed, or no model would ever pass.
        margin = min(0.5, max(margin, 2 * unseen_share(len({row.group for row in self._splits["test"]}))))
        yield "gates", "min_macro_f1", 0.0
        yield "gates", "min_gain_over_tfidf", -0.5
        yield "gates", "min_gain_over_majority", 0.02
        yield "gates", "min_class_recall", 0.0
        yield "gates", "min_slice_accuracy", 0.0
        yield "gates", "max_loss_to_champion", round(margin, 2)
        yield "drift", "window_predictions", min(250, max(50, int(0.7 * first)))
        yield "retraining", "min_new_labels", min(260, max(20, int(0.6 * REVIEWED_SHARE * sent)))
        yield "retraining", "replay_rows", min(sizes["train"], 700)


@dataclass(frozen=True)
class FirstTraining:
    """What there is time for: passes, and the word pieces that they read together, about.

    ``max_length`` is None where ``auto`` reads nearly all.
    """

    epochs: int
    pieces: float
    max_length: int | None


def _plain(name: str) -> str:
    """A name as the console shows it: brackets would be read as the style of what follows."""
    return name.replace("[", "(").replace("]", ")")


def _typed(option: str, value: str) -> tuple[str, ...]:
    """An option and its value as a user types them; a value such as ``-1`` would be read as an option."""
    return (f"{option}={value}",) if value.startswith("-") else (option, value)


def minority_slice(splits: Mapping[str, Sequence[Row]]) -> str | None:
    """The largest slice but one, if it has enough texts, is clearly the smaller part, and enough stays without it; else None."""
    rows = [row for part in splits.values() for row in part]
    counts = Counter(row.slice for row in rows).most_common()
    fitting = [name for name, count in counts[1:] if LEAST_MINORITY <= count <= MOST_MINORITY_SHARE * len(rows)]
    return next((name for name in fitting if _enough_stays(splits, {row.id for row in rows if row.slice == name})), None)


def _enough_stays(splits: Mapping[str, Sequence[Row]], go: Set[str]) -> bool:
    """Whether at least half of each split stays when these rows go, and training texts of every label."""
    learnt = {row.label for row in splits["train"] if row.id not in go}
    spread = all(2 * sum(row.id in go for row in part) <= len(part) for part in splits.values())
    return spread and all(row.label in learnt for part in splits.values() for row in part)


def newest_groups(splits: Mapping[str, Sequence[Row]], times: Mapping[str, float]) -> set[str]:
    """The groups of the newest texts, if these are enough, and enough stays without them; else none.

    Args:
        times: id of a row -> a number that grows with time.
    """
    rows = [row for part in splits.values() for row in part]
    latest: dict[str, float] = {}
    for row in rows:
        if row.id in times:
            latest[row.group] = max(times[row.id], latest.get(row.group, -math.inf))
    sizes, newest, count = Counter(row.group for row in rows), set[str](), 0
    for group in sorted(latest, key=lambda group: (latest[group], group), reverse=True):
        if count >= NEWEST * len(rows):
            break
        newest.add(group)
        count += sizes[group]
    # One time for all tells nothing, and one group of it all leaves nothing to learn from.
    fits = len(set(latest.values())) > 1 and LEAST_MINORITY <= count <= MOST_MINORITY_SHARE * len(rows)
    # In a file whose test texts are the newest ones, nothing would be left to test on.
    return newest if fits and _enough_stays(splits, {row.id for row in rows if row.group in newest}) else set()


def covers(raters: Mapping[str, Sequence[str]], rows: Sequence[Row]) -> bool:
    """Whether every text has votes."""
    return bool(raters) and all(raters.get(row.text) for row in rows)
