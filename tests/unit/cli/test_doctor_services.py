"""What doctor asks of the services that are closed to new customers."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cli.doctor.services import closed_services
from cli.findings import Level
from stacks.settings import load_settings

SETTINGS = Path(__file__).resolve().parents[3] / "settings"


class Closed:
    """SageMaker in an account that may not even list what it never had."""

    def __getattr__(self, name: str) -> Any:
        def refuse(**_: Any) -> Any:
            raise ClientError({"Error": {"Code": "ValidationException", "Message": "closed"}}, name)

        return refuse


def findings(stage: str) -> list[Any]:
    account = SimpleNamespace(client=lambda _: Closed())
    examination: Any = SimpleNamespace(settings=load_settings(SETTINGS / f"{stage}.yaml"), account=account)
    return list(closed_services(examination))


def test_nothing_is_asked_about_a_service_that_the_settings_do_not_use() -> None:
    assert [one.level for one in findings("newacct")] == [Level.OK] * 3


def test_a_service_that_they_use_is_asked_about() -> None:
    with pytest.raises(ClientError, match="list_flow_definitions"):
        findings("dev")
