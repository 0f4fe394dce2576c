"""The evaluation report as the gates, the registry and the drift check read it. Form: docs/contracts.md."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SCHEMA_VERSION = 3


class InvalidEvaluation(ValueError):
    """The report has another schema, a field is missing, or a number is not finite."""


def _number(value: Any, name: str) -> float:
    """Raises InvalidEvaluation: the value is not a finite number. JSON readers accept NaN, and no comparison with NaN is true."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidEvaluation(f"evaluation field {name} = {value!r}: a finite number is needed")
    return float(value)


@dataclass(frozen=True)
class Interval:
    """A share with its 95 % interval."""

    value: float
    low: float
    high: float

    @classmethod
    def parse(cls, raw: Mapping[str, float]) -> Interval:
        return cls(*(_number(raw[name], name) for name in ("value", "low", "high")))


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
    """A score of some texts, or a difference of scores. ``groups``: how many groups (the unit that is resampled) the texts are in."""

    groups: int

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> SliceScore:
        score = Score.parse(raw)
        return cls(score.accuracy, score.macro_f1, int(raw["groups"]))


@dataclass(frozen=True)
class ClassRecall(Interval):
    """The recall of one class. ``effective_texts``: how many independent texts would say as much as its test texts do."""

    texts: int
    effective_texts: float

    @classmethod
    def parse_class(cls, raw: Mapping[str, Any], label: str) -> ClassRecall | None:
        """None for a class without test texts: its recall is undefined, which is not 0."""
        recall = raw["recall"]
        if recall is None:
            return None
        value, low, high, effective = (
            _number(recall[name], f"by_class.{label}.recall.{name}") for name in ("value", "low", "high", "effective_texts")
        )
        return cls(value, low, high, texts=int(raw["support"]), effective_texts=effective)


@dataclass(frozen=True)
class KeyExample:
    """A text that every model must label right, and this one did not."""

    text: str
    label: str
    answer: str


@dataclass(frozen=True)
class KeyExamples:
    """How many of them are right, and the first that are not."""

    rows: int
    right: int
    wrong: tuple[KeyExample, ...]

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> KeyExamples:
        wrong = tuple(KeyExample(entry["text"], entry["label"], entry["answer"]) for entry in raw["wrong"])
        return cls(int(raw["rows"]), int(raw["right"]), wrong)


@dataclass(frozen=True)
class Truncated:
    """The share of test texts that the model did not read to their end, and of their word pieces, where they are counted."""

    texts: float
    pieces: float | None

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Truncated:
        return cls(_number(raw["texts"], "truncated.texts"), None if raw["pieces"] is None else _number(raw["pieces"], "truncated.pieces"))


@dataclass(frozen=True)
class ReviewError:
    """What the review threshold does: the error of the answers that nobody reviews, and the promise with its certificate.

    ``error`` is that of the frozen test set; None where every text goes to people. ``promise`` is None where the threshold follows a share.
    """

    threshold: float
    error: Interval | None
    promise: Mapping[str, Any] | None

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> ReviewError:
        error, promise = raw["auto_error"], raw["promise"]
        if promise is not None:
            promise = {name: promise[name] for name in ("max_error", "confidence", "kept", "texts", "groups", "share", "error_bound")}
        return cls(_number(raw["threshold"], "review.threshold"), Interval.parse(error) if error else None, promise)

    def metadata(self) -> dict[str, str]:
        """The same as properties of a model package: letters, digits and points, since the API takes neither per cent nor brackets."""
        found = {"review_threshold": f"{self.threshold:.7f}"}
        if self.error:
            found |= {f"review_error{end}": f"{getattr(self.error, name):.4f}" for end, name in _ENDS}
        for name, value in (self.promise or {}).items():
            if value is not None:
                found[f"review_promise_{name}"] = str(value).lower() if isinstance(value, bool) else f"{value:g}"
        return found


_ENDS = (("", "value"), ("_low", "low"), ("_high", "high"))


@dataclass(frozen=True)
class Evaluation:
    """What decisions rest on. ``champion`` and the differences (candidate minus champion, paired) are None or empty without one.

    ``class_recall`` of a class without test texts is None: undefined, which is not 0. ``difference_to_champion`` is None too when no test
    text can compare the two. ``key_examples`` is None where the dataset has none. ``difference_to_best`` is to the best champion so far,
    which ``champion_is_best`` says to be the champion itself; it is None in a report of an earlier version.
    """

    model_version: str
    dataset_version: str
    overall: Score
    class_recall: Mapping[str, ClassRecall | None]
    by_slice: Mapping[str, SliceScore]
    majority: Score
    tfidf: Score
    champion: Score | None
    difference_to_champion: SliceScore | None
    difference_by_slice: Mapping[str, SliceScore]
    truncated: Truncated
    key_examples: KeyExamples | None
    label_names: Mapping[str, str]
    review: ReviewError | None = None
    difference_to_best: SliceScore | None = None
    champion_is_best: bool = True

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> Evaluation:
        """Raises InvalidEvaluation naming the schema or the missing field."""
        if raw.get("schema_version") != SCHEMA_VERSION:
            raise InvalidEvaluation(f"evaluation schema_version {raw.get('schema_version')!r}: this code reads {SCHEMA_VERSION}")
        try:
            references, difference, to_best = raw["references"], raw["difference_to_champion"], raw.get("difference_to_best")
            return cls(
                model_version=raw["model_version"],
                dataset_version=raw["dataset_version"],
                overall=Score.parse(raw["overall"]),
                class_recall={label: ClassRecall.parse_class(entry, label) for label, entry in raw["by_class"].items()},
                by_slice={name: SliceScore.parse(entry) for name, entry in raw["by_slice"].items()},
                majority=Score.parse(references["majority"]),
                tfidf=Score.parse(references["tfidf"]),
                champion=Score.parse(references["champion"]) if references["champion"] else None,
                difference_to_champion=SliceScore.parse(difference) if difference else None,
                difference_by_slice={name: SliceScore.parse(entry) for name, entry in (raw["difference_by_slice"] or {}).items()},
                truncated=Truncated.parse(raw["truncated"]),
                key_examples=KeyExamples.parse(raw["key_examples"]) if raw["key_examples"] else None,
                label_names=raw["label_names"],
                review=ReviewError.parse(raw["review"]) if "auto_error" in raw.get("review", {}) else None,
                difference_to_best=SliceScore.parse(to_best) if to_best else None,
                champion_is_best=references.get("best") is None,
            )
        except KeyError as error:
            raise InvalidEvaluation(f"evaluation has no field {error}") from None
