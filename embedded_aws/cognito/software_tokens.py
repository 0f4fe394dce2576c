"""AdminDeleteSoftwareToken, which ministack lacks: a user has no authenticator app any more, and a pool that requires one asks for another.

Hook: ``cognito._dispatch_idp``. Source: Cognito user pools API reference, AdminDeleteSoftwareToken.
"""

from __future__ import annotations

import asyncio
from typing import Any

from ministack.services import cognito

from embedded_aws.cognito.managed_login.users import User
from embedded_aws.core.api import ApiError, Request, Response, call, operation, to_json

_NAME = "AdminDeleteSoftwareToken"


@operation("cognito-idp", _NAME)
def delete(request: Request) -> Response:
    """The account stays as it is, with its ``sub``. A user without an app keeps being one: what Cognito says of that is not documented."""
    pool = cognito._user_pools.get(request["UserPoolId"])
    if pool is None:
        raise ApiError("ResourceNotFoundException", f"User pool {request['UserPoolId']} does not exist.")
    record, refusal = cognito._resolve_user(pool, request["Username"])
    if refusal is not None:
        raise ApiError("UserNotFoundException", "User does not exist.")
    User(pool, record).delete_authenticator()
    return {}


def install() -> None:
    """Answer the operation before ministack's handler of user pools, which knows the others."""
    stock = cognito._dispatch_idp

    async def dispatch(action: str, data: dict[str, Any]) -> Any:
        if action != _NAME:
            return await stock(action, data)
        kind = {"Content-Type": "application/x-amz-json-1.1"}
        try:
            return 200, kind, to_json(await asyncio.to_thread(call, "cognito-idp", _NAME, data))
        except ApiError as error:
            return error.status, kind, to_json({"__type": error.code, "message": str(error)})

    cognito._dispatch_idp = dispatch
