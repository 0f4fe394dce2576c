"""A stage in which nobody is asked: ``settings/newacct.yaml`` with ``review.backend: none`` (docs/operations.md)."""

from __future__ import annotations

from pathlib import Path

import pytest
from released_app import TinyModel, deploy

from embedded_aws.tools import launcher
from stacks.settings import load_settings
from stacks.synthesis import synthesise

pytestmark = pytest.mark.slow


def test_everything_deploys_releases_and_answers_without_asking_anybody(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    document = (launcher.ROOT / "settings" / "newacct.yaml").read_text(encoding="utf-8")
    document = document.replace("review: {backend: hosted}", "review: {backend: none}").replace("backend: hosted", "enabled: false")
    file.write_text(document + "rollout: {policy: blue_green}\n", encoding="utf-8")
    synthesise(tmp_path / "cdk.out", settings=file)
    with deploy(tmp_path / "app", assembly=tmp_path / "cdk.out", settings=load_settings(file)) as app:
        app.release(app.register(TinyModel("only-1")))
        answer = app.predict("[unsure] this is positive")
        assert (answer.status, answer.body["label"]) == (200, "positive")
        assert answer.body["review"] == {"status": "not_required"}
        assert app.record(answer.body["prediction_id"])["review_state"] == "not_required"
        with pytest.raises(app.client("sqs").exceptions.QueueDoesNotExist):
            app.client("sqs").get_queue_url(QueueName=app.names.queue("review-requests"))
        assert not app.denied()
