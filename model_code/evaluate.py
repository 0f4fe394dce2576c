"""Evaluate a candidate on the frozen test set: the entry point of an evaluation (processing) job.

Writes ``evaluation.json`` (docs/contracts.md), ``predictions.jsonl``, and a report of the data as ``report.json`` and ``report.html``.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.dataset import SPLITS, InvalidDataset, ReferenceText, Row
from contracts.dataset_files import KEY_EXAMPLES, file_name, read_manifest, read_rows
from contracts.groups import text_digest
from contracts.labels import listed
from contracts.phrases import counted
from contracts.report.page import page
from contracts.review_promise import EVERYTHING
from contracts.shared_words import RECENT_UNSURE
from model_code.archive import read_document, read_trained_texts, unpacked
from model_code.calibration import expected_calibration_error
from model_code.cores import cores
from model_code.drift_baseline import baseline_of, read_reference, unusable
from model_code.inference import model_fn
from model_code.references import label_indices, majority, people, tfidf
from model_code.report.content import Evaluated, report_content
from model_code.report.frozen_layers import FrozenLayers, frozen_layers
from model_code.scoring import Labels, Resamples, class_scores, grouped_share, paired_difference, scores
from model_code.tokens import Tokens

SCHEMA_VERSION = 3
RESAMPLES = 4_000
MOST_WRONG, LONGEST_TEXT = 50, 120
"""Key examples that are named, and characters of each."""
MODELS = ("model", "champion", "best")
"""Names of the inputs with a model."""
MOST_COUNTED = 5_000
"""Texts of one split whose word pieces are counted for the report."""


@dataclass(frozen=True)
class Answered:
    """A model's answers, what its out-of-vocabulary rate counts, and the word pieces (of some) of the texts of each split."""

    answers: list[dict[str, Any]]
    oov_basis: str
    max_length: int
    promise: dict[str, Any] | None
    lengths: dict[str, NDArray[np.int32]]
    frozen: FrozenLayers | None


def answer_all(
    archive: Path,
    rows: Sequence[Row | ReferenceText],
    counted: Mapping[str, Sequence[Row]] | None = None,
    *,
    frozen_seed: int | None = None,
) -> Answered:
    """The answers of a model artifact, through the same code that serves it; the word pieces of the rows ``counted`` are counted.

    With ``frozen_seed``, the layers that were not trained answer the test texts among them, too.
    """
    with unpacked(archive) as folder:
        model = model_fn(str(folder))
        answers = model.predict([row.text for row in rows])
        lengths = {
            name: Tokens(model.tokenizer, [row.text for row in evenly(part, MOST_COUNTED)], model.max_length).pieces
            for name, part in (counted or {}).items()
        }
        frozen = None
        if counted and frozen_seed is not None:
            trained = str(read_document(folder, "hyperparameters")["trained_layers"])
            frozen = frozen_layers(model, trained, counted["train"], counted["test"], seed=frozen_seed)
        promise = read_document(folder, "calibration").get("review_promise")
        return Answered(answers, model.oov_basis, model.max_length, promise, lengths, frozen)


def evenly(rows: Sequence[Row], most: int) -> list[Row]:
    """At most so many rows from all parts of a split. Its rows stand in the order of their ids, so those of one origin stand together."""
    return [rows[int(index)] for index in np.linspace(0, len(rows) - 1, min(len(rows), most))]


def without_trained(rows: Mapping[str, Sequence[Row]], trained: Mapping[str, Set[str]]) -> tuple[list[Row], dict[str, Any] | None]:
    """The test texts that no model was trained on, and ``{"rows","models"}`` of the others: how many, and which models knew them.

    A dataset version that grew out of the champion's own has no such text. A new first version may have some, and a model would be judged
    by texts that it knows by heart. What lies in the version's own training split is another matter: all its models know it.

    Args:
        trained: by model, digests of the texts that it was trained on.

    Raises:
        InvalidDataset: no test text is left.
    """
    own = {text_digest(row.text) for row in rows["train"]}
    digests = [text_digest(row.text) for row in rows["test"]]
    by = [[name for name, texts in trained.items() if digest in texts - own] for digest in digests]
    kept = [row for row, models in zip(rows["test"], by, strict=True) if not models]
    if len(kept) == len(digests):
        return kept, None
    left_out, models = len(digests) - len(kept), [name for name in trained if any(name in one for one in by)]
    cure = "make a version whose test texts no model was trained on (docs/operations.md, Other labels)"
    if not kept:
        told = f"all {counted(left_out, 'test text')} were trained on by: {', '.join(models)}"
        raise InvalidDataset(f"{told}. Nothing is left to test on: {cure}")
    print(
        f"{left_out} of {counted(len(digests), 'test text')} are left out of all figures, since they were trained on by: "
        f"{', '.join(models)}. To judge by more texts, {cure}",
        flush=True,
    )
    return kept, {"rows": left_out, "models": models}


def trained_texts_of(archive: Path) -> frozenset[str]:
    """See :func:`~model_code.archive.read_trained_texts`."""
    with unpacked(archive) as folder:
        return read_trained_texts(folder)


class Part:
    """Some texts, resampled by themselves. ``groups`` and ``truth`` are of all texts, ``inside`` has the indices of some."""

    def __init__(self, groups: Sequence[str], truth: Labels, inside: Labels, seed: int) -> None:
        self._truth, self._inside = truth[inside], inside
        self._resamples = Resamples.draw([groups[int(index)] for index in inside], count=RESAMPLES, seed=seed)
        self.sizes = self._resamples.sizes

    def scores(self, predicted: Labels) -> dict[str, Any]:
        """The scores of ``predicted``: answers to all texts, (texts,)."""
        return scores(self._truth, predicted[self._inside], self._resamples)

    def difference(self, first: Labels, second: Labels) -> dict[str, Any]:
        """``first`` minus ``second``, paired, and on how many texts; both answer all texts."""
        return {**self.sizes, **paired_difference(self._truth, first[self._inside], second[self._inside], self._resamples)}


def ordinary(test: Sequence[Row]) -> NDArray[np.bool_]:
    """Which test texts the figures are of, (texts,): all but those that people saw because a model was unsure of them.

    Such texts are hard, and every retraining adds some. With them, an equally good model would get lower figures from retraining to
    retraining. Where there are no other texts, the figures are of them.
    """
    found = np.array([row.slice != RECENT_UNSURE for row in test])
    return found if found.any() else ~found


def evaluate(
    candidate: Sequence[dict[str, Any]],
    champion: Sequence[dict[str, Any]] | None,
    train: Sequence[Row],
    test: Sequence[Row],
    labels: Sequence[str],
    *,
    seed: int,
    best: Sequence[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """The contract's ``evaluation.json`` but for what belongs to the dataset version, the key examples and the drift baseline.

    Args:
        candidate, champion, best: one inference answer per test row, in order. ``best`` is the best champion so far; None where that is
            the champion itself, or where there is none.
    """
    truth = label_indices(test, labels)
    answers = {"candidate": candidate, "champion": champion, "best": best}
    said = {name: _predicted(found, labels) for name, found in answers.items() if found is not None}
    slices, groups, inside = np.array([row.slice for row in test]), [row.group for row in test], ordinary(test)

    def part(chosen: NDArray[np.bool_]) -> Part:
        return Part(groups, truth, np.flatnonzero(chosen), seed)

    by_slice = {name: part(slices == name) for name in sorted(set(slices.tolist()))}
    figures = _figures(
        [one for one, counts in zip(candidate, inside, strict=True) if counts],
        {name: predicted[inside] for name, predicted in said.items()},
        train,
        [row for row, counts in zip(test, inside, strict=True) if counts],
        labels,
        seed=seed,
    )
    compared = "champion" if best is None else "best"
    return {
        "schema_version": SCHEMA_VERSION,
        "model_version": candidate[0]["model_version"],
        "champion_version": None if champion is None else champion[0]["model_version"],
        "best_version": None if (found := answers[compared]) is None else found[0]["model_version"],
        "rows": len(test),
        "groups": len(set(groups)),
        **figures,
        "by_slice": {name: {**one.sizes, **one.scores(said["candidate"])} for name, one in by_slice.items()},
        "difference_by_slice": None
        if champion is None
        else {name: one.difference(said["candidate"], said["champion"]) for name, one in by_slice.items()},
    }


def _figures(
    answers: Sequence[dict[str, Any]],
    said: Mapping[str, Labels],
    train: Sequence[Row],
    test: Sequence[Row],
    labels: Sequence[str],
    *,
    seed: int,
) -> dict[str, Any]:
    """All that :func:`evaluate` says of the ordinary test texts. ``answers``: the candidate's. ``said``: of each model, (texts,)."""
    truth, predicted, groups = label_indices(test, labels), said["candidate"], np.array([row.group for row in test])
    whole = Part(groups.tolist(), truth, np.arange(len(test)), seed)
    simple, features = tfidf(train, test, labels)
    references: dict[str, Any] = {
        "majority": whole.scores(majority(train, test, labels)),
        "tfidf": {**whole.scores(simple), "features": features},
        **{name: whole.scores(said[name]) if name in said else None for name in ("champion", "best")},
    }
    for raters in (1, 3):
        answered, others = people(test, labels, raters=raters, seed=seed)
        asked = Part(groups.tolist(), others, np.flatnonzero(answered >= 0), seed) if (answered >= 0).any() else None
        references[f"human_{raters}"] = None if asked is None else {**asked.sizes, **asked.scores(answered)}
    confidence = np.array([answer["confidence"] for answer in answers])
    correct = predicted == truth
    threshold = float(answers[0]["review_threshold"])
    alone = (confidence >= threshold) & (threshold < EVERYTHING)
    compares = "champion" in said and any(row.slice != RECENT_UNSURE for row in test)
    return {
        "overall": {**whole.sizes, **whole.scores(predicted), "ece": round(expected_calibration_error(confidence, correct), 4)},
        "by_class": _by_class(truth, predicted, labels, groups),
        "truncated": _truncated(answers),
        "confusion": {"labels": list(labels), "matrix": _confusion(truth, predicted, len(labels))},
        "references": references,
        "difference_to_tfidf": whole.difference(predicted, simple),
        "difference_to_champion": whole.difference(predicted, said["champion"]) if compares else None,
        "difference_to_best": whole.difference(predicted, said.get("best", said["champion"])) if compares else None,
        "review": {
            "threshold": threshold,
            "share": round(float((~alone).mean()), 4),
            "auto_accuracy": round(float(correct[alone].mean()), 4) if alone.any() else None,
            "auto_error": grouped_share(~correct[alone], groups[alone]) if alone.any() else None,
            "promise": None,
        },
    }


def _predicted(answers: Sequence[dict[str, Any]], labels: Sequence[str]) -> Labels:
    """Indices (texts,). A champion may answer a label that the dataset has no longer: that is wrong, and has an index of its own."""
    position = {label: index for index, label in enumerate(labels)}
    return np.array([position.get(answer["label"], len(labels)) for answer in answers])


def _by_class(truth: Labels, predicted: Labels, labels: Sequence[str], groups: NDArray[np.str_]) -> dict[str, Any]:
    """Precision, recall and F1 of each class. None is undefined: recall and F1 without test texts, precision of a class never said."""
    result = {}
    for index, label in enumerate(labels):
        precision, _, f1 = class_scores(truth, predicted, index)
        inside, answered = truth == index, predicted == index
        there, said = int(inside.sum()), int(answered.sum())
        result[label] = {
            "precision": round(precision, 4) if said else None,
            "precision_interval": grouped_share(truth[answered] == index, groups[answered]) if said else None,
            "recall": grouped_share(predicted[inside] == index, groups[inside]) if there else None,
            "f1": round(f1, 4) if there else None,
            "support": there,
        }
    return result


def _truncated(answers: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The share of texts that the model did not read to their end, and of word pieces; None where its answers do not count them."""
    counted = [answer for answer in answers if "unread_pieces" in answer]
    pieces, unread = (sum(answer[name] for answer in counted) for name in ("pieces", "unread_pieces"))
    return {
        "texts": round(sum(bool(answer.get("truncated")) for answer in answers) / len(answers), 4),
        "pieces": round(unread / max(1, pieces), 4) if counted else None,
    }


def key_example_result(rows: Sequence[Row], answers: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """``{"rows","right","wrong"}`` of the texts that every model must label right; None without any."""
    wrong = [
        {"id": row.id, "text": _shortened(row.text), "label": row.label, "answer": answer["label"], "confidence": answer["confidence"]}
        for row, answer in zip(rows, answers, strict=True)
        if answer["label"] != row.label
    ]
    return {"rows": len(rows), "right": len(rows) - len(wrong), "wrong": wrong[:MOST_WRONG]} if rows else None


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_TEXT else f"{line[: LONGEST_TEXT - 3]}..."


def _confusion(truth: Labels, predicted: Labels, size: int) -> list[list[int]]:
    matrix = np.zeros((size, size), dtype=int)
    np.add.at(matrix, (truth, predicted), 1)
    return [[int(cell) for cell in row] for row in matrix]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Evaluate a candidate model on the frozen test set")
    parser.add_argument("--input-dir", type=Path, default=Path("/opt/ml/processing/input"))
    parser.add_argument("--output-dir", type=Path, default=Path("/opt/ml/processing/output/evaluation"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--window", type=int, default=250, help="predictions per drift assessment")
    parser.add_argument("--alpha", type=float, default=0.01, help="nominal false-alarm rate of one drift assessment")
    parser.add_argument(
        "--report",
        choices=("full", "short", "none"),
        help="report.json and report.html: short leaves out what has to train models (default: full without a champion, else short)",
    )
    known = parser.parse_args(arguments)
    os.environ["OMP_NUM_THREADS"] = str(cores())  # what serving reads
    dataset = known.input_dir / "dataset"
    manifest = read_manifest(dataset)
    rows = {split: read_rows(dataset / split) for split in SPLITS}
    archives = {name: path for name in MODELS if (path := known.input_dir / name / "model.tar.gz").exists()}
    rows["test"], trained_on = without_trained(rows, {name: trained_texts_of(path) for name, path in archives.items()})
    train, test, reference = rows["train"], rows["test"], read_reference(dataset, manifest)
    examples = read_rows(dataset / KEY_EXAMPLES) if file_name(KEY_EXAMPLES) in manifest.files else []
    champion, best = (answer_all(archives[name], test).answers if name in archives else None for name in ("champion", "best"))
    report = known.report or ("full" if champion is None else "short")
    archive = archives.get("model", known.input_dir / "model" / "model.tar.gz")
    counted = {} if report == "none" else rows
    answered = answer_all(archive, [*test, *reference, *examples], counted, frozen_seed=known.seed if report == "full" else None)
    candidate, served, asked = _split(answered.answers, len(test), len(reference))
    labels = list(candidate[0]["probabilities"])
    if set(labels) != set(manifest.labels):
        mine, others = (sorted(set(one) - set(other)) for one, other in ((labels, manifest.labels), (manifest.labels, labels)))
        raise InvalidDataset(
            f"only the model knows the labels {listed(mine) or '(none)'}, only the dataset has {listed(others) or '(none)'}: "
            "train with the dataset version that is evaluated"
        )
    result = evaluate(candidate, champion, train, test, labels, seed=known.seed, best=best)
    result["dataset_version"], result["label_names"] = manifest.version, dict(manifest.label_names)
    result["trained_on"] = trained_on
    result["review"]["promise"] = answered.promise
    result["key_examples"] = key_example_result(examples, asked)
    inside = ordinary(test)
    normal = [(row, answer) for row, answer, counts in zip(test, candidate, inside, strict=True) if counts]
    sample: Sequence[Row | ReferenceText] = reference or [row for row, _ in normal]
    said = served if reference else [answer for _, answer in normal]
    baseline = baseline_of(sample, said, labels, basis=answered.oov_basis, window=known.window, alpha=known.alpha, seed=known.seed)
    result["drift_baseline"] = {"source": "reference" if reference else "test", **baseline}
    known.output_dir.mkdir(parents=True, exist_ok=True)
    with (known.output_dir / "predictions.jsonl").open("w", encoding="utf-8") as stream:
        for row, answer, counts in zip(test, candidate, inside.tolist(), strict=True):
            line = {"id": row.id, "truth": row.label, "ordinary": counts, **answer}
            stream.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
    _write_json(known.output_dir / "evaluation.json", result)
    if report != "none":
        made = Evaluated(
            rows=rows,
            truth={split: label_indices(part, labels) for split, part in rows.items()},
            labels=labels,
            answers=candidate,
            predicted=_predicted(candidate, labels),
            ordinary=inside,
            evaluation=result,
            lengths=answered.lengths,
            max_length=answered.max_length,
            frozen=answered.frozen,
            seed=known.seed,
        )
        content = report_content(made, full=report == "full")
        _write_json(known.output_dir / "report.json", content)
        (known.output_dir / "report.html").write_text(page(content), encoding="utf-8")
    for silent in unusable(baseline):
        print(f"drift of {silent}", flush=True)
    overall = result["overall"]
    print(f"accuracy={overall['accuracy']['value']:.4f} macro_f1={overall['macro_f1']['value']:.4f} rows={overall['rows']}", flush=True)


def _split(answers: list[dict[str, Any]], *sizes: int) -> list[list[dict[str, Any]]]:
    """As many answers as each size says, and the rest."""
    ends = [*itertools.accumulate(sizes), len(answers)]
    return [answers[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
