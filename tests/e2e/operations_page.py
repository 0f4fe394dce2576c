"""``docs/operations.md`` as commands: its blocks in the page's order, and which of its commands need a real account."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operations.md"
MARK = "*only on aws*"
"""As it stands on the page, but for capitals."""
_FENCE = re.compile(r"^( *)```(sh|python)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text without the list's indentation, its section, and whether only AWS has what it needs."""

    language: str
    text: str
    section: str
    only_on_aws: bool

    @property
    def script(self) -> str:
        """As bash runs it."""
        return self.text if self.language == "sh" else f"python3 - <<'END_OF_PYTHON'\n{self.text}END_OF_PYTHON\n"


def read(page: str) -> list[Block]:
    """The blocks in the page's order. One whose paragraph before it has the mark needs a real account."""
    found = []
    for match in _FENCE.finditer(page):
        indent, language, text = match.groups()
        before = page[: match.start()].rstrip().rsplit("\n\n", 1)[-1]
        section = re.findall(r"^## (.+)$", page[: match.start()], re.MULTILINE)
        lines = [line.removeprefix(indent) for line in text.splitlines(keepends=True)]
        found.append(Block(language, "".join(lines), section[-1] if section else "", MARK in before.lower()))
    return found


def inline_commands(page: str) -> list[tuple[str, bool]]:
    """Commands with options in running text and tables, and whether the sentence before each has the mark."""
    prose = _FENCE.sub("", page)
    found = []
    for match in re.finditer(r"`((?:aws|npx cdk|curl) [^`]*--[^`]*)`", prose):
        before = prose[: match.start()].rsplit("|", 1)[-1].rsplit("\n", 1)[-1]
        found.append((match[1], MARK in before.lower()))
    return found
