"""The package's modules depend on each other in one direction only, and on nothing else of the repository but the page for reviewers."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
REPOSITORY = PACKAGE.parent
ALLOWED = {"embedded_aws", "review_page"}


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


@cache
def imported(name: str) -> tuple[str, ...]:
    """What a module imports, also within functions: modules, and names of modules as ``module.name``."""
    return tuple(_imported(ast.parse(MODULES[name].read_text(encoding="utf-8"))))


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports name the whole path"
            for alias in node.names:
                yield f"{node.module}.{alias.name}"


def dependencies(name: str) -> set[str]:
    """The modules of the package that a module imports; of ``from package import name`` the module ``package.name`` if there is one."""
    found = (whole if whole in MODULES else whole.rpartition(".")[0] for whole in imported(name))
    return {module for module in found if module in MODULES} - {name}


def circle(graph: Mapping[str, set[str]]) -> list[str]:
    """A way through the graph that ends where it began; empty if there is none."""
    done: set[str] = set()

    def search(name: str, way: list[str]) -> list[str]:
        if name in way:
            return [*way[way.index(name) :], name]
        if name not in done:
            for other in sorted(graph[name]):
                found = search(other, [*way, name])
                if found:
                    return found
            done.add(name)
        return []

    return next((found for name in sorted(graph) if (found := search(name, []))), [])


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert circle({name: dependencies(name) for name in MODULES}) == []


def test_a_circle_would_be_found() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert "embedded_aws.sagemaker.people.flow_definitions" in dependencies("embedded_aws.sagemaker.people.human_loops")


def test_nothing_of_the_app_is_imported() -> None:
    of_the_repository = {path.stem for path in REPOSITORY.glob("*.py")} | {
        folder.name for folder in REPOSITORY.iterdir() if any(folder.glob("*.py")) or any(folder.glob("*/*.py"))
    }
    assert of_the_repository >= ALLOWED
    foreign = of_the_repository - ALLOWED

    found = {name: sorted({whole.split(".")[0] for whole in imported(name)} & foreign) for name in MODULES}

    assert {name: names for name, names in found.items() if names} == {}
