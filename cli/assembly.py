"""The synthesised stacks of a stage, with CloudFormation's functions filled in for one account."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_ARN_FORMS = {
    "AWS::Lambda::Function": ("lambda", "function:{name}"),
    "AWS::SQS::Queue": ("sqs", "{name}"),
    "AWS::DynamoDB::Table": ("dynamodb", "table/{name}"),
    "AWS::StepFunctions::StateMachine": ("states", "stateMachine:{name}"),
    "AWS::SNS::Topic": ("sns", "{name}"),
    "AWS::KMS::Key": ("kms", "key/{name}"),
    "AWS::Logs::LogGroup": ("logs", "log-group:{name}:*"),
    "AWS::Cognito::UserPool": ("cognito-idp", "userpool/{name}"),
}
"""Resource type -> (service of its ARN, resource part). Roles and buckets have no region in theirs."""
_NAME_PROPERTIES = frozenset(
    {"FunctionName", "QueueName", "TableName", "StateMachineName", "TopicName", "RoleName", "BucketName", "LogGroupName"}
)


@dataclass(frozen=True)
class StackTemplate:
    """One stack: its name, its template, and the values that its references resolve to.

    Args:
        pseudo: values of the pseudo parameters (``AWS::AccountId`` ...).
        physical: logical id -> physical id, once the stack is deployed; empty before.
        values: parameter name -> value, of what the account already knows (SSM parameters).
    """

    name: str
    document: dict[str, Any]
    pseudo: Mapping[str, str]
    physical: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)

    def resources(self, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """(logical id, resource) of a type, in the order of their logical ids."""
        for logical, resource in sorted(self.document["Resources"].items()):
            if resource["Type"] == kind:
                yield logical, resource

    def resolve(self, value: Any) -> Any:
        """``value`` with its intrinsic functions resolved. A resource that does not exist yet gets a made-up name of the right form."""
        if isinstance(value, list):
            return [self.resolve(item) for item in value if not _is_no_value(item)]
        if not isinstance(value, dict):
            return value
        intrinsic: dict[str, Callable[[Any], Any]] = {
            "Ref": self._ref,
            "Fn::GetAtt": self._attribute,
            "Fn::Join": lambda argument: argument[0].join(str(self.resolve(part)) for part in argument[1]),
            "Fn::Sub": self._substituted,
            "Fn::Select": lambda argument: self.resolve(argument[1])[int(argument[0])],
            "Fn::Split": lambda argument: str(self.resolve(argument[1])).split(argument[0]),
            "Fn::If": lambda argument: self.resolve(argument[1]),
        }
        if len(value) == 1:
            (name,) = value
            if name in intrinsic:
                return intrinsic[name](value[name])
        return {key: self.resolve(item) for key, item in value.items() if not _is_no_value(item)}

    def _ref(self, name: str) -> Any:
        if name in self.pseudo:
            return self.pseudo[name]
        if name in self.document.get("Parameters", {}):
            return self._parameter(name)
        resource = self.document["Resources"][name]
        if resource["Type"] in ("AWS::SNS::Topic", "AWS::StepFunctions::StateMachine"):
            return self.physical.get(name) or self._attribute([name, "Arn"])
        return self._name(name)

    def _parameter(self, name: str) -> Any:
        declared = self.document["Parameters"][name]
        value = self.values.get(name)
        if value is None:
            value = self._example(str(declared.get("Default", name)))
        return value.split(",") if "List" in declared["Type"] else value

    def _example(self, parameter: str) -> str:
        """An example of what an SSM parameter of the stage will hold. Most parameters hold ARNs of what another stack makes."""
        last = parameter.rsplit("/", 1)[-1]
        arn = f"arn:{self.pseudo['AWS::Partition']}:{{}}:{self.pseudo['AWS::Region']}:{self.pseudo['AWS::AccountId']}:{{}}"
        examples = {
            "key-arn": arn.format("kms", "key/00000000-0000-0000-0000-000000000000"),
            "workteam-arn": arn.format("sagemaker", "workteam/private-crowd/example"),
            "flow-definition-arn": arn.format("sagemaker", "flow-definition/example"),
            "human-task-ui-arn": arn.format("sagemaker", "human-task-ui/example"),
            "release": "none,none",
        }
        return examples.get(last, "example")

    def _name(self, logical: str) -> str:
        """The physical id, the literal name, or the logical id in small letters."""
        if logical in self.physical:
            return self.physical[logical]
        resource = self.document["Resources"][logical]
        for key, value in resource.get("Properties", {}).items():
            if key in _NAME_PROPERTIES:
                return str(self.resolve(value))
        return logical

    def _attribute(self, argument: Any) -> str:
        logical, attribute = argument if isinstance(argument, list) else argument.split(".", 1)
        resource = self.document["Resources"][logical]
        kind, name = resource["Type"], self._name(logical)
        if attribute not in ("Arn", "QueueArn", "TopicArn", "TableArn"):
            return name
        partition, region, account = (self.pseudo[f"AWS::{key}"] for key in ("Partition", "Region", "AccountId"))
        if name.startswith(f"arn:{partition}:"):
            return name
        if kind == "AWS::IAM::Role":
            return f"arn:{partition}:iam::{account}:role/{name}"
        if kind == "AWS::S3::Bucket":
            return f"arn:{partition}:s3:::{name}"
        service, form = _ARN_FORMS.get(kind, (kind.split("::")[1].lower(), "{name}"))
        return f"arn:{partition}:{service}:{region}:{account}:{form.format(name=name.rsplit('/', 1)[-1] if service == 'sqs' else name)}"

    def _substituted(self, argument: Any) -> str:
        text, given = (argument, {}) if isinstance(argument, str) else argument

        def fill(found: re.Match[str]) -> str:
            name = found[1]
            if name.startswith("!"):
                return "${" + name[1:] + "}"
            if name in given:
                return str(self.resolve(given[name]))
            return str(self._attribute(name) if "." in name else self._ref(name))

        return re.sub(r"\$\{([^}]+)\}", fill, text)


def _is_no_value(value: Any) -> bool:
    return isinstance(value, dict) and value == {"Ref": "AWS::NoValue"}


def read_templates(folder: Path, pseudo: Mapping[str, str]) -> list[StackTemplate]:
    """Every stack of an assembly, by name."""
    artifacts: dict[str, Any] = json.loads((folder / "manifest.json").read_bytes())["artifacts"]
    found = []
    for name, artifact in sorted(artifacts.items()):
        if artifact["type"] == "aws:cloudformation:stack":
            properties = artifact["properties"]
            document = json.loads((folder / properties["templateFile"]).read_bytes())
            found.append(StackTemplate(properties.get("stackName", name), document, pseudo))
    return found
