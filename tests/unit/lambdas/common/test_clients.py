"""Functions whose caller waits load little: no boto3, no tracer, and of botocore's data only what a client needs."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import DataNotFoundError, UnknownServiceError

from lambdas.common import clients

ROOT = Path(__file__).resolve().parents[4]
SLOW = {"boto3", "aws_xray_sdk"}
LISTDIR = os.listdir


def loaded(module: str, seen: set[str]) -> Iterator[str]:
    """What loading a module of this project loads at once: the names of its imports, and of theirs."""
    path = ROOT / f"{module.replace('.', '/')}.py"
    if module in seen or not path.exists():
        return
    seen.add(module)
    for node in ast.parse(path.read_bytes()).body:  # the statements of the module itself: none inside a function or TYPE_CHECKING
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        yield from names
        for name in names:
            yield from loaded(name, seen)


def test_predict_loads_neither_boto3_nor_the_tracer() -> None:
    names = set(loaded("lambdas.prediction.predict.handler", set()))
    assert "lambdas.common.clients" in names
    assert not {name for name in names if name.split(".")[0] in SLOW or name.endswith("observability.tracer")}


def test_the_review_page_loads_no_tracer() -> None:
    names = set(loaded("lambdas.review.review_page.handler", set()))
    assert "lambdas.common.observability.metrics" in names
    assert "lambdas.common.observability.tracer" not in names


def test_a_client_is_made_without_a_look_at_every_service(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("AWS_DEFAULT_REGION", "eu-west-1"), ("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "x")):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(clients, "session", clients.session.__wrapped__)
    listed: list[str] = []
    monkeypatch.setattr(os, "listdir", lambda path: listed.append(str(path)) or LISTDIR(path))
    runtime = clients.client.__wrapped__("sagemaker-runtime")
    assert (runtime.meta.region_name, runtime.meta.endpoint_url) == (
        "eu-west-1", "https://runtime.sagemaker.eu-west-1.amazonaws.com",
    )  # fmt: skip
    assert runtime.meta.service_model.signing_name == "sagemaker"
    assert len(listed) < 20
    with pytest.raises((UnknownServiceError, DataNotFoundError)):
        clients.client.__wrapped__("no-such-service")
