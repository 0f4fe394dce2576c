"""What a training job's container runs: the training toolkit, or the request's own ``ContainerEntrypoint`` and ``ContainerArguments``.

The SageMaker SDK's ``ModelTrainer`` always sends the latter: ``/bin/bash -c`` of a script in its channel ``sm_drivers``, whose files name
``/opt/ml`` themselves. Nothing can be mounted there without Docker, so that prefix is rewritten to the job's folder in the command and in
that channel's files; programs in other channels find their folders by the SM_* variables that the drivers set. The folder's path is
given without characters that a shell reads, by a link if need be.

Sources: SageMaker API reference, "AlgorithmSpecification"; sagemaker-python-sdk, ``ModelTrainer``.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from embedded_aws.containers import image_python
from embedded_aws.containers.training_toolkit import SUBMITTED
from embedded_aws.core import background
from embedded_aws.sagemaker.jobs.job_files import PREFIX, JobFailed, JobStorage, rewrite

_ROOT = Path(__file__).resolve().parents[3]
_DRIVERS = "sm_drivers"
_TEXTS = (".py", ".sh", ".json")
_PLAIN = re.compile(r"[\w./-]+", re.ASCII)


def fetch_submitted(record: Mapping[str, Any], storage: JobStorage, root: Path) -> None:
    """The archive that the toolkit's ``sagemaker_submit_directory`` names in S3.

    Raises:
        JobFailed: the role may not read it, or the container has no network to read it by.
    """
    given = str(record.get("HyperParameters", {}).get("sagemaker_submit_directory", ""))
    uri = str(json.loads(given)) if given.startswith('"') else given
    if not uri.startswith("s3://"):
        return
    if record.get("EnableNetworkIsolation"):
        raise JobFailed(
            f"AlgorithmError: the container cannot read sagemaker_submit_directory {uri}: EnableNetworkIsolation is on."
            " Give the archive as a channel and name its path in the container instead."
        )
    storage.fetch(uri, root / SUBMITTED)


def start(algorithm: Mapping[str, Any], root: Path, environment: Mapping[str, str], log_file: Path) -> subprocess.Popen[bytes]:
    """Start the container's first process.

    Raises:
        JobFailed: the container has no such program.
    """
    own = [*algorithm.get("ContainerEntrypoint", []), *algorithm.get("ContainerArguments", [])]
    if not own:
        command = [image_python.PYTHON, "-m", "embedded_aws.containers.training_toolkit", "--root", str(root)]
        return background.spawn(command, environment={**environment, "PYTHONPATH": str(_ROOT)}, cwd=_ROOT, log_file=log_file)
    for name in ("model", "output/data", "checkpoints"):
        (root / name).mkdir(parents=True, exist_ok=True)
    folder = _plain(root)
    _rewrite_drivers(root / "input" / "data" / _DRIVERS, folder)
    values = dict(zip(environment, rewrite(list(environment.values()), folder), strict=True))
    values["PATH"] = f"{image_python.SEARCH_PATH}:{values.get('PATH', '/usr/bin:/bin')}"
    try:
        return background.spawn(rewrite(own, folder), environment=values, cwd=root, log_file=log_file)
    except FileNotFoundError:
        raise JobFailed(f"AlgorithmError: the container has no program {own[0]}, exit code: 127") from None


def clean(root: Path) -> None:
    """Remove what :func:`start` left outside the job's folder."""
    _link(root).unlink(missing_ok=True)


def _link(root: Path) -> Path:
    digest = hashlib.sha256(os.fsencode(root)).hexdigest()[:16]
    return Path(f"/tmp/embedded-aws-{os.getuid()}-{digest}")  # noqa: S108  (the path must be plain; TMPDIR's may not be)


def _plain(root: Path) -> Path:
    """The job's folder, under a path that a shell takes as it is."""
    if _PLAIN.fullmatch(str(root)):
        return root
    link = _link(root)
    link.unlink(missing_ok=True)
    link.symlink_to(root)
    return link


def _rewrite_drivers(folder: Path, root: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix in _TEXTS:
            path.write_text(path.read_text(encoding="utf-8").replace(PREFIX, str(root)), encoding="utf-8")
