"""What a hyper-parameter may be, read by the container and by the settings, so that the two cannot differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args


@dataclass(frozen=True)
class Bounds:
    """``low`` to ``high``, both allowed; with ``above`` only what is above ``low``."""

    low: float
    high: float
    above: bool = False

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high and not (self.above and value == self.low)

    def __str__(self) -> str:
        return f"above {self.low:g}, at most {self.high:g}" if self.above else f"{self.low:.10g} to {self.high:.10g}"


LEARNING_RATE = Bounds(0, 0.1, above=True)
LAYERS = Bounds(1, 24)
TRAINED_LAYERS = Bounds(1, 24)
TRAINED_LAYERS_PATTERN = "^([1-9]|1[0-9]|2[0-4]|all)$"
"""The same as text: :data:`TRAINED_LAYERS`, or ``all``."""
EPOCHS = Bounds(1, 20)
BATCH_SIZE = Bounds(1, 1_024)
SEED = Bounds(0, 2**31 - 1)
MAX_LENGTH = Bounds(8, 512)
"""Or :data:`AUTO`."""
AUTO = "auto"
ClassWeights = Literal["none", "balanced"]
CLASS_WEIGHTS: tuple[ClassWeights, ...] = get_args(ClassWeights)
REVIEW_SHARE = Bounds(0.0, 1.0)
PROMISED_ERROR = Bounds(0.0, 0.5, above=True)
PROMISED_CONFIDENCE = Bounds(0.5, 0.999)
PATIENCE = Bounds(0, 100)
REPLAY_ROWS = Bounds(0, 1_000_000)
UNKNOWN_SHARE = Bounds(0.0, 1.0)
