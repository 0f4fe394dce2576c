"""A path that a shell script may hold without quotes: a container's own script names ``/opt/ml``, where a job's folder stands instead.

Where the folder's name has a space or another character that a shell reads, a link in ``/tmp`` stands for the run's folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from pathlib import Path

_PLAIN = re.compile(r"[A-Za-z0-9_./+@%:,=-]+")


class LinkTaken(OSError):
    """Something that is not this link has the link's name."""


def link_of(run_dir: Path) -> Path:
    """The link of a run's folder and this user, whether it is there or not."""
    mark = hashlib.sha256(os.fsencode(run_dir)).hexdigest()[:12]
    return Path("/tmp") / f"embedded-aws-{os.getuid()}-{mark}"  # noqa: S108  (its owner is looked at before it is used)


def plain(folder: Path, run_dir: Path) -> Path:
    """``folder``, which is below ``run_dir``, under a name without characters that a shell reads.

    Raises:
        LinkTaken: another user has made something of the link's name.
    """
    if _PLAIN.fullmatch(str(folder)):
        return folder
    link = link_of(run_dir)
    with contextlib.suppress(FileExistsError):
        link.symlink_to(run_dir)
    if link.lstat().st_uid != os.getuid() or not link.is_symlink() or link.readlink() != run_dir:
        raise LinkTaken(f"{link} is not the link that was made for {run_dir}: remove it, then start again")
    return link / folder.relative_to(run_dir)


def forget(run_dir: Path) -> None:
    """Remove the link, if there is one of this user."""
    link = link_of(run_dir)
    with contextlib.suppress(OSError):
        if link.is_symlink() and link.lstat().st_uid == os.getuid():
            link.unlink()
