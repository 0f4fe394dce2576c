"""Reads the settings, builds the stacks; nothing else. ``cdk deploy`` and ``make synth`` both run this file."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from stacks.application import build_app
from stacks.pipeline.application import build_pipeline_app
from stacks.settings import SettingsError, load_settings
from stacks.settings.pipeline import load_pipeline_settings

ROOT = Path(__file__).resolve().parent


def main() -> int:
    parser = argparse.ArgumentParser(description="Synthesise the reviewloop stacks of one stage, or those of its pipelines")
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--stage", help="settings/<stage>.yaml (default: REVIEWLOOP_STAGE, else dev)")
    chosen.add_argument("--settings", type=Path, metavar="FILE", help="another settings file")
    chosen.add_argument("--pipeline", type=Path, metavar="FILE", help="a file of settings/pipeline/ (default: REVIEWLOOP_PIPELINE)")
    parser.add_argument("--output", type=Path, help="output folder (default: where the CDK CLI asks, else cdk.out)")
    arguments = parser.parse_args()
    stage = arguments.settings or (ROOT / "settings" / f"{arguments.stage}.yaml" if arguments.stage else None)
    pipeline = arguments.pipeline or (None if stage else os.environ.get("REVIEWLOOP_PIPELINE"))
    output = arguments.output or Path(os.environ.get("CDK_OUTDIR", "cdk.out"))
    try:
        if pipeline:
            app = build_pipeline_app(load_pipeline_settings(Path(pipeline)), Path(os.path.relpath(pipeline, ROOT)).as_posix(), output)
        else:
            app = build_app(load_settings(stage or ROOT / "settings" / f"{os.environ.get('REVIEWLOOP_STAGE', 'dev')}.yaml"), output)
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    app.synth()
    return 0


if __name__ == "__main__":
    sys.exit(main())
