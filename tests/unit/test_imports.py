"""Imports point one way: settings -> stacks; contracts below everything; ``local`` imports ``cli``, and ``cli`` only ``local.texts``.

One process never imports another.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ALLOWED = {
    "contracts": set(),
    "review_page": {"contracts"},
    "lambdas": {"contracts", "review_page"},
    "model_code": {"contracts"},
    "stacks": {"contracts", "review_page"},
    "embedded_aws": {"review_page"},
    "cli": {"contracts", "stacks", "lambdas", "local"},
    "local": {"cli", "contracts", "stacks", "lambdas", "model_code", "embedded_aws", "review_page"},
}
"""Package -> packages of this project that it may import, besides itself. Tests may import everything."""
PURE = ("contracts", "review_page", "model_code")
AWS = {"boto3", "botocore", "aws_lambda_powertools", "aws_cdk", "ministack"}
_OF_THE_PROJECT = {*ALLOWED, "tests"}
SLOW = ("torch", "transformers", "sklearn", "scipy.stats", "ville", "aws_cdk")
"""Seconds of a core each. Every worker of pytest collects all tests, so a unit test imports them itself, and not its file."""
TEST_FILES = {path.stem: path for path in (ROOT / "tests").rglob("*.py")}


def modules(package: str) -> list[Path]:
    found = sorted((ROOT / package).rglob("*.py"))
    return [path for path in found if "tests" not in path.relative_to(ROOT).parts and "testing" not in path.relative_to(ROOT).parts]


def imported(path: Path) -> frozenset[str]:
    """Every module that is imported anywhere in a file, also within functions."""
    at_once, later = _imports(path)
    return at_once | later


@cache
def _imports(path: Path) -> tuple[frozenset[str], frozenset[str]]:
    """What a file imports when it is imported, and what its functions import."""
    at_once, later = set[str](), set[str]()
    left: list[tuple[ast.AST, set[str]]] = [(ast.parse(path.read_bytes()), at_once)]
    while left:
        node, names = left.pop()
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names.update([str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)])
        inner = later if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else names
        left += [(part, inner) for part in ast.iter_child_nodes(node) if isinstance(part, ast.stmt | ast.excepthandler | ast.match_case)]
    return frozenset(at_once), frozenset(later)


def _files(name: str) -> Iterator[Path]:
    """The project's files that run when ``name`` is imported."""
    parts = name.split(".")
    if parts[0] in TEST_FILES:
        yield TEST_FILES[parts[0]]
    for end in range(1, len(parts) + 1):
        folder = ROOT.joinpath(*parts[:end])
        yield from (path for path in (folder.with_suffix(".py"), folder / "__init__.py") if path.exists())


@pytest.mark.parametrize("package", ALLOWED)
def test_a_package_imports_only_what_it_may(package: str) -> None:
    may = ALLOWED[package] | {package}
    found = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in modules(package)
        for name in imported(path)
        if name.split(".")[0] in _OF_THE_PROJECT - may
    }
    assert not found


def test_commands_read_texts_as_the_upload_does_and_know_nothing_else_of_this_machine() -> None:
    found = {name for path in modules("cli") for name in imported(path) if name.split(".")[0] == "local"}
    assert {".".join(name.split(".")[:2]) for name in found} == {"local.texts"}
    assert not {name for path in modules("local/texts") for name in imported(path) if name.split(".")[0] == "cli"}


@pytest.mark.parametrize("package", PURE)
def test_a_pure_package_knows_no_aws(package: str) -> None:
    found = {
        f"{path.relative_to(ROOT)} imports {name}" for path in modules(package) for name in imported(path) if name.split(".")[0] in AWS
    }
    assert not found


def test_collecting_the_unit_tests_imports_no_slow_package() -> None:
    ways = {path: path.name for path in (ROOT / "tests" / "unit").rglob("*.py")}
    left = list(ways)
    while left:
        path = left.pop()
        for name in _imports(path)[0]:
            assert not f"{name}.".startswith(tuple(f"{slow}." for slow in SLOW)), f"{ways[path]} -> {name}"
            for file in _files(name):
                if file not in ways:
                    ways[file] = f"{ways[path]} -> {file.relative_to(ROOT)}"
                    left.append(file)


def test_one_process_never_imports_another() -> None:
    processes = {path.name for path in (ROOT / "lambdas").iterdir() if path.is_dir()} - {"common", "layer", "__pycache__"}
    for path in modules("lambdas"):
        own = path.relative_to(ROOT / "lambdas").parts[0]
        for name in imported(path):
            first, *rest = name.split(".")
            if first == "lambdas" and rest:
                assert rest[0] in {own, "common"} or rest[0] not in processes, f"{path.relative_to(ROOT)} imports {name}"


def test_common_imports_no_process() -> None:
    assert not [
        f"{path.name} imports {name}"
        for path in modules("lambdas")
        if path.parent.name == "common"
        for name in imported(path)
        if name.startswith("lambdas.") and not name.startswith("lambdas.common")
    ]


def test_no_two_modules_of_tests_share_a_name() -> None:
    """pytest would stop at the second one, but only where both are collected at once."""
    paths = [path for folder in ("tests", "embedded_aws/tests") for path in (ROOT / folder).rglob("*.py") if path.name != "conftest.py"]
    names = Counter(path.name for path in paths if path.name != "__init__.py")
    assert [name for name, number in names.items() if number > 1] == []
