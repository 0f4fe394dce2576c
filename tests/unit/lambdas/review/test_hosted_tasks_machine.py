"""Whatever people do and whoever is killed at whatever moment: every task ends with exactly one valid set of answers, and none is lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hosted_service import TEAM, TERMS, Service, choice, person
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from memory_table import MemoryTable

from lambdas.common.answers_wanted import AnswerRule
from lambdas.review.hosted_tasks.taking import Busy
from lambdas.review.hosted_tasks.task import State, Task
from lambdas.review.port import ReviewEnded, ReviewStatus
from review_page.tasks import SkipReason, TaskRefused

PEOPLE = st.sampled_from(["ann", "bob", "eve"])
LABELS = st.sampled_from(["Good", "Bad"])


class Killed(BaseException):
    """The function is killed here: what was written stays, and nothing follows."""


class HostedTasks(RuleBasedStateMachine):
    """``given``: task -> person -> label, for every answer that the service has confirmed and nobody took back."""

    @initialize(
        undo=st.sampled_from([0, 60]),
        rule=st.sampled_from([AnswerRule.FIXED, AnswerRule.TWO_THEN_THIRD]),
        most=st.integers(1, 3),
        page=st.sampled_from([1, 2, 100]),
        waiting=st.integers(2, 6),
        drained=st.booleans(),
        ahead=st.booleans(),
    )
    def begin(self, *, undo: int, rule: AnswerRule, most: int, page: int, waiting: int, drained: bool, ahead: bool) -> None:
        """A page of the index has so few tasks that people pass some pages. One request looks at all of them again."""
        self.drained = drained
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr("lambdas.review.hosted_tasks.table._PAGE", page)
        self.patch.setattr("lambdas.review.hosted_tasks.queue.MOST_BACK", 30)
        self.table = MemoryTable()
        self.service = Service(self.table, type(TERMS)(**{**vars(TERMS), "undo_seconds": undo, "rule": rule, "most": most}))
        self.asked: dict[str, str] = {}
        self.given: dict[str, dict[str, str]] = {}
        self.in_bulk: set[str] = set()
        self.effects_left: int | None = None
        for name in ("write", "send"):
            setattr(self.service, name, self._mortal(getattr(self.service, name)))
        self.service.ports = type(self.service.ports)(self.service.tasks, self.service.write, self.service.send)
        self.table.after_write = self._effect
        self.table.before_write = self._effect
        for number in range(1, waiting + 1):
            self.start(number, None)
        if ahead:
            self.two_hold_what_the_third_passes(["ann", "bob", "eve"], "Good")

    def _mortal(self, effect: Callable[..., None]) -> Callable[..., None]:
        def run(*arguments: Any) -> None:
            self._effect()
            effect(*arguments)
            self._effect()

        return run

    def _effect(self) -> None:
        if self.effects_left is not None:
            self.effects_left -= 1
            if self.effects_left < 0:
                self.effects_left = None
                raise Killed

    def _run(self, work: Callable[[], Any], die_after: int | None) -> tuple[bool, Any]:
        """Whether the caller got an answer, and which; a killed function gives none, and others may be quicker than an index says."""
        self.effects_left = die_after
        try:
            return True, work()
        except (Killed, Busy):
            return False, None
        finally:
            self.effects_left = None

    deaths = st.none() | st.integers(0, 6)

    @rule(number=st.integers(1, 6), die_after=deaths)
    def start(self, number: int, die_after: int | None) -> None:
        """Starting one again is a message that came twice."""
        done, task_id = self._run(lambda: self.service.ask("text", f"p{number}"), die_after)
        if done:
            self.asked[task_id] = f"p{number}-1"

    @rule(number=st.integers(1, 4))
    def start_text_of_a_bulk_labelling(self, number: int) -> None:
        """Of another age than its place in the queue says, as many are written at once."""
        alike = Service(MemoryTable(), self.service.terms, self.service.now - 700 * (number % 3))
        like = alike.ask("text", f"b{number}")
        task = replace(alike.read(like), job="job", version=0)
        if self.service.tasks.add(task, alike.tasks.input(like)):
            self.in_bulk.add(like)

    @rule()
    def index_stays_behind(self) -> None:
        self.table.index_stands_still()

    @rule()
    def index_comes_up(self) -> None:
        self.table.index_comes_up()

    @rule(name=PEOPLE, skipped=st.booleans(), die_after=deaths)
    def take(self, name: str, skipped: bool, die_after: int | None) -> None:
        done, task_id = self._run(lambda: self.service.next(name, with_skipped=skipped), die_after)
        if done and task_id is None:
            self._nothing_is_there_for(name, with_skipped=skipped)

    def _nothing_is_there_for(self, name: str, *, with_skipped: bool) -> None:
        """A task that nobody finds is lost, as nobody is asked."""
        if self.table.behind:
            return
        for task in self._tasks():
            for_them = task.free and name not in task.assignments and self.service.now < task.gone_at
            assert not (for_them and (with_skipped or name not in task.skipped_by)), f"{name} was told that nothing waits"

    def _tasks(self) -> list[Task]:
        return [self.service.read(pk) for pk, sk in self.table.items if sk == "task"]

    @rule(names=st.permutations(["ann", "bob", "eve"]), label=LABELS)
    def two_hold_what_the_third_passes(self, names: list[str], label: str) -> None:
        """And one of the two gives it back."""
        for name in names[:2]:
            self._run(lambda name=name: self.service.next(name), None)
        self.answer_all_that_is_left(names[2], label)
        self.sign_out(names[0], None)
        self.take(names[2], skipped=False, die_after=None)

    @rule(name=PEOPLE, label=LABELS)
    def answer_all_that_is_left(self, name: str, label: str) -> None:
        for _ in range(50):
            done, task_id = self._run(lambda: self.service.next(name), None)
            if done and task_id is None:
                self._nothing_is_there_for(name, with_skipped=False)
            if task_id is None:
                return
            self.answer(name, label, None, twice=False)
        raise AssertionError("there is no end")

    @rule(name=PEOPLE, die_after=deaths)
    def take_ahead(self, name: str, die_after: int | None) -> None:
        self._run(lambda: self.service.store.ahead_for(person(name), [TEAM]), die_after)

    @rule(name=PEOPLE, label=LABELS, die_after=deaths, twice=st.booleans(), go_on=st.sampled_from(["", "next", "ahead"]))
    def answer(self, name: str, label: str, die_after: int | None, twice: bool, go_on: str = "next") -> None:
        done, task_id = self._run(lambda: self.service.next(name), None)
        if done and task_id is None:
            self._nothing_is_there_for(name, with_skipped=False)
        if task_id is None:
            return
        try:
            done, following = self._run(lambda: self._submitted(task_id, name, label, go_on=go_on), die_after)
        except TaskRefused:
            return
        if done:
            if go_on and following is None:
                self._nothing_is_there_for(name, with_skipped=False)
            self.given.setdefault(task_id, {})[name] = label
            if twice:
                try:
                    self.service.store.submit(task_id, person(name), choice("Bad"))
                except TaskRefused:
                    return
                raise AssertionError("an answer was taken twice")
        elif name in self.service.read(task_id).answers:  # stored, but the browser does not know
            self.given.setdefault(task_id, {})[name] = label

    def _submitted(self, task_id: str, name: str, label: str, *, go_on: str) -> str | None:
        """``go_on``: the next task comes with the answer, and perhaps the one ahead, as on the page."""
        store = self.service.store
        store.submit(task_id, person(name), choice(label), [TEAM] if go_on else None, ahead=go_on == "ahead")
        lease = store.next_for(person(name), [TEAM]) if go_on else None
        ahead = store.ahead_for(person(name), [TEAM]) if go_on == "ahead" and lease is not None else None
        assert lease is None or lease.task.task_id == self.service.tasks.desk(name).in_work
        assert ahead is None or ahead.task.task_id == self.service.tasks.desk(name).ahead
        return None if lease is None else lease.task.task_id

    @rule(label=LABELS, die_after=deaths)
    def everybody_answers(self, label: str, die_after: int | None) -> None:
        for name in ("ann", "bob", "eve"):
            self.answer(name, label, die_after if name == "bob" else None, twice=False)

    @rule(name=PEOPLE, which=st.integers(0, 9), die_after=deaths)
    def undo(self, name: str, which: int, die_after: int | None) -> None:
        recent = self.service.tasks.desk(name).recent
        if which >= len(recent):
            return
        task_id = recent[which].task_id
        try:
            self._run(lambda: self.service.store.undo(task_id, person(name), [TEAM]), die_after)
        except TaskRefused:
            return
        if name not in self.service.read(task_id).answers:
            del self.given[task_id][name]

    @rule(name=PEOPLE, reason=st.sampled_from(SkipReason), die_after=deaths)
    def skip(self, name: str, reason: SkipReason, die_after: int | None) -> None:
        task_id = self.service.tasks.desk(name).in_work
        if task_id is not None:
            self._run(lambda: self.service.store.skip(task_id, person(name), reason, "why"), die_after)

    @rule(name=PEOPLE, die_after=deaths)
    def sign_out(self, name: str, die_after: int | None) -> None:
        self._run(lambda: self.service.store.give_back(person(name)), die_after)

    @rule(seconds=st.sampled_from([1, 59, 3_599, 80_000]))
    def wait(self, seconds: int) -> None:
        self.service.wait(seconds)

    @rule(seconds=st.sampled_from([0, 60, 60, 60, 3_600]), die_after=deaths)
    def sweep(self, seconds: int, die_after: int | None) -> None:
        self.service.wait(seconds)
        self._run(self.service.sweep, die_after)

    @invariant()
    def everybody_holds_what_their_desk_says(self) -> None:
        if not hasattr(self, "service"):
            return
        tasks = self._tasks()
        for name in ("ann", "bob", "eve"):
            desk = self.service.tasks.desk(name)
            held = [one for one in (desk.in_work, desk.ahead) if one is not None]
            assert sorted(held) == sorted(task.task_id for task in tasks if name in task.leases)
        for task in tasks:
            wanted = self.given.get(task.task_id, {})
            assert {name: one.label for name, one in task.answers.items()} == wanted, "an answer was lost or invented"
            assert len(task.assignments) <= task.most

    def teardown(self) -> None:
        if not hasattr(self, "service"):
            return
        self.table.index_comes_up()
        try:
            for name in ("ann", "bob", "eve") if self.drained else ():
                self.answer_all_that_is_left(name, "Good")
        finally:
            self.patch.undo()
        self.service.wait(90_000)
        for _ in range(3):
            self.service.sweep()
            self.service.wait(61)
        for task_id, review_id in self.asked.items():
            task = self.service.read(task_id)
            assert task.state is State.ENDED
            sent = {message for message in self.service.sent if message.review_id == review_id}
            assert len(sent) == 1, "however often it came, it always said the same"
            self._agrees(next(iter(sent)), task_id, review_id)
        assert all(self.service.read(task_id).state is State.ENDED for task_id in self.in_bulk)

    def _agrees(self, ended: ReviewEnded, task_id: str, review_id: str) -> None:
        given = self.given.get(task_id, {})
        files = [json.loads(body) for key, body in self.service.files.items() if f"/{review_id}/" in key]
        assert len(files) == bool(given)
        for document in files:
            stored = {one["workerId"]: one["answerContent"]["category"]["label"] for one in document["humanAnswers"]}
            assert stored == given
        completed = len(given) >= self.service.read(task_id).wanted
        assert (ended.status is ReviewStatus.COMPLETED) == completed
        if completed:
            assert {one.worker_id: one.label for one in ended.answers or ()} == {
                name: {"Good": "positive", "Bad": "negative"}[label] for name, label in given.items()
            }


HostedTasks.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestHostedTasks = HostedTasks.TestCase
