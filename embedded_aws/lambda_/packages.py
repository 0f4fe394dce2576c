"""Lambda: every process of a function sees one unpacked copy of its code and layers, as ``/var/task`` and ``/opt`` are the same in AWS.

Stock ministack unpacks both anew for each process: a run of some hundred processes writes, compiles and deletes ten thousands of files.

Hook: ``zipfile`` of ``lambda_runtime``.
"""

from __future__ import annotations

import compileall
import hashlib
import os
import re
import shutil
import threading
import zipfile
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace

from ministack.core import lambda_runtime

from embedded_aws.core import background

UNPACKED = background.RUN_DIR / "packages"
_LAYER = re.compile(r"layer_\d+\.zip")
_OWN_FOLDER = re.compile(r"code|layer_\d+")
_lock = threading.Lock()


class _Package(zipfile.ZipFile):
    """An archive whose contents a process gets as a link to the one copy."""

    def namelist(self) -> list[str]:
        """Of a layer none: ministack asks where each file would end, for every process anew, and unpacking lets none out of its folder."""
        return [] if self.filename is not None and _LAYER.fullmatch(Path(self.filename).name) else super().namelist()

    def extractall(
        self, path: str | os.PathLike[str] | None = None, members: Iterable[str | zipfile.ZipInfo] | None = None, pwd: bytes | None = None
    ) -> None:
        folder = Path(path or ".")
        if self.filename is None or members is not None or not _OWN_FOLDER.fullmatch(folder.name):
            super().extractall(path, members, pwd)
            return
        with _lock:
            unpacked = UNPACKED / hashlib.sha256(Path(self.filename).read_bytes()).hexdigest()
            if not unpacked.exists():
                unfinished = unpacked.with_suffix(".new")
                shutil.rmtree(unfinished, ignore_errors=True)
                super().extractall(unfinished, super().namelist())
                compileall.compile_dir(unfinished, quiet=2)
                unfinished.rename(unpacked)
        folder.rmdir()
        folder.symlink_to(unpacked, target_is_directory=True)


def install() -> None:
    """Replace the module's way to unpack archives."""
    lambda_runtime.zipfile = SimpleNamespace(**{**vars(zipfile), "ZipFile": _Package})
