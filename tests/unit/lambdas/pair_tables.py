"""The tables of pairs and of predictions in memory, as far as paired scoring uses them: a transaction writes everything or nothing."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError

Item = dict[str, Any]
_ADD = re.compile(r"(\w+) (:\w+)")
_SET = re.compile(r"(\w+) = (:\w+)")


def cancelled(*codes: str) -> ClientError:
    reasons: Any = [{"Code": code} for code in codes]
    return ClientError({"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}, "TransactWriteItems")  # type: ignore[typeddict-unknown-key]


class Database:
    """``before`` and ``after`` are called around each transaction, and may raise."""

    def __init__(self) -> None:
        self.pairs: dict[tuple[str, str], Item] = {}
        self.predictions: dict[str, Item] = {}
        self.before: Callable[[], None] = lambda: None
        self.after: Callable[[], None] = lambda: None

    def transact_write_items(self, *, TransactItems: list[Mapping[str, Any]]) -> None:  # noqa: N803
        self.before()
        codes = ["None" if self._allowed(one) else "ConditionalCheckFailed" for one in TransactItems]
        if set(codes) != {"None"}:
            raise cancelled(*codes)
        for one in TransactItems:
            self._apply(one)
        self.after()

    def _found(self, one: Mapping[str, Any]) -> tuple[dict[Any, Item], Any]:
        [write] = one.values()
        key = write.get("Key") or write["Item"]
        if write["TableName"] == "pairs":
            return self.pairs, (key["experiment"], key["at"])
        return self.predictions, key["prediction_id"]

    def _allowed(self, one: Mapping[str, Any]) -> bool:
        [write] = one.values()
        table, key = self._found(one)
        condition, item = write.get("ConditionExpression"), table.get(key, {})
        if condition is None:
            return True
        if condition == "attribute_not_exists(outcome)":
            return "outcome" not in item
        assert condition == "review_state IN (:not_required, :waiting)"
        values = write["ExpressionAttributeValues"]
        return item.get("review_state") in (values[":not_required"], values[":waiting"])

    def _apply(self, one: Mapping[str, Any]) -> None:
        table, key = self._found(one)
        if "Put" in one:
            table[key] = copy.deepcopy(one["Put"]["Item"])
            return
        update = one["Update"]
        values, item = update["ExpressionAttributeValues"], table.setdefault(key, dict(update["Key"]))
        sets, _, adds = update["UpdateExpression"].partition(" ADD ")
        item |= {name: values[value] for name, value in _SET.findall(sets)}
        for name, value in _ADD.findall(adds):
            item[name] = item.get(name, 0) + values[value]


class PairsTable:
    """boto3's Table resource of the pairs."""

    name = "pairs"

    def __init__(self, database: Database) -> None:
        self._database = database
        self.meta = type("Meta", (), {"client": database})

    def get_item(self, *, Key: Mapping[str, str], ConsistentRead: bool) -> dict[str, Any]:  # noqa: N803
        assert ConsistentRead
        found = self._database.pairs.get((Key["experiment"], Key["at"]))
        return {} if found is None else {"Item": copy.deepcopy(found)}

    def query(self, *, KeyConditionExpression: Any, ConsistentRead: bool) -> dict[str, Any]:  # noqa: N803
        assert ConsistentRead
        equal, starts = (part.get_expression()["values"] for part in KeyConditionExpression.get_expression()["values"])
        keys = sorted(key for key in self._database.pairs if key[0] == equal[1] and key[1].startswith(starts[1]))
        return {"Items": [copy.deepcopy(self._database.pairs[key]) for key in keys]}


class PredictionsTable:
    """boto3's Table resource of the predictions."""

    name = "predictions"

    def __init__(self, database: Database) -> None:
        self._database = database
        self.meta = type("Meta", (), {"client": self})

    def get_item(self, *, Key: Mapping[str, str], ConsistentRead: bool) -> dict[str, Any]:  # noqa: N803
        assert ConsistentRead
        found = self._database.predictions.get(Key["prediction_id"])
        return {} if found is None else {"Item": copy.deepcopy(found)}

    def batch_get_item(self, *, RequestItems: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N803
        keys = [key["prediction_id"] for key in RequestItems[self.name]["Keys"]]
        found = [copy.deepcopy(self._database.predictions[key]) for key in keys if key in self._database.predictions]
        return {"Responses": {self.name: found}, "UnprocessedKeys": {}}
