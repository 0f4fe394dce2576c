"""The exit codes of every command, in one place; docs/commands.md has the same table. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType

from lambdas.rollout.progress import Outcome


class ExitCode(IntEnum):
    """What a pipeline may decide by. Below 10 the command itself speaks, from 10 on what it followed to its end."""

    DONE = 0
    FAILED = 1
    REFUSED = 2
    NO_ACCOUNT = 4
    ROLLED_BACK = 10
    INCONCLUSIVE = 11
    WITHDRAWN = 12
    GATES_REFUSED = 13
    SKIPPED = 14
    INTERRUPTED = 130


OF_OUTCOME: Mapping[str, ExitCode] = MappingProxyType(
    {
        Outcome.PROMOTED: ExitCode.DONE,
        Outcome.RELEASED: ExitCode.DONE,
        Outcome.ROLLED_BACK: ExitCode.ROLLED_BACK,
        Outcome.INCONCLUSIVE: ExitCode.INCONCLUSIVE,
        Outcome.WITHDRAWN: ExitCode.WITHDRAWN,
        "stopped": ExitCode.WITHDRAWN,
        "refused": ExitCode.REFUSED,
        "failed": ExitCode.FAILED,
        "tuned": ExitCode.DONE,
        "awaiting_approval": ExitCode.DONE,
        "gates_refused": ExitCode.GATES_REFUSED,
        "skipped": ExitCode.SKIPPED,
    }
)
"""How an execution ended -> the exit code of the command that followed it."""
