"""Recorded raters at the hosted review page: each one signs in as a person does, and answers what the page shows with a recorded vote.

The k-th rater takes the k-th drawn vote of a text, as in the embedded A2I, so a run can be repeated. A text without such a vote is skipped.
A rater who is told that nothing waits goes back to the page once there is a task for them, as a person does whom a mail calls. A small
query tells them so. The page would make several requests to the table for each look.
"""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from botocore.exceptions import BotoCoreError, ClientError

from contracts.shared_words import OPEN_TASKS
from lambdas.review.review_page.sessions import worker_id_of
from local.demo.people_page import PageFailed, Reviewer, Visitor
from local.demo.session import DemoFailed, Session
from stacks.names import REVIEWERS

PASSWORD = "Reviewer-Local-1"  # noqa: S105  (of a pool that lives on this machine until the end of the run)
IDLE_SECONDS = 0.5
_MOST_FAILURES = 20


def draw(votes: Sequence[str], text: str, seed: int) -> list[str]:
    """The recorded votes of a text in the order in which its raters take them, drawn without replacement."""
    key = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
    return random.Random(f"{seed}:{key}").sample(list(votes), len(votes))  # noqa: S311  (a repeatable draw, no secret)


@dataclass
class HostedRaters:
    """``votes``: text -> names of labels."""

    session: Session
    votes: Mapping[str, Sequence[str]]
    seed: int
    failure: str = ""
    _over: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Make as many accounts as people answer one text, sign all of them in, and let them work.

        Raises:
            DemoFailed: one cannot sign in.
        """
        raters = [self._signed_in(f"rater-{number}") for number in range(1, self.session.settings.review.workers_per_task + 1)]
        for number, (rater, worker_id) in enumerate(raters):
            thread = threading.Thread(target=self._work, args=(number, rater, worker_id), name=f"rater-{number + 1}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(timeout=10)

    def _signed_in(self, name: str) -> tuple[Reviewer, str]:
        """Their page, and their worker id."""
        outputs, cognito = self.session.outputs[self.session.names.stack("review")], self.session.client("cognito-idp")
        pool = outputs["UserPoolId"]
        user = cognito.admin_create_user(UserPoolId=pool, Username=name, MessageAction="SUPPRESS")["User"]
        [sub] = [one["Value"] for one in user["Attributes"] if one["Name"] == "sub"]
        cognito.admin_set_user_password(UserPoolId=pool, Username=name, Password=PASSWORD, Permanent=True)
        cognito.admin_add_user_to_group(UserPoolId=pool, Username=name, GroupName=REVIEWERS)
        rater = Reviewer(Visitor(self.session.emulator.port), outputs["ReviewPageUrl"])
        try:
            rater.sign_in(name, PASSWORD)
        except (PageFailed, OSError) as error:
            raise DemoFailed(f"the review page lets nobody in: {error}; see {self.session.emulator.log_file}") from None
        return rater, worker_id_of(sub)

    def _work(self, number: int, rater: Reviewer, worker_id: str) -> None:
        failures, state = 0, {"task": None}
        while not self._over.is_set():
            try:
                if state["task"] is None:
                    state = rater.next()
                if state["task"] is None:
                    self._wait_for_work(worker_id)
                    continue
                state = self._answer(number, rater, state["task"]["id"])
                failures = 0
            except (PageFailed, OSError, ValueError, ClientError, BotoCoreError) as error:
                failures, state = failures + 1, {"task": None}
                self.failure = str(error)
                if failures >= _MOST_FAILURES:
                    return
                time.sleep(IDLE_SECONDS)

    def _wait_for_work(self, worker_id: str) -> None:
        """Until a task is open that the person may take."""
        while not self._over.wait(IDLE_SECONDS):
            found = self.session.client("dynamodb").query(
                TableName=self.session.names.review_tasks_table,
                IndexName=OPEN_TASKS,
                KeyConditionExpression="#queue = :team",
                FilterExpression="NOT contains(taken_by, :me) AND NOT contains(skipped_by, :me)",
                ExpressionAttributeNames={"#queue": "queue"},
                ExpressionAttributeValues={":team": {"S": REVIEWERS}, ":me": {"S": worker_id}},
                Select="COUNT",
            )
            if found["Count"]:
                return

    def _answer(self, number: int, rater: Reviewer, task_id: str) -> dict[str, object]:
        text = rater.text(task_id)
        drawn = draw(self.votes.get(text, ()), text, self.seed)
        return rater.answer(task_id, drawn[number]) if number < len(drawn) else rater.skip(task_id)
