"""Which variant answers a subject while an experiment runs: pure.

The same subject keeps its variant for as long as the share stays, and changes it at most once while the share grows: its place
between 0 and 1 is a hash of the experiment and the subject, and the challenger answers the places below its share.
"""

from __future__ import annotations

import hashlib

from contracts.shared_words import CHALLENGER, CHAMPION
from lambdas.common.experiment import Experiment

_PLACES = 2**64


def place_of(experiment_id: str, subject: str) -> float:
    """Where a subject stands in one experiment, from 0 to below 1. In another experiment it stands elsewhere."""
    digest = hashlib.sha256(f"assign {experiment_id} {subject}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / _PLACES


def assigned_variant(experiment: Experiment | None, subject: str | None) -> str | None:
    """The variant to ask, or None where the endpoint's weights choose: without a subject, and where one variant answers everybody."""
    if experiment is None or subject is None or not 0 < experiment.share < 1:
        return None
    return CHALLENGER if place_of(experiment.id, subject) < experiment.share else CHAMPION
