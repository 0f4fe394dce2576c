"""Words that stacks, functions and containers write and read alike: of variants, indexes and slices."""

from __future__ import annotations

CHAMPION = "champion"
CHALLENGER = "challenger"
VARIANTS = (CHAMPION, CHALLENGER)
"""Production variants of the endpoint; both always exist."""

NO_RELEASE = "none"
"""What both fields of the release record hold until the first release."""

NO_EXPERIMENT = "none"
"""What the experiment's parameter holds while no experiment runs."""

NO_BETS = "none"
"""What the parameter of the bets against the review promise holds before its first record."""

PAIR_CALL = "pair-"
"""How the inference id of a call begins that only compares two models; the prediction id follows. No caller is answered by it, so what
reads captured traffic leaves it out."""

OPEN_REVIEWS = "open-reviews"
LABELS_BY_DAY = "labels-by-day"
"""Indexes of the predictions table; their keys are in ``stacks/names.py``."""

OPEN_TASKS = "open-tasks"
DUE_TASKS = "due-tasks"
"""Indexes of the table of review tasks; their keys are in ``stacks/names.py``."""

RECENT = "recent"
RECENT_UNSURE = "recent-unsure"
"""Slices of labels that came from reviews. ``recent-unsure`` has the texts that people saw because the champion was unsure of them,
or because it and a challenger differed. These texts were chosen by the champion's weakness, so they cannot compare another model with
it."""
SUGGESTED = "suggested"
"""In ``label_basis``: how many of the answers were given beside the model's label."""

TASK_TITLE = "Choose the label that fits a text"
TASK_DESCRIPTION = "Read one text and choose the label that fits it best."
"""What people read above a task, whatever service shows it."""
