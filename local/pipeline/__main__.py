"""``make pipeline-dry-run``: an empty account on this machine, and then every command of the workflows deploy and rollout, in order."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from botocore.exceptions import ClientError

from embedded_aws.tools import deployer, launcher
from local.pipeline.dry_run import ROOT, STAGE, DryRun, StepFailed
from stacks.settings import Settings, load_settings
from stacks.synthesis import SynthesisFailed

TIME_SCALE = 0.02
_MOST_MINUTES = 24 * 60


class TimeIsUp(BaseException):
    """The whole run has taken longer than it may. Like an interruption, it must pass every ``except Exception`` on its way out."""


@contextmanager
def started(folder: Path, settings: Settings) -> Iterator[launcher.Emulator]:
    """An empty account, which ends with the block."""
    port = launcher.free_port()
    emulator = launcher.start(folder / "run", port=port, time_scale=TIME_SCALE, region=settings.region, command="make pipeline-dry-run")
    try:
        yield emulator
    finally:
        emulator.stop()


@contextmanager
def bounded(minutes: float) -> Iterator[None]:
    """Raises TimeIsUp in the block when it still runs after this time, whatever it waits for."""

    def ring(_number: int, _frame: FrameType | None) -> NoReturn:
        raise TimeIsUp

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 60 * minutes)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@dataclass(frozen=True)
class Taken:
    """A step that was taken, and how it ended."""

    title: str
    end: str
    seconds: float
    failed: bool = False


def run(dry_run: DryRun, minutes: float) -> list[Taken]:
    """Take every step until one fails, or the time is up."""
    taken: list[Taken] = []
    steps = dry_run.steps()
    for number, (title, work) in enumerate(steps, 1):
        print(f"{number}/{len(steps)} {title}", flush=True)
        began = time.monotonic()
        try:
            with bounded(max(0.001, minutes - sum(one.seconds for one in taken) / 60)):
                end, failed = work(), False
        except (StepFailed, SynthesisFailed, deployer.DeployError, ClientError) as error:
            end, failed = str(error), True
        except TimeIsUp:
            end, failed = f"the run was not done after {minutes:g} minutes: --minutes allows more", True
        taken.append(Taken(title, end, time.monotonic() - began, failed))
        if failed:
            break
    return taken


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m local.pipeline",
        description="Run every command of the workflows deploy (of dev) and rollout against an empty AWS on this machine",
        epilog="exit code: 0 every step ended as it must; 1 one did not, or the time was up; 2 wrong options; 130 interrupted",
    )
    parser.add_argument("--cdk", action="store_true", help="deploy with the CDK CLI, under the role that it takes on; slower")
    parser.add_argument("--minutes", type=_minutes, default=30.0, help="in which every step must be done (default: 30)")
    parser.add_argument("--assembly", type=Path, metavar="FOLDER", help="what `make synth` wrote for dev, where --cdk is not given")
    return parser.parse_args(arguments)


def _minutes(value: str) -> float:
    minutes = float(value)
    if not 0 < minutes <= _MOST_MINUTES:
        raise argparse.ArgumentTypeError(f"{value} is not above 0 and at most {_MOST_MINUTES}")
    return minutes


def main(arguments: Sequence[str] | None = None) -> int:
    chosen = parse(arguments)
    launcher.leave_real_accounts()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: nothing is left running
    settings = load_settings(ROOT / "settings" / f"{STAGE}.yaml")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="pipeline-dry-run-") as temporary:
        folder = Path(temporary)
        try:
            print("a dry run of the pipelines: the commands of deploy.yml (dev) and rollout.yml, against an empty AWS on this machine")
            with started(folder, settings) as emulator:
                taken = run(DryRun(folder, emulator, settings, chosen.cdk, chosen.assembly), chosen.minutes)
        except launcher.EmulatorError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("interrupted: nothing of the run is left", file=sys.stderr)
            return 130
    print("\nverify.yml is not run here: .ci/run runs the same make targets.")
    for one in taken:
        print(f"{'NO' if one.failed else 'ok'}  {one.title}: {one.end} ({one.seconds:.0f} s)")
    failed = taken[-1].failed
    print(f"{'a step failed' if failed else 'every step ended as it must'}, after {time.monotonic() - began:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
