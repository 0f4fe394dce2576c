"""``python -m local.aws`` (``make aws``): an empty embedded AWS that stays up until ``make down``.

Standard output has the variables that point a shell at it, and nothing else, so that ``eval "$(make -s aws)"`` sets them; what is for
people goes to standard error.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import boto3

from local import earlier_run, options, stack_process
from local.stack_process import Emulator, EmulatorError
from stacks import home

RUN_DIR = stack_process.ROOT / ".run"
_SERVICE = "sagemaker"
_EPILOG = """In a shell: eval "$(make -s aws)". Stop it with `make down`; nothing of it is kept.
exit code: 0 it is up; 1 it could not be started, or nothing is up with --variables; 2 wrong options, or another run is up"""


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make aws",
        description="Start an empty AWS account on this machine and print the variables that point the AWS CLI, the CDK and SDKs at it",
        usage='make aws ARGS="[--port PORT] [--region REGION] [--time-scale SCALE] [--run-dir FOLDER] [--replace] [--variables]"',
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_port(parser)
    parser.add_argument("--region", type=_region, default="us-east-1", help=f"one that {_SERVICE} has (default: us-east-1)")
    options.add_time_scale(parser)
    parser.add_argument("--run-dir", type=Path, default=RUN_DIR, help="folder of the embedded AWS; emptied at the start (default: .run)")
    options.add_replace(parser)
    parser.add_argument("--variables", action="store_true", help="start nothing: print the variables of what `make aws` or `make up` left")
    return parser.parse_args(arguments)


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
    stack_process.require_own(run_dir)
    earlier_run.make_room(run_dir, replace=arguments.replace, say=_say)
    emulator = stack_process.start(
        run_dir, port=arguments.port, time_scale=arguments.time_scale, region=arguments.region, shared_imports=True, command="make aws"
    )
    return emulator.keep()


def main(arguments: Sequence[str] | None = None) -> int:
    stack_process.leave_real_accounts()
    chosen = parse(arguments)
    home.ensure()
    try:
        if chosen.variables:
            emulator = stack_process.find(chosen.run_dir.resolve())
            if emulator is None:
                _say("error: nothing runs: start it with `make aws`")
                return 1
        else:
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
    if not chosen.variables:
        pasted = "the lines above, pasted into a shell, point it" if sys.stdout.isatty() else "they point your shell"
        _say(f"an empty embedded AWS is up at {emulator.url} (log: {emulator.log_file}): {pasted} at it; stop it with `make down`")
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
