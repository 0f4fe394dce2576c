"""An app for stacks that a test builds itself."""

from __future__ import annotations

import tempfile

from aws_cdk import App

from stacks.application import FEATURE_FLAGS
from stacks.constructs.function_archive import staging_root


def new_app() -> App:
    """Its assembly is removed when the process ends; the folder that CDK would choose stays in the system's temporary folder."""
    return App(context=FEATURE_FLAGS, outdir=tempfile.mkdtemp(prefix="assembly-", dir=staging_root()))
