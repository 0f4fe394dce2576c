"""What the last weeks' answers say of the workers, and how it makes a label."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from review_fakes import LABELS

from lambdas.common.agreement import Alpha
from lambdas.common.consolidation import ByWorkerQuality, Plurality
from lambdas.common.dawid_skene import Quality
from lambdas.common.predictions import StoredPrediction
from lambdas.common.review import HumanAnswer
from lambdas.review.collect_review import handler as entry
from lambdas.review.collect_review.workers import DAYS, FEWEST_TEXTS, KEPT, MOST_READ, MOST_TEXTS, KnownWorkers, Workers, read_workers

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


def stored(number: int, answers: dict[str, str | None], at: datetime = NOW) -> StoredPrediction:
    item = {
        "prediction_id": f"p{number}", "text": "a text", "created_at": at.isoformat(), "expires_at": 1, "review_state": "reviewed",
        "attempt": 1, "reviewed_at": at.isoformat(), "answers": [{"worker_id": name, "label": label} for name, label in answers.items()],
    }  # fmt: skip
    return StoredPrediction.parse(item)


@dataclass
class History:
    """Two workers who agree, and a third who always says positive."""

    texts: int = FEWEST_TEXTS
    ties: list[StoredPrediction] = field(default_factory=list)
    asked_for: list[str] = field(default_factory=list)

    def labels_of_day(self, day: str, *, newest_first: bool = False) -> Iterator[StoredPrediction]:
        self.asked_for.append(day)
        if day == "2026-11-30":
            for number in range(self.texts):
                label = LABELS[number % 3]
                yield stored(number, {"careful-1": label, "careful-2": label, "hasty": "positive"})

    def disputed(self) -> Iterator[StoredPrediction]:
        yield from self.ties


def quality() -> Quality:
    found = read_workers(History(), LABELS, now=NOW).quality
    assert found is not None
    return found


def consolidate(**answers: str | None) -> Any:
    given = [HumanAnswer(worker.replace("_", "-"), label, 0.0) for worker, label in answers.items()]
    return ByWorkerQuality(Plurality(LABELS), quality()).consolidate(given)


def test_a_tie_goes_to_the_worker_who_is_right_more_often_and_the_plurality_is_kept() -> None:
    found = consolidate(careful_1="negative", hasty="positive")
    assert (found.label, found.votes, found.agreement) == ("negative", {"negative": 1, "positive": 1}, 0.5)
    assert found.basis == {"method": "dawid-skene", "plurality": None, "certainty": found.certainty}
    assert found.certainty > 0.9
    assert "by plurality undecided" in found.reason


@pytest.mark.parametrize(
    ("answers", "label"),
    [
        ({"hasty": "positive"}, "positive"),
        ({"careful_1": "negative", "hasty": "cannot-tell", "careful_2": "cannot-tell"}, None),
        ({"careful_1": "neutral", "careful_2": "negative"}, None),
        ({"careful_1": "sarcastic", "careful_2": None}, None),
    ],
)
def test_the_votes_decide_where_the_workers_say_too_little(answers: dict[str, str | None], label: str | None) -> None:
    found = consolidate(**answers)
    assert (found.label, found.method) == (label, "plurality")


def test_too_few_texts_say_nothing_of_the_workers() -> None:
    assert read_workers(History(FEWEST_TEXTS - 1), LABELS, now=NOW).quality is None


def test_the_last_days_are_read_newest_first_and_disputed_texts_count_for_the_agreement() -> None:
    history = History(
        10, [stored(99, {"a": "negative", "b": "positive"}), stored(98, {"a": "negative", "b": "positive"}, NOW - timedelta(99))]
    )
    found = read_workers(history, LABELS, now=NOW)
    assert (history.asked_for[:2], len(history.asked_for)) == (["2026-11-30", "2026-11-29"], DAYS + 1)
    assert found.agreement.texts == 11
    assert found.agreement.value is not None
    assert found.agreement.value < 1
    assert read_workers(History(10), LABELS, now=NOW).agreement.value == 1.0


def test_an_answer_beside_the_models_label_says_nothing_of_its_worker_and_of_agreement() -> None:
    tie = stored(99, {"a": "negative", "b": "positive"})
    seen = replace(tie, answers=tuple(replace(one, suggestion_shown=True) for one in tie.answers or ()))
    assert read_workers(History(10, [tie]), LABELS, now=NOW).agreement.texts == 11
    assert read_workers(History(10, [seen]), LABELS, now=NOW).agreement.texts == 10


def test_texts_that_two_models_differed_on_say_who_is_right_and_not_how_far_people_agree() -> None:
    """There are many hard texts among the newest while a rollout runs; nobody would agree less than before."""
    hard = [replace(stored(900 + n, {"a": "negative", "b": "positive"}), review_reason="pair") for n in range(40)]
    found = read_workers(History(FEWEST_TEXTS - 40, hard), LABELS, now=NOW)
    assert (found.agreement.value, found.agreement.texts) == (1.0, FEWEST_TEXTS - 40)
    assert found.quality is not None


def test_agreement_is_known_of_each_label_and_measured_where_people_chose_it_often_enough(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "ReviewLoop/test")
    ties = [stored(900 + n, {"a": "negative", "b": "positive"}) for n in range(30)]
    found = read_workers(History(FEWEST_TEXTS, ties), LABELS, now=NOW)
    assert found.by_class["neutral"].value == 1.0
    assert found.by_class["negative"].value == pytest.approx(found.by_class["positive"].value, abs=0.05)

    def told(by_class: dict[str, Alpha]) -> dict[str, float]:
        entry._told(Workers(None, found.agreement, by_class))
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        return {line["label"]: line["KrippendorffAlpha"][0] for line in lines if "KrippendorffAlpha" in line}

    assert told(dict(found.by_class)) == {label: one.value for label, one in found.by_class.items()}
    few = entry.FEWEST_OF_CLASS - 1
    assert told({"often": Alpha(0.5, few + 1), "seldom": Alpha(0.5, few), "never": Alpha(None, 0)}) == {"often": 0.5}
    assert told({f"label-{n}": Alpha(0.5, 99) for n in range(entry.MOST_MEASURED_CLASSES + 1)}) == {}


def test_nothing_is_learnt_from_texts_that_were_asked_about_with_the_model_s_answer() -> None:
    """They have two answers only where the first disagrees with the model, so people would seem to be wrong more often."""
    asked = [replace(stored(900 + n, {"a": "negative", "b": "positive"}), model_prior=0.7) for n in range(40)]
    found = read_workers(History(FEWEST_TEXTS - 40, asked), LABELS, now=NOW)
    assert (found.quality, found.agreement.texts) == (None, FEWEST_TEXTS - 40)


def test_many_texts_that_say_nothing_of_people_hide_none_that_do() -> None:
    """With adaptive review most of the newest labels are of texts that were asked about with the model's answer."""

    class Adaptive(History):
        def labels_of_day(self, day: str, *, newest_first: bool = False) -> Iterator[StoredPrediction]:
            if day == "2026-11-30":
                yield from (replace(stored(n, {"careful-1": "negative"}), model_prior=0.7) for n in range(MOST_TEXTS))
            if day == "2026-11-29":
                for number in range(MOST_TEXTS + 50):
                    label = LABELS[number % 3]
                    yield stored(number, {"careful-1": label, "careful-2": label})

    ties = [replace(stored(900 + n, {"a": "negative", "b": "positive"}), model_prior=0.7) for n in range(MOST_TEXTS // 2)]
    ties += [stored(9_000 + n, {"a": "negative", "b": "positive"}) for n in range(40)]
    found = read_workers(Adaptive(0, ties), LABELS, now=NOW)
    assert found.quality is not None
    assert found.agreement.texts == MOST_TEXTS
    assert found.agreement.value is not None
    assert found.agreement.value < 1, "the disputed texts are among them"


def test_of_a_day_with_more_texts_than_are_read_the_newest_count() -> None:
    class Busy(History):
        """The careful workers disagreed all morning, and agree since noon."""

        def labels_of_day(self, day: str, *, newest_first: bool = False) -> Iterator[StoredPrediction]:
            if day == "2026-11-30":
                morning = [stored(number, {"careful-1": "negative", "careful-2": "positive"}) for number in range(MOST_TEXTS)]
                noon = [stored(number, dict.fromkeys(("careful-1", "careful-2"), LABELS[number % 3])) for number in range(MOST_TEXTS)]
                yield from [*noon, *morning] if newest_first else [*morning, *noon]

    assert read_workers(Busy(), LABELS, now=NOW).agreement.value == 1


def test_the_records_that_are_looked_at_are_bounded() -> None:
    looked = []

    class Endless(History):
        def labels_of_day(self, day: str, *, newest_first: bool = False) -> Iterator[StoredPrediction]:
            one = replace(stored(1, {"careful-1": "negative"}), model_prior=0.7)
            while True:
                looked.append(day)
                yield one

    assert read_workers(Endless(), LABELS, now=NOW).agreement.texts == 0
    assert len(looked) == MOST_READ


def test_what_is_known_is_kept_for_an_hour_and_read_anew_for_other_labels() -> None:
    told: list[Workers] = []
    known, history = KnownWorkers(told.append), History(5)
    for now, labels in ((NOW, LABELS), (NOW + KEPT / 2, LABELS), (NOW + KEPT, LABELS), (NOW + KEPT, LABELS[:2])):
        known.current(history, labels, now=now)
    assert len(told) == 3


def test_a_history_that_cannot_be_read_costs_no_label(monkeypatch: pytest.MonkeyPatch) -> None:
    def throttled(*_: Any, **__: Any) -> Workers:
        raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow down"}}, "Query")

    monkeypatch.setattr(entry._workers, "current", throttled)
    assert entry._consolidation(History(), LABELS) == Plurality(LABELS)
    monkeypatch.setattr(entry._workers, "current", lambda *_: Workers(quality(), read_workers(History(), LABELS, now=NOW).agreement))
    assert isinstance(entry._consolidation(History(), LABELS), ByWorkerQuality)
