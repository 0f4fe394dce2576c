"""The one logger, tracer and metrics of a function (Powertools), configured by POWERTOOLS_* variables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger, Metrics

if TYPE_CHECKING:
    from aws_lambda_powertools import Tracer

    tracer: Tracer

logger = Logger()
metrics = Metrics()


def __getattr__(name: str) -> Any:
    """The tracer is made when a function first asks for it: it loads the X-Ray SDK and patches what it finds, a third of a cold start.

    A function whose caller waits does without (``lambdas/prediction/predict``): Lambda itself traces its start and its call.
    """
    if name != "tracer":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from aws_lambda_powertools import Tracer

    globals()["tracer"] = made = Tracer()
    return made
