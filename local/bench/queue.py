"""Taking the next review task from a long queue: how long it takes, how many queries it is, and whether two people ever get one task."""

from __future__ import annotations

import gc
import json
import random
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from html import escape
from types import SimpleNamespace
from typing import Any

from rich.table import Table

from embedded_aws.tools.launcher import ROOT
from lambdas.common.answers_wanted import AnswerRule
from lambdas.review.hosted_tasks import desk as desks
from lambdas.review.hosted_tasks.store import HostedTasks
from lambdas.review.hosted_tasks.table import TaskTable
from lambdas.review.hosted_tasks.task import Task, answer, take, task_id_of
from local.bench.ordered_table import NAME, OrderedTable
from review_page.answers import Worker
from stacks.names import REVIEWERS

GOAL_MS = 50.0
"""The 99th percentile that taking a task must stay below."""
AHEAD = 1_000
"""Tasks that one reviewer has answered and nobody else has."""
_TAKES_AHEAD = 200
_WARM_UP = 5
_EMPTY_TEAM = "nobody"
_TEXT = "The room was clean, and the people at the desk were friendly. But we waited an hour for the key. "


class MorePeopleThanTasks(ValueError):
    """Some would get none, so nothing could be said of the queue."""


@dataclass(frozen=True)
class Taken:
    """``task_id`` None: they were told that nothing waits.

    ``cpu`` is the function's own CPU time in seconds, without the table's; ``requests`` are those to the table, by operation.
    """

    task_id: str | None
    cpu: float
    requests: Mapping[str, int]

    @property
    def lost(self) -> int:
        """The number of times that somebody else was quicker, so the write was refused."""
        return self.requests["TransactWriteItems"] - (self.task_id is not None)


def measure(tasks: int, takes: int, reviewers: int, on_step: Callable[[str, int], None]) -> dict[str, Any]:
    """Open ``tasks`` tasks for one answer each, and take some of them by the page's own code and boto3's client.

    Args:
        takes: people who take a task one after the other; their times are the figures.
        reviewers: people who take one all at the same moment.
        on_step: is told what is done, and how much more of it.

    Raises:
        MorePeopleThanTasks: more people than tasks.
    """
    if takes + _WARM_UP + reviewers > tasks:
        raise MorePeopleThanTasks(f"{takes + _WARM_UP + reviewers} people take one task each: open more than {tasks}")
    table = OrderedTable()
    _fill(table, tasks, on_step)
    shared = table.resource()
    one_by_one = [_take(table, shared, f"one-{number}", on_step) for number in range(takes + _WARM_UP)][_WARM_UP:]
    together = _together(table, reviewers, on_step)
    first_ahead, *ahead = _ahead(AHEAD, _TAKES_AHEAD, on_step)
    taken = [one.task_id for one in (*one_by_one, *together) if one.task_id is not None]
    times, at_once = (spread([one.cpu * 1_000 for one in group]) for group in (one_by_one, together))
    return {
        "open_tasks": tasks,
        "takes": takes,
        "own_ms": times,
        "goal_ms": GOAL_MS,
        "goal_reached": times["p99"] < GOAL_MS,
        "queries_per_take": max(one.requests["Query"] for one in one_by_one),
        "requests_per_take": max(sum(one.requests.values()) for one in one_by_one),
        "at_once": reviewers,
        "at_once_own_ms": at_once,
        "at_once_goal_reached": at_once["p99"] < GOAL_MS,
        "at_once_requests": max(sum(one.requests.values()) for one in together),
        "at_once_queries": spread([one.requests["Query"] for one in together]),
        "at_once_lost_writes": spread([one.lost for one in together]),
        "ahead": AHEAD,
        "ahead_first_queries": first_ahead,
        "ahead_queries": spread(ahead),
        "taken_twice": sum(count - 1 for count in Counter(taken).values()),
        "got_none": takes + reviewers - len(taken),
    }


def steps(tasks: int, takes: int, reviewers: int) -> int:
    """How many :func:`measure` tells of."""
    return tasks + takes + _WARM_UP + reviewers + AHEAD + 2 * _TAKES_AHEAD


def _ahead(answered: int, takes: int, on_step: Callable[[str, int], None]) -> list[int]:
    """Queries of each take of somebody who has answered so many tasks that all wait for a second answer.

    The desk knows nothing of these at the first take.
    """
    made, name = OrderedTable(), "ahead"
    resource = made.resource()
    _fill(made, answered + takes, on_step, answers=2, answered_by=[name] * answered)
    tasks, queries = TaskTable(resource, 30), list[int]()
    for _ in range(takes):
        taken = _take(made, resource, name, on_step)
        queries.append(taken.requests["Query"])
        if taken.task_id is None:
            raise RuntimeError("nothing waits for somebody who is ahead")
        task, now = tasks.task(taken.task_id), int(time.time() * 1_000)
        if task is not None:
            tasks.commit(answer(task, name, "Good", now), desks.answered(tasks.desk(name), task.task_id, 0, now))
    return queries


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, 99th percentile and largest, with three digits after the point."""
    percentiles = statistics.quantiles(values, n=100, method="inclusive") if len(values) > 1 else [*values] * 99
    return {"p50": round(percentiles[49], 3), "p99": round(percentiles[98], 3), "max": round(max(values), 3)}


def table(content: Mapping[str, Any]) -> Table:
    title = f"the next of {content['open_tasks']:,} open tasks: own CPU time in ms"
    made = Table("", "p50", "p99", "max", "most requests", "most lost", title=title)
    for who, name, requests, lost in (
        (f"{content['takes']} people, one by one", "own_ms", content["requests_per_take"], 0),
        (f"{content['at_once']} people at once", "at_once_own_ms", content["at_once_requests"], content["at_once_lost_writes"]["max"]),
    ):
        made.add_row(who, *(f"{content[name][figure]:,.1f}" for figure in ("p50", "p99", "max")), str(requests), f"{lost:.0f}")
    return made


def _fill(
    table: OrderedTable, tasks: int, on_step: Callable[[str, int], None], *, answers: int = 1, answered_by: Sequence[str] = ()
) -> None:
    """``answered_by``: whoever has answered the first task, the second one, and so on."""
    now, store = int(time.time() * 1_000), TaskTable(_Filled(table), 30)
    for number in range(tasks):
        task = Task(
            task_id_of(f"bench-{number}"), f"bench-{number}", REVIEWERS, "Choose", "Read it.", now + number, now + 86_400_000, 3_600_000,
            60_000, AnswerRule.FIXED, answers,
        )  # fmt: skip
        for worker in answered_by[number : number + 1]:
            task = answer(take(task, worker, worker, now), worker, "Good", now)
        store.add(task, {"text": f"{number}: {_TEXT * 5}", "labels": ["Good", "Bad"]})
        on_step("tasks are opened", 1)


class _Filled:
    """What :class:`TaskTable` needs of a boto3 Table to open new tasks; each is laid into the table without a request."""

    name = NAME

    def __init__(self, table: OrderedTable) -> None:
        self._table = table
        self.meta = SimpleNamespace(client=self)

    def transact_write_items(self, *, TransactItems: Sequence[Mapping[str, Any]]) -> None:  # noqa: N803  (boto3's name)
        for one in TransactItems:
            self._table.put(one["Put"]["Item"])


def _take(
    table: OrderedTable, resource: Any, name: str, on_step: Callable[[str, int], None], start: threading.Barrier | None = None
) -> Taken:
    template = (ROOT / "stacks" / "constructs" / "worker_template.liquid").read_text(encoding="utf-8")
    chance = random.Random(name)  # noqa: S311  (no secret)

    def store() -> HostedTasks:
        return HostedTasks(TaskTable(resource, 30), partial(_html, template), _ended, lambda: int(time.time() * 1_000), chance)

    worker, asked = Worker(name, {"sub": name}, name), store()
    if start is not None:
        store().next_for(worker, [_EMPTY_TEAM])  # the client's first requests load what it keeps
        start.wait()
    with table.one_at_a_time():
        table.start_counting()
        began = time.thread_time()
        lease = asked.next_for(worker, [REVIEWERS])
        cpu = time.thread_time() - began - table.seconds
    on_step("tasks are taken", 1)
    return Taken(None if lease is None else lease.task.task_id, cpu, table.requests)


def _together(table: OrderedTable, reviewers: int, on_step: Callable[[str, int], None]) -> list[Taken]:
    start, resources = threading.Barrier(reviewers), [table.resource() for _ in range(reviewers)]
    gc.disable()  # a collection would read the table and all these clients, and one person's time would have it
    try:
        with ThreadPoolExecutor(reviewers) as pool:
            numbers = range(reviewers)
            return list(pool.map(lambda number: _take(table, resources[number], f"together-{number}", on_step, start), numbers))
    finally:
        gc.enable()


def _html(template: str, task_input: Mapping[str, Any]) -> str:
    """The worker template's two values, without Liquid: that is in the function's own layer only."""
    labels = escape(json.dumps(task_input["labels"]))
    return template.replace("{{ task.input.labels | to_json | escape }}", labels).replace(
        "{{ task.input.text }}", escape(task_input["text"])
    )


def _ended(task: Task) -> None:
    raise RuntimeError(f"task {task.task_id} ended, and nobody has answered it")
