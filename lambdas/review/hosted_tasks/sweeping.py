"""What time does to tasks: leases run out, answers become final, tasks expire, and an ending that broke off is finished."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from lambdas.review.hosted_tasks import desk as desks
from lambdas.review.hosted_tasks.table import TaskTable
from lambdas.review.hosted_tasks.task import NotPossible, State, Task, advance

_TRIES = 5


def move_on(table: TaskTable, task_id: str, change: Callable[[Task], Task], finish: Callable[[Task], None]) -> bool:
    """Change a task as it is now, free the desks of those who lose it, and finish it if it ends.

    Returns False when another request changed the task first, each time. The next sweep tries again.
    """
    for _ in range(_TRIES):
        task = table.task(task_id)
        if task is None:
            return True
        try:
            after = change(task)
        except NotPossible:
            after = task
        if after is not task:
            gone = task.leases.keys() - after.assignments.keys()
            freed = [desks.given_back(table.desk(worker), after) for worker in sorted(gone)]
            if not table.commit(after, *freed):
                continue
            after = replace(after, version=after.version + 1)
        if after.state is State.ENDING:
            finish(after)
        return True
    return False


def sweep(table: TaskTable, now: int, finish: Callable[[Task], None], *, most: int | None = None) -> tuple[int, int]:
    """Move every task on that is due; returns how many were, and how many could not be (somebody works on them).

    Raises:
        Exception: what ``finish`` raised at last; the other tasks are done.
    """
    moved, busy, failure = 0, 0, None
    for seen in table.due(now):
        if most is not None and moved + busy >= most:
            break
        try:
            done = move_on(table, seen.task_id, lambda task: advance(task, now), finish)
        except Exception as error:  # one task that cannot be finished must not keep the others
            failure = error
            continue
        moved, busy = moved + done, busy + (not done)
    if failure is not None:
        raise failure
    return moved, busy
