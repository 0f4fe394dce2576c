"""The source of a run's texts: what the first model learns, what callers send, and how people answer."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from contracts.dataset import Manifest, Row
from contracts.dataset_files import read_rows
from local.demo.budget import Budget
from local.texts import corpus

HELD_BACK_LABEL = "held-back label"
"""Who answers the reviews where a file has labels and no votes."""


@dataclass(frozen=True)
class Later:
    """Texts that callers send after the first ones; ``held_out`` is of the same kind, and neither sent nor trained on.

    ``drifts``: they are of another kind than those that the first model learnt from.
    """

    name: str
    texts: Sequence[str]
    held_out: Sequence[Row] = ()
    drifts: bool = True


@dataclass(frozen=True)
class Source:
    """The texts of one run.

    ``answers``: text -> what people say of it, one label a person. ``people`` and ``person``: who they are, in words.
    ``said``: what the run says of its data, line by line. ``upload``: the command that prepares the same texts for an account.
    """

    name: str
    dataset: Path
    manifest: Manifest
    later: Later
    answers: Mapping[str, Sequence[str]]
    people: str
    person: str
    said: Sequence[str]
    upload: str
    origin: Mapping[str, object] = field(default_factory=dict)
    """What ``summary.json`` keeps of how a file was read."""

    def first(self, most: int) -> list[str]:
        """Texts of the frozen test set, which are sent first: nothing was trained on them."""
        return [row.text for row in read_rows(self.dataset / "test")][:most]

    def held_out(self) -> dict[str, Sequence[Row]]:
        """What the old and the new model are compared on, by name."""
        kinds = {self.later.name: self.later.held_out} if self.later.held_out else {}
        return {**kinds, self.name: read_rows(self.dataset / "test")}


def reviews_and_tweets(folder: Path, budget: Budget, *, seed: int, labels_shuffled: bool) -> Source:
    """The corpus that comes with the project: the model learns Amazon reviews, then callers send tweets.

    Raises:
        packages.CorpusUnavailable: it cannot be had.
    """
    manifest = corpus.first_dataset(folder, seed=seed, labels_shuffled=labels_shuffled, share=budget.data_share)
    tweets = corpus.rated_texts("tweets")
    random.Random(seed).shuffle(tweets)  # noqa: S311  (a repeatable draw)
    held_out, sent = tweets[: budget.held_out], tweets[budget.held_out :]
    rows = ", ".join(f"{count} {split}" for split, count in manifest.rows.items())
    said = [f"{sum(manifest.rows.values())} Amazon review sentences with about 20 human ratings each: {rows} (version {manifest.version})"]
    return Source(
        name="amazon",
        dataset=folder,
        manifest=manifest,
        later=Later("tweets", [item.row.text for item in sent], [item.row for item in held_out]),
        answers={item.row.text: item.raters for item in [*corpus.rated_texts("amazon"), *sent]},
        people="replayed raters",
        person="replayed rater",
        said=said,
        upload=f".venv/bin/python -m local.upload --seed {seed}",
    )
