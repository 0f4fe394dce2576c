"""Start, find and stop the embedded AWS process. Used by the commands and by the tests' fixtures."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from embedded_aws.tools import plain_path, processes

ROOT = Path(__file__).resolve().parents[2]
EMULATOR_PYTHON = ROOT / ".venv-emulator" / "bin" / "python"
CONTAINER_PYTHON = Path(sys.executable)
"""What starts the embedded AWS also runs its containers: the environment with torch, where there is one."""
DEFAULT_PORT = 4566
RECORD = "emulator.json"
_MODULE = "embedded_aws.server"
_START_SECONDS = 180
IMAGE_MODULES = (
    "torch", "torch._dynamo", "transformers", "transformers.models.auto", "transformers.models.bert.modeling_bert",
    "safetensors.torch", "sklearn.linear_model", "sklearn.feature_extraction.text",
)  # fmt: skip
"""What AWS's PyTorch images have and model code imports, for ``preload``; never model code itself, which each job brings along."""
_CLOSED_SECONDS = 1.0
"""How long after its end a process may still keep its port."""
_GRACE_SECONDS = 0.5
"""How long to wait for a request that hangs (a long poll, a Lambda). No state outlives the process anyway."""


class EmulatorError(RuntimeError):
    """The embedded AWS cannot be started or does not answer; the text says what to do."""


@dataclass(frozen=True)
class Emulator:
    """A running embedded AWS: its port, process id and folder; ``identity`` tells it from a later process with the same id."""

    port: int
    pid: int
    run_dir: Path
    identity: str = ""
    command: str = field(default="", compare=False)
    """What its user typed."""
    owner: int = field(default=0, compare=False)
    """Process id of that command, which ``owner_identity`` tells from a later one."""
    owner_identity: str = field(default="", compare=False)
    kept: bool = field(default=False, compare=False)
    """The command has ended and left it running for its user."""
    region: str = field(default="us-east-1", compare=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log_file(self) -> Path:
        return self.run_dir / "emulator.log"

    @property
    def audit_file(self) -> Path:
        """One JSON line per IAM decision: ``{"time","principal","action","resource","allowed"}``."""
        return self.run_dir / "iam-audit.jsonl"

    def is_alive(self) -> bool:
        found = processes.identity(self.pid)
        return found is not None and (not self.identity or found == self.identity)

    @property
    def in_use(self) -> bool:
        """Whether somebody needs it: it was left running on purpose, or the command that started it is at work."""
        return self.kept or bool(self.owner_identity and processes.identity(self.owner) == self.owner_identity)

    def keep(self) -> Emulator:
        """Record that the embedded AWS stays up for its user after the command that started it has ended."""
        kept = replace(self, kept=True)
        kept.write()
        return kept

    def write(self) -> None:
        """The record by which later commands find it; written whole or not at all."""
        path = self.run_dir / RECORD
        partial = path.with_suffix(".part")
        partial.write_text(json.dumps({key: value for key, value in asdict(self).items() if key != "run_dir"}))
        partial.replace(path)

    def wait(self) -> None:
        """Wait until a launched embedded AWS answers; one that does not come up is stopped.

        Raises:
            EmulatorError: the process ended, or stayed silent; with the end of its log.
        """
        try:
            if self._answers():
                return
            tail = self.log_file.read_text(errors="replace")[-2_000:]
        except BaseException:
            self.stop()
            raise
        self.stop()
        raise EmulatorError(f"the embedded AWS did not start; the end of {self.log_file}:\n{tail}")

    def _answers(self) -> bool:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self.is_alive():
            try:
                with urllib.request.urlopen(f"{self.url}/_ministack/health", timeout=1):  # noqa: S310  (http on 127.0.0.1)
                    return True
            except OSError:
                time.sleep(0.05)
        return False

    def stop(self) -> None:
        """End the embedded AWS and with it every job, variant and function process; takes a second at most."""
        if self.is_alive():
            children = processes.descendants(self.pid)
            processes.end(self.pid, self.identity, grace_seconds=_GRACE_SECONDS)
            processes.kill_all(children)
        shutil.rmtree(self.run_dir / "tmp", ignore_errors=True)
        plain_path.forget(self.run_dir)
        (self.run_dir / RECORD).unlink(missing_ok=True)


def leave_real_accounts() -> None:
    """From here this process and all that it starts know no AWS account but the embedded one: no profile, keys, endpoints or files."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull, AWS_EC2_METADATA_DISABLED="true")


def _require_free(port: int) -> None:
    """Raises EmulatorError, naming what to do, when nothing can listen on the port, not even a moment later.

    The last threads of a killed process keep its sockets open, some milliseconds after the process has gone.
    """
    deadline = time.monotonic() + _CLOSED_SECONDS
    while not _is_free(port):
        if time.monotonic() > deadline:
            raise EmulatorError(
                f"port {port} is taken: stop what listens there (an embedded AWS: `make down` or `python -m embedded_aws stop`), "
                "or set EMBEDDED_AWS_PORT to a free port"
            )
        time.sleep(0.02)


def _is_free(port: int) -> bool:
    """Raises EmulatorError: the user may not listen there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except PermissionError:
            raise EmulatorError(f"port {port} is not open to this user: set EMBEDDED_AWS_PORT to a free port from 1024 to 65535") from None
        except OSError:
            return False
        return True


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def require_own(run_dir: Path) -> None:
    """Raises EmulatorError when the folder holds something else than an earlier embedded AWS's files, since a start empties it."""
    if run_dir.exists() and any(run_dir.iterdir()) and not (run_dir / "emulator.log").exists():
        raise EmulatorError(f"--run-dir {run_dir} holds other files, and would be emptied: name an empty or a new folder")


def find(run_dir: Path) -> Emulator | None:
    """The embedded AWS that an earlier command left running in ``run_dir``, if it still lives; also one without a record of it."""
    emulator = _recorded(run_dir) or _unrecorded(run_dir)
    return emulator if emulator is not None and emulator.is_alive() else None


def _recorded(run_dir: Path) -> Emulator | None:
    try:
        data = json.loads((run_dir / RECORD).read_text())
        numbers = {name: int(data[name]) for name in ("port", "pid", "owner")}
        texts = {name: str(data[name]) for name in ("identity", "command", "owner_identity", "region")}
        emulator = Emulator(run_dir=run_dir, kept=data["kept"] is True, **numbers, **texts)  # type: ignore[arg-type]  # by name
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return emulator if emulator.is_alive() else None


def _unrecorded(run_dir: Path) -> Emulator | None:
    """The command was killed before it had written the record, or the folder was removed."""
    for pid in processes.running(_MODULE, "EMBEDDED_AWS_RUN_DIR", str(run_dir)):
        port = processes.variable(pid, "GATEWAY_PORT")
        return Emulator(int(port or 0), pid, run_dir, processes.identity(pid) or "")
    return None


def start(
    run_dir: Path,
    *,
    port: int = DEFAULT_PORT,
    time_scale: float = 1.0,
    people_time_scale: float = 1.0,
    region: str = "us-east-1",
    auth: bool = True,
    preload: Sequence[str] = (),
    command: str = "",
    wait: bool = True,
) -> Emulator:
    """Start an embedded AWS with an empty state in ``run_dir``.

    Args:
        preload: modules that containers find imported. It costs some seconds of a core once, and saves them for every job and instance
            that learns or serves a model.
        command: what its user typed, for messages.
        wait: return once it answers, after some seconds. Else other work can be done meanwhile, and ``Emulator.wait`` comes later.

    Raises:
        EmulatorError: the port is taken, the environment is not installed, or (with ``wait``) it does not come up.
    """
    if not EMULATOR_PYTHON.exists():
        raise EmulatorError(f"{EMULATOR_PYTHON.parent.parent.name} is not installed: run `make install`, or see embedded_aws/README.md")
    _require_free(port)
    shutil.rmtree(run_dir, ignore_errors=True)
    run_dir.mkdir(parents=True)
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "MINISTACK_"))},
        "GATEWAY_PORT": str(port),
        "AUTH": "true" if auth else "false",
        "MINISTACK_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_REGION": region,
        "AWS_EC2_METADATA_DISABLED": "true",
        "EMBEDDED_AWS_TIME_SCALE": str(time_scale),
        "EMBEDDED_AWS_PEOPLE_TIME_SCALE": str(people_time_scale),
        "EMBEDDED_AWS_RUN_DIR": str(run_dir),
        "EMBEDDED_AWS_CONTAINER_PYTHON": str(CONTAINER_PYTHON),
        "EMBEDDED_AWS_PRELOAD": ",".join(preload),
        "PYTHONPATH": str(ROOT),
        "TMPDIR": str(run_dir / "tmp"),
    }
    (run_dir / "tmp").mkdir()
    with (run_dir / "emulator.log").open("wb") as stream:
        process = subprocess.Popen(
            [str(EMULATOR_PYTHON), "-m", _MODULE], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=stream,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    emulator = Emulator(
        port, process.pid, run_dir, processes.identity(process.pid) or "", command, os.getpid(), processes.identity(os.getpid()) or "",
        region=region,
    )  # fmt: skip
    try:
        emulator.write()
    except BaseException:
        emulator.stop()  # interrupted, or a full disk: nothing may be left behind
        raise
    if wait:
        emulator.wait()
    return emulator
