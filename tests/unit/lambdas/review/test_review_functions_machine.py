"""Whatever comes twice or late, whoever is killed or throttled, and whatever is down: every prediction gets the label that people gave.

Both backends, with the functions' own handlers (:mod:`review_world`). ``test_hosted_tasks_machine`` has the hosted service by itself.
"""

from __future__ import annotations

import random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from review_world import BACKENDS, PEOPLE, QUEUES, REQUESTS, Fault, World

FAULTS = st.none() | st.builds(Fault, st.integers(0, 8), st.booleans())
POISON = st.sampled_from(["{", "null", "[]", '{"prediction_id": "p1"}', '{"review_id": "p1-1", "status": "completed"}', '{"detail": 1}'])


class ReviewFunctions(RuleBasedStateMachine):
    """Predictions go to people, and come back."""

    @initialize(backend=st.sampled_from(BACKENDS), adaptive=st.booleans(), seed=st.integers(0, 99), budget=st.sampled_from([0, 5]))
    def begin(self, backend: str, adaptive: bool, seed: int, budget: int) -> None:
        self.world = World(backend, adaptive=adaptive, seed=seed, budget=budget)
        self.labels: dict[str, str | None] = {}
        self.world.predict()

    @rule(places=st.sampled_from([(True, True), (True, False), (False, True)]))
    def predict(self, places: tuple[bool, bool]) -> None:
        stored, queued = places
        self.world.predict(stored=stored, queued=queued)

    @rule(name=st.sampled_from(QUEUES), most=st.integers(1, 10), fault=FAULTS)
    def deliver(self, name: str, most: int, fault: Fault | None) -> None:
        self.world.deliver(name, most, fault)

    @rule(fault=FAULTS)
    def deliver_all(self, fault: Fault | None) -> None:
        for name in QUEUES:
            self.world.deliver(name, fault=fault)

    @rule(name=st.sampled_from(QUEUES))
    def deliver_twice(self, name: str) -> None:
        self.world.deliver_twice(name)

    @rule(name=st.sampled_from(QUEUES), body=POISON)
    def poison(self, name: str, body: str) -> None:
        self.world.poisoned(name, body)

    @rule(most=st.integers(1, 3), label=st.sampled_from(["Good", "Bad"]), fault=FAULTS)
    def people_answer(self, most: int, label: str, fault: Fault | None) -> None:
        self.world.people_answer(most, label, fault)

    @rule(name=st.sampled_from(PEOPLE), fault=FAULTS)
    def people_hesitate(self, name: str, fault: Fault | None) -> None:
        self.world.people_hesitate(name, fault)

    @rule()
    def review_fails(self) -> None:
        self.world.review_fails()

    @rule()
    def an_hour_without_the_backend(self) -> None:
        """Messages come again all the while, until they are dead letters."""
        self.world.down = True
        for _ in range(6):
            self.world.deliver(REQUESTS)
        self.world.reconcile()
        self.world.sweep(3_600)
        self.world.down = False

    @rule(name=st.sampled_from(QUEUES))
    def redrive(self, name: str) -> None:
        self.world.queues[name].redrive()

    @rule()
    def forget(self) -> None:
        self.world.forget()

    @rule()
    def next_day(self) -> None:
        self.world.next_day()

    @rule(fault=FAULTS)
    def reconcile(self, fault: Fault | None) -> None:
        self.world.reconcile(fault)

    @rule(seconds=st.sampled_from([0, 61, 3_600]), fault=FAULTS)
    def sweep(self, seconds: int, fault: Fault | None) -> None:
        self.world.sweep(seconds, fault)

    @invariant()
    def nothing_is_lost_and_no_label_changes(self) -> None:
        if not hasattr(self, "world"):
            return
        assert self.world.lost() == []
        assert self.world.wrong() == []
        assert self.world.over_budget() == {}
        assert not self.world.reviewed() & self.world.forgotten
        for one in self.world.reviewed():
            label = self.world.store.items[one]["human_label"]
            assert self.labels.setdefault(one, label) == label

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            self.world.recovers()
            known = self.world.asked - self.world.forgotten
            assert self.world.reviewed() == known
            assert self.world.brought_back() == []
            assert self.world.labelled() == len(known) + self.world.labelled_before, "each of them once"
            assert self.world.wrong() == []
            left = [one.body for queue in self.world.queues.values() for one in (*queue.waiting, *queue.dead)]
            assert sorted({one for one in left if one in self.world.poison}) == sorted(set(self.world.poison)), (
                "it is there to be looked at"
            )
        finally:
            self.world.close()


ReviewFunctions.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestReviewFunctions = ReviewFunctions.TestCase


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_ten_thousand_predictions_get_their_labels_whatever_happens(backend: str) -> None:
    world = World(backend, seed=7)
    chance = random.Random(7)  # noqa: S311  (a repeatable draw)

    def fault() -> Fault | None:
        return Fault(chance.randrange(30), chance.random() < 0.5) if chance.random() < 0.2 else None

    try:
        while len(world.asked) < 10_000:
            for _ in range(50):
                stored = chance.random() < 0.95
                world.predict(stored=stored, queued=not stored or chance.random() < 0.95)
                if chance.random() < 0.01:
                    world.forget()
            world.down = chance.random() < 0.02
            for name in (*QUEUES, *QUEUES):
                while len(world.queues[name].waiting) > 10:
                    world.deliver(name, fault=fault())
                world.deliver_twice(name)
                world.people_answer(30, chance.choice(["Good", "Bad"]), fault())
            world.sweep(61, fault())
        assert world.lost() == []
        world.recovers()
        assert world.reviewed() == world.asked - world.forgotten
        assert world.brought_back() == []
        assert world.labelled() == 10_000 - len(world.forgotten) + world.labelled_before
        assert world.wrong() == []
    finally:
        world.close()
