"""How a tuning without a model ends the demo: a refusal by the gates is an outcome, a crashed evaluation a fault."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from embedded_aws.tools.launcher import Emulator
from local.demo.build import refusal_of
from local.demo.session import DemoFailed, Session
from local.demo.summary import Summary
from stacks.settings import load_settings

ROOT = Path(__file__).resolve().parents[3]


def ended(error: str, text: str) -> dict[str, str]:
    """DescribeExecution of a tuning that failed."""
    cause = json.dumps({"errorType": error, "errorMessage": text})
    return {
        "status": "FAILED",
        "error": error,
        "cause": cause,
        "stateMachineArn": "arn:aws:states:us-east-1:0:stateMachine:reviewloop-dev-tuning",
    }


def test_a_refusal_has_its_reasons() -> None:
    assert refusal_of(ended("GatesRefused", "macro_f1 is low")) == "macro_f1 is low"


def test_a_crash_is_named_and_is_no_refusal(tmp_path: Path) -> None:
    described = ended("EvaluationFailed", "the evaluation failed: out of memory")
    assert refusal_of(described) == ""
    session = Session(
        Emulator(0, 0, tmp_path), load_settings(ROOT / "settings" / "dev.yaml"), tmp_path, Summary(), Console(file=io.StringIO())
    )
    with pytest.raises(DemoFailed, match="EvaluationFailed: the evaluation failed: out of memory"):
        session.output_of(described)
