"""The evaluation report as the gates, the registry and the drift check read it. Form: docs/contracts.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SCHEMA_VERSION = 2


class InvalidEvaluation(ValueError):
    """The report has another schema, or a field is missing."""


@dataclass(frozen=True)
class Interval:
    """A share with its 95 % interval."""

    value: float
    low: float
    high: float

    @classmethod
    def parse(cls, raw: Mapping[str, float]) -> Interval:
        return cls(float(raw["value"]), float(raw["low"]), float(raw["high"]))


@dataclass(frozen=True)
class Score:
    """Accuracy and macro-F1 of one classifier on the frozen test set."""

    accuracy: Interval
    macro_f1: Interval

    @classmethod
    def parse(cls, raw: Mapping[str, Mapping[str, float]]) -> Score:
        return cls(*(Interval.parse(raw[name]) for name in ("accuracy", "macro_f1")))


@dataclass(frozen=True)
class SliceScore(Score):
    """Of some of the texts, or a difference on them: how many groups (the unit that is resampled) they are in."""

    groups: int

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> SliceScore:
        score = Score.parse(raw)
        return cls(score.accuracy, score.macro_f1, int(raw["groups"]))


@dataclass(frozen=True)
class Evaluation:
    """What decisions rest on. ``champion`` and the differences (candidate minus champion, paired) are None or empty without one."""

    model_version: str
    dataset_version: str
    overall: Score
    class_recall: Mapping[str, float]
    by_slice: Mapping[str, SliceScore]
    majority: Score
    tfidf: Score
    champion: Score | None
    difference_to_champion: SliceScore | None
    difference_by_slice: Mapping[str, SliceScore]

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Evaluation:
        """Raises InvalidEvaluation naming the schema or the missing field."""
        if raw.get("schema_version") != SCHEMA_VERSION:
            raise InvalidEvaluation(f"evaluation schema_version {raw.get('schema_version')!r}: this code reads {SCHEMA_VERSION}")
        try:
            references, difference = raw["references"], raw["difference_to_champion"]
            return cls(
                model_version=raw["model_version"],
                dataset_version=raw["dataset_version"],
                overall=Score.parse(raw["overall"]),
                class_recall={label: float(entry["recall"]) for label, entry in raw["by_class"].items()},
                by_slice={name: SliceScore.parse(entry) for name, entry in raw["by_slice"].items()},
                majority=Score.parse(references["majority"]),
                tfidf=Score.parse(references["tfidf"]),
                champion=Score.parse(references["champion"]) if references["champion"] else None,
                difference_to_champion=SliceScore.parse(difference) if difference else None,
                difference_by_slice={name: SliceScore.parse(entry) for name, entry in (raw["difference_by_slice"] or {}).items()},
            )
        except KeyError as error:
            raise InvalidEvaluation(f"evaluation has no field {error}") from None
