"""How much a run does: the whole loop, or a quick one with the same steps and less of everything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stacks.settings import Settings


@dataclass(frozen=True)
class Budget:
    """Sizes of one run; shares are 0..1, the rest counts texts."""

    data_share: float = 1.0
    first_texts: int = 300
    later_batch: int = 50
    most_later: int = 1_200
    held_out: int = 600
    overrides: tuple[tuple[str, str, Any], ...] = ()
    """``(section, field, value)`` of the settings that differ from the stage's file."""

    def apply(self, settings: Settings) -> Settings:
        """The settings with the overrides, checked like any other."""
        document = settings.model_dump()
        for section, field, value in self.overrides:
            document[section][field] = value
        return Settings.model_validate(document)


_ONE_HOUR = ("rollout", "max_hours", 1.0)
"""Nobody watches a demo for longer: as many looks as fit into an hour take some minutes in scaled time."""
FULL = Budget(overrides=(_ONE_HOUR,))
_RATES = {"low": 1.6e-4, "high": 2.6e-4}
QUICK = Budget(
    data_share=0.4,
    first_texts=60,
    later_batch=30,
    most_later=400,
    held_out=200,
    overrides=(
        ("tuning", "max_jobs", 2),
        ("tuning", "retraining", {"max_jobs": 1, "learning_rate": _RATES, "trained_layers": ("3",), "epochs": (2,)}),
        ("tuning", "learning_rate", {"low": 2e-4, "high": 5e-4, "scaling": "Logarithmic"}),
        ("tuning", "layers", (4,)),
        ("tuning", "trained_layers", ("2",)),
        ("tuning", "epochs", (2,)),
        # A few hundred test texts say less: the gates leave more room, and still refuse shuffled labels.
        ("gates", "min_macro_f1", 0.5),
        ("gates", "max_loss_to_champion", 0.15),
        # One instance a variant starts in half the time, and cannot be shifted in steps.
        ("hosting", "scaling", None),
        ("hosting", "initial_instance_count", 1),
        ("hosting", "fleet_shift", {"type": "ALL_AT_ONCE", "wait_seconds": 0}),
        ("drift", "window_predictions", 100),
        ("drift", "reference_predictions", 100),
        ("retraining", "min_new_labels", 60),
        ("retraining", "replay_rows", 300),
        # Held-out tweets make the new model's baseline, and there are few.
        ("retraining", "holdout_share", 0.2),
        _ONE_HOUR,
    ),
)
"""The quick run, for a first look and for tests. Its models are worse, and its figures have wide intervals."""
