"""The checkpoint of a training job, in the folder that SageMaker copies to S3 while the job runs."""

from __future__ import annotations

import pickle
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch


def save(state: dict[str, Any], path: Path) -> None:
    """Write the checkpoint; what lay there stays until the new one is whole.

    It is written elsewhere first. The service keeps S3 in step with the folder, so a temporary file there would be copied, and its end
    would have to be followed by a removal in S3, which the job's role may not do.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as elsewhere:
        written = Path(elsewhere) / path.name
        torch.save(state, written)
        shutil.move(written, path)  # the folder may be a mount of its own: a copy then


def load(path: Path) -> dict[str, Any] | None:
    """The checkpoint that a stopped job left; None without one, or when it was cut while it was copied.

    Only tensors, numbers, texts and containers of them are read. Whoever may write into the folder of checkpoints could otherwise have the
    job run code of theirs.
    """
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        print(f"the checkpoint {path.name} cannot be read ({error}): training starts anew", flush=True)
        return None
    return state
