"""An account that A2I and Ground Truth are closed to: the app without its review and labeling stacks (docs/operations.md)."""

from __future__ import annotations

from pathlib import Path

import pytest
from released_app import DEV, ReleasedApp, TinyModel

from local import deployer, stack_process
from stacks.application import build_app
from stacks.settings import Settings

LEFT_OUT = ("review", "labeling")


def test_everything_else_deploys_releases_and_answers_without_asking_anybody(tmp_path: Path) -> None:
    document = DEV.model_dump()
    document["review"] |= {"threshold": 0.0, "audit_share": 0.0}
    document["labeling"] |= {"enabled": False}
    settings, assembly = Settings.model_validate(document), tmp_path / "cdk.out"
    build_app(settings, assembly).synth()
    stacks = [item.name for item in deployer.read_assembly(assembly) if not item.name.endswith(LEFT_OUT)]
    emulator = stack_process.start(tmp_path / "run", port=stack_process.free_port(), time_scale=0.02, region=settings.region)
    try:
        app = ReleasedApp(emulator, settings, assembly, deployer.deploy(assembly, emulator.url, stacks))
        app.release(app.register(TinyModel("only-1")))
        answer = app.predict("[unsure] this is positive")
        assert (answer.status, answer.body["label"]) == (200, "positive")
        assert answer.body["review"] == {"status": "not_required"}
        assert app.record(answer.body["prediction_id"])["review_state"] == "not_required"
        with pytest.raises(app.client("sqs").exceptions.QueueDoesNotExist):
            app.client("sqs").get_queue_url(QueueName=f"{app.prefix}-review-requests")
        assert not app.denied()
    finally:
        emulator.stop()
