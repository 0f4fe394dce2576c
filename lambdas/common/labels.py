"""Labels as functions know them: ids everywhere, names for people. Pure; :mod:`lambdas.common.current_labels` says which there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from contracts.labels import CANNOT_TELL, name_of

LABELS, LABEL_IDS = "labels", "labelIds"
"""Fields of a task's input: what people see, in order, and the id of each. A task of before there were names has the first alone.

The last of both is :data:`~contracts.labels.CANNOT_TELL` where people may answer that they cannot tell.
"""


@dataclass(frozen=True)
class Labels:
    """What people may choose, in the order shown: the ids, and as many names, no two of which are equal.

    ``cannot_tell``: people may also answer :data:`~contracts.labels.CANNOT_TELL`. It is no label, so it is in neither list.
    """

    ids: tuple[str, ...]
    shown: tuple[str, ...]
    cannot_tell: bool = False

    @classmethod
    def of(cls, ids: Sequence[str], names: Mapping[str, str] | None = None) -> Labels:
        """``names``: id -> name.

        Where two labels have one name, or one has the id of another for its name, the id is added to it. So it is where a name would look
        like the answer of people who cannot tell.
        """
        wanted = [name_of(label, names or {}) for label in ids]
        often, known = Counter(wanted), {*ids, CANNOT_TELL}
        shown = [
            name if often[name] == 1 and (name == label or name not in known) else f"{name} ({label})"
            for label, name in zip(ids, wanted, strict=True)
        ]
        # A third label may have just that for its name; then nothing but the ids is sure to differ.
        return cls(tuple(ids), tuple(shown if len(set(shown)) == len(shown) else ids))

    @classmethod
    def of_task(cls, task_input: Any) -> Labels | None:
        """The labels that a task was made with. None when the task has no labels, or none that can be read."""
        given = task_input if isinstance(task_input, Mapping) else {}
        shown = given.get(LABELS)
        ids = given.get(LABEL_IDS, shown)
        if not isinstance(shown, list) or not isinstance(ids, list) or len(shown) != len(ids):
            return None
        if not all(isinstance(item, str) for item in (*shown, *ids)):
            return None
        labels = [(label, name) for label, name in zip(ids, shown, strict=True) if label != CANNOT_TELL]
        return cls(tuple(label for label, _ in labels), tuple(name for _, name in labels), CANNOT_TELL in ids)

    def offering(self, cannot_tell: bool) -> Labels:
        """The same labels, with or without the answer of people who cannot tell."""
        return replace(self, cannot_tell=cannot_tell)

    @property
    def categories(self) -> tuple[str, ...]:
        """Everything that people may choose, as they see it. *Cannot tell* is the last one, and the review page sets it apart."""
        return (*self.shown, CANNOT_TELL) if self.cannot_tell else self.shown

    def task_fields(self) -> dict[str, list[str]]:
        """What a task's input says of the labels. The worker template shows :data:`LABELS`, and an answer is one of them."""
        return {LABELS: list(self.categories), LABEL_IDS: [*self.ids, *([CANNOT_TELL] if self.cannot_tell else [])]}

    def id_of(self, answer: str | None) -> str | None:
        """The id of what somebody chose. An id is one too.

        *Cannot tell* is an answer only where it was offered; else nothing was chosen. Anything else stays as it is: it is no label, and
        counts for nothing.
        """
        if answer == CANNOT_TELL:
            return answer if self.cannot_tell else None
        if answer is None or answer in self.ids:
            return answer
        return dict(zip(self.shown, self.ids, strict=True)).get(answer, answer)
