"""The glossary's words for pages that may be read without it. A test compares them with docs/glossary.md."""

from __future__ import annotations

from html import escape

WORDS = {
    "model": "A trained text classifier: weights, tokenizer, labels and calibration in one `model.tar.gz`.",
    "champion": "The model that callers normally get.",
    "challenger": "The model that is compared with the champion on part of the traffic. Without a challenger, the variant `challenger` "
    "runs the champion's package at weight 0.",
    "rollout": "One execution of the state machine `rollout`. It puts a release in place and ends as promoted, rolled back, inconclusive, "
    "released or withdrawn.",
    "judge": "The function that decides at each look: advance, hold, await approval, promote, roll back or inconclusive, with a reason.",
    "look": "One call of the judge, `rollout.step_seconds` after the last one.",
    "pair": "One text that champion and challenger both answered. People are asked about it only where the two labels differ.",
    "margin": "The loss of accuracy that must be refuted before a challenger is promoted (`rollout.margin`).",
    "evidence (e-value)": "How much the gamblers who bet against a claim have made of a capital of 1. If the claim is true, it ever "
    "reaches 20 in at most 5 of 100 rollouts.",
    "guardrail": "A limit that ends a rollout, whatever people answer: sample ratio, alarms, failures, latency, confidence.",
    "confidence": "The calibrated probability of the label that the model answers, from 0 to 1.",
    "threshold (of review)": "The confidence below which people are asked. Each model brings its own, or the settings fix one for all "
    "models.",
    "promise (of review)": "At most a given share of the answers that nobody reviews is wrong, with a given confidence "
    "(`review.promise`). An evaluation chooses the lowest threshold that it can prove to keep the promise.",
    "group": "The texts that must not be split between training and test: those of one subject, or those with the same text.",
    "label": "One of the classes of a dataset version. Its id is what files, tables and models have, such as `sci-tech`; its name is "
    "what people see, such as `Sci/Tech`.",
    "audit sample": "Predictions that are drawn at random for review (`review.audit_share`). The confident ones show how good the "
    "confident answers are. Their labels are called audit labels.",
    "rater": "A person whose recorded votes came with the texts of the demo. Replayed raters give these recorded votes as answers.",
    "suggestion": "The model's label, which the hosted page shows beside the text to people drawn at random (`review.suggestion_share`).",
    "disputed review": "A review that ended without a label. A lead settles it.",
    "lead": "A person who sees the queue, flags and disputes on the lead's page of the hosted review, and releases tasks.",
    "guidelines": "What the worker page says about how to choose a label.",
    "Krippendorff's alpha": "How far people agree beyond chance: 1 is full agreement, 0 is chance.",
    "slice": "A named part of the rows that the evaluation reports separately, for example `amazon` or `recent`.",
    "word piece": "A word or a part of a word, as the base model reads it. `max_length` counts word pieces.",
    "key example": "A text that every model must label right. It is in no split, and a gate checks it.",
    "gate": "A limit that a candidate must pass on the test set before it becomes a model package.",
    "baseline (of drift)": "What is normal for a champion: means and thresholds of three statistics, computed by its evaluation.",
    "baseline (of an evaluation)": "A simple classifier that a candidate must beat: the largest class, and TF-IDF.",
    "quiet window": "A window without drift, simulated from the baseline's texts. Thresholds come from many of them.",
    "drift score": "How far a window is from the baseline. 0 is the mean of quiet windows, 1 is the threshold.",
    "precision (of a label)": "The share of the texts with this answer that have the label.",
    "recall (of a label)": "The share of the label's texts that the model gives this label.",
    "macro-F1": "The mean of all labels' F1, rare labels counting as much as frequent ones. F1 is the harmonic mean of precision and "
    "recall.",
    "calibration error": "How far confidence and accuracy are apart: the mean over bins of texts with similar confidence.",
    "hyper-parameter": "A choice that a training does not learn, such as the learning rate. A search tries several.",
    "objective": "What a search over hyper-parameters compares its trials by: macro-F1 on the validation texts.",
}


def words(*terms: str) -> str:
    """A folded list of these words of the glossary, as HTML."""
    listed = "".join(f"<dt>{escape(term)}</dt><dd>{_shown(WORDS[term])}</dd>" for term in terms)
    return f"<section><details><summary>Words on this page</summary><dl>{listed}</dl></details></section>"


def _shown(meaning: str) -> str:
    parts = escape(meaning, quote=False).split("`")
    return "".join(f"<code>{part}</code>" if place % 2 else part for place, part in enumerate(parts))
