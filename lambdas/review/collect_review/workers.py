"""What the answers of the last weeks show about the workers: how often each of them is right, and how far they agree.

A function computes this from the prediction table and keeps the result for an hour. So nothing else has to be deployed for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from typing import Protocol

from lambdas.common.agreement import Alpha, alpha, alpha_by_class, compared_labels
from lambdas.common.dawid_skene import Quality, estimate
from lambdas.common.predictions import StoredPrediction
from lambdas.common.review import HumanAnswer

FEWEST_TEXTS = 200
"""The least number of texts with two answers. With fewer, the votes alone decide the labels."""
MOST_TEXTS, DAYS = 1_000, 30
MOST_READ = 20_000
"""The most labelled records that are looked at for these texts, and as many disputed ones: a bound on time and cost."""
KEPT = timedelta(hours=1)


class Store(Protocol):
    """What is needed of :class:`lambdas.common.prediction_store.PredictionStore`."""

    def labels_of_day(self, day: str, *, newest_first: bool = False) -> Iterator[StoredPrediction]: ...
    def disputed(self) -> Iterator[StoredPrediction]: ...


@dataclass(frozen=True)
class Workers:
    """``quality`` is None with too few texts, or too many labels. ``agreement`` rests on the first two answers of each text
    (:func:`~lambdas.common.agreement.compared_labels`), and so does ``by_class``, the agreement about each label."""

    quality: Quality | None
    agreement: Alpha
    by_class: Mapping[str, Alpha] = field(default_factory=dict)


def read_workers(store: Store, labels: Sequence[str], *, now: datetime) -> Workers:
    """From the newest texts of the last :data:`DAYS` days that say something of people, at most :data:`MOST_TEXTS`; the disputed ones are
    among them, the oldest first.

    Without the disputed texts people would seem to agree more than they do. Texts that are there because two models differ are hard ones,
    and there are many of them while a rollout runs: who is right how often is learnt from them, but how far people agree is not. Nothing is
    learnt from texts that were asked about with the model's answer: they have two answers only where the first disagrees with the model.
    """
    since = (now - timedelta(days=DAYS)).date()
    days = (store.labels_of_day((now - timedelta(days=back)).date().isoformat(), newest_first=True) for back in range(DAYS + 1))
    disputed = (stored for stored in store.disputed() if (stored.reviewed_at or "") >= since.isoformat())
    labelled = chain.from_iterable(days)
    found = chain(islice(_usable(disputed, labels), MOST_TEXTS // 2), _usable(labelled, labels))
    usable = list(islice(found, MOST_TEXTS))
    pairs = [[(worker, label) for worker, label in answers if label is not None] for _, answers in usable]
    quality = estimate(pairs, labels) if len(pairs) >= FEWEST_TEXTS else None
    compared = [compared_labels(stored, labels) for stored, _ in usable]
    return Workers(quality, alpha(compared, interval=True), alpha_by_class(compared, labels))


def _usable(records: Iterable[StoredPrediction], labels: Sequence[str]) -> Iterator[tuple[StoredPrediction, list[tuple[str, str | None]]]]:
    """The records with two answers that count, among the first :data:`MOST_READ`. With adaptive review most records have none."""
    for stored in islice(records, MOST_READ):
        if stored.model_prior is None:
            answers = [(one.worker_id, one.label) for one in stored.answers or () if _counts(one, labels)]
            if len(answers) > 1:
                yield stored, answers


def _counts(answer: HumanAnswer, labels: Sequence[str]) -> bool:
    """Who saw the model's label beside the text may have followed it: that says nothing of the person."""
    return answer.label in labels and answer.suggestion_shown is not True


class KnownWorkers:
    """The result of :func:`read_workers`, kept for :data:`KEPT`.

    Args:
        on_read: called with the new result each time that it is computed.
    """

    def __init__(self, on_read: Callable[[Workers], None]) -> None:
        self._on_read = on_read
        self._kept: tuple[datetime, tuple[str, ...], Workers] | None = None

    def current(self, store: Store, labels: Sequence[str], *, now: datetime | None = None) -> Workers:
        moment = now or datetime.now(UTC)
        if self._kept is None or self._kept[1] != tuple(labels) or moment - self._kept[0] >= KEPT:
            self._kept = (moment, tuple(labels), read_workers(store, labels, now=moment))
            self._on_read(self._kept[2])
        return self._kept[2]
