"""The split of a dataset version that a group of new rows belongs to. The hash decides, so it is known before anybody labels the texts."""

from __future__ import annotations

import hashlib


def side_of(group: str, holdout_share: float) -> str:
    """``test``, ``validation`` (half as likely) or ``train``.

    A group of which an earlier version has rows stays with them instead (``lambdas/retraining/freeze_dataset``).

    Args:
        group: as in a dataset row (:func:`contracts.groups.group_of`).
        holdout_share: the share of the groups that goes to the test set (``retraining.holdout_share``).
    """
    position = int(hashlib.sha256(group.encode()).hexdigest()[:8], 16) / 2**32
    if position < holdout_share:
        return "test"
    return "validation" if position < 1.5 * holdout_share else "train"
