"""What is wrong with a file of texts: all of it, by kind, with the first lines and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from local.texts.options import spelled

FIRST_LINES = 5
LONGEST_SHOWN = 60


class UnreadableFile(ValueError):
    """The file cannot be read as records; the text says where it breaks, and what to do."""


class InvalidTexts(ValueError):
    """The texts cannot be used; the text names every kind of problem with its count, its first lines and what to do.

    ``go_on``: options (fields of ReadingOptions) with which the same file can be used; empty where it has to be corrected.
    """

    def __init__(self, report: str, go_on: Mapping[str, str] | None = None) -> None:
        super().__init__(report)
        self.go_on = dict(go_on or {})


def shown(value: object) -> str:
    """A value as an error shows it, on one line and shortened."""
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 3] + "..."


@dataclass
class _Kind:
    cure: str
    go_on: tuple[str, str] | None
    count: int = 0
    first: list[str] = field(default_factory=list)


class Problems:
    """Collects problems by kind, in the order in which the kinds appear."""

    def __init__(self) -> None:
        self._kinds: dict[str, _Kind] = {}
        self._files: list[str] = []

    def add(self, kind: str, where: str, problem: str, cure: str, go_on: tuple[str, str] | None = None) -> None:
        """One more problem.

        Args:
            kind: the group that it belongs to, in words that follow a number: ``labels are unknown``.
            where: for example ``line 7``.
            problem: with the value, shortened.
            cure: what to do about all of this kind.
            go_on: the option, and its value, that goes on in spite of all of this kind.
        """
        found = self._kinds.setdefault(kind, _Kind(cure, go_on))
        found.count += 1
        if len(found.first) < FIRST_LINES:
            found.first.append(f"{where}: {problem}")

    def add_file(self, name: str, problem: str) -> None:
        """A file, or the texts as a whole, cannot be used."""
        self._files.append(f"{name} {problem}")

    def __bool__(self) -> bool:
        return bool(self._kinds or self._files)

    def raise_if_any(self, path: object, *, some_left: bool = True) -> None:
        """Raises InvalidTexts with the whole report.

        Args:
            some_left: some records can be used. Where none can, it does not help to leave out the others.
        """
        if self:
            options = [kind.go_on for kind in self._kinds.values()]
            decided = {} if self._files or None in options else dict(option for option in options if option)
            if not some_left and set(decided.values()) == {"drop"}:
                decided = {}
            go_on = [f"To go on with the file as it is: {spelled(decided)}"] if decided else []
            raise InvalidTexts("\n".join([*self.lines(path), *go_on]), decided)

    def lines(self, path: object) -> Iterable[str]:
        """The report."""
        if not self._kinds and len(self._files) == 1:
            return self._files
        said = [f"{path} cannot be used, and nothing was written:"]
        said += [f"  {problem}" for problem in self._files]
        for name, kind in self._kinds.items():
            said.append(f"  {kind.count:,} x {name}")
            said += [f"    {line}" for line in kind.first]
            if kind.count > len(kind.first):
                said.append(f"    and {kind.count - len(kind.first):,} more")
            said.append(f"    -> {kind.cure}")
        return said
