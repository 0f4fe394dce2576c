"""``labels correct`` while somebody else changes the same record."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner

from cli.labels import command, stores
from cli.main import app
from contracts.amendments import CORRECTED, Amendment
from lambdas.common.labels import Labels

ID = "a" * 32
REVIEWED = {
    "prediction_id": ID, "text": "a text", "created_at": "2026-11-01T00:00:00+00:00", "expires_at": 2_000_000_000, "attempt": 1,
    "review_state": "reviewed", "human_label": "positive", "reviewed_at": "2026-11-02T00:00:00+00:00", "votes": {"positive": 2},
}  # fmt: skip


class Conditional(ClientError):
    def __init__(self) -> None:
        super().__init__({"Error": {"Code": "ConditionalCheckFailedException"}}, "UpdateItem")


class Table:
    """One record. ``meanwhile`` is what somebody else does right before each of the first updates."""

    def __init__(self, *meanwhile: Callable[[dict[str, Any]], None]) -> None:
        self.item: dict[str, Any] = dict(REVIEWED)
        self.meanwhile = list(meanwhile)
        exceptions = SimpleNamespace(ConditionalCheckFailedException=Conditional)
        self.meta = SimpleNamespace(client=SimpleNamespace(exceptions=exceptions))

    def get_item(self, **_: Any) -> dict[str, Any]:
        return {"Item": dict(self.item)} if self.item else {}

    def update_item(self, **given: Any) -> None:
        if self.meanwhile:
            self.meanwhile.pop(0)(self.item)
        if self.item.get("human_label") != given["ConditionExpression"].get_expression()["values"][1]:
            raise Conditional
        values = given["ExpressionAttributeValues"]
        self.item |= {"human_label": values[":label"], "label_basis": values[":basis"]}


def becomes(label: str, **basis: Any) -> Callable[[dict[str, Any]], None]:
    return lambda item: item.update(human_label=label, **({"label_basis": basis} if basis else {}))


def run(monkeypatch: pytest.MonkeyPatch, table: Table, *more: str) -> tuple[int, str, list[Amendment]]:
    kept: list[Amendment] = []
    account = SimpleNamespace(session=None, settings=None, identity={"Arn": "arn:aws:iam::123456789012:user/o"})
    monkeypatch.setattr(command, "Account", lambda *_: account)
    monkeypatch.setattr(command, "stage_labels", lambda _: Labels.of(["negative", "neutral", "positive"]))
    monkeypatch.setattr(stores.Stage, "_predictions", table)
    monkeypatch.setattr(stores.Stage, "dataset_rows", lambda _: iter(()))
    monkeypatch.setattr(stores.Stage, "amend", lambda _, one: kept.append(one))
    found = CliRunner().invoke(app, ["labels", "correct", ID, "negative", "--reason", "irony", *more])
    return found.exit_code, found.output, kept


def test_a_record_that_changed_meanwhile_is_corrected_as_it_is_now(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table(becomes("neutral"))
    code, said, kept = run(monkeypatch, table)
    assert (code, table.item["human_label"], table.item["label_basis"]["was"]) == (0, "negative", "neutral"), said
    assert [one.target for one in kept] == [f"prediction:{ID}"]


@pytest.mark.parametrize(
    "meanwhile",
    [
        [lambda item: item.clear()],
        [becomes("neutral", method=CORRECTED, was="positive", at="2999-01-01T00:00:00+00:00")],
        [becomes("neutral"), becomes("positive")] * 20,
    ],
    ids=["it is deleted", "a newer correction is there", "again and again"],
)
def test_a_record_that_could_not_be_corrected_fails_the_command(
    monkeypatch: pytest.MonkeyPatch, meanwhile: list[Callable[[dict[str, Any]], None]]
) -> None:
    code, said, kept = run(monkeypatch, Table(*meanwhile))
    assert code == 1, said
    assert "the record changed meanwhile" in said
    assert kept[0].key in said, "the correction is recorded, and the message says so"


def test_the_document_says_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    code, said, _ = run(monkeypatch, Table(lambda item: item.clear()), "--json")
    assert code == 1, said
    assert json.loads(said[said.index("{") : said.rindex("}") + 1])["record"] is False


def test_a_correction_comes_after_the_one_that_is_there_even_if_that_operator_s_clock_is_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    table, ahead = Table(), "2999-01-01T00:00:00.000+00:00"
    becomes("neutral", method=CORRECTED, was="positive", at=ahead)(table.item)
    code, said, (change,) = run(monkeypatch, table)
    assert (code, table.item["human_label"], table.item["label_basis"]["was"]) == (0, "negative", "positive"), said
    assert change.at > ahead
