"""What a smoke run can cost."""

from __future__ import annotations

from pathlib import Path

from cli.smoke.cost import estimate
from stacks.settings import load_settings

SETTINGS = load_settings(Path(__file__).resolve().parents[3] / "settings" / "dev.yaml")


def test_prices_become_a_usual_and_a_highest_sum() -> None:
    items = estimate(SETTINGS, 45, lambda instance_type, component: 2.0 if component == "Training" else None)
    assert items[0].sentence() == "one training job on ml.g4dn.xlarge: some 6 minutes ($0.20, at most $1.50)"
    assert items[2].sentence() == "one endpoint instance on ml.m5.large: some 10 minutes (price unknown)"
