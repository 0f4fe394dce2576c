"""Which of the texts that wait for a place in ``review.daily_budget`` people are asked about next: pure.

The budget of a UTC day is given out bit by bit, as the day goes on, so that an urgent text of the evening finds a place. Places that nobody
needed in the morning are there in the evening. While a whole day's reviews are open, nobody is asked about more: when people are away, the
texts wait where the best can still be chosen.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from lambdas.common.predictions import StoredPrediction
from lambdas.review.reconcile.reconciliation import waited_seconds

NOTHING_SPENT = "none"
_A_DAY = timedelta(days=1)


class InvalidSpending(ValueError):
    """The record of what is spent cannot be read; the text names it."""


@dataclass(frozen=True)
class Spending:
    """How many texts were chosen on a UTC day. It is one SSM String parameter: ``none``, or a JSON object of the two fields."""

    day: date
    chosen: int

    @classmethod
    def parse(cls, record: str, today: date) -> Spending:
        """What is spent of today's budget, by the record of today or of an earlier day.

        Raises:
            InvalidSpending: the record is of another form.
        """
        if record.strip() == NOTHING_SPENT:
            return cls(today, 0)
        try:
            found = json.loads(record)
            day, chosen = date.fromisoformat(found["day"]), found["chosen"]
            if type(chosen) is not int or chosen < 0:
                raise ValueError(f"chosen {chosen!r} must be a whole number from 0")
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise InvalidSpending(f"record of the daily budget {record[:200]!r}: {error}") from None
        return cls(today, chosen if day == today else 0)

    def and_also(self, number: int) -> Spending:
        return Spending(self.day, self.chosen + number)

    def format(self) -> str:
        """The parameter's value."""
        return json.dumps({"day": self.day.isoformat(), "chosen": self.chosen}, allow_nan=False)


def places(budget: int, spent: int, open_reviews: int, now: datetime) -> int:
    """How many texts may be chosen now.

    Args:
        budget: texts a day.
        spent: of today.
        open_reviews: that people are asked about already, for whatever reason.
        now: aware.
    """
    begun = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    given_out = -(budget * (begun - now) // _A_DAY)  # rounded up: a budget of one text a day is one text
    return max(0, min(given_out - spent, budget - open_reviews))


def ranked(waiting: Iterable[StoredPrediction], now: datetime, longest_wait: timedelta) -> list[StoredPrediction]:
    """The most urgent first. Three numbers from 0 to 1 are added for each text:

    - uncertainty: how far the confidence is below the threshold, as a share of the threshold;
    - rarity: the share of the waiting texts that have another label by the model;
    - age: the part of ``longest_wait`` that is over, so that an old text comes to its turn before it is given up.

    Where they are equal, the older text and then the lower id comes first. A text on which two models differ does not wait here: it is a
    pair, and has a budget of its own (``rollout.reviews_a_day``).
    """
    texts = list(waiting)
    labels = Counter(one.label for one in texts)

    def urgency(one: StoredPrediction) -> float:
        threshold, confidence = one.review_threshold or 1.0, one.confidence or 0.0
        uncertainty = min(1.0, max(0.0, 1 - confidence / threshold))
        rarity = 1 - labels[one.label] / len(texts)
        age = min(1.0, waited_seconds(one.created_at, now) / longest_wait.total_seconds())
        return uncertainty + rarity + age

    return sorted(texts, key=lambda one: (-urgency(one), one.created_at, one.prediction_id))
