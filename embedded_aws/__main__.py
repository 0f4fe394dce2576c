"""``python -m embedded_aws start | variables | stop``: an empty embedded AWS that stays up until it is stopped.

Standard output has the variables that point a shell at it, and nothing else, so that ``eval "$(python -m embedded_aws start)"`` sets
them. What is for people goes to standard error.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import boto3

from embedded_aws import options
from embedded_aws.tools import earlier_run, launcher
from embedded_aws.tools.launcher import IMAGE_MODULES, Emulator, EmulatorError

COMMAND = "python -m embedded_aws"
RUN_DIR = launcher.ROOT / ".run"
_SERVICE = "sagemaker"
_EPILOG = f"""In a shell: eval "$({COMMAND} start)". Stop it with `{COMMAND} stop`; nothing of it is kept.
exit code: 0 done; 1 it could not be started, or nothing is up; 2 wrong options, or another one is up"""


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=COMMAND,
        description="An AWS account on this machine: start an empty one, point the AWS CLI, the CDK and SDKs at it, stop it",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="start|variables|stop")
    start_it = actions.add_parser("start", help="start an empty account and print its variables", epilog=_EPILOG,
                                  formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    options.add_port(start_it)
    start_it.add_argument("--region", type=_region, default="us-east-1", help=f"one that {_SERVICE} has (default: us-east-1)")
    options.add_time_scale(start_it)
    options.add_replace(start_it)
    start_it.add_argument(
        "--preload", type=_modules, default=IMAGE_MODULES, metavar="MODULES",
        help="modules, with commas between them, that containers find imported; '' for none (default: those of a PyTorch image)",
    )  # fmt: skip
    variables_of_it = actions.add_parser("variables", help="start nothing: print the variables of the one that runs")
    stop_it = actions.add_parser("stop", help="stop it, and with it every job, variant and function process")
    for action in (start_it, variables_of_it, stop_it):
        action.add_argument("--run-dir", type=Path, default=RUN_DIR, help="folder of the embedded AWS; a start empties it (default: .run)")
    return parser.parse_args(arguments)


def _modules(value: str) -> tuple[str, ...]:
    return tuple(filter(None, value.split(",")))


def _region(value: str) -> str:
    known = boto3.Session().get_available_regions(_SERVICE)
    if value not in known:
        raise argparse.ArgumentTypeError(f"{value!r} is not a region of {_SERVICE}: one of {', '.join(known)}")
    return value


def variables(emulator: Emulator) -> str:
    """Shell commands that point the AWS CLI, the CDK and SDKs at it, and away from a profile or session of a real account."""
    values = {
        "AWS_ENDPOINT_URL": emulator.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": emulator.region,
        "AWS_DEFAULT_REGION": emulator.region,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    lines = [f"export {name}={shlex.quote(value)}" for name, value in values.items()]
    return "\n".join([*lines, "unset AWS_PROFILE AWS_DEFAULT_PROFILE AWS_SESSION_TOKEN"])


def start(arguments: argparse.Namespace) -> Emulator:
    """The embedded AWS, up and left to its user.

    Raises:
        EmulatorError: it cannot be started.
        earlier_run.StillUp: something else runs, and nobody agreed to end it.
    """
    run_dir = arguments.run_dir.resolve()
    launcher.require_own(run_dir)
    earlier_run.make_room(run_dir, replace=arguments.replace, say=_say)
    emulator = launcher.start(
        run_dir,
        port=arguments.port,
        time_scale=arguments.time_scale,
        region=arguments.region,
        preload=arguments.preload,
        command=f"{COMMAND} start",
    )
    return emulator.keep()


def main(arguments: Sequence[str] | None = None) -> int:
    launcher.leave_real_accounts()
    chosen = parse(arguments)
    try:
        if chosen.action != "start":
            return _of_running(chosen)
        emulator = start(chosen)
    except earlier_run.StillUp as error:
        _say(f"error: {error}")
        return 2
    except (EmulatorError, OSError) as error:
        _say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    print(variables(emulator))
    pasted = "the lines above, pasted into a shell, point it" if sys.stdout.isatty() else "they point your shell"
    _say(f"an empty embedded AWS is up at {emulator.url} (log: {emulator.log_file}): {pasted} at it; stop it with `{COMMAND} stop`")
    return 0


def _of_running(chosen: argparse.Namespace) -> int:
    """``variables`` and ``stop``."""
    emulator = launcher.find(chosen.run_dir.resolve())
    if emulator is None:
        if chosen.action == "stop":
            _say("nothing runs")
            return 0
        _say(f"error: nothing runs: start it with `{COMMAND} start`")
        return 1
    if chosen.action == "variables":
        print(variables(emulator))
        return 0
    emulator.stop()
    _say(f"stopped the embedded AWS (port {emulator.port})")
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
