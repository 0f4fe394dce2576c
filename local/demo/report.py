"""The report: one self-contained HTML page of what the demo measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from cli.release import page as rollout_page
from cli.release.history import Rollout
from contracts.labels import name_of
from contracts.phrases import counted
from contracts.report.drawing import ranged
from contracts.report.page import SEED_NOISE, margin, said_of, said_of_intervals
from contracts.report.serving import said_of_fixed
from contracts.report.words import words
from local.demo import plots
from local.demo.retraining import what_became_of
from local.demo.source import HELD_BACK_LABEL
from local.demo.summary import Score, Summary

_WORDS = (
    "model", "champion", "challenger", "macro-F1", "baseline (of an evaluation)", "group", "confidence", "threshold (of review)",
    "promise (of review)", "audit sample", "rater", "drift score", "baseline (of drift)", "quiet window", "rollout", "judge", "look",
    "pair", "margin", "evidence (e-value)", "guardrail",
)  # fmt: skip
MOST_LABELS_DRAWN = 10
"""Labels whose confusions can be read as a picture; with more, the page about the data names the most frequent ones."""


def write_report(summary: Summary, path: Path, rollout: Rollout | None = None) -> None:
    """Write the page; a part that the run did not reach is left out.

    Args:
        rollout: the new model's, when it has ended.
    """
    parts = [
        part
        for part in (
            _trials(summary),
            _scores(summary),
            _reviews(summary),
            _drift(summary),
            _rollout(rollout),
            _before_after(summary),
            _steps(summary),
        )
        if part
    ]
    title = f"reviewloop: {escape(summary.outcome)}"
    reason = f"<p>{escape(_sentence(summary.reason))}</p>" if summary.reason else ""
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{rollout_page.STYLE}</style></head><body>"
        f"<main><h1>{title}</h1>{reason}{_verdict(summary)}{_facts(summary)}{''.join(parts)}{words(*_WORDS)}</main></body></html>\n"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page, encoding="utf-8")


def _verdict(summary: Summary) -> str:
    """For a run on a team's own texts: says whether the model is better than TF-IDF, and links to the page about the data."""
    said = f"<p>{escape(_sentence(summary.verdict))}.</p>" if summary.verdict else ""
    link = f'<p>About the data: <a href="{summary.data_report}">{summary.data_report}</a></p>' if summary.data_report else ""
    return said + link


def _facts(summary: Summary) -> str:
    """Name, figure, and of how many, or its 95 % interval."""
    facts = [("trials", str(len(summary.trials)), "")]
    if "champion" in summary.scores:
        score = summary.scores["champion"].accuracy
        facts.append(("test accuracy", f"{100 * score.value:.1f} %", f"{100 * score.low:.1f} to {100 * score.high:.1f}{_on(summary)}"))
    if summary.review_rate is not None:
        asked, answered = (sum(map(len, values)) for values in (_asked(summary), summary.confidences.values()))
        facts.append(("sent to people", f"{100 * summary.review_rate:.0f} %", f"{asked:,} of {answered:,} texts" if answered else ""))
    if summary.predictions:
        of = f"of {summary.predictions['accepted']:,}" if "accepted" in summary.predictions else ""
        facts.append(("answers unaccounted for", f"{summary.predictions['unaccounted']:,}", of))
    if summary.drift_detected_after is not None:
        facts.append((f"{_later(summary)} until drift was found", str(summary.drift_detected_after), ""))
    if summary.before_after:
        kind = next(iter(summary.before_after))
        gain = summary.before_after[kind]["gain"]
        facts.append((f"accuracy on {kind}", f"{100 * gain.value:+.1f} points", f"{100 * gain.low:+.1f} to {100 * gain.high:+.1f}"))
    if summary.rollout:
        facts.append(("new model", str(summary.rollout["outcome"]).replace("_", " "), ""))
    if summary.iam:
        facts.append(("calls denied by IAM", str(summary.iam["denied"]), f"of {summary.iam['calls']:,}" if "calls" in summary.iam else ""))
    shown = (
        f"<div>{escape(name)}<b>{escape(value)}</b>{f'<small>{escape(more)}</small>' if more else ''}</div>" for name, value, more in facts
    )
    return f'<div class="facts">{"".join(shown)}</div>'


def _on(summary: Summary) -> str:
    """``, 871 texts``"""
    rows = summary.evaluation.get("rows")
    return "" if rows is None else f", {rows:,} texts"


def _asked(summary: Summary) -> list[list[float]]:
    return [values for status, values in summary.confidences.items() if status == "requested"]


def _later(summary: Summary) -> str:
    return str(summary.source.get("later", "later texts"))


def _section(title: str, text: str, *drawings: str) -> str:
    return f"<section><h2>{escape(title)}</h2><p>{escape(text)}</p>{''.join(drawings)}</section>"


def _trials(summary: Summary) -> str:
    if not any(trial.objective is not None for trial in summary.trials):
        return ""
    best = max(trial.objective or 0.0 for trial in summary.trials)
    ranked = sorted(({"objective": trial.objective} for trial in summary.trials), key=lambda one: -(one["objective"] or 0.0))
    return _section(
        f"The best of {counted(len(summary.trials), 'trial')} reached macro-F1 {best:.3f} on validation",
        f"Every dot is a training job. {margin(ranked, SEED_NOISE)}",
        plots.trials(summary.trials),
    )


def _scores(summary: Summary) -> str:
    if "champion" not in summary.scores:
        return ""
    matrix, names = summary.evaluation["confusion"], summary.evaluation.get("label_names", {})
    labels = [name_of(label, names) for label in matrix["labels"]]
    confusion = [plots.confusion(labels, matrix["matrix"])] if len(labels) <= MOST_LABELS_DRAWN else []
    paired = (summary.evaluation.get("difference_to_tfidf") or {}).get("accuracy")
    compared = [compared_with(summary.scores, "tfidf", "TF-IDF", paired), compared_with(summary.scores, "human_1", "one person")]
    people = " People are compared with what the other people say." if "human_1" in summary.scores else ""
    return _section(
        f"The champion is {' and '.join(words for words in compared if words)}",
        f"{_test_set(summary)}{people}",
        plots.scores(summary.scores, "accuracy"),
        *confusion,
    )


def _test_set(summary: Summary) -> str:
    rows, groups = (summary.evaluation.get(name) for name in ("rows", "groups"))
    if rows is None or groups is None:
        return "On the test set."
    return f"On the test set of {counted(rows, 'text')} in {counted(groups, 'group')}. {said_of_intervals(groups)}"


def _errors_alone(summary: Summary) -> str:
    """How often answers without a review are wrong, and what the threshold that serves promises."""
    review, serving = summary.evaluation.get("review", {}), summary.serving_review
    if serving:
        return f" {said_of_fixed(serving)}"
    error = review.get("auto_error")
    if not error:
        return ""
    return f" Of the champion's answers to the test set without people, {ranged(error)} are wrong. {said_of(review['promise'])}"


def compared_with(scores: Mapping[str, Score], name: str, words: str, paired: Mapping[str, float] | None = None) -> str:
    """What is shown of the champion's accuracy against another's, such as ``4 points below one person``; empty without the other.

    Args:
        paired: the 95 % interval of the difference on the same texts. Without it the two intervals are taken as independent.
    """
    if name not in scores:
        return ""
    own, other = scores["champion"].accuracy, scores[name].accuracy
    value = own.value - other.value if paired is None else paired["value"]
    if paired is None:
        low = value - math.hypot(own.value - own.low, other.high - other.value)
        high = value + math.hypot(own.high - own.value, other.value - other.low)
    else:
        low, high = paired["low"], paired["high"]
    if low <= 0 <= high:
        return f"not shown to be above or below {words} ({100 * low:+.1f} to {100 * high:+.1f} points)"
    points = counted(round(100 * abs(value)), "point") if round(100 * abs(value)) else "less than a point"
    return f"{points} {'above' if value > 0 else 'below'} {words}"


def _reviews(summary: Summary) -> str:
    if not summary.confidences:
        return ""
    own = "and " if summary.serving_review else "the challenger has a line of its own, and "
    several = int(summary.source.get("asked", 3)) > 1
    said = f" The people are {summary.source['people']}." if "people" in summary.source else ""
    if summary.reviewer_agreement is not None and several:
        said += f" They agree {100 * summary.reviewer_agreement:.0f} % of the time."
    return _section(
        f"{100 * (summary.review_rate or 0):.0f} % of the texts were sent to people",
        f"Left of the line the champion is unsure; {own}a small random sample of the confident answers is reviewed too."
        + said
        + _errors_alone(summary),
        plots.confidence_histogram(summary.confidences, summary.review_threshold),
    )


def _drift(summary: Summary) -> str:
    if not any(point.score is not None for point in summary.drift):
        return ""
    found, rang = summary.drift_detected_after, summary.drift_alarm_after
    later, first = _later(summary), str(summary.source.get("name", "the first texts"))
    title = "No drift" if found is None else f"Drift was found after {found} {later}"
    order = f"{_sentence(first)} first, then {later}. " if summary.source.get("drifts", True) else ""
    text = order + "1 is the serving champion's own threshold: what quiet windows of whole groups gave."
    if rang is not None:
        text += f" The alarm looks at whole periods and rang after {rang} {later}."
    score, alarm = summary.drift_score_after_retraining, summary.drift_alarm_after_retraining
    if score is not None:
        text += f" {_sentence(later)} score {score:.2f} against the baseline of the model that was retrained for them"
        text += f": the alarm is {alarm}." if alarm else "."
        if score > 1:
            text += f" That baseline rests on {summary.retraining['reference']} held-out texts: a little above 1 can be chance."
    return _section(title, text, plots.drift(summary.drift))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _rollout(rollout: Rollout | None) -> str:
    """What the rollout's own page shows."""
    if rollout is None:
        return ""
    title = f"The new model's rollout: {rollout.outcome.replace('_', ' ')}"
    told = f"{_sentence(rollout.why.rstrip('.'))}." if rollout.why else ""
    drawn = "".join(rollout_page.sections(rollout, rollout.ended or datetime.now(UTC)))
    return f"<section><h2>{escape(title)}</h2><p>{escape(told)}</p></section>{drawn}"


def _before_after(summary: Summary) -> str:
    if not summary.before_after:
        return ""
    pairs = {domain: {which: entry[which] for which in ("before", "after")} for domain, entry in summary.before_after.items()}
    kind, later = next(iter(summary.before_after)), _later(summary)
    gain = summary.before_after[kind]["gain"]
    whose = "held-back" if summary.source.get("person") == HELD_BACK_LABEL else "people's"
    sent = f", and these {later} were never sent either" if kind == later else ""
    unsure = ", so these texts do not show whether there is any" if gain.low <= 0 <= gain.high else ""
    labels = f" {what_became_of(summary.retraining['labels'])}." if "labels" in summary.retraining else ""
    return _section(
        f"Retraining on {whose} labels changed accuracy on {kind} by {100 * gain.value:+.1f} points",
        f"The same held-out texts for both models{_compared(summary)}; none was ever trained on{sent}. The change is between "
        f"{100 * gain.low:+.1f} and {100 * gain.high:+.1f} points (95 % interval){unsure}.{labels}",
        plots.before_after(pairs),
    )


def _compared(summary: Summary) -> str:
    """`` (600 of tweets, 892 of amazon)``"""
    counts = ", ".join(f"{count:,} of {kind}" for kind, count in summary.compared_texts.items())
    return f" ({counts})" if counts else ""


def _steps(summary: Summary) -> str:
    draw: Callable[[dict[str, float]], str] = plots.step_seconds
    return (
        _section(f"The run took {sum(summary.seconds.values()):.0f} seconds", "By step.", draw(summary.seconds)) if summary.seconds else ""
    )
