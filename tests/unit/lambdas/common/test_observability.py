"""The tracer is made for the functions that use it: it is a third of a cold start."""

from __future__ import annotations

import pytest
from aws_lambda_powertools import Tracer

from lambdas.common import observability
from lambdas.prediction.predict import handler as predict
from lambdas.prediction.score_pair import handler as score_pair


def test_the_tracer_is_made_once_when_somebody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(vars(observability), "tracer", raising=False)
    made = observability.tracer
    assert isinstance(made, Tracer)
    assert observability.tracer is made


def test_another_name_is_none_of_the_module() -> None:
    with pytest.raises(AttributeError, match="no attribute 'trace'"):
        observability.trace  # noqa: B018  (the access is what raises)


def test_the_function_whose_caller_waits_has_none() -> None:
    assert not hasattr(predict, "tracer")
    assert hasattr(score_pair, "tracer")
