"""What the worker page says about how to choose a label."""

from __future__ import annotations

import unicodedata
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from contracts.labels import CANNOT_TELL, LONGEST_NAME, MOST_LABELS
from stacks.settings.fields import Section

_SHOWN_CANNOT_TELL = "Cannot tell"
_NEVER_SHOWN = ("Cc", "Cs")
"""Unicode's categories of control characters and of half surrogate pairs."""


def _one_line(value: str) -> str:
    """Line breaks of YAML are spaces, as they are in HTML."""
    line = " ".join(value.split())
    for character in line:
        if unicodedata.category(character) in _NEVER_SHOWN:
            raise ValueError(f"the character U+{ord(character):04X} cannot be shown: leave it out")
    return line


Sentence = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300), AfterValidator(_one_line)]
Example = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500), AfterValidator(_one_line)]
LabelName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_NAME), AfterValidator(_one_line)]


class LabelGuidelines(Section):
    """What one label means. Its key is the label's id or name."""

    name: LabelName | None = Field(
        default=None, description="What people see of the label, where that is not the key. `null`: the key is shown."
    )
    means: Sentence = Field(description="When the label is right.")
    fits: tuple[Example, ...] = Field(default=(), max_length=5, description="Texts that have the label.")
    does_not_fit: tuple[Example, ...] = Field(
        default=(), max_length=5, description="Texts that one may take for it, and that have another label. You can add the reason."
    )

    def heading(self, key: str) -> str:
        """What the page shows above it."""
        return self.name or (_SHOWN_CANNOT_TELL if key == CANNOT_TELL else key)


class GuidelinesSettings(Section):
    """The guidelines beside the text. They are written into the worker page as plain text. Each label is stored with their version."""

    question: Sentence | None = Field(
        default=None, description="The question above the labels. `null`: that of `stacks/constructs/worker_template.liquid`."
    )
    rules: tuple[Sentence, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=30,
        description=(
            "One sentence for each rule, such as those that `labels report` asks for. They take the place of the general sentences in "
            "`stacks/constructs/worker_template.liquid`. `null`: these are shown."
        ),
    )
    labels: dict[LabelName, LabelGuidelines] = Field(
        default={},
        max_length=MOST_LABELS,
        description=(
            "What each label means, in this order. The key is the label's id or name. The key `cannot-tell` says when people should "
            "answer that they cannot tell."
        ),
    )

    @model_validator(mode="after")
    def _each_label_once(self) -> GuidelinesSettings:
        first: dict[str, str] = {}
        for key, one in self.labels.items():
            known = first.setdefault(one.heading(key).casefold(), key)
            if known != key:
                raise ValueError(f"labels has {known!r} and {key!r}, and people would see both as {one.heading(key)!r}: keep one of them")
        return self
