"""The pages for people: what they link to and name exists, and their lines can be read side by side with the code."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted((ROOT / "docs").glob("*.md"))
FOLDERS = (
    "cli", "contracts", "docs", "embedded_aws", "lambdas", "local", "model_code", "review_page", "scripts", "settings", "stacks", "tests",
)  # fmt: skip
LONGEST_LINE = 120
_FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]*))?\)|<img src=\"([^\"]+)\"")
_SPAN = re.compile(r"`([^`]+)`")
_PATH = re.compile(rf"(?:{'|'.join(FOLDERS)})/[\w.<>{{}},*/-]*")
_MODULE = re.compile(r"python3? -m ([\w.]+)")

on_every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def anchors(page: Path) -> set[str]:
    """The headings as GitHub makes anchors of them."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def exists(path: str) -> bool:
    """Whether a path, or for each of its ``{a,b}`` alternatives one that fits its ``<name>`` and ``*``, is there."""
    parts = re.split(r"\{([^}]*)\}", re.sub(r"<[^>]*>", "*", path.rstrip("/")))
    choices = [part.split(",") if number % 2 else [part] for number, part in enumerate(parts)]
    return all(any(ROOT.glob("".join(chosen))) for chosen in itertools.product(*choices))


def prose(page: Path) -> Iterator[str]:
    """The lines that are no table, heading or code."""
    for line in _FENCE.sub("", page.read_text(encoding="utf-8")).splitlines():
        if not line.lstrip().startswith(("|", "#")):
            yield line


@on_every_page
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for target, anchor, image in _LINK.findall(_FENCE.sub("", page.read_text(encoding="utf-8"))):
        file = (page.parent / (target or image)).resolve() if target or image else page
        assert file.exists(), f"{page.name} links to {target or image}, which does not exist"
        assert not anchor or anchor in anchors(file), f"{page.name}: {file.name} has no heading #{anchor}"


@on_every_page
def test_every_path_of_the_repository_exists(page: Path) -> None:
    spans = _SPAN.findall(_FENCE.sub("", page.read_text(encoding="utf-8")))
    paths = {path for span in spans for path in span.split() if _PATH.fullmatch(path)}
    assert [path for path in sorted(paths) if not exists(path)] == []


@on_every_page
def test_every_module_that_is_run_exists(page: Path) -> None:
    modules = set(_MODULE.findall(page.read_text(encoding="utf-8")))
    assert [module for module in sorted(modules) if find_spec(module) is None] == []


@on_every_page
def test_lines_of_prose_fit_the_page(page: Path) -> None:
    assert [line for line in prose(page) if len(line) > LONGEST_LINE] == []


def test_the_walk_of_one_prediction_names_each_file_once_and_at_most_twenty() -> None:
    section = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").split("## One prediction's path")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (\d+) \| `([^`]+)` \|", section, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, len(rows) + 1))
    assert len({path for _, path in rows}) == len(rows) <= 20
    assert [path for _, path in rows if not (ROOT / path).is_file()] == []


def test_the_checks_see_what_is_wrong() -> None:
    assert not exists("lambdas/no_such_process/handler.py")
    assert exists("lambdas/<process>/<function>/handler.py")
    assert exists("tests/{unit,app}")
    assert not exists("tests/{unit,no_such_folder}")
    assert "two-commands" in anchors(ROOT / "README.md")
