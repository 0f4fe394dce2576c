"""Python functions open ``https://H/...`` with urllib and reach this account's public hosts; every other host stays what it is.

Only connections to port 443 of a name with the shape of a public AWS host are turned, to this process's port, so nothing else on the
network becomes reachable. A name that the account does not have is answered with 404.

Hook: ``lambda_runtime._PYTHON_WORKER_SCRIPT``, the program that every Python function's process starts with.
"""

from __future__ import annotations

import os
from pathlib import Path

from ministack.core import lambda_runtime

from embedded_aws.public_hosts import names

_SOURCE = Path(__file__).with_name("function_side.py")


def install() -> None:
    """Put the hook in place."""
    port = int(os.environ.get("GATEWAY_PORT", "4566"))
    call = f"turn_public_hosts({names.PATTERN!r}, {names.SUFFIX!r}, {port}, {names.FROM_FUNCTION!r})\n"
    lambda_runtime._PYTHON_WORKER_SCRIPT = f"{_SOURCE.read_text()}\n{call}\n{lambda_runtime._PYTHON_WORKER_SCRIPT}"
