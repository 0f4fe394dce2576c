"""What a smoke run can cost: of the legs that run, and of nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.account import Account
from cli.exit_codes import ExitCode
from cli.main import app
from cli.smoke import command
from cli.smoke.cost import estimate
from stacks.settings import load_settings

SETTINGS = load_settings(Path(__file__).resolve().parents[3] / "settings" / "dev.yaml")
TRAINING, EVALUATION, ENDPOINT = "one training job", "one evaluation", "one endpoint instance"


def test_prices_become_a_usual_and_a_highest_sum() -> None:
    legs = {leg.name for leg in command.LEGS}
    items = estimate(SETTINGS, 45, lambda instance_type, component: 2.0 if component == "Training" else None, legs)
    assert items[0].sentence() == "one training job on ml.g4dn.xlarge: some 6 minutes ($0.20, at most $1.50)"
    assert items[2].sentence() == "one endpoint instance on ml.m5.large: some 10 minutes (price unknown)"


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What ``smoke`` says before it asks whether to start; the answer is no."""
    monkeypatch.setattr(Account, "identity", {"Account": "111122223333", "Arn": "arn:aws:sts::111122223333:assumed-role/ops/ada"})
    monkeypatch.setattr(Account, "stack", lambda self, name: {"StackName": name})
    monkeypatch.setattr(command, "list_price", lambda session, region: lambda instance_type, component: 1.0)

    def ask(*legs: str) -> str:
        options = [option for leg in legs for option in ("--only", leg)]
        asked = CliRunner().invoke(app, ["smoke", *options], input="n\n")
        assert asked.exit_code == ExitCode.REFUSED, asked.output
        return asked.stdout

    return ask


@pytest.mark.parametrize(
    ("legs", "items"),
    [
        ((), (TRAINING, EVALUATION, ENDPOINT)),
        (("tuning",), (TRAINING, EVALUATION)),
        (("tuning", "endpoint", "review"), (TRAINING, EVALUATION, ENDPOINT)),
        (("endpoint",), ()),  # without a model of the leg tuning it is skipped
        (("prediction", "capture", "review", "drift"), ()),
    ],
)
def test_only_what_the_chosen_legs_start_is_priced(told: Callable[..., str], legs: tuple[str, ...], items: tuple[str, ...]) -> None:
    said = told(*legs)
    assert [item for item in (TRAINING, EVALUATION, ENDPOINT) if item in said] == list(items)
    assert (command.NO_INSTANCES in said) == (not items)
