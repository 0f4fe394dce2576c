"""Several people's answers to one question become one label, or none, with the reason.

The same rule serves A2I reviews and Ground Truth jobs. Agreement is the share of the usable answers, and of those that
say *cannot tell*, that the winning label got. It is recorded with every label, so that a reader may weigh a 2 : 1
differently from a 3 : 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isclose
from typing import Protocol

from contracts.labels import CANNOT_TELL, listed
from lambdas.common.answers_wanted import ModelPrior
from lambdas.common.dawid_skene import Quality
from lambdas.common.review import BY_MODEL_PRIOR, DAWID_SKENE, Consolidated, HumanAnswer

LEAST_CERTAINTY = 0.5
"""A label must be more likely than all others together."""


class Consolidation(Protocol):
    """How answers are consolidated. The order of the answers never matters."""

    def consolidate(self, answers: Sequence[HumanAnswer]) -> Consolidated: ...


@dataclass(frozen=True)
class Plurality:
    """The label with the most votes wins; a tie for the first place, or no usable answer, is undecided.

    *Cannot tell* is an answer without a label. Where as many people say it as chose the first label, the text is undecided, too.

    Args:
        labels: the labels that may be chosen; any other answer is unusable and never counts.
    """

    labels: tuple[str, ...]

    def consolidate(self, answers: Sequence[HumanAnswer]) -> Consolidated:
        """One label, or none. ``votes`` has only labels that were chosen; ``agreement`` is in (0, 1], or 0.0 with no usable answer."""
        counted = Counter(answer.label for answer in answers)
        votes = {label: counted[label] for label in self.labels if counted[label]}
        unclear = counted[CANNOT_TELL]
        usable = sum(votes.values()) + unclear
        if not votes and unclear:
            return Consolidated(None, {}, 0.0, f"undecided: {unclear} of {len(answers)} people cannot tell, and nobody chose a label")
        if not votes:
            return Consolidated(None, {}, 0.0, f"undecided: none of {len(answers)} answers is one of {listed(self.labels)}")
        most = max(votes.values())
        winners = [label for label, count in votes.items() if count == most]
        agreement = most / usable
        if unclear >= most:
            return Consolidated(None, votes, agreement, f"undecided: {unclear} of {usable} people cannot tell, {most} chose {winners[0]}")
        if len(winners) > 1:
            return Consolidated(None, votes, agreement, f"undecided: tie between {' and '.join(winners)}, {most} of {usable} votes each")
        return Consolidated(winners[0], votes, agreement, f"plurality: {most} of {usable} votes")


@dataclass(frozen=True)
class ByWorkerQuality:
    """The most likely label, by what is known of each worker (:mod:`lambdas.common.dawid_skene`), with the plurality kept beside it.

    The plurality decides where one person answered, where no label is more likely than not, and where people cannot tell.

    Args:
        quality: of the workers, for the labels of ``plurality``.
    """

    plurality: Plurality
    quality: Quality

    def consolidate(self, answers: Sequence[HumanAnswer]) -> Consolidated:
        """See :meth:`Plurality.consolidate`. ``agreement`` is the share of the answers that the label got; another label may have more."""
        voted = self.plurality.consolidate(answers)
        usable = [(answer.worker_id, answer.label) for answer in answers if answer.label is not None and answer.label in voted.votes]
        unclear = sum(answer.label == CANNOT_TELL for answer in answers)
        if len(usable) < 2 or unclear >= max(voted.votes.values()):
            return voted
        beliefs = self.quality.posterior(usable)
        label = max(self.plurality.labels, key=lambda one: beliefs[one])
        if beliefs[label] <= LEAST_CERTAINTY:
            return voted
        mine = voted.votes.get(label, 0)
        counted = len(usable) + unclear
        reason = f"dawid-skene: {beliefs[label]:.0%} sure, {mine} of {counted} votes; by plurality {voted.label or 'undecided'}"
        return Consolidated(label, voted.votes, mine / counted, reason, DAWID_SKENE, voted.label, beliefs[label])


@dataclass(frozen=True)
class ByModelPrior:
    """The most likely label by people's answers and the model's together, for a text whose answers were asked for in this way.

    It is always a label that somebody chose. The plurality decides where two such labels are equally likely, and where people cannot tell.
    """

    plurality: Plurality
    prior: ModelPrior

    def consolidate(self, answers: Sequence[HumanAnswer]) -> Consolidated:
        """See :meth:`ByWorkerQuality.consolidate`."""
        voted = replace(self.plurality.consolidate(answers), model_prior=self.prior.confidence)
        unclear = sum(answer.label == CANNOT_TELL for answer in answers)
        if unclear >= max(voted.votes.values(), default=0):
            return voted
        beliefs = self.prior.posterior([answer for answer in answers if answer.label in voted.votes])
        label, *others = sorted(voted.votes, key=lambda one: -beliefs[one])
        if others and isclose(beliefs[label], beliefs[others[0]]):
            return voted
        mine, counted = voted.votes[label], sum(voted.votes.values()) + unclear
        reason = f"model-prior: {beliefs[label]:.0%} sure, {mine} of {counted} votes; by plurality {voted.label or 'undecided'}"
        return replace(
            voted,
            label=label,
            agreement=mine / counted,
            reason=reason,
            method=BY_MODEL_PRIOR,
            plurality=voted.label,
            certainty=beliefs[label],
        )
