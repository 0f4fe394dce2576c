"""Does the account hold what the template says? Compares each resource's properties with what its service describes.

An emulator may drop a property without a word, and then a local run proves less than it seems to. The comparison is
generic: a reader a resource type (``embedded_aws/tools/read_back/types.py``) gives the described resource in the template's shape.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from embedded_aws.tools.read_back.readers import Clients
from embedded_aws.tools.read_back.template import NOTHING, Anything, Resolver, Session
from embedded_aws.tools.read_back.types import READERS, UNREADABLE


@dataclass(frozen=True)
class Difference:
    """One property that is not what the template says.

    Attributes:
        resource: logical id.
        path: the property, e.g. ``BucketEncryption.ServerSideEncryptionConfiguration[0]``; empty when nothing was read.
        expected: the template's value, intrinsic functions resolved.
        found: what the service describes; None when it is absent.
    """

    resource: str
    type_name: str
    path: str
    expected: Any
    found: Any

    def __str__(self) -> str:
        return f"{self.resource} ({self.type_name}) {self.path}: expected {self.expected!r}, found {self.found!r}"


def read_back(template: Mapping[str, Any], session: Session, stack: str) -> list[Difference]:
    """Every difference between a deployed stack's template and the account.

    Args:
        template: the parsed template.
        session: may describe every resource of the stack.
        stack: the stack's name.

    A resource that the stack does not have is a difference, and one whose type has no reader; what cannot be read back by nature
    (code, passwords) is listed with its reason in ``types.UNREADABLE``.
    """
    resolver = Resolver(template, session, stack)
    clients = Clients(session)
    differences: list[Difference] = []
    for logical_id, resource in sorted(template["Resources"].items()):
        type_name = resource["Type"]
        if not resolver.is_wanted(resource):
            continue
        physical_id = resolver.physical_ids.get(logical_id)
        if not physical_id:
            differences.append(Difference(logical_id, type_name, "", "a resource of the stack", None))
            continue
        if type_name in UNREADABLE or type_name.startswith("Custom::"):
            continue
        reader = READERS.get(type_name)
        if reader is None:
            differences.append(Difference(logical_id, type_name, "", "a reader for this type", None))
            continue
        expected = {key: value for key, value in resolver.resolve(resource.get("Properties", {})).items() if value is not NOTHING}
        try:
            found = reader(clients, physical_id, expected)
        except ClientError as error:
            differences.append(Difference(logical_id, type_name, "", "a description", str(error)))
            continue
        wanted = {key: value for key, value in expected.items() if f"{type_name}.{key}" not in UNREADABLE}
        differences += [Difference(logical_id, type_name, path, want, have) for path, want, have in compare(wanted, found)]
    return differences


# -- comparison ------------------------------------------------------------------------------------


def compare(expected: Any, found: Any, path: str = "") -> list[tuple[str, Any, Any]]:
    """What is expected and not found: ``(path, expected, found)``. More may be found than is expected."""
    if isinstance(expected, Anything):
        return [] if found not in (None, "", [], {}) else [(path, expected, found)]
    if isinstance(expected, Mapping):
        if not isinstance(found, Mapping):
            return [(path, expected, found)]
        pairs = [(key, value) for key, value in expected.items() if value is not NOTHING]
        return [
            entry for key, value in pairs for entry in compare(value, found.get(key, found.get(str(key))), f"{path}.{key}" if path else key)
        ]
    if isinstance(expected, list):
        return _compare_lists([item for item in expected if item is not NOTHING], found, path)
    return [] if _same(expected, found) else [(path, expected, found)]


def _compare_lists(expected: list[Any], found: Any, path: str) -> list[tuple[str, Any, Any]]:
    """Services reorder lists: an item fits if any described item fits it; else its nearest one is named."""
    if not isinstance(found, list):
        return [(path, expected, found)] if expected else []
    differences: list[tuple[str, Any, Any]] = []
    for index, item in enumerate(expected):
        candidates: list[list[tuple[str, Any, Any]]] = [compare(item, other, f"{path}[{index}]") for other in found]
        if not candidates:
            differences.append((f"{path}[{index}]", item, None))
        else:
            fewest = min(map(len, candidates))
            differences += next(entries for entries in candidates if len(entries) == fewest)
    return differences


def _same(expected: Any, found: Any) -> bool:
    if isinstance(expected, bool) or isinstance(found, bool):
        return str(expected).lower() == str(found).lower()
    try:
        return float(expected) == float(found)
    except (TypeError, ValueError):
        return str(expected) == str(found)
