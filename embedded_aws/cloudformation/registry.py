"""Puts resource types and patches of stock types into ministack's CloudFormation.

Everything registered here runs on a worker thread, because it calls services of this same process and waits for them.
"""

from __future__ import annotations

import functools
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from botocore.exceptions import ClientError
from ministack.core import responses
from ministack.services.cloudformation import provisioners, stacks

from embedded_aws.cloudformation import stack_role
from embedded_aws.cloudformation.schema import SCHEMAS, TypeSchema
from embedded_aws.core.api import ApiError, Request
from embedded_aws.core.sessions import root_session

Properties = dict[str, Any]


class ProvisioningError(RuntimeError):
    """A resource's create, update or delete failed; the text becomes the event's reason."""


@dataclass(frozen=True)
class Resource:
    """What CloudFormation keeps of a resource: the value of ``Ref``, and those of ``Fn::GetAtt``."""

    physical_id: str
    attributes: dict[str, Any] = field(default_factory=dict)


class ResourceType(Protocol):
    """How one type maps onto its service's operations. Create-only properties never reach ``update``."""

    def create(self, properties: Properties, generated_name: str) -> Resource:
        """Create the resource, named ``generated_name`` unless the template names it, and wait until it is usable."""
        ...

    def update(self, physical_id: str, old: Properties, new: Properties) -> Resource: ...

    def delete(self, physical_id: str, properties: Properties) -> None: ...


_on_worker_thread: set[str] = set()


def install() -> None:
    """Let ministack run the registered types beside the event loop, as it does with custom resources; stacks get their roles."""
    stack_role.install()
    stock = stacks._runs_on_worker_thread
    stacks._runs_on_worker_thread = lambda resource_type: resource_type in _on_worker_thread or stock(resource_type)


def register(
    type_name: str,
    resource_type: ResourceType,
    *,
    name_length: int = 63,
    lower_case: bool = False,
    tags: bool = False,
    stack_in_name: bool = True,
) -> None:
    """Add a type with the properties of its registry schema.

    Args:
        name_length: longest physical name that may be generated.
        lower_case: generated names are lower case.
        tags: the type has a ``Tags`` list, which gets the stack's tags too.
        stack_in_name: generated names begin with the stack's name; otherwise with the logical id.
    """
    schema = SCHEMAS[type_name]

    def create(logical_id: str, properties: Properties, stack_name: str) -> tuple[str, dict[str, Any]]:
        # As in AWS a resource made anew has another name, or it would meet one that was kept. The seed travels with the resource.
        if not provisioners._NAME_SEED.get():
            provisioners._NAME_SEED.set(uuid.uuid4().hex[:8])
        name = provisioners._physical_name(stack_name, logical_id, max_len=name_length, lowercase=lower_case)
        if not stack_in_name:
            end = name[name.rindex("-") :]
            name = (logical_id.lower() if lower_case else logical_id)[: name_length - len(end)] + end

        def step() -> Resource:
            stack_role.guarded(type_name, "create", _name(properties, name), new=properties)
            return resource_type.create(properties, name)

        return _run(schema, properties, step)

    def update(physical_id: str, old: Properties, new: Properties, _stack_name: str) -> tuple[str, dict[str, Any]]:
        def step() -> Resource:
            stack_role.guarded(type_name, "update", _name(new, physical_id), old=old, new=new)
            return resource_type.update(physical_id, old, new)

        return _run(schema, new, step)

    def delete(physical_id: str, properties: Properties) -> None:
        try:
            stack_role.guarded(type_name, "delete", _name(properties, physical_id), old=properties)
            resource_type.delete(physical_id, properties)
        except (ApiError, ClientError) as error:
            if not _is_gone(error):
                raise ProvisioningError(_reason(error)) from error

    def _name(properties: Properties, otherwise: str) -> str:
        """The physical name; of one without a name property, or named by CloudFormation, the last part of its ARN."""
        return str((schema.name_property and properties.get(schema.name_property)) or otherwise.rsplit("/", 1)[-1])

    provisioners._RESOURCE_HANDLERS[type_name] = {"create": create, "update": update, "delete": delete}
    provisioners._REPLACING_PROPERTIES[type_name] = tuple(sorted(schema.create_only))
    if schema.name_property:
        provisioners._CUSTOM_NAME_REPLACEMENT[type_name] = {"name": schema.name_property}
    if tags:
        provisioners._STACK_TAG_PROPERTY[type_name] = ("Tags", "list")
    _on_worker_thread.add(type_name)


def patch(
    type_name: str,
    apply: Callable[[str, Properties, Properties], None] = lambda *_: None,
    *,
    prepare: Callable[[Properties], Properties] = lambda properties: properties,
) -> None:
    """Run ``apply(physical_id, old, new)`` after a stock type's create (``old`` is empty) and after each update.

    It sets, through the service's public operations, what the stock provisioner drops; ``prepare`` rewrites what the
    stock provisioner misreads.
    """
    handler = provisioners._RESOURCE_HANDLERS[type_name]
    stock_create, stock_update = handler["create"], handler.get("update")

    def create(logical_id: str, properties: Properties, stack_name: str) -> tuple[str, dict[str, Any]]:
        created: tuple[str, dict[str, Any]] = stock_create(logical_id, prepare(properties), stack_name)
        _with_reason(lambda: apply(created[0], {}, properties))
        return created

    handler["create"] = create
    if stock_update is not None:

        def update(physical_id: str, old: Properties, new: Properties, *rest: Any) -> tuple[str, dict[str, Any]]:
            updated: tuple[str, dict[str, Any]] = stock_update(physical_id, prepare(old), prepare(new), *rest)
            _with_reason(lambda: apply(updated[0], old if updated[0] == physical_id else {}, new))
            return updated

        handler["update"] = update
    _on_worker_thread.add(type_name)


def guard(type_name: str, name_property: str, *, name_length: int) -> None:
    """Ask the stack's role before a stock type is created, updated or deleted; see ``stack_role``."""
    handler = provisioners._RESOURCE_HANDLERS[type_name]
    stock_create, stock_update, stock_delete = handler["create"], handler["update"], handler["delete"]

    def create(logical_id: str, properties: Properties, stack_name: str) -> tuple[str, dict[str, Any]]:
        name = properties.get(name_property) or provisioners._physical_name(stack_name, logical_id, max_len=name_length)
        _with_reason(lambda: stack_role.guarded(type_name, "create", name, new=properties))
        made: tuple[str, dict[str, Any]] = stock_create(logical_id, properties, stack_name)
        return made

    def update(physical_id: str, old: Properties, new: Properties, *rest: Any) -> tuple[str, dict[str, Any]]:
        _with_reason(lambda: stack_role.guarded(type_name, "update", physical_id, old=old, new=new))
        changed: tuple[str, dict[str, Any]] = stock_update(physical_id, old, new, *rest)
        return changed

    def delete(physical_id: str, properties: Properties, *rest: Any) -> None:
        _with_reason(lambda: stack_role.guarded(type_name, "delete", physical_id, old=properties))
        stock_delete(physical_id, properties, *rest)

    handler.update(create=create, update=update, delete=delete)


def _run(schema: TypeSchema, properties: Properties, step: Callable[[], Resource]) -> tuple[str, dict[str, Any]]:
    problems = schema.problems(properties)
    if problems:
        raise ProvisioningError(f"Properties validation failed for resource of type {schema.type_name} with message: {'; '.join(problems)}")
    try:
        resource = step()
    except (ApiError, ClientError) as error:
        raise ProvisioningError(_reason(error)) from error
    return resource.physical_id, resource.attributes


def _with_reason(step: Callable[[], None]) -> None:
    """Run ``step``; a service's error becomes the reason of the resource's failure."""
    try:
        step()
    except (ApiError, ClientError) as error:
        raise ProvisioningError(_reason(error)) from error


def _reason(error: ApiError | ClientError) -> str:
    if isinstance(error, ApiError):
        return f"{error} (Error Code: {error.code}, Status Code: {error.status})"
    details = error.response["Error"]
    return f"{details['Message']} (Operation: {error.operation_name}, Error Code: {details['Code']})"


def _is_gone(error: ApiError | ClientError) -> bool:
    """Deleting what someone else deleted succeeds, as in CloudFormation."""
    code = error.code if isinstance(error, ApiError) else error.response["Error"]["Code"]
    return "NotFound" in code or "DoesNotExist" in code or str(error).startswith("Could not find")


def root_client(service: str) -> Any:
    """The account root's client of a service in the current region; making one costs far more than a call."""
    return _made_client(service, responses.get_region())


@functools.lru_cache(maxsize=64)
def _made_client(service: str, _region: str) -> Any:
    return root_session().client(service)


def request(service: str, operation: str, properties: Properties) -> Request:
    """Template properties as an operation's request: coerced to its types, cut to the members that it has."""
    from embedded_aws.cloudformation.shapes import coerce
    from embedded_aws.core.api import operation_model

    shape = operation_model(service, operation).input_shape
    known = {key: value for key, value in properties.items() if shape is not None and key in shape.members}
    coerced: Request = coerce(shape, known)
    return coerced
