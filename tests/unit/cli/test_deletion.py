"""``labels forget`` where the task of a record ends in the same moment, and where it has more items than one answer holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from hosted_service import Service
from memory_table import MemoryTable
from test_export_labels import stored

from cli.labels.stores import Stage
from lambdas.review.hosted_tasks.ending import output_key
from stacks.settings.retention import RetentionSettings

AT = "2026-11-24T10:00:00+00:00"


class SmallPages:
    """The table of tasks, an item a page; calls ``before_last`` before the task itself goes."""

    def __init__(self, service: Service, before_last: Callable[[], None]) -> None:
        self.service, self.before_last, self.name, self.meta = service, before_last, service.table.name, service.table.meta

    def get_item(self, **request: Any) -> Any:
        return self.service.table.get_item(**request)

    def query(self, *, KeyConditionExpression: Any, ExclusiveStartKey: int = 0, **_: Any) -> dict[str, Any]:  # noqa: N803
        _, task_id = KeyConditionExpression.get_expression()["values"]
        found = [item for (pk, _), item in sorted(self.service.table.items.items()) if pk == task_id]
        more = {"LastEvaluatedKey": ExclusiveStartKey + 1} if ExclusiveStartKey + 1 < len(found) else {}
        return {"Items": found[ExclusiveStartKey : ExclusiveStartKey + 1], **more}

    def delete_item(self, *, Key: dict[str, str]) -> None:  # noqa: N803
        if Key["sk"] == "task":
            self.before_last()
        del self.service.table.items[Key["pk"], Key["sk"]]


class VersionedBucket:
    """``versions``: (key, version id, whether it is a delete marker). A deletion without a version adds a marker, and nothing goes."""

    def __init__(self, *keys: str) -> None:
        self.versions: list[tuple[str, str, bool]] = []
        for key in keys:
            self.put(key)

    def put(self, key: str, *, marker: bool = False) -> None:
        self.versions.append((key, f"v{len(self.versions)}", marker))

    def delete_object(self, *, Bucket: str, Key: str, VersionId: str | None = None) -> None:  # noqa: N803
        assert Bucket == "bucket"
        if VersionId is None:
            self.put(Key, marker=True)
        else:
            self.versions = [one for one in self.versions if one[:2] != (Key, VersionId)]

    def get_paginator(self, operation: str) -> Any:
        assert operation == "list_object_versions"
        return self

    def paginate(self, *, Bucket: str, Prefix: str) -> Iterator[dict[str, Any]]:  # noqa: N803
        assert Bucket == "bucket"
        for key, version, marker in [one for one in self.versions if one[0].startswith(Prefix)]:
            yield {"DeleteMarkers" if marker else "Versions": [{"Key": key, "VersionId": version}]}


def test_a_task_that_ends_while_it_is_deleted_leaves_no_file_and_no_item() -> None:
    service = Service(MemoryTable())
    task = service.read(service.ask(prediction_id="p1"))
    service.answer("ann")
    key = output_key(task)
    s3 = VersionedBucket("hosted/other/output.json", key, f"{key}.other", key)

    def sweep_writes() -> None:
        s3.put(key)

    left: list[dict[str, Any]] = []
    predictions = SimpleNamespace(put_item=lambda *, Item: left.append(Item))  # noqa: N803
    tables = {"predictions": predictions, "tasks": SmallPages(service, sweep_writes)}
    account: Any = SimpleNamespace(
        session=SimpleNamespace(resource=lambda _: SimpleNamespace(Table=tables.__getitem__)),
        names=SimpleNamespace(predictions_table="predictions", review_tasks_table="tasks", bucket=lambda _: "bucket"),
        settings=SimpleNamespace(review=SimpleNamespace(backend="a2i"), retention=RetentionSettings(review_days=90, prediction_days=7)),
        client=lambda _: s3,
    )
    stage = Stage(account)
    assert stage.delete(stored(), stage.forgotten(AT)) == 1
    assert [one[0] for one in s3.versions] == ["hosted/other/output.json", f"{key}.other"], "no version of it stays"
    assert [key for key in service.table.items if key[0] == task.task_id] == []
    [record] = left
    kept = datetime.fromtimestamp(record["expires_at"], UTC) - datetime.fromisoformat(AT)
    assert (record["review_state"], "text" in record, kept.days) == ("forgotten", False, 90)
