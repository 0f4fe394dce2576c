"""The one ministack version whose private interfaces this extension knows.

Everything under ``embedded_aws`` reaches into ministack's internals, which are not an API: any other
version is refused at start, and ``embedded_aws/tests/test_hooks.py`` holds a contract test per hook.
"""

from __future__ import annotations

from ministack import app

MINISTACK_VERSION = "1.5.33"


class UnsupportedEmulator(RuntimeError):
    """The installed ministack is not the pinned one."""


def require_pinned_version() -> None:
    """Raises UnsupportedEmulator when another ministack is installed."""
    found = app._version()
    if found != MINISTACK_VERSION:
        raise UnsupportedEmulator(
            f"embedded_aws extends ministack {MINISTACK_VERSION}, but {found} is installed: run `make clean install` and start again"
        )
