"""Options that several commands have: each names what is allowed when its value is not."""

from __future__ import annotations

import argparse
import math
import os

from embedded_aws.tools.launcher import DEFAULT_PORT

PORT_VARIABLE = "EMBEDDED_AWS_PORT"
DEFAULT_TIME_SCALE = 0.02
_PORTS = range(1, 65_536)
_TIME_SCALES = (0.001, 1.0)


def _port(value: str) -> int:
    if not value.isascii() or not value.isdecimal() or int(value) not in _PORTS:
        raise argparse.ArgumentTypeError(f"{value!r} is not a port: a whole number from {_PORTS[0]} to {_PORTS[-1]}")
    return int(value)


def _time_scale(value: str) -> float:
    low, high = _TIME_SCALES
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not low <= number <= high:  # not of a NaN either
        raise argparse.ArgumentTypeError(f"{value!r} is not a time scale: a number from {low:g} to {high:g}")
    return number


def add_port(parser: argparse.ArgumentParser) -> None:
    """``--port``, whose default is EMBEDDED_AWS_PORT; a wrong value there ends the command as a wrong option does."""
    given = os.environ.get(PORT_VARIABLE, "").strip()
    try:
        default = _port(given) if given else DEFAULT_PORT
    except argparse.ArgumentTypeError as error:
        parser.error(f"variable {PORT_VARIABLE}: {error}")
    parser.add_argument(
        "--port", type=_port, default=default, metavar="PORT",
        help=f"of the embedded AWS, 1 to 65535 (default: variable {PORT_VARIABLE}, else {DEFAULT_PORT})",
    )  # fmt: skip


def add_time_scale(parser: argparse.ArgumentParser) -> None:
    """``--time-scale`` of the embedded AWS."""
    low, high = _TIME_SCALES
    parser.add_argument(
        "--time-scale", type=_time_scale, default=DEFAULT_TIME_SCALE, metavar="SCALE",
        help=f"real seconds per declared second of waits and alarm periods, {low:g} to {high:g} (default: {DEFAULT_TIME_SCALE:g})",
    )  # fmt: skip


def add_replace(parser: argparse.ArgumentParser) -> None:
    """``--replace``: without it, what runs already is ended only when its user agrees."""
    parser.add_argument("--replace", action="store_true", help="end what runs in the folder already, without asking")
