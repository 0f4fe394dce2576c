"""What a candidate must show before it is registered."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from stacks.settings.fields import Section, Share


class GateSettings(Section):
    """What a candidate must show on the frozen test set before it may be registered.

    ``max_loss_to_champion`` is held against the lower end of the difference's 95 % interval: a smaller loss must be shown, not just seen.
    ``min_slice_accuracy`` is held against the upper end of each slice's: a slice of few texts refuses nothing by chance.
    """

    min_macro_f1: Share = 0.60
    min_gain_over_majority: Share = 0.10
    min_gain_over_tfidf: float = Field(default=0.0, ge=-0.5, le=0.5)
    max_loss_to_champion: Share = 0.05
    min_class_recall: Share = 0.20
    min_slice_accuracy: Share = 0.50
    approval: Literal["automatic", "manual"] = "automatic"
