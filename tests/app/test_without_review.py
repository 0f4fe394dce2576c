"""An account that A2I and Ground Truth are closed to: ``settings/newacct.yaml`` as it is (docs/operations.md)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from released_app import TinyModel, deploy

from embedded_aws.tools import launcher
from stacks.settings import load_settings

pytestmark = pytest.mark.slow

NEW_ACCOUNT = load_settings(launcher.ROOT / "settings" / "newacct.yaml")


def test_everything_deploys_releases_and_answers_without_asking_anybody(tmp_path: Path, synthesised: Callable[[str], Path]) -> None:
    with deploy(tmp_path, assembly=synthesised("newacct"), settings=NEW_ACCOUNT) as app:
        app.release(app.register(TinyModel("only-1")))
        answer = app.predict("[unsure] this is positive")
        assert (answer.status, answer.body["label"]) == (200, "positive")
        assert answer.body["review"] == {"status": "not_required"}
        assert app.record(answer.body["prediction_id"])["review_state"] == "not_required"
        with pytest.raises(app.client("sqs").exceptions.QueueDoesNotExist):
            app.client("sqs").get_queue_url(QueueName=app.names.queue("review-requests"))
        assert not app.denied()
