"""What is handed over asynchronously is kept when nobody takes it, in every template: in a queue whose alarm somebody hears."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from deployed_definition import arn, resolve

ALARM_FOR = "ApproximateNumberOfMessagesVisible"


@pytest.fixture(scope="module", params=["dev", "prod"])
def templates(request: pytest.FixtureRequest, synthesised: Callable[[str], Path]) -> dict[str, dict[str, Any]]:
    """Template name -> its resources."""
    return {path.name: json.loads(path.read_bytes())["Resources"] for path in synthesised(request.param).glob("*.template.json")}


def of_type(templates: dict[str, dict[str, Any]], kind: str) -> list[tuple[dict[str, Any], str, dict[str, Any]]]:
    """(resources of its template, logical id, properties) of every resource of a type."""
    return [
        (resources, name, item["Properties"])
        for resources in templates.values()
        for name, item in resources.items()
        if item["Type"] == kind
    ]


def queue_of(arn: dict[str, Any]) -> str:
    """Logical id of the queue that an ARN is of."""
    name, attribute = arn["Fn::GetAtt"]
    assert attribute == "Arn"
    return str(name)


def test_every_target_of_a_rule_has_dead_letters_that_its_rule_may_write(templates: dict[str, dict[str, Any]]) -> None:
    rules = of_type(templates, "AWS::Events::Rule")
    assert len(rules) >= 8
    for resources, name, rule in rules:
        for target in rule["Targets"]:
            assert "DeadLetterConfig" in target, f"{name}: what {target['Arn']} refuses is lost"
            queue = queue_of(target["DeadLetterConfig"]["Arn"])
            writers = [
                statement
                for item in resources.values()
                if item["Type"] == "AWS::SQS::QueuePolicy" and {"Ref": queue} in item["Properties"]["Queues"]
                for statement in item["Properties"]["PolicyDocument"]["Statement"]
                if statement["Principal"] == {"Service": "events.amazonaws.com"}
            ]
            sources = [resolve({}, statement["Condition"]["ArnEquals"]["aws:SourceArn"]) for statement in writers]
            own = (resolve({}, {"Fn::GetAtt": [name, "Arn"]}), arn("events", f"rule/{rule['Name']}"))
            assert set(own) & set(sources), f"{name} may not write to its dead letters"


def test_every_function_that_a_rule_starts_keeps_what_it_fails_at(templates: dict[str, dict[str, Any]]) -> None:
    """A rule's delivery to a function succeeds before the function runs: its failure is another one."""
    for resources, name, rule in of_type(templates, "AWS::Events::Rule"):
        for target in rule["Targets"]:
            function = target["Arn"].get("Fn::GetAtt", [""])[0] if isinstance(target["Arn"], dict) else ""
            if resources.get(function, {}).get("Type") != "AWS::Lambda::Function":
                continue
            kept = [
                item["Properties"]["DestinationConfig"]["OnFailure"]["Destination"]
                for item in resources.values()
                if item["Type"] == "AWS::Lambda::EventInvokeConfig" and item["Properties"]["FunctionName"] == {"Ref": function}
            ]
            assert len(kept) == 1, f"{name} starts {function}, whose failures are lost"
            assert resources[queue_of(kept[0])]["Type"] == "AWS::SQS::Queue"


def test_every_queue_or_stream_that_feeds_a_function_has_dead_letters(templates: dict[str, dict[str, Any]]) -> None:
    mappings = of_type(templates, "AWS::Lambda::EventSourceMapping")
    assert mappings
    for resources, name, mapping in mappings:
        if "Fn::GetAtt" not in mapping["EventSourceArn"]:  # a table's stream, whose name is a parameter
            assert resources[queue_of(mapping["DestinationConfig"]["OnFailure"]["Destination"])]["Type"] == "AWS::SQS::Queue", name
            continue
        source = resources[queue_of(mapping["EventSourceArn"])]
        assert source["Type"] == "AWS::SQS::Queue"
        assert resources[queue_of(source["Properties"]["RedrivePolicy"]["deadLetterTargetArn"])]["Type"] == "AWS::SQS::Queue", name


def test_every_dead_letter_queue_rings_at_its_first_message(templates: dict[str, dict[str, Any]]) -> None:
    used = (
        {
            (id(resources), queue_of(target["DeadLetterConfig"]["Arn"]))
            for resources, _, rule in of_type(templates, "AWS::Events::Rule")
            for target in rule["Targets"]
        }
        | {
            (id(resources), queue_of(queue["RedrivePolicy"]["deadLetterTargetArn"]))
            for resources, _, queue in of_type(templates, "AWS::SQS::Queue")
            if "RedrivePolicy" in queue
        }
        | {
            (id(resources), queue_of(mapping["DestinationConfig"]["OnFailure"]["Destination"]))
            for resources, _, mapping in of_type(templates, "AWS::Lambda::EventSourceMapping")
            if "DestinationConfig" in mapping
        }
    )
    watched = {
        (id(resources), queue_of({"Fn::GetAtt": [dimension["Value"]["Fn::GetAtt"][0], "Arn"]}))
        for resources, _, alarm in of_type(templates, "AWS::CloudWatch::Alarm")
        if alarm.get("MetricName") == ALARM_FOR and alarm["Threshold"] == 1 and alarm["AlarmActions"]
        for dimension in alarm["Dimensions"]
    }
    assert used <= watched
