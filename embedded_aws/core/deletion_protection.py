"""Deletion protection: a protected user pool or table is not deleted, neither by its service nor with its stack.

Stock ministack protects a table from DeleteTable only, and a user pool from nothing. Sources: Cognito developer guide, "User pool deletion
protection"; DynamoDB developer guide, "Using deletion protection". Hooks: ``cognito._delete_user_pool`` and ``_user_pools``,
``dynamodb._tables``, the stock provisioners of the two types.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from ministack.core import responses
from ministack.services import cognito, dynamodb
from ministack.services.cloudformation import provisioners

from embedded_aws.cloudformation.registry import ProvisioningError

_POOL = "The user pool cannot be deleted because deletion protection is activated. Deletion protection must be inactivated first."
_TABLE = "Table is protected against deletion. To delete the table, disable deletion protection."


def install() -> None:
    """Put the hooks in place."""
    cognito._delete_user_pool = _refusing(cognito._delete_user_pool)
    for type_name, is_protected, refusal in (
        ("AWS::Cognito::UserPool", _pool_is_protected, f"{_POOL} (Error Code: InvalidParameterException)"),
        ("AWS::DynamoDB::Table", _table_is_protected, f"{_TABLE} (Error Code: ValidationException)"),
    ):
        handler = provisioners._RESOURCE_HANDLERS[type_name]
        handler["delete"] = _refusing_with_the_stack(handler["delete"], is_protected, refusal)


def _pool_is_protected(pool_id: str) -> bool:
    return (cognito._user_pools.get(pool_id) or {}).get("DeletionProtection") == "ACTIVE"


def _table_is_protected(name: str) -> bool:
    return bool((dynamodb._tables.get(name) or {}).get("DeletionProtectionEnabled"))


def _refusing(delete: Any) -> Any:
    @functools.wraps(delete)
    def wrapper(data: dict[str, Any]) -> Any:
        if _pool_is_protected(data.get("UserPoolId", "")):
            return responses.error_response_json("InvalidParameterException", _POOL, 400)
        return delete(data)

    return wrapper


def _refusing_with_the_stack(delete: Any, is_protected: Callable[[str], bool], refusal: str) -> Any:
    @functools.wraps(delete)
    def wrapper(physical_id: str, *rest: Any) -> None:
        if is_protected(physical_id):
            raise ProvisioningError(refusal)
        delete(physical_id, *rest)

    return wrapper
