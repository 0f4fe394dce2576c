"""What a candidate must show before it is registered."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from stacks.settings.fields import Section, Share


class GateSettings(Section):
    """What a candidate must show on the frozen test set before it is registered.

    All gates use the ordinary test texts. They leave out the slice ``recent-unsure``, which people saw because a model was
    unsure of its texts: every retraining adds some, and an equally good model would get lower figures each time.

    Four gates use 95 % intervals. ``max_loss_to_champion`` and ``max_loss_to_best`` are compared with the lower end of the
    interval of the difference, so the candidate must prove that its loss is smaller. ``min_slice_accuracy`` is compared with
    the upper end of each slice's interval, so a slice of few texts refuses no candidate by chance. ``min_class_recall`` is compared
    with the upper end of each class's interval. These intervals hold for all classes together, so many classes of few texts
    refuse no candidate by chance either. A class with too few test texts to judge is named in ``gates.json``, with how many
    it needs.
    """

    min_macro_f1: Share = Field(default=0.60, description="Lowest macro-F1.")
    min_gain_over_majority: Share = Field(
        default=0.10, description="Smallest gain in macro-F1 over a baseline that always answers the largest class."
    )
    min_gain_over_tfidf: float = Field(
        default=0.0,
        ge=-0.5,
        le=0.5,
        description="Smallest gain in macro-F1 over a baseline of TF-IDF with logistic regression. A negative number allows a loss.",
    )
    max_loss_to_champion: Share = Field(
        default=0.05,
        description=(
            "Largest loss in macro-F1 compared with the champion. The candidate must show with 97.5 % confidence that it "
            "loses less. On a slice it is refused only if a larger loss is shown."
        ),
    )
    max_loss_to_best: Share | None = Field(
        default=None,
        description=(
            "Largest loss in macro-F1 compared with the best champion so far, where that is not the champion. It is shown with "
            "97.5 % confidence, too. Without this gate, many small losses add up, since each retraining is compared with a "
            "champion that has lost a little already. `null`: as much as `max_loss_to_champion`."
        ),
    )
    min_class_recall: Share = Field(
        default=0.20,
        description=(
            "Lowest recall of every class. A candidate is refused only if a lower recall is shown. A class without test texts "
            "refuses it, unless this is 0."
        ),
    )
    min_slice_accuracy: Share = Field(
        default=0.50, description="Lowest accuracy of every slice with at least 20 groups, but for `recent-unsure`."
    )
    min_key_examples: Share = Field(
        default=1.0, description="Lowest share of the key examples that the candidate must label right, if the dataset has any."
    )
    approval: Literal["automatic", "manual"] = Field(
        default="automatic",
        description=(
            "`automatic`: a candidate that passes the gates is approved at once. `manual`: its model package waits for a "
            "person, and a retraining ends there."
        ),
    )
