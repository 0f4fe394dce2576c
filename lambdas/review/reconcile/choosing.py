"""Asks people about waiting texts, as many as the daily budget has places for, and gives up those that have waited too long.

The order of the writes makes a kill harmless: first the budget is spent, then a record says that its text is chosen, then the request goes
to the queue. A run that breaks off has spent too much of the day's budget, never too little, and a request that is lost is sent again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice, takewhile
from typing import Protocol

from lambdas.common.predictions import StoredPrediction
from lambdas.common.review import ReviewRequest, ReviewState
from lambdas.review.reconcile.budget import ranked

MOST_READ = 10_000
"""Waiting texts that one run looks at, the newest first. So it ends in time, however many wait."""
MOST_GIVEN_UP = 2_000
"""In one run; the others follow in the next ones."""


class Store(Protocol):
    """What is needed of :class:`lambdas.common.prediction_store.PredictionStore`."""

    def open_reviews(self, state: ReviewState, *, newest_first: bool = False) -> Iterator[StoredPrediction]: ...
    def mark_chosen(self, prediction_id: str, *, chosen_at: str) -> bool: ...
    def mark_not_chosen(self, prediction_id: str, reason: str) -> bool: ...


@dataclass(frozen=True)
class Terms:
    """``places``: how many texts may be chosen now. ``given_up``: what the record of a text says that waited for ``longest_wait``."""

    places: int
    longest_wait: timedelta
    given_up: str
    now: datetime


@dataclass
class Choice:
    """What became of the waiting texts. ``failed``: ids of those whose request could not be queued; ``waiting``: how many are left;
    ``unusable``: records that nobody can be asked about, each as ``id: what is wrong``."""

    sent: int = 0
    failed: list[str] = field(default_factory=list)
    waiting: int = 0
    not_chosen: int = 0
    unusable: list[str] = field(default_factory=list)


def choose(store: Store, terms: Terms, *, spend: Callable[[int], None], send: Callable[[ReviewRequest], bool]) -> Choice:
    """Give up what has waited too long, and ask about the most urgent of the others.

    Args:
        spend: told how many texts will be chosen, before any is.
        send: puts a request into the queue of review requests; False when it could not.
    """
    done, oldest = Choice(), (terms.now - terms.longest_wait).isoformat()
    late = takewhile(lambda stored: stored.created_at < oldest, store.open_reviews(ReviewState.WAITING))
    done.not_chosen = sum(store.mark_not_chosen(stored.prediction_id, terms.given_up) for stored in islice(late, MOST_GIVEN_UP))
    newest = islice(store.open_reviews(ReviewState.WAITING, newest_first=True), MOST_READ)
    waiting = list(_usable((stored for stored in newest if stored.created_at >= oldest), done))
    chosen = ranked(waiting, terms.now, terms.longest_wait)[: terms.places]
    done.waiting = len(waiting) - len(chosen)
    if chosen:
        spend(len(chosen))
    _send((stored for stored in chosen if store.mark_chosen(stored.prediction_id, chosen_at=terms.now.isoformat())), done, send)
    return done


def without_budget(waiting: Iterable[StoredPrediction], send: Callable[[ReviewRequest], bool]) -> Choice:
    """Ask about all of them: there was a budget when they came, and there is none now."""
    done = Choice()
    _send(_usable(islice(waiting, MOST_READ), done), done, send)
    return done


def _send(chosen: Iterable[StoredPrediction], done: Choice, send: Callable[[ReviewRequest], bool]) -> None:
    for stored in chosen:
        if send(stored.prediction().review_request()):
            done.sent += 1
        else:
            done.failed.append(stored.prediction_id)


def _usable(records: Iterable[StoredPrediction], done: Choice) -> Iterator[StoredPrediction]:
    for stored in records:
        try:
            stored.prediction().review_request()
        except ValueError as error:
            done.unusable.append(f"{stored.prediction_id}: {type(error).__name__}: {error}")
        else:
            yield stored
