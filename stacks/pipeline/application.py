"""The app of the pipelines: what ``app.py --pipeline`` builds. The stages are deployed by it, and are no part of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from aws_cdk import App, Tags

from stacks.application import new_app
from stacks.pipeline.access import AccessStack
from stacks.pipeline.codepipeline import PipelineStack
from stacks.settings import Settings, SettingsError, load_settings
from stacks.settings.pipeline import PipelineSettings

_STAGES = Path(__file__).resolve().parents[2] / "settings"


def stages_of(settings: PipelineSettings, folder: Path = _STAGES) -> dict[str, Settings]:
    """The settings of each stage, by its name, in the order of deployment.

    Raises:
        SettingsError: a stage has no usable file, or the stages have different names.
    """
    found = {stage: load_settings(folder / f"{stage}.yaml") for stage in settings.accounts}
    names = sorted({one.name for one in found.values()})
    if len(names) > 1:
        raise SettingsError(f"the stages {', '.join(found)} have the names {', '.join(names)}: a pipeline deploys one app, so one name")
    return found


def build_pipeline_app(settings: PipelineSettings, file: str, output: Path | None = None) -> App:
    """Build the app; ``app.synth()`` fails on any unacknowledged finding. Needs no credentials and no network.

    Args:
        file: where the settings stand in the repository, for the pipeline that synthesises itself.

    Raises:
        SettingsError: a stage has no usable file, or the stages have different names.
    """
    stages = stages_of(settings)
    app = new_app(output)
    add_access(app, settings, stages)
    if settings.connection_arn is not None:
        PipelineStack(app, settings, stages, file)
    Tags.of(app).add("application", next(iter(stages.values())).name)
    return app


def add_access(app: App, settings: PipelineSettings, stages: Mapping[str, Settings]) -> None:
    """The stack of roles of each account."""
    for account, names in settings.stages_by_account.items():
        AccessStack(app, settings, account, [stages[name] for name in names])
