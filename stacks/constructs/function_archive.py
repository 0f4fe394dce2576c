"""What a function's archive holds: the modules that its handler imports, directly or through others, and nothing else.

So a change to one module changes the functions that import it, and no other function is deployed again.
"""

from __future__ import annotations

import ast
import atexit
import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGES = ("lambdas", "contracts", "review_page")
"""Packages of this project that an archive may hold; everything else comes with the runtime or a layer."""
_FILES_OF = {"review_page/pages.py": "review_page/assets"}
"""Module -> folder of files that it reads."""


@cache
def staging_root() -> Path:
    """Where this process lays files that become assets; removed when it ends."""
    root = Path(tempfile.mkdtemp(prefix="reviewloop-assets-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    return root


def function_archive(folder: str, root: Path = ROOT, *, beside: Sequence[Path] = ()) -> Path:
    """A folder with the files of the function in ``lambdas/<folder>``.

    Args:
        beside: files that are copied beside its handler.

    Raises:
        FileNotFoundError: there is no such function folder.
    """
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in beside)).hexdigest()[:16]
    target = staging_root() / root.name / digest / folder
    if not target.exists():
        for name in archive_files(folder, root):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / name, target / name)
        for file in beside:
            shutil.copy(file, target / "lambdas" / folder / file.name)
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
            found |= _files_of(path, root)
            waiting += [*_packages_of(path, root), *_imported(path, root)]
    return sorted(str(path.relative_to(root)) for path in found)


def _files_of(path: Path, root: Path) -> set[Path]:
    folder = _FILES_OF.get(str(path.relative_to(root)))
    return {file for file in (root / folder).iterdir() if file.is_file()} if folder else set()


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
