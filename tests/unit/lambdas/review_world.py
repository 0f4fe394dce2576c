"""Everything between an unsure prediction and its label, in memory: queues with dead letters, the table, buckets, a backend and its people.

The functions' own handlers run in it. Each of their side effects may be the last thing that a function does, may be throttled, or may
happen without the function hearing of it.
"""

from __future__ import annotations

import itertools
import json
import logging
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from botocore.exceptions import ClientError
from hosted_service import LABELS, TEAM, TERMS, Service, choice, person
from memory_table import MemoryTable
from review_fakes import CONTEXT, FakeStore, prediction

from lambdas.common.observability import metrics
from lambdas.common.predictions import Forgotten, Prediction, StoredPrediction
from lambdas.common.review import ReviewState, parse_review_id
from lambdas.review.a2i import A2iStarter
from lambdas.review.a2i_ended import handler as a2i_ended
from lambdas.review.collect_review import handler as collect_review
from lambdas.review.hosted import Adaptive, HostedStarter
from lambdas.review.hosted_tasks.items import task_of
from lambdas.review.hosted_tasks.taking import Busy
from lambdas.review.hosted_tasks.task import State, Task
from lambdas.review.port import ReviewStarter, ReviewStatus
from lambdas.review.reconcile import handler as reconcile
from lambdas.review.start_review import handler as start_review
from review_page.tasks import SkipReason, TaskRefused

REQUESTS, A2I_ENDED, RESULTS = "review-requests", "a2i-ended", "review-results"
MAX_RECEIVES = 5
"""As in ``stacks/constructs/review_queue.py``, which imports the CDK."""
QUEUES = (REQUESTS, A2I_ENDED, RESULTS)
PEOPLE = ("ann", "bob", "eve")
BACKENDS = ("a2i", "hosted")
_HANDLERS = {REQUESTS: start_review.handler, A2I_ENDED: a2i_ended.handler, RESULTS: collect_review.handler}
_LONG_AGO = "2025-01-01T00:00:00+00:00"


class Killed(BaseException):
    """The function is killed here: what was written stays, and nothing follows."""


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "not now"}}, "Operation")


@dataclass(frozen=True)
class Fault:
    """What hits a function at its ``after``-th step. A side effect has two: before it happens, and after it."""

    after: int
    kills: bool


@dataclass
class Message:
    body: str
    number: int
    receives: int = 0


@dataclass
class Queue:
    """Messages come in any order; one that was received too often is a dead letter."""

    waiting: list[Message] = field(default_factory=list)
    dead: list[Message] = field(default_factory=list)

    def receive(self, most: int, chance: random.Random) -> list[Message]:
        chance.shuffle(self.waiting)
        taken, self.waiting = self.waiting[:most], self.waiting[most:]
        for one in taken:
            one.receives += 1
        self.dead += [one for one in taken if one.receives > MAX_RECEIVES]
        return [one for one in taken if one.receives <= MAX_RECEIVES]

    def redrive(self) -> None:
        """As an operator does."""
        self.waiting += [replace(one, receives=0) for one in self.dead]
        self.dead = []


@dataclass
class Loop:
    """A human loop of A2I."""

    content: str
    status: str = "InProgress"
    answers: dict[str, str] = field(default_factory=dict)


class Store(FakeStore):
    """The prediction table. Each of its writes is a side effect."""

    effect: Callable[[], AbstractContextManager[None]]

    def put(self, one: Prediction) -> bool:
        with self.effect():
            return super().put(one)

    def mark_in_review(self, prediction_id: str, review_id: str, attempt: int, *, asked_at: str) -> bool:
        with self.effect():
            return super().mark_in_review(prediction_id, review_id, attempt, asked_at=asked_at)

    def mark_waiting(self, prediction_id: str) -> bool:
        with self.effect():
            return super().mark_waiting(prediction_id)

    def mark_chosen(self, prediction_id: str, *, chosen_at: str) -> bool:
        with self.effect():
            return super().mark_chosen(prediction_id, chosen_at=chosen_at)

    def mark_dead_lettered(self, prediction_id: str, attempt: int, reason: str, *, next_attempt: int) -> bool:
        with self.effect():
            return super().mark_dead_lettered(prediction_id, attempt, reason, next_attempt=next_attempt)

    def store_label(self, prediction_id: str, *arguments: Any, **more: Any) -> bool:
        with self.effect():
            return super().store_label(prediction_id, *arguments, **more)

    def forget(self, prediction_id: str, forgotten: Forgotten) -> None:
        with self.effect():
            super().forget(prediction_id, forgotten)

    def open_reviews(self, state: ReviewState, *, newest_first: bool = False) -> Iterator[StoredPrediction]:
        found = [item for item in self.items.values() if item["review_state"] == state.value]
        yield from map(StoredPrediction.parse, reversed(found) if newest_first else found)

    def labels_of_day(self, day: str, *, newest_first: bool = False) -> Iterator[StoredPrediction]:
        yield from ()

    def disputed(self) -> Iterator[StoredPrediction]:
        yield from ()


class World:
    """``backend``: one of :data:`BACKENDS`. ``down``: it answers nothing, neither to functions nor to people. ``budget``: texts a day; 0:
    there is none."""

    def __init__(self, backend: str, *, adaptive: bool = False, seed: int = 1, budget: int = 0) -> None:
        self.backend, self.down, self.budget = backend, False, budget
        self.now = datetime(2026, 11, 23, 23, 59, tzinfo=UTC)
        """By the reconciler's clock. The end of a day, so all of its budget can be given out."""
        self.spent = "none"
        self.chance = random.Random(seed)  # noqa: S311  (a repeatable draw)
        self.queues = {name: Queue() for name in QUEUES}
        self.lines: dict[str, bytes] = {}
        self.loops: dict[str, Loop] = {}
        self.asked: set[str] = set()
        self.forgotten: set[str] = set()
        self.labelled_before = 0
        """Labels of predictions that were forgotten later."""
        self.poison: list[str] = []
        self.store = Store()
        self.store.effect = self._effect
        self._numbers, self._fault = itertools.count(1), None
        terms = replace(TERMS, adaptive=Adaptive(0.85, 0.8, 0.2)) if adaptive else TERMS
        self.service = Service(MemoryTable(), terms)
        self.service.table.before_write = self._table_step
        self.service.table.after_write = self._step
        self.service.send = lambda ended: self._send(RESULTS, ended.to_json())  # type: ignore[method-assign]
        write = self.service.write
        self.service.write = lambda key, body: self._do(lambda: write(key, body))  # type: ignore[method-assign]
        self.service.ports = type(self.service.ports)(self.service.tasks, self.service.write, self.service.send)
        self._patches = ExitStack()
        self._enter()

    def close(self) -> None:
        self._patches.close()

    # -- what happens ------------------------------------------------------------------------------

    def predict(self, *, stored: bool = True, queued: bool = True) -> str:
        """An unsure answer of the model. One of the two places is enough, as the caller is told that it goes to people."""
        number = next(self._numbers)
        named = {"prediction_id": f"p{number}", "text": f"text {number}", "subject": f"s{number}"}
        made = replace(prediction(), **named, confidence=0.7, created_at=_LONG_AGO)
        waits = bool(self.budget and stored)
        if stored:
            FakeStore.put(self.store, replace(made, review_state=ReviewState.WAITING) if waits else made)
        if queued and not waits:
            self._put(REQUESTS, made.review_request().to_json())
        self.asked.add(made.prediction_id)
        return made.prediction_id

    def forget(self) -> None:
        """As ``labels forget`` does it. The tasks stay, as if people answered in the same moment, and so do messages."""
        known = sorted(self.asked - self.forgotten)
        if not known:
            return
        one, gone = self.chance.choice(known), Forgotten("2025-06-01T00:00:00+00:00", 1_900_000_000)
        self.forgotten.add(one)
        self.store.forget_subject(f"s{one[1:]}", gone)
        if one in self.store.items:
            self.labelled_before += self.store.items[one]["review_state"] == "reviewed"
            FakeStore.forget(self.store, one, gone)

    def deliver(self, name: str, most: int = 10, fault: Fault | None = None) -> None:
        """A batch of a queue goes to its function. What the function does not answer for comes again."""
        queue = self.queues[name]
        batch = queue.receive(most, self.chance)
        if not batch:
            return
        failed = {str(one.number) for one in batch}
        with suppress(Killed), self._hit_by(fault):
            answer = _HANDLERS[name]({"Records": [_record(one) for one in batch]}, CONTEXT)
            failed = {one["itemIdentifier"] for one in answer["batchItemFailures"]}
        queue.waiting += [one for one in batch if str(one.number) in failed]

    def deliver_twice(self, name: str) -> None:
        """A queue may deliver a message once more than it should."""
        if self.queues[name].waiting:
            self._put(name, self.chance.choice(self.queues[name].waiting).body)

    def poisoned(self, name: str, body: str) -> None:
        self.poison.append(body)
        self._put(name, body)

    def reconcile(self, fault: Fault | None = None) -> None:
        with suppress(Killed, ClientError, reconcile.NotSentAgain), self._hit_by(fault):
            reconcile.handler({}, CONTEXT)

    def next_day(self) -> None:
        self.now += timedelta(days=1)

    def people_answer(self, most: int, label: str, fault: Fault | None = None, *, with_skipped: bool = False) -> None:
        """As many answers of each person, or as many loops."""
        if self.backend == "a2i":
            waiting = [] if self.down else [name for name, loop in self.loops.items() if loop.status == "InProgress"]
            for name in waiting[:most]:
                self._loop_ends(name, "Completed", {one: label for one in PEOPLE if one != "eve" or self.chance.random() < 0.5})
            return
        with suppress(Killed, ClientError, TaskRefused, Busy), self._hit_by(fault):
            for name in PEOPLE:
                for _ in range(most):
                    task_id = self.service.next(name, with_skipped=with_skipped)
                    if task_id is None:
                        break
                    self._submit(task_id, name, label)

    def _submit(self, task_id: str, name: str, label: str) -> None:
        """As the page does: an answer alone, with the next task, or with the one ahead, too."""
        go_on = self.chance.choice(("", "next", "ahead"))
        self.service.store.submit(task_id, person(name), choice(label), [TEAM] if go_on else None, ahead=go_on == "ahead")

    def people_hesitate(self, name: str, fault: Fault | None = None) -> None:
        """Somebody takes a task and skips it, or takes an answer back."""
        if self.backend == "a2i":
            return
        store = self.service.store
        with suppress(Killed, ClientError, TaskRefused, Busy), self._hit_by(fault):
            recent = self.service.tasks.desk(name).recent
            if recent and self.chance.random() < 0.5:
                store.undo(recent[0].task_id, person(name), ["reviewers"])
            elif (task_id := self.service.next(name)) is not None:
                store.skip(task_id, person(name), SkipReason.UNCLEAR)

    def review_fails(self) -> None:
        """A loop of A2I fails; the tasks of the hosted service are too old all at once."""
        if self.backend == "hosted":
            self.service.wait(90_000)
            return
        running = [name for name, loop in self.loops.items() if loop.status == "InProgress"]
        if running:
            self._loop_ends(self.chance.choice(running), "Failed", {})

    def sweep(self, seconds: float, fault: Fault | None = None) -> None:
        self.service.wait(seconds)
        with suppress(Killed, ClientError), self._hit_by(fault):
            self.service.sweep()

    def recovers(self) -> None:
        """Everything works again, an operator redrives what lies among the dead letters, and people answer all that they are asked."""
        self.down = False
        for _ in range(12):
            self.next_day()
            self.reconcile()
            for queue in self.queues.values():
                queue.redrive()
            for _ in range(MAX_RECEIVES + 1):
                for name, queue in self.queues.items():
                    for _ in range(len(queue.waiting) // 10 + 1):
                        self.deliver(name)
            self.people_answer(len(self.asked), "Good", with_skipped=True)
            self.sweep(61)
            self.sweep(61)

    # -- what must hold ----------------------------------------------------------------------------

    def lost(self) -> list[str]:
        """Predictions that nothing leads to a label any more: no request, no open review, no message and no dead letter."""
        named = self._named()
        on_their_way = named | self._open()
        lost = []
        for one in self.asked:
            state = self.store.items.get(one, {}).get("review_state")
            kept = {
                None: one in named,
                "waiting": bool(self.budget),
                "not_chosen": False,
                "requested": True,
                "in_review": one in on_their_way,
                "dead_lettered": one in named,
            }
            if not kept.get(state, True):
                lost.append(f"{one}: {state}")
        return lost

    def over_budget(self) -> dict[str, int]:
        """Days on which more texts were chosen than there were places."""
        days = Counter(item["chosen_at"][:10] for item in self.store.items.values() if "chosen_at" in item)
        return {day: number for day, number in days.items() if number > self.budget}

    def wrong(self) -> list[str]:
        """Labels that are not what the people of one review said, and ground-truth lines that say something else."""
        said = self._said()
        wrong = []
        for one, item in self.store.items.items():
            if item["review_state"] == "reviewed":
                given = sorted((answer["worker_id"], answer["label"]) for answer in item["answers"])
                if given not in said.get(one, []):
                    wrong.append(f"{one}: {given}")
        for key, body in self.lines.items():
            one, label = key.rsplit("/", 1)[-1].removesuffix(".jsonl"), json.loads(body)["groundTruthData"]["data"]
            if self.store.items[one].get("human_label", label) != label:
                wrong.append(f"{key}: {label}")
        return wrong

    def labelled(self) -> int:
        """How often a label was stored."""
        return self.store.writes

    def brought_back(self) -> list[str]:
        """Forgotten predictions of which a text is kept, or that people are asked about."""
        found = {one: self.store.items.get(one, {}) for one in self.forgotten}
        return [one for one, item in found.items() if "text" in item or item.get("review_state", "forgotten") != "forgotten"]

    def reviewed(self) -> set[str]:
        return {one for one, item in self.store.items.items() if item["review_state"] == "reviewed"}

    def _named(self) -> set[str]:
        """Predictions that a message of any queue is about."""
        found = set()
        for queue in self.queues.values():
            for one in (*queue.waiting, *queue.dead):
                if one.body not in self.poison:
                    found.add(_about(json.loads(one.body)))
        return found

    def _open(self) -> set[str]:
        """Predictions that the backend asks people about."""
        running = (name for name, loop in self.loops.items() if loop.status == "InProgress")
        return set(map(_prediction_of, (*running, *(task.review_id for task in self._tasks() if task.state is not State.ENDED))))

    def _said(self) -> dict[str, list[list[tuple[str, str]]]]:
        """Prediction -> the answers to each of its reviews that were completed, by worker, as label ids."""
        ids = dict(zip(LABELS.shown, LABELS.ids, strict=True))
        given = {name: loop.answers for name, loop in self.loops.items() if loop.status == "Completed"}
        for task in self._tasks():
            if task.status is ReviewStatus.COMPLETED:
                given[task.review_id] = {worker: str(one.label) for worker, one in task.answers.items()}
        found: dict[str, list[list[tuple[str, str]]]] = {}
        for name, answers in given.items():
            found.setdefault(_prediction_of(name), []).append(sorted((worker, ids[label]) for worker, label in answers.items()))
        return found

    def _tasks(self) -> list[Task]:
        return [task_of(item) for (_, sk), item in self.service.table.items.items() if sk == "task"]

    # -- how it is made ----------------------------------------------------------------------------

    def _enter(self) -> None:
        def also(module: Any, **names: Any) -> None:
            self._patches.enter_context(patch.multiple(module, **names))

        # Nothing is said of what happens: there is much, and it would take most of the time.
        also(metrics.provider, namespace="test", service="test", flush_metrics=lambda **_: metrics.provider.clear_metrics())
        logging.disable(logging.CRITICAL)
        self._patches.callback(logging.disable, logging.NOTSET)
        requests = start_review.Environment("table", f"{REQUESTS}-dlq", self.backend, "target", MAX_RECEIVES, "/dataset", self.budget)
        results = collect_review.Environment("table", f"{REQUESTS}-dlq", "capture", "/dataset")
        also(start_review, _environment=lambda: requests, _store=lambda: self.store, _starter=self._starter, client=self._client)
        also(collect_review, _environment=lambda: results, client=self._client, current_labels=lambda *_: LABELS)
        also(collect_review, prediction_store=lambda *_, **__: self.store)
        also(a2i_ended, _environment=lambda: a2i_ended.Environment(RESULTS), client=self._client)
        again = reconcile.Environment("table", REQUESTS, 0, 10**9, self.budget, "spent", 10**9)
        also(reconcile, _environment=lambda: again, _store=lambda: self.store, client=self._client, _now=lambda: self.now)

    def _starter(self) -> ReviewStarter:
        if self.backend == "a2i":
            return A2iStarter(self._client("sagemaker-a2i-runtime"), "arn:flow", LABELS)
        return HostedStarter(self.service.tasks, self.service.terms, LABELS, lambda: self.service.now / 1_000)

    def _client(self, service: str) -> Any:
        if service == "sqs":
            return SimpleNamespace(send_message=lambda *, QueueUrl, MessageBody, **_: self._send(QueueUrl, MessageBody))  # noqa: N803
        if service == "s3":
            return SimpleNamespace(put_object=self._put_object, get_object=self._get_object, exceptions=SimpleNamespace(NoSuchKey=KeyError))
        if service == "ssm":
            return SimpleNamespace(
                get_parameter=lambda **_: {"Parameter": {"Value": self.spent}},
                put_parameter=lambda *, Value, **_: self._do(lambda: setattr(self, "spent", Value)),  # noqa: N803
                exceptions=SimpleNamespace(ParameterNotFound=KeyError),
            )
        return SimpleNamespace(start_human_loop=self._start_loop, describe_human_loop=self._describe_loop)

    def _put_object(self, *, Bucket: str, Key: str, Body: bytes, **_: Any) -> None:  # noqa: N803
        assert Bucket == "capture"
        self._do(lambda: self.lines.__setitem__(Key, Body))

    def _get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        return {"Body": SimpleNamespace(read=lambda: self.service.files[f"{Bucket}/{Key}"])}

    def _start_loop(self, *, HumanLoopName: str, FlowDefinitionArn: str, HumanLoopInput: Mapping[str, str]) -> None:  # noqa: N803
        if self.down:
            raise refusal("ServiceUnavailable")

        def begin() -> None:
            loop = self.loops.setdefault(HumanLoopName, Loop(HumanLoopInput["InputContent"]))
            if loop.content != HumanLoopInput["InputContent"]:
                raise refusal("ConflictException")

        self._do(begin)

    def _describe_loop(self, *, HumanLoopName: str) -> None:  # noqa: N803
        assert HumanLoopName in self.loops

    def _loop_ends(self, name: str, status: str, answers: Mapping[str, str]) -> None:
        """A2I writes ``output.json`` and an event, and both arrive: that is the service's promise, not ours."""
        loop = self.loops[name]
        loop.status, loop.answers = status, dict(answers)
        key = f"review/a2i/{name}/output.json"
        detail = {"humanLoopName": name, "humanLoopStatus": status, "humanLoopOutput": {"outputS3Uri": f"s3://{key}"}}
        if status == "Completed":
            given = [{"workerId": one, "answerContent": choice(label), "timeSpentInSeconds": 2.0} for one, label in loop.answers.items()]
            content = {"humanAnswers": given, "humanLoopName": name, "inputContent": json.loads(loop.content)}
            self.service.files[key] = json.dumps(content).encode()
        else:
            detail["failureReason"] = "nobody came"
        self._put(A2I_ENDED, json.dumps({"time": "2026-11-23T11:59:59Z", "detail": detail}))

    def _send(self, url: str, body: str) -> None:
        name = url.removesuffix("-dlq")
        self._do(lambda: self._put(name, body, dead=url != name))

    def _put(self, name: str, body: str, *, dead: bool = False) -> None:
        queue = self.queues[name]
        (queue.dead if dead else queue.waiting).append(Message(body, next(self._numbers)))

    @contextmanager
    def _hit_by(self, fault: Fault | None) -> Iterator[None]:
        self._fault = None if fault is None else [fault.after, fault.kills]
        try:
            yield
        finally:
            self._fault = None

    @contextmanager
    def _effect(self) -> Iterator[None]:
        self._step()
        yield
        self._step()

    def _do(self, effect: Callable[[], Any]) -> None:
        with self._effect():
            effect()

    def _table_step(self) -> None:
        if self.down:
            raise refusal("ServiceUnavailable")
        self._step()

    def _step(self) -> None:
        """Whoever is killed is killed once; who is throttled is throttled from here on, until the function's end."""
        if self._fault is None:
            return
        self._fault[0] -= 1
        if self._fault[0] >= 0:
            return
        if self._fault[1]:
            self._fault = None
            raise Killed
        raise refusal("ThrottlingException")


def _about(message: Mapping[str, Any]) -> str:
    if "detail" in message:
        return _prediction_of(message["detail"]["humanLoopName"])
    return str(message["prediction_id"]) if "prediction_id" in message else _prediction_of(message["review_id"])


def _prediction_of(review_id: str) -> str:
    named = parse_review_id(review_id)
    assert named is not None
    return named[0]


def _record(one: Message) -> dict[str, Any]:
    return {
        "messageId": str(one.number),
        "receiptHandle": "r",
        "body": one.body,
        "attributes": {"ApproximateReceiveCount": str(one.receives)},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:queue",
        "awsRegion": "us-east-1",
    }
