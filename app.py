"""Reads the settings, builds the stacks; nothing else. ``cdk deploy`` and ``make synth`` both run this file."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from stacks.application import build_app
from stacks.settings import SettingsError, load_settings

ROOT = Path(__file__).resolve().parent


def main() -> int:
    parser = argparse.ArgumentParser(description="Synthesise the reviewloop stacks of one stage")
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--stage", default=os.environ.get("REVIEWLOOP_STAGE", "dev"), help="settings/<stage>.yaml (default: dev)")
    chosen.add_argument("--settings", type=Path, metavar="FILE", help="another settings file")
    parser.add_argument("--output", type=Path, help="output folder (default: where the CDK CLI asks, else cdk.out)")
    arguments = parser.parse_args()
    try:
        settings = load_settings(arguments.settings or ROOT / "settings" / f"{arguments.stage}.yaml")
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    build_app(settings, arguments.output or Path(os.environ.get("CDK_OUTDIR", "cdk.out"))).synth()
    return 0


if __name__ == "__main__":
    sys.exit(main())
