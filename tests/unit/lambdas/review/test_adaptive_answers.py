"""``review.answers.adaptive``: the model's answer counts beside people's only for labels that can do nothing but train."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hosted_service import LABELS, TEAM, TERMS, Service
from memory_table import MemoryTable

from contracts.groups import group_of
from lambdas.common.answers_wanted import AnswerRule, ModelPrior
from lambdas.common.review import Origin, ReviewReason, ReviewRequest
from lambdas.common.split_side import side_of
from lambdas.review.hosted import Adaptive, HostedStarter
from lambdas.review.hosted_tasks.gold import GoldText, gold_id
from lambdas.review.hosted_tasks.lead import HostedLead
from lambdas.review.hosted_tasks.task import Task, task_id_of
from review_page.answers import Worker

HOLDOUT = 0.2
ADAPTIVE = replace(TERMS, adaptive=Adaptive(0.85, 0.8, HOLDOUT))


def subject_of(side: str) -> str:
    """Somebody whose texts go to this split."""
    return next(name for name in map(str, range(1_000)) if side_of(f"subject:{name}", HOLDOUT) == side)


ORIGIN = Origin("champion", "tuning-1", 0.7, "2026-11-23T10:00:00+00:00", 1_900_000_000, subject_of("train"))


@pytest.fixture
def service() -> Service:
    return Service(MemoryTable(), ADAPTIVE)


def ask(service: Service, *, in_experiment: bool = False, **changes: Any) -> Task:
    """A text of which the model said *Bad*, with 0.6."""
    values = {"text": "so so", "predicted_label": "negative", "confidence": 0.6, "reason": ReviewReason.LOW_CONFIDENCE, "origin": ORIGIN}
    request = ReviewRequest("p1", **{**values, **changes})
    HostedStarter(service.tasks, service.terms, LABELS, lambda: service.now / 1_000).start(request, in_experiment=in_experiment)
    return service.read(task_id_of(request.review_id))


def test_one_person_who_agrees_with_the_model_is_enough_and_the_end_says_how_the_label_came_about(service: Service) -> None:
    task = ask(service)
    service.answer("ann", "Bad")
    assert service.next("bob") is None
    service.wait(61)
    service.sweep()
    assert service.sent[0].prior == ModelPrior("negative", 0.6, 2), "the label by its id, as those of the answers"
    assert [one.label for one in service.sent[0].answers or ()] == ["negative"]
    assert service.read(task.task_id).prior == ModelPrior("Bad", 0.6, 2)


def test_somebody_who_disagrees_is_not_enough_and_people_can_outvote_the_model(service: Service) -> None:
    task = ask(service)
    service.answer("ann", "Good")
    assert service.read(task.task_id).wanted == 2
    service.answer("bob", "Good")
    assert service.read(task.task_id).wanted == 2
    assert service.next("cyd") is None


def test_nobody_sees_a_models_label_beside_a_text_of_an_experiment() -> None:
    """People's answers to it say which of the two models is promoted."""
    service = Service(MemoryTable(), replace(TERMS, suggestion_share=1.0))
    with_label, without = ask(service), ask(service, in_experiment=True, attempt=2)
    assert "suggestion" in service.tasks.input(with_label.task_id)
    assert "suggestion" not in service.tasks.input(without.task_id)


@pytest.mark.parametrize(
    "asked",
    [
        *({"reason": reason} for reason in ReviewReason if reason is not ReviewReason.LOW_CONFIDENCE),
        {"in_experiment": True},
        {"origin": replace(ORIGIN, subject=subject_of("test"))},
        {"origin": replace(ORIGIN, subject=subject_of("validation"))},
        {"origin": replace(ORIGIN, subject=None), "text": next(
            text for text in map(str, range(1_000)) if side_of(group_of(text, None), HOLDOUT) == "test"
        )},
        {"origin": None},
        {"predicted_label": "gone"},
    ],
)  # fmt: skip
def test_no_model_has_a_part_in_a_label_that_may_judge_one(service: Service, asked: dict[str, Any]) -> None:
    """An audit, a pair, an experiment that a rollout judges, a row of validation or test, and what nobody can know not to be one."""
    task = ask(service, **asked)
    assert (task.rule, task.prior, task.wanted) == (AnswerRule.TWO_THEN_THIRD, None, 2)
    service.answer("ann", "Bad")
    service.answer("bob", "Bad")
    service.wait(61)
    service.sweep()
    assert [one.prior for one in service.sent] == [None]


def test_it_is_off_unless_the_settings_turn_it_on(service: Service) -> None:
    service.terms = TERMS
    assert ask(service).prior is None


def test_gold_tasks_ask_people_alone(service: Service) -> None:
    service.terms = replace(ADAPTIVE, gold_share=1.0)
    service.tasks.put_gold(TEAM, [GoldText("surely good", "positive")])
    ask(service)
    gold = service.read(task_id_of(gold_id("p1-1")))
    assert (gold.rule, gold.prior, gold.wanted) == (AnswerRule.FIXED, None, 3)


@pytest.mark.parametrize(("confidence", "used"), [(1.0, 0.99), (0.0, 0.5)])
def test_people_can_always_outvote_the_model_and_its_own_label_is_never_the_less_likely(
    service: Service, confidence: float, used: float
) -> None:
    assert ask(service, confidence=confidence).prior == ModelPrior("Bad", used, 2)


def test_a_task_that_a_lead_disputes_asks_one_more_and_still_says_what_it_was_asked_with(service: Service) -> None:
    task = ask(service)
    service.answer("ann", "Bad")
    HostedLead(service.tasks, service.finish, lambda: service.now).dispute(task.task_id, [TEAM], Worker("lea", {}, "lea"), "sure?")
    disputed = service.read(task.task_id)
    assert (disputed.wanted, disputed.rule, disputed.prior) == (2, AnswerRule.FIXED, task.prior)
