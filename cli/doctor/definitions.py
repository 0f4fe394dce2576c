"""State machines, checked by Step Functions itself: it knows which fields of an integration it takes."""

from __future__ import annotations

from collections.abc import Iterator

from cli.doctor.examination import Examination
from cli.findings import Finding, Level


def definitions(examination: Examination) -> Iterator[Finding]:
    client = examination.account.client("stepfunctions")
    for template in examination.templates:
        for _, machine in template.resources("AWS::StepFunctions::StateMachine"):
            properties = machine["Properties"]
            text = template.resolve(properties["DefinitionString"])
            answer = client.validate_state_machine_definition(definition=text, type=properties.get("StateMachineType", "STANDARD"))
            name = template.resolve(properties.get("StateMachineName", template.name))
            errors = [item for item in answer.get("diagnostics", []) if item["severity"] == "ERROR"]
            if answer["result"] == "OK" and not errors:
                yield Finding("definitions", Level.OK, f"Step Functions takes the definition of {name} ({len(text.encode()):,} bytes)")
            for item in errors:
                message = (
                    f"Step Functions refuses the definition of {name} at {item.get('location', '/')}: {item['message']} ({item['code']})"
                )
                yield Finding("definitions", Level.FAILURE, message, "Report it with this line: the templates are to change.")
            if answer["result"] != "OK" and not errors:
                yield Finding("definitions", Level.FAILURE, f"Step Functions refuses the definition of {name} and gives no reason")
