"""What a function's archive holds: the modules that its handler imports, directly or through others, and nothing else.

So a change to one module changes the functions that import it, and no other function is deployed again.
"""

from __future__ import annotations

import ast
import atexit
import shutil
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGES = ("lambdas", "contracts")
"""Packages of this project that an archive may hold; everything else comes with the runtime or the layer."""


@cache
def staging_root() -> Path:
    """Where this process lays files that become assets; removed when it ends."""
    root = Path(tempfile.mkdtemp(prefix="reviewloop-assets-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    return root


def function_archive(folder: str, root: Path = ROOT) -> Path:
    """A folder with the files of the function in ``lambdas/<folder>``.

    Raises:
        FileNotFoundError: there is no such function folder.
    """
    target = staging_root() / root.name / folder
    if not target.exists():
        for name in archive_files(folder, root):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / name, target / name)
    return target


def archive_files(folder: str, root: Path = ROOT) -> list[str]:
    """Paths below ``root``, sorted: the handler's imports, the packages they are in, and the function's files that are no Python.

    Raises:
        FileNotFoundError: there is no such function folder.
    """
    source = root / "lambdas" / folder
    if not (source / "handler.py").exists():
        raise FileNotFoundError(f"{source / 'handler.py'} does not exist: every function folder has a handler.py")
    found: set[Path] = {path for path in source.iterdir() if path.is_file() and path.suffix != ".py"}
    waiting = [source / "handler.py"]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += [*_packages_of(path, root), *_imported(path, root)]
    return sorted(str(path.relative_to(root)) for path in found)


def _packages_of(path: Path, root: Path) -> Iterator[Path]:
    for parent in path.relative_to(root).parents:
        if parent != Path():
            yield root / parent / "__init__.py"


@cache
def _imported(path: Path, root: Path) -> tuple[Path, ...]:
    """The project's modules that the module at ``path`` imports anywhere, also within functions."""
    return tuple(_modules(ast.parse(path.read_bytes()), root))


def _modules(tree: ast.Module, root: Path) -> Iterator[Path]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            if name.split(".")[0] in PACKAGES and (module := root / f"{name.replace('.', '/')}.py").exists():
                yield module
