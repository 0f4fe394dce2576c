"""A condition that is used again is answered as the first time, by each item's own values, and refused as the first time."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from boto3.dynamodb.conditions import Attr, Key
from botocore.exceptions import ClientError

from embedded_aws.tools.clients import Clients
from embedded_aws.tools.launcher import Emulator


@pytest.fixture
def table(emulator: Emulator) -> Any:
    clients = Clients(emulator.url)
    name = f"conditions-{uuid.uuid4().hex[:8]}"
    keys = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
    types = [{"AttributeName": one, "AttributeType": "S"} for one in ("pk", "sk")]
    clients("dynamodb").create_table(TableName=name, KeySchema=keys, AttributeDefinitions=types, BillingMode="PAY_PER_REQUEST")
    return clients.resource("dynamodb").Table(name)


def names(table: Any, **arguments: Any) -> list[str]:
    return [item["sk"] for item in table.query(KeyConditionExpression=Key("pk").eq("a"), **arguments)["Items"]]


def test_the_same_condition_with_other_values_finds_other_items(table: Any) -> None:
    for sk, size in (("x", 1), ("y", 2), ("z", 3)):
        table.put_item(Item={"pk": "a", "sk": sk, "size": size})
    for at_least, found in ((2, ["y", "z"]), (3, ["z"]), (4, []), (1, ["x", "y", "z"])):
        assert names(table, FilterExpression=Attr("size").gte(at_least)) == found
    for low, high, found in ((1, 2, ["x", "y"]), (2, 3, ["y", "z"])):
        assert names(table, FilterExpression=Attr("size").between(low, high)) == found


def test_a_condition_that_was_right_once_is_refused_without_its_values(table: Any) -> None:
    table.put_item(Item={"pk": "a", "sk": "x", "size": 1})
    values = {":pk": "a", ":size": 1}
    asked = {"KeyConditionExpression": "pk = :pk", "FilterExpression": "#size >= :size", "ExpressionAttributeNames": {"#size": "size"}}
    assert table.query(**asked, ExpressionAttributeValues=values)["Count"] == 1
    with pytest.raises(ClientError, match="ValidationException"):
        table.query(**asked, ExpressionAttributeValues={":pk": "a"})


def test_a_write_whose_condition_held_once_fails_when_it_does_not(table: Any) -> None:
    table.put_item(Item={"pk": "a", "sk": "x"}, ConditionExpression="attribute_not_exists(pk)")
    with pytest.raises(table.meta.client.exceptions.ConditionalCheckFailedException):
        table.put_item(Item={"pk": "a", "sk": "x"}, ConditionExpression="attribute_not_exists(pk)")
