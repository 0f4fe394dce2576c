"""Where labels and what belongs to a person lie in a stage: the prediction table, the review tasks, the current dataset version."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any
from unicodedata import normalize

from boto3.dynamodb.conditions import Attr, Key

from cli.account import Account
from contracts.amendments import CORRECT, CORRECTED, OVERLAP, PREFIX, Amendment, corrected_basis, group_digest, moment
from contracts.dataset import Manifest, Row
from contracts.dataset_files import MANIFEST, parse_rows
from contracts.groups import group_of
from lambdas.common.prediction_store import PredictionStore
from lambdas.common.predictions import Forgotten, StoredPrediction
from lambdas.common.s3_uri import newline_ended, read_bytes, split_uri
from lambdas.retraining.new_labels import labels_since
from lambdas.review.hosted_tasks.ending import output_key
from lambdas.review.hosted_tasks.table import TaskTable
from lambdas.review.hosted_tasks.task import task_id_of
from lambdas.review.settle import CannotSettle, settle

ROW = "prediction:"
"""What the id of a row of a prediction's label begins with."""
_CHUNK = 1 << 16
_LONGEST_MESSAGE = timedelta(days=30)
"""A queue keeps a message for 14 days, and as long once more after a redrive (SQS developer guide, "Dead-letter queues")."""
_TRIES = 5
"""To correct a record that somebody else changes each time."""


@dataclass(frozen=True)
class DatasetRow:
    split: str
    row: Row


@dataclass
class Stage:
    """Reads and changes; every change can be made again."""

    account: Account

    @cached_property
    def _predictions(self) -> Any:
        return self.account.session.resource("dynamodb").Table(self.account.names.predictions_table)

    @cached_property
    def _tasks(self) -> Any:
        return self.account.session.resource("dynamodb").Table(self.account.names.review_tasks_table)

    @property
    def store(self) -> PredictionStore:
        return PredictionStore(self._predictions)

    def labelled(self, since: str | None) -> Iterator[StoredPrediction]:
        """Records with a human label, in the order of ``reviewed_at``; ``since`` is ISO 8601 with zone."""
        days = self.account.settings.retention.prediction_days
        found = labels_since(self.store, since, now=datetime.now(UTC), lookback_days=days)
        return (one for one in found if since is None or (one.reviewed_at or "") > since)

    def exported(self, since: str | None) -> Iterator[StoredPrediction]:
        """As :meth:`labelled`, and before them the older labels that were corrected after ``since``: they keep their ``reviewed_at``."""
        if since is not None:
            after = moment(since)
            found = [one for one in map(self.store.get, self._corrected_after(after)) if one is not None and _is_corrected(one)]
            yield from sorted((one for one in found if (one.reviewed_at or "") <= since), key=lambda one: one.reviewed_at or "")
        yield from self.labelled(since)

    def _corrected_after(self, after: datetime) -> list[str]:
        """Predictions with a correction that S3 got after this time. A key has the time of its operator's clock, which may be behind."""
        s3, bucket = self.account.client("s3"), self.account.names.bucket("data")
        start = f"{PREFIX}{(after - OVERLAP).isoformat(timespec='milliseconds')}"
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=PREFIX, StartAfter=start)
        uris = [f"s3://{bucket}/{one['Key']}" for page in pages for one in page.get("Contents", ()) if one["LastModified"] > after]
        found = [Amendment.parse(read_bytes(s3, uri), uri) for uri in uris]
        return sorted({one.target.removeprefix(ROW) for one in found if one.kind == CORRECT and one.target.startswith(ROW)})

    def disputed(self, since: str | None) -> Iterator[StoredPrediction]:
        """Reviews that ended without a label, and that nobody has settled."""
        return (one for one in self.store.disputed() if since is None or (one.reviewed_at or "") > since)

    def dataset_rows(self) -> Iterator[DatasetRow]:
        """Every row of the current version, its key examples too; none before the first version."""
        uri = (self.account.parameter("dataset") or "none").rstrip("/")
        if uri == "none":
            return
        s3, where = self.account.client("s3"), f"{uri}/{MANIFEST}"
        for name in Manifest.parse(read_bytes(s3, where), where).files:
            split = name.partition("/")[0]
            if split == "reference":
                continue
            bucket, key = split_uri(f"{uri}/{name}")
            lines = newline_ended(s3.get_object(Bucket=bucket, Key=key)["Body"].iter_chunks(_CHUNK))
            yield from (DatasetRow(split, row) for row in parse_rows(lines, name))

    def amend(self, amendment: Amendment) -> None:
        """Keep it for the next dataset version."""
        bucket = self.account.names.bucket("data")
        body = amendment.to_json().encode()
        self.account.client("s3").put_object(Bucket=bucket, Key=amendment.key, Body=body, ContentType="application/json")

    def correct(self, stored: StoredPrediction, change: Amendment) -> bool:
        """The record's label; a disputed review is settled by it.

        A record that changed meanwhile is read again. False when it is gone, has a newer correction, or changes each time.
        """
        current: StoredPrediction | None = stored
        for _ in range(_TRIES):
            if current is None or current.reviewed_at is None or _is_newer(current, change):
                return False
            if self._correct(current, change):
                return True
            current = self.store.get(stored.prediction_id)
        return False

    def _correct(self, stored: StoredPrediction, change: Amendment) -> bool:
        """False when the record is no longer as it was read."""
        label = stored.given("label of the correction", change.label)
        if stored.human_label is None:
            return self._settle(stored, label, change)
        earlier = (stored.label_basis or {}).get("was") if (stored.label_basis or {}).get("method") == CORRECTED else None
        basis = {**corrected_basis(change, str(earlier or stored.human_label))}
        exceptions = self._predictions.meta.client.exceptions
        try:
            self._predictions.update_item(
                Key={"prediction_id": stored.prediction_id},
                UpdateExpression="SET human_label = :label, label_basis = :basis, review_outcome = :outcome",
                ExpressionAttributeValues={":label": label, ":basis": basis, ":outcome": f"corrected by {change.by}"},
                ConditionExpression=Attr("human_label").eq(stored.human_label),
            )
        except exceptions.ConditionalCheckFailedException:
            return False
        return True

    def _settle(self, stored: StoredPrediction, label: str, change: Amendment) -> bool:
        """Also writes the ground-truth line, but where no captured answer is to be joined with it, or the model had a part in the votes."""
        s3, bucket = self.account.client("s3"), self.account.names.bucket("capture")
        judges = stored.label is not None and stored.model_prior is None

        def write_ground_truth(key: str, body: bytes) -> None:
            if judges:
                s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/jsonlines")

        try:
            settle(
                stored.prediction_id,
                label,
                labels=[label],
                settled_by=change.by,
                store=self.store,
                write_ground_truth=write_ground_truth,
                now=change.at,
            )
        except CannotSettle:
            return False
        return True

    def of_subject(self, subject: str) -> list[StoredPrediction]:
        """All records about somebody. No index has the subject, so the whole table is read."""
        wanted = Attr("subject").is_in(sorted({subject, normalize("NFC", subject)}))
        arguments: dict[str, Any] = {"FilterExpression": wanted, "ConsistentRead": True}
        found: list[StoredPrediction] = []
        while True:
            page = self._predictions.scan(**arguments)
            found += map(StoredPrediction.parse, page["Items"])
            if "LastEvaluatedKey" not in page:
                return found
            arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def forgotten(self, at: str) -> Forgotten:
        """It is remembered for as long as anything may come back: a message of the review queues, or a file of a labelling job."""
        retention = self.account.settings.retention
        kept = max(timedelta(days=retention.prediction_days), timedelta(days=retention.review_days), _LONGEST_MESSAGE)
        return Forgotten(at, int((datetime.fromisoformat(at) + kept).timestamp()))

    def forget_subject(self, subject: str, forgotten: Forgotten) -> None:
        """Before the records are looked for: then no message and no import brings one back that was not there yet."""
        self.store.forget_subject(subject, forgotten)

    def delete(self, stored: StoredPrediction, forgotten: Forgotten) -> int:
        """The record, and of the hosted review its tasks and their answers; returns how many tasks there were.

        The record goes after its tasks: whoever is killed in between finds it again. A task that a message opened meanwhile goes then.
        """
        tasks = self._delete_tasks(stored)
        self.store.forget(stored.prediction_id, forgotten)
        return tasks + self._delete_tasks(stored)

    def tasks_about(self, subject: str) -> list[str]:
        """Ids of tasks, those of bulk labellings among them, and those whose prediction's record has expired."""
        return [] if self._task_table is None else self._task_table.about(digest_of(subject))

    def delete_task(self, task_id: str) -> int:
        """A task with its answers and its file; returns how many there were, 0 or 1."""
        return 0 if self._task_table is None else self._delete_task(self._task_table, task_id)

    @cached_property
    def _task_table(self) -> TaskTable | None:
        """None where there is none. A stage that has left the hosted review keeps the table and its tasks."""
        client = self._tasks.meta.client
        try:
            client.describe_table(TableName=self._tasks.name)
        except client.exceptions.ResourceNotFoundException:
            return None
        return TaskTable(self._tasks, self.account.settings.retention.review_days)

    def _delete_tasks(self, stored: StoredPrediction) -> int:
        # One more than the record knows: a redrive may just have begun the next.
        attempts = range(1, stored.attempt + 2)
        return sum(self.delete_task(task_id_of(f"{stored.prediction_id}-{attempt}")) for attempt in attempts)

    def _delete_task(self, table: TaskTable, task_id: str) -> int:
        task = table.task(task_id)
        if task is None:
            return 0
        self._delete_file(output_key(task))
        # The task itself goes last: it names the file.
        for item in sorted(self._items_of(task_id), key=lambda one: one["sk"] == "task"):
            self._tasks.delete_item(Key={"pk": item["pk"], "sk": item["sk"]})
        self._delete_file(output_key(task))  # whoever ended the task meanwhile, from what had been there, may have written it again
        return 1

    def _delete_file(self, key: str) -> None:
        """Every version of it: the bucket keeps what was deleted or replaced."""
        s3, bucket = self.account.client("s3"), self.account.names.bucket("review")
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=key):
            found = [one for kind in ("Versions", "DeleteMarkers") for one in page.get(kind, ()) if one["Key"] == key]
            for one in found:
                s3.delete_object(Bucket=bucket, Key=key, VersionId=one["VersionId"])

    def _items_of(self, task_id: str) -> list[dict[str, Any]]:
        arguments: dict[str, Any] = {"KeyConditionExpression": Key("pk").eq(task_id), "ConsistentRead": True}
        found: list[dict[str, Any]] = []
        while True:
            page = self._tasks.query(**arguments)
            found += page["Items"]
            if "LastEvaluatedKey" not in page:
                return found
            arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def _is_corrected(stored: StoredPrediction) -> bool:
    return stored.human_label is not None and (stored.label_basis or {}).get("method") == CORRECTED


def _is_newer(stored: StoredPrediction, change: Amendment) -> bool:
    return _is_corrected(stored) and moment(str((stored.label_basis or {})["at"])) > moment(change.at)


def digest_of(subject: str) -> str:
    """What an amendment says of a subject."""
    return group_digest(group_of("", subject))
