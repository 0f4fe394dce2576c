"""Fine-tune the classifier and write the model artifact: the entry point of a training job."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from contracts.dataset import InvalidDataset, Manifest, Row
from contracts.dataset_files import MANIFEST, read_rows
from contracts.groups import text_digest
from contracts.labels import listed
from model_code import checkpoint as checkpoints
from model_code.archive import TRAINED_TEXTS, read_document, read_label_names, read_trained_texts, unpacked
from model_code.arguments import Folders, Hyperparameters, InvalidHyperparameter, read_arguments
from model_code.artifact import write_artifact
from model_code.base_model import check_readable, check_vocabulary, load_tokenizer, longest, unknown_share
from model_code.calibration import CONFIDENCE_DIGITS, fit_temperature, softmax
from model_code.cores import cores
from model_code.drift_baseline import WORDS, units, vocabulary_basis
from model_code.lengths import PIECES_PER_EPOCH, chosen_length
from model_code.network import TextClassifier
from model_code.retraining import effective_size, replayed, training_shares
from model_code.review_threshold import certify, said, threshold_for_share
from model_code.scoring import Floats, Labels
from model_code.tokens import HEAD, HEAD_AND_TAIL, Tokens, unread_shares
from model_code.trainer import HeldOut, Logits, Trainer, require_finite, targets

METRIC_LINE = "epoch={epoch} train:loss={loss:.4f} validation:accuracy={accuracy:.4f} validation:macro_f1={macro_f1:.4f}"


def fit(trainer: Trainer, validation: HeldOut, checkpoint: Path, *, keep_last: bool) -> Iterator[tuple[dict[str, Any], Logits]]:
    """Train; resumes from ``checkpoint`` when a stopped job left one.

    The epoch that is kept is the best on validation, and ``patience`` epochs without a better one end the training. With ``keep_last``
    it is the last: a parent starts at its optimum for the old texts, so the best on them would be the epoch that moved least.

    Yields:
        Metrics and validation logits (texts, labels) of every newly kept epoch, while the model has its weights. Whatever was printed
        in between, the last yield goes with the last metric line: SageMaker takes that line's value as the objective.
    """
    settings = trainer.settings
    progress: dict[str, Any] = {"next": 1, "kept": None, "logits": None, "weights": None, "history": []}
    if saved := checkpoints.load(checkpoint):
        trainer.restore(saved["trainer"])
        progress = saved["progress"]
        print(f"resuming at epoch {progress['next']} from the checkpoint", flush=True)
    last_printed = None
    for epoch in range(progress["next"], settings.epochs + 1):
        # Asked here, so that a job that was stopped after its last epoch does not train another one when it resumes.
        if not keep_last and progress["kept"] is not None and epoch - 1 - progress["kept"]["epoch"] >= settings.patience:
            print(f"stopping early: no better macro-F1 since epoch {progress['kept']['epoch']}", flush=True)
            break
        metrics = {"epoch": epoch, "loss": trainer.epoch(epoch)}
        logits = trainer.predict(validation)
        require_finite(logits, epoch, trainer.settings.learning_rate)
        metrics |= validation.scores(logits)
        print(METRIC_LINE.format(**metrics), flush=True)
        last_printed = epoch
        progress["history"].append(metrics)
        progress["next"] = epoch + 1
        if keep_last or progress["kept"] is None or metrics["macro_f1"] > progress["kept"]["macro_f1"]:
            # As a tensor: a checkpoint holds no arrays.
            progress |= {"kept": metrics, "logits": torch.from_numpy(logits), "weights": trainer.weights()}
            yield _with_history(progress), logits
        checkpoints.save({"trainer": trainer.state(), "progress": progress}, checkpoint)
    if last_printed != progress["kept"]["epoch"]:
        trainer.load_weights(progress["weights"])
        print(METRIC_LINE.format(**progress["kept"]), flush=True)
        yield _with_history(progress), progress["logits"].numpy()


def _with_history(progress: dict[str, Any]) -> dict[str, Any]:
    return {**progress["kept"], "history": progress["history"]}


@dataclass(frozen=True)
class Start:
    """What a training starts from.

    ``vocabulary``: what is known already, words or characters as ``basis`` says (None: not decided). ``max_length``: the parent's.
    ``truncation``: what is read of a longer text; the parent's too, for it has learnt from such texts.
    """

    model: TextClassifier
    tokenizer: Any
    labels: list[str]
    vocabulary: set[str]
    basis: str | None
    label_names: Mapping[str, str] = field(default_factory=dict)
    max_length: int | None = None
    truncation: str = HEAD_AND_TAIL
    trained_texts: frozenset[str] = frozenset()
    """Digests of the texts that the parent was trained on."""


def start_model(settings: Hyperparameters, folders: Folders, rows: Sequence[Row]) -> Start:
    """From the parent model when its channel is given, with the labels that it knows; else from the base model with those of the rows.

    Raises:
        InvalidBaseModel, InvalidArtifact: the base model, or the parent, cannot be used.
        InvalidHyperparameter: the model has not as many layers, or cannot read ``max_length`` word pieces.
    """
    if folders.parent is None:
        labels = sorted({row.label for row in rows})
        model = TextClassifier.from_base(folders.base, len(labels), layers=settings.layers, trained=settings.trained)
        start = Start(model, load_tokenizer(folders.base), labels, set(), None, label_names(folders, labels, {}))
        check_vocabulary(start.tokenizer, start.model.encoder.config.vocab_size)
    else:
        with unpacked(folders.parent / "model.tar.gz") as parent:
            labels, vocabulary, version = (read_document(parent, name) for name in ("label_map", "vocabulary", "model_version"))
            model = TextClassifier.load(parent, trained=settings.trained)
            start = Start(
                model,
                load_tokenizer(parent),
                list(labels),
                set(vocabulary),
                version.get("oov_basis", WORDS) if vocabulary else None,
                label_names(folders, labels, read_label_names(parent)),
                version["max_length"],
                version.get("truncation", HEAD),
                read_trained_texts(parent),
            )
    positions = longest(start.model.encoder.config)
    if (settings.longest_text or 0) > positions:
        raise InvalidHyperparameter(f"hyper-parameter max_length = {settings.max_length}: this base model reads at most {positions}")
    return start


def reading_length(settings: Hyperparameters, start: Start, texts: Sequence[str]) -> int:
    """How many word pieces of a text are read: what the settings say, else the parent's length, else what the training texts need."""
    length = settings.longest_text or start.max_length
    if length is None:
        positions = longest(start.model.encoder.config)
        measured = Tokens(start.tokenizer, texts, positions)
        most = PIECES_PER_EPOCH["cuda" if torch.cuda.is_available() else "cpu"]
        length = chosen_length(measured.lengths + measured.unread, positions, most)
    return length


def label_names(folders: Folders, labels: Iterable[str], known: Mapping[str, str]) -> dict[str, str]:
    """What people see of the model's labels: as the dataset version's manifest says, else as is ``known``. A label without one has its id.

    Raises:
        InvalidDataset: the channel's manifest has another form.
    """
    path = folders.manifest / MANIFEST if folders.manifest is not None else None
    names = {**known, **(Manifest.parse(path.read_bytes(), path.name).label_names if path is not None and path.exists() else {})}
    return {label: names[label] for label in labels if label in names}


def require_known(rows: Sequence[Row], labels: Sequence[str], cure: str) -> None:
    """Raises InvalidDataset, naming the first row with a label, or a vote for one, that the model does not have, and the cure."""
    for row in rows:
        unknown = sorted({row.label, *(label for label, count in row.votes.items() if count)} - set(labels))
        if unknown:
            what = "label" if unknown[0] == row.label else "votes for the label"
            raise InvalidDataset(f"row {row.id!r} has the {what} {unknown[0]!r}, the model knows {listed(labels)}: {cure}")


@dataclass(frozen=True)
class Validation:
    """The validation texts: labels by index, groups, and how often each text counts; each (texts,)."""

    truth: Labels
    groups: Sequence[str]
    weights: Floats


def documents(  # noqa: PLR0917  (all of it is in the artifact)
    settings: Hyperparameters,
    start: Start,
    trained_texts: Sequence[str],
    metrics: dict[str, Any],
    logits: Logits,
    validation: Validation,
) -> dict[str, Any]:
    """The artifact's JSON files by name, for the epoch with these metrics and validation logits (texts, labels)."""
    wide = logits.astype(np.float64)
    temperature = fit_temperature(wide, validation.truth, validation.weights)
    return {
        "label_map": {label: index for index, label in enumerate(start.labels)},
        "label_names": dict(start.label_names),
        "calibration": {"temperature": temperature, **review_rule(settings, softmax(wide, temperature), validation)},
        "vocabulary": sorted(start.vocabulary),
        TRAINED_TEXTS: trained_texts,
        "metrics": metrics,
        "model_version": {
            "model_version": _job_name(),
            "max_length": metrics["max_length"],
            "truncation": start.truncation,
            "oov_basis": metrics["oov_basis"],
        },
        "hyperparameters": asdict(settings),
    }


def review_rule(settings: Hyperparameters, probabilities: Floats, validation: Validation) -> dict[str, Any]:
    """The review threshold and where it comes from: a share of the texts, mixed as in training, or a promise with its certificate."""
    # The model serves its confidence with six digits, and the threshold is compared with that.
    confidence = probabilities.max(axis=1).round(CONFIDENCE_DIGITS)
    rule = {"review_share": settings.review_share, "review_promise": None}
    if settings.promise is None:
        return {"review_threshold": threshold_for_share(confidence, settings.review_share, validation.weights), **rule}
    wrong = probabilities.argmax(axis=1) != validation.truth
    found = certify(confidence, wrong, validation.groups, settings.promise, validation.weights)
    print(said(found), flush=True)
    return {"review_threshold": found.threshold, **rule, "review_promise": found.as_json()}


def _unread_line(max_length: int, shares: Mapping[str, Mapping[str, float]]) -> str:
    said = (
        f"{part['cut_texts']:.1%} of the {split} texts are cut, {part['unread_pieces']:.1%} of their word pieces are not read"
        for split, part in shares.items()
    )
    return f"max_length={max_length}: {'; '.join(said)}"


def _job_name() -> str:
    return os.environ.get("TRAINING_JOB_NAME", "local")


def main(arguments: Sequence[str] | None = None) -> None:
    settings, folders = read_arguments(arguments)
    torch.manual_seed(settings.seed)
    torch.set_num_threads(cores())
    rows, held_out = read_rows(folders.train), read_rows(folders.validation)
    start = start_model(settings, folders, rows)
    again = folders.parent is not None
    cure = "train from the base model" if again else "no training text has this label; correct it, or add texts that have it"
    require_known([*rows, *held_out], start.labels, cure)
    basis = start.basis or vocabulary_basis([row.text for row in rows], [row.text for row in held_out])
    start.vocabulary.update(unit for row in rows for unit in units(row.text, basis))
    chosen = replayed(rows, most=settings.replay_rows, seed=settings.seed) if again else rows
    # Of all rows: those that are not replayed were trained on before.
    trained_texts = sorted(start.trained_texts | {text_digest(row.text) for row in rows})
    weights = training_shares(chosen, held_out) if again else np.ones(len(held_out))
    counts: dict[str, Any] = {"training_rows": len(chosen), "effective_validation_rows": round(effective_size(weights), 1)}
    print(f"training on {len(chosen)} of {len(rows)} rows, validation counts as {counts['effective_validation_rows']} rows", flush=True)
    length = reading_length(settings, start, [row.text for row in chosen])
    train, validation = (Tokens(start.tokenizer, [row.text for row in part], length, start.truncation) for part in (chosen, held_out))
    counts |= {"max_length": length, "unread": {"train": unread_shares(train), "validation": unread_shares(validation)}}
    print(_unread_line(length, counts["unread"]), flush=True)
    counts["oov_basis"] = basis
    counts["unknown_pieces"] = round(unknown_share(start.tokenizer, train.flat), 4)
    check_readable(counts["unknown_pieces"], settings.max_unknown_share)
    trainer = Trainer(start.model, settings, train, targets(chosen, start.labels, soft=bool(settings.soft_labels)))
    truth = np.array([start.labels.index(row.label) for row in held_out])
    # Several jobs of one tuning job may be given one folder for their checkpoints.
    checkpoint = folders.checkpoints / f"{_job_name()}.pt"
    for metrics, logits in fit(trainer, trainer.held_out(validation, truth, weights), checkpoint, keep_last=again):
        kept = Validation(truth, [row.group for row in held_out], weights)
        made = documents(settings, start, trained_texts, counts | metrics, logits, kept)
        write_artifact(folders.model, trainer.model, start.tokenizer, made)


if __name__ == "__main__":
    main()
