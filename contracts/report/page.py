"""``report.html``: the content of a report as one page, without a script and without another file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from contracts.labels import name_of
from contracts.phrases import are, counted
from contracts.report.drawing import Cell, Html, curve, heat, interval_bar, percent, ranged, table
from contracts.report.serving import said_of_fixed, shares_of
from contracts.report.style import STYLE
from contracts.report.words import words

SCHEMA_VERSION = 1
"""Of the ``report.json`` that this page shows."""
SEED_NOISE = 0.015
"""Standard deviation of the validation macro-F1 when only the seed differs, measured on the demo's reviews (docs/benchmarks.md)."""
FEW_GROUPS = 40
"""With fewer, Student's t makes an interval clearly wider than the normal distribution would."""
SCALE = "0 to 100 %"
"""Over a column of :func:`interval_bar`."""
_REFERENCES = {
    "champion": "the champion",
    "best": "the best champion so far",
    "human_3": "three people against the others",
    "human_1": "one person against the others",
    "tfidf": "TF-IDF with logistic regression",
    "majority": "always the largest class",
}


def page(content: Mapping[str, Any]) -> str:
    """The page of a ``report.json``. Parts that it does not have are left out.

    Who runs a tuning may have added: ``trials``, ``[{"name","objective","hyperparameters","seconds"}]`` and optionally ``status``, with
    the noise of a seed as ``seed_noise`` (standard deviation of the objective, by default :data:`SEED_NOISE`); ``cost``,
    ``[{"what","amount","basis"}]`` and optionally ``dollars``, null where the price is not known; ``next_steps``,
    ``[{"what","command"}]``; ``candidate``, ``{"execution","training_job","rank","passed"}``; ``serving_review``, where the settings fix
    the review threshold: what :func:`contracts.report.serving.at_fixed_threshold` says, or ``threshold`` alone.
    """
    page_of = _Page(content)
    title = f"Report on dataset {content['dataset_version']}"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main><h1>{escape(title)}</h1>"
        f"{page_of.candidate()}{page_of.facts()}{''.join(page_of.sections())}</main></body></html>\n"
    )


def section(title: str, text: str, *parts: Html) -> str:
    words = f"<p>{escape(text)}</p>" if text else ""
    return f"<section><h2>{escape(title)}</h2>{words}{''.join(part.code for part in parts)}</section>"


class _Page:
    def __init__(self, content: Mapping[str, Any]) -> None:
        self._content, self._names = content, content["label_names"]

    def candidate(self) -> str:
        """Which model of which tuning the page is about."""
        found = self._content.get("candidate")
        if not found:
            return f"<p>{escape('About the model ' + self._content['model_version'])}.</p>"
        place = "The best" if found["rank"] == 1 else f"Number {found['rank']}"
        gates = {True: "It passed the gates.", False: "The gates refused it.", None: "The gates have not judged it."}[found["passed"]]
        words = f"{place} of the candidates of {found['execution']} on validation: training job {found['training_job']}. {gates}"
        return f"<p>{escape(words)}</p>"

    def facts(self) -> str:
        """Name, figure, and of how many, or its 95 % interval."""
        content, overall = self._content, self._content["overall"]
        accuracy, macro_f1 = overall["accuracy"], overall["macro_f1"]
        facts = [
            ("texts", f"{sum(split['rows'] for split in content['splits']):,}", f"in {len(content['splits'])} splits"),
            ("labels", f"{len(content['classes']):,}", ""),
            ("test accuracy", percent(accuracy["value"]), f"{100 * accuracy['low']:.1f} to {100 * accuracy['high']:.1f}"),
            ("macro-F1", f"{macro_f1['value']:.3f}", f"{macro_f1['low']:.3f} to {macro_f1['high']:.3f}"),
        ]
        shown = (
            f"<div>{escape(name)}<b>{escape(value)}</b>{f'<small>{escape(more)}</small>' if more else ''}</div>"
            for name, value, more in facts
        )
        return f'<div class="facts">{"".join(shown)}</div>'

    def sections(self) -> Iterator[str]:
        yield self._references()
        yield self._review()
        yield self._key_examples()
        yield self._classes()
        yield self._lengths()
        yield self._confusions()
        yield self._errors()
        yield self._doubts()
        yield self._learning_curve()
        yield self._calibration()
        yield self._trials()
        yield self._cost()
        yield self._next_steps()
        known = ("label", "group", "macro-F1", "precision (of a label)", "recall (of a label)", "baseline (of an evaluation)")
        found = ("confidence", "threshold (of review)", "promise (of review)", "word piece", "slice", "calibration error", "gate")
        yield words(*known, *found, *(("hyper-parameter", "objective") if self._content.get("trials") else ()))

    def _name(self, label: str) -> str:
        return name_of(label, self._names)

    def _references(self) -> str:
        content = self._content
        scores = [("this model", content["overall"])]
        scores += [(words, content["references"][name]) for name, words in _REFERENCES.items() if content["references"].get(name)]
        frozen, sample = content["frozen_layers"], ""
        if frozen:
            scores.insert(-1, (f"the {frozen['layers']} layers that were not trained, with logistic regression", frozen))
            if frozen["rows"] < frozen["of_rows"]:
                sample = (
                    f" The logistic regression on the {frozen['layers']} layers that were not trained learnt from {frozen['rows']:,} of "
                    f"{frozen['of_rows']:,} training texts."
                )
        own, simple = content["overall"]["macro_f1"]["value"], content["references"]["tfidf"]["macro_f1"]["value"]
        found = content.get("differences") or {}
        earlier = "above" if own > simple else "not above"  # of a report of an earlier version
        better = f"{verdict(found['tfidf']) if found.get('tfidf') else earlier} TF-IDF"
        rows = [(*_scored(name, score["accuracy"]), _plain(score["macro_f1"])) for name, score in scores]
        test = next(one for one in content["splits"] if one["split"] == "test")
        groups = content["overall"].get("groups", test["groups"])
        return section(
            f"The model's macro-F1 is {own:.3f}, {better} ({simple:.3f})",
            f"{self._texts_of_figures(test)} {said_of_intervals(groups)} "
            f"{_said_of_people(scores)}TF-IDF counts {content['references']['tfidf']['features']}.{sample}",
            table(("who answers", "accuracy", SCALE, "macro-F1"), rows),
            table(("this model is", "difference in macro-F1 (95 %, paired)", "texts"), self._differences(found)),
        )

    def _differences(self, found: Mapping[str, Any]) -> list[Sequence[Cell]]:
        content, rows = self._content, list[Sequence[Cell]]()
        for name in ("champion", "best", "tfidf"):
            one = found.get(name)
            if not one or (name == "best" and not content["references"].get("best")):  # the champion is the best itself
                continue
            score = one["macro_f1"]
            said = f"{score['value']:+.3f} ({score['low']:+.3f} to {score['high']:+.3f})"
            rows.append((f"{verdict(one)} {_REFERENCES[name]}", said, one["rows"]))
        return rows

    def _texts_of_figures(self, test: Mapping[str, Any]) -> str:
        """Which texts the figures are of, in words. ``test``: that split."""
        content = self._content
        known = content.get("trained_on")
        more = ""
        if known:
            more = f" {counted(known['rows'], 'more test text')} {are(known['rows'])} in no figure, because a model was trained on them."
        if not content.get("left_out"):
            return f"On the test set of {counted(test['rows'], 'text')} in {counted(test['groups'], 'group')}.{more}"
        own = content["overall"]
        return (
            f"On {own['rows']:,} of the {test['rows']:,} texts of the test set, in {counted(own['groups'], 'group')}, as is all that this "
            f"page says of the model's answers. The others are the slice {content['left_out']}: people saw them because a model was unsure "
            f"of them, and every retraining adds some.{more}"
        )

    def _review(self) -> str:
        review = self._content.get("review")
        if not review:
            return ""
        serving = self._content.get("serving_review")
        if serving:
            return self._fixed_review(serving, review)
        error, promise = review.get("auto_error"), review.get("promise")
        title = f"{percent(1 - review['share'])} of the test texts are answered without people"
        if error:
            title += f", {percent(error['value'])} of them wrong"
        rows = [] if error is None else [_scored("wrong", error)]
        text = f"With the model's own review threshold, {review['threshold']:.3f}. {said_of(promise)}"
        return section(title, text, *([table(("answers without people", "share", SCALE), rows)] if rows else []))

    def _fixed_review(self, serving: Mapping[str, Any], review: Mapping[str, Any]) -> str:
        """The figures of the threshold that serves, and beside them those of the one that does not."""
        error = review.get("auto_error")
        own = f"{percent(1 - review['share'])} of the test texts are answered without people"
        own += f", {ranged(error)} of them wrong" if error else ""
        title = f"The settings fix the review threshold at {serving['threshold']:g}"
        if "alone" in serving:
            alone, wrong = shares_of(serving)
            title = f"{percent(alone)} of the test texts are answered without people"
            title += "" if wrong is None else f", {percent(wrong)} of them wrong"
        text = f"{said_of_fixed(serving)} The model's own threshold, {review['threshold']:.3f}, does not serve: with it, {own}."
        return section(title, text)

    def _key_examples(self) -> str:
        found = self._content["key_examples"]
        if not found:
            return ""
        return section(
            f"{found['right']} of {found['rows']} key examples are right",
            "Key examples are texts that every model must label right.",
            self._texts(found["wrong"], "answer", "confidence"),
        )

    def _texts(self, entries: Sequence[Mapping[str, Any]], other: str, *confidences: str) -> Html:
        rows: list[Sequence[Cell]] = [
            (one["text"], self._name(one["label"]), self._name(one[other]), *(percent(one[name], 0) for name in confidences), one["id"])
            for one in entries
        ]
        return table(
            ("text", "label", other, *(name.replace("_", " ") for name in confidences), "id"), rows, texts=(1, 2, 3 + len(confidences))
        )

    def _classes(self) -> str:
        content = self._content
        few = [one for one in content["classes"] if one["needed"]]
        words = ""
        if few:
            words = (
                f"{len(few)} of {len(content['classes'])} labels have too few test texts to know their recall within 20 points: "
                f"{few[0]['needed']} are needed."
            )
        rows: list[Sequence[Cell]] = [
            (
                self._name(one["label"]),
                *(one[split["split"]] for split in content["splits"]),
                ranged(one["recall"]),
                interval_bar(one["recall"]),
                ranged(one.get("precision_interval")) or percent(one["precision"]),
            )
            for one in content["classes"]
        ]
        splits: list[Sequence[Cell]] = [(one["split"], one["rows"], one["groups"], one["labels"]) for one in content["splits"]]
        columns = ("label", *(split["split"] for split in content["splits"]), "recall", SCALE, "precision")
        return section("Labels and splits", words, table(columns, rows), table(("split", "texts", "groups", "labels that occur"), splits))

    def _lengths(self) -> str:
        lengths = self._content["lengths"]
        cut = lengths["truncated"]
        unread = "" if cut["pieces"] is None else f" {percent(cut['pieces'])} of the word pieces are not read."
        names = {0.0: "shortest", 0.5: "median", 1.0: "longest"}
        rows: list[Sequence[Cell]] = [(split, one["texts"], *one["pieces"]) for split, one in lengths["splits"].items()]
        return section(
            f"{percent(cut['texts'])} of the test texts are longer than the model reads",
            f"Lengths in word pieces. The model reads {lengths['max_length']}, with the marks that begin and end a text.{unread}",
            table(("split", "texts counted", *(names.get(q, f"{100 * q:.0f} %") for q in lengths["quantiles"])), rows),
        )

    def _confusions(self) -> str:
        found = self._content["confusions"]
        parts = []
        if found["matrix"]:
            labels = [self._name(label) for label in found["labels"]]
            rows: list[Sequence[Cell]] = [
                (label, *(heat(value, sum(row)) for value in row)) for label, row in zip(labels, found["matrix"], strict=True)
            ]
            parts.append(table(("label \\ answer", *labels), rows, stacked=False))
        pairs: list[Sequence[Cell]] = [
            (self._name(one["truth"]), self._name(one["answer"]), one["texts"], percent(one["share"])) for one in found["pairs"]
        ]
        parts.append(table(("label", "answered as", "texts", "of the label's texts"), pairs, texts=(1,)))
        both: list[Sequence[Cell]] = [
            (" / ".join(self._name(label) for label in one["labels"]), one["texts"], percent(one["share"])) for one in found["confusable"]
        ]
        parts.append(table(("labels that are mixed up", "texts", "of the texts of both"), both))
        text = "Test texts; the darker a cell, the larger its share of the row. " if found["matrix"] else ""
        text += "The most frequent first. Labels that are often mixed up may mean the same."
        return section("What is mixed up", text, *parts)

    def _errors(self) -> str:
        content = self._content
        left_out = content.get("left_out")
        slices = [
            _scored(f"{name} (in no other figure)" if name == left_out else name, one["accuracy"], one["rows"])
            for name, one in content["by_slice"].items()
        ]
        rules = [_scored(f"{one['rule']}: {one['part']}", one["accuracy"], one["texts"]) for one in content["by_rule"]]
        return section(
            "Where the model errs",
            "Accuracy by slice and by simple rules. The list of negations is English. The intervals of rules, like those of recall, are "
            "Wilson's with the effective number of texts, so they may be narrower than those of the whole test set. Below are the errors "
            "that the model was surest of. Some of them may be labels that are wrong.",
            *([table(("slice", "texts", "accuracy", SCALE), slices)] if len(slices) > 1 else []),  # one alone is the whole test set
            table(("rule", "texts", "accuracy", SCALE), rules),
            self._texts(content["surest_errors"], "answer", "confidence"),
        )

    def _doubts(self) -> str:
        found = self._content["labels_in_doubt"]
        if found is None:
            return ""
        sample = f" Looked at: {found['rows']:,} of {found['of_rows']:,} texts." if found["rows"] < found["of_rows"] else ""
        return section(
            f"{counted(found['found'], 'label')} of the training and validation texts {are(found['found'])} in doubt",
            f"The most doubtful {len(found['texts'])}. {found['method']}{sample} A doubt is a reason to look, no proof.",
            self._texts(found["texts"], "suggested", "confidence", "own_confidence"),
        )

    def _learning_curve(self) -> str:
        found = self._content["learning_curve"]
        if found is None:
            return ""
        more, trained = found["next_point"], found["points"][-1]["rows"]
        if more is None:
            title = "More labels brought the baseline no more accuracy"
        else:
            high = "no upper limit can be said" if more["high"] is None else f"to {more['high']:,}"
            title = f"About {more['rows']:,} more labels for the next point of accuracy ({more['low']:,} {high})"
        sample = f" Trained on {trained:,} of {found['of_rows']:,} texts." if trained < found["of_rows"] else ""
        return section(title, found["method"] + sample, curve([(one["rows"], one) for one in found["points"]]))

    def _calibration(self) -> str:
        found = self._content["calibration"]
        points = {name: f"{100 * value:.1f}" for name, value in found["ece"].items()}
        perfect = {name: f"{100 * value:.1f}" for name, value in found["ece_if_perfect"].items()}
        rows: list[Sequence[Cell]] = [
            (f"{percent(one['low'], 0)} to {percent(one['high'], 0)}", one["texts"], percent(one["confidence"]), _accuracy(one))
            for one in found["bins"]
        ]
        return section(
            f"Confidence and accuracy are {points['value']} points apart on average",
            f"This is the calibration error. Its 95 % interval is {points['low']} to {points['high']} points. On as many texts, a "
            f"perfectly calibrated model has {perfect['mean']} points on average, and up to {perfect['high']} in 95 of 100 cases.",
            table(("confidence", "texts", "mean confidence", "accuracy (95 %)"), rows),
        )

    def _trials(self) -> str:
        trials = self._content.get("trials")
        if not trials:
            return ""
        ranked = sorted(trials, key=lambda one: -(one["objective"] if one["objective"] is not None else -1.0))
        rows: list[Sequence[Cell]] = [
            (
                f"{one['name']} (this model)" if one["name"] == self._content["model_version"] else one["name"],
                one.get("status", "") if one["objective"] is None else f"{one['objective']:.4f}",
                ", ".join(f"{name} {_short(value)}" for name, value in sorted(one["hyperparameters"].items())),
                f"{one['seconds']:.0f} s",
            )
            for one in ranked
        ]
        shown = table(("trial", "macro-F1 on validation", "hyper-parameters", "time"), rows, texts=(2,))
        return section(counted(len(trials), "trial"), margin(ranked, self._content.get("seed_noise", SEED_NOISE)), shown)

    def _cost(self) -> str:
        cost = self._content.get("cost")
        if not cost:
            return ""
        text = "The prices of an hour and of an answer differ by region and change: docs/operations.md, What it costs."
        if not any("dollars" in one for one in cost):
            plain: list[Sequence[Cell]] = [(one["what"], one["amount"], one["basis"]) for one in cost]
            return section("What is billed on AWS", text, table(("what", "amount", "basis"), plain, texts=(0, 1, 2)))
        rows: list[Sequence[Cell]] = [(one["what"], one["amount"], _dollars(one), one["basis"]) for one in cost]
        text += " Discounts and taxes are not in these sums."
        return section("What is billed on AWS", text, table(("what", "amount", "US dollars", "basis"), rows, texts=(0, 1, 3)))

    def _next_steps(self) -> str:
        steps = self._content.get("next_steps")
        if not steps:
            return ""
        parts = [Html(f"<p>{escape(one['what'])}</p><pre>{escape(one['command'])}</pre>") for one in steps]
        return section("Next steps", "", *parts)


def said_of_intervals(groups: int) -> str:
    """What the intervals of scores are, in words (``model_code/scoring.py`` makes them)."""
    few = f", and {counted(groups, 'group')} are few" if groups < FEW_GROUPS else ""
    return f"Intervals are of 95 %. They take into account that the texts of a group are alike{few}."


def verdict(difference: Mapping[str, Any]) -> str:
    """What the 95 % interval of a difference in macro-F1 shows, as words before the name of what the model is compared with."""
    if difference["macro_f1"]["low"] > 0:
        return "better than"
    return "worse than" if difference["macro_f1"]["high"] < 0 else "not shown to be better or worse than"


def said_of(promise: Mapping[str, Any] | None) -> str:
    """What the review threshold promises, in words; ``promise`` as in ``evaluation.json``."""
    if promise is None:
        return "The threshold sends a chosen share of the texts to people. It promises nothing about the errors of the others."
    promised = f"At most {percent(promise['max_error'])} of the answers without people are wrong, {percent(promise['confidence'])} sure"
    basis = f"{counted(promise['texts'], 'validation text')} in {counted(promise['groups'], 'group')}"
    if not promise["kept"]:
        return f"{promised}: no threshold can promise that on {basis}, so every text goes to people."
    return f"{promised}: that is certified on {basis}, for texts like those. There, the bound is {percent(promise['error_bound'])}."


def _accuracy(one: Mapping[str, Any]) -> str:
    """Of one bin of confidence; a report of an earlier version has no interval."""
    if "accuracy_low" not in one:
        return percent(one["accuracy"])
    return ranged({"value": one["accuracy"], "low": one["accuracy_low"], "high": one["accuracy_high"]})


def _short(value: str) -> str:
    """A number with four digits at most, and any other value as it is."""
    try:
        number = float(value)
    except ValueError:
        return value
    return value if number.is_integer() else f"{number:.4g}"


def _dollars(row: Mapping[str, Any]) -> str:
    if "dollars" not in row:
        return ""
    return "not known" if row["dollars"] is None else f"{row['dollars']:,.2f}"


def _said_of_people(scores: Sequence[tuple[str, Any]]) -> str:
    people = {_REFERENCES[name] for name in ("human_1", "human_3")}
    return "People are compared with the votes of the other people. " if people & {name for name, _ in scores} else ""


def _plain(interval: Mapping[str, Any]) -> str:
    """``0.750 (0.700 to 0.791)``"""
    return f"{interval['value']:.3f} ({interval['low']:.3f} to {interval['high']:.3f})"


def _scored(name: str, accuracy: Mapping[str, Any], *sizes: int) -> Sequence[Cell]:
    return (name, *sizes, ranged(accuracy), interval_bar(accuracy))


def margin(ranked: Sequence[Mapping[str, Any]], noise: float | None) -> str:
    """How far the best trial is before the second, in words, against the noise of a seed (standard deviation of one trial's objective)."""
    found = [one["objective"] for one in ranked if one["objective"] is not None]
    if len(found) < 2:
        return ""
    gap = found[0] - found[1]
    said = f"The best two differ by {gap:.4f} on validation"
    if noise is None:
        return f"{said}."
    # Two trials each have the noise of their seed.
    less = gap < 2**0.5 * noise
    return f"{said}, {'less' if less else 'more'} than the noise of a seed ({2**0.5 * noise:.4f} on the demo's reviews)." + (
        " Another seed may well turn their order." if less else ""
    )
