"""What reviewing gains, measured with the product's own functions on the recorded votes: ``python -m local.bench review``.

For each seed one model is trained as the demo does it, on reviews. Its answers to texts that it never learnt, and the recorded votes for
them, give every figure (:mod:`local.bench.review_figures`).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from contracts.dataset import Row
from embedded_aws.tools import launcher
from local.bench.review_budget import budget_order
from local.bench.review_figures import (
    PROMISE,
    Pool,
    answers_saved,
    ask,
    consolidation,
    promise_figures,
    spread,
    system_accuracy,
    watched,
)
from local.texts import corpus
from local.texts.splitting import split_by_group
from local.texts.vader import LABELS, RATER_COLUMNS, RatedText
from model_code.inference import model_fn
from model_code.review_threshold import certify, threshold_for_share

RESAMPLES, DRAWS = 200, 5
CALIBRATION_TEXTS = (300, 600, 1_200)
OTHERS = ("tweets", "nyt")
OTHER_TEXTS = 1_000
TRIAL = {"learning_rate": 1.7e-4, "layers": 4, "trained_layers": 2, "epochs": 2, "max_length": 64}
REQUIRED = {"guarantee_held_share": 0.95, "labels_saved": 0.20, "labels_saved_at_equal_accuracy": 0.35}


def measure(seeds: Sequence[int], folder: Path, *, on_step: Callable[[str], None]) -> dict[str, Any]:
    """All figures, by seed and together. ``on_step`` is called after each step: one for each model, and one for each seed's figures."""
    texts = {domain: corpus.rated_texts(domain) for domain in ("amazon", *OTHERS)}
    by_seed = {}
    for seed, pools in trained(seeds, texts, folder, on_step=on_step):
        by_seed[seed] = figures(pools, seed)
        on_step(f"seed {seed} is measured")
    return {"promise": vars(PROMISE), "seeds": {str(seed): by_seed[seed] for seed in sorted(by_seed)}, **together(list(by_seed.values()))}


def trained(
    seeds: Sequence[int], texts: Mapping[str, Sequence[RatedText]], folder: Path, *, on_step: Callable[[str], None]
) -> Iterator[tuple[int, dict[str, Pool]]]:
    """Two trainings at a time, one thread each. A seed's answers are kept in ``folder``, so a second run need not train."""
    with ThreadPoolExecutor(2) as threads:
        waiting = {threads.submit(_pools, seed, texts, folder): seed for seed in seeds}
        for done in as_completed(waiting):
            on_step(f"the model of seed {waiting[done]} has answered")
            yield waiting[done], done.result()


def _pools(seed: int, texts: Mapping[str, Sequence[RatedText]], folder: Path) -> dict[str, Pool]:
    splits = split_by_group([rated.row for rated in texts["amazon"]], seed=seed)
    held_out = {row.id for name in ("validation", "test") for row in splits[name]}
    asked = {"reviews": [rated for rated in texts["amazon"] if rated.row.id in held_out]}
    asked |= {name: list(texts[name])[:OTHER_TEXTS] for name in OTHERS}
    kept = {name: [rated for rated in part if len(rated.raters) == RATER_COLUMNS] for name, part in asked.items()}
    path = folder / f"answers-{seed}.npz"
    if not path.exists():
        model = _train(seed, splits, folder / f"model-{seed}")
        partial = path.with_suffix(".part.npz")
        np.savez(partial, **{name: _answers(model, part) for name, part in kept.items()})
        partial.replace(path)
        shutil.rmtree(model.parent)
    with np.load(path) as answers:
        return {name: _pool(answers[name], part) for name, part in kept.items()}


def _train(seed: int, splits: Mapping[str, Sequence[Row]], folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    for split in ("train", "validation"):
        (folder / split).mkdir(parents=True)
        lines = "".join(row.to_json() + "\n" for row in splits[split])
        (folder / split / "data.jsonl").write_text(lines, encoding="utf-8")
    places = {"base": corpus.base_model_folder(), "train": folder / "train", "validation": folder / "validation",
              "model-dir": folder / "model", "checkpoint-dir": folder / "checkpoints"}  # fmt: skip
    flags = {**places, **TRIAL, "seed": seed}
    command = [sys.executable, "-m", "model_code.train", *(part for name, value in flags.items() for part in (f"--{name}", str(value)))]
    subprocess.run(command, cwd=launcher.ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True, capture_output=True)
    return folder / "model"


def _answers(model: Path, texts: Sequence[RatedText]) -> Any:
    answers = model_fn(str(model)).predict([rated.row.text for rated in texts])
    return np.array([[answer["probabilities"][label] for label in LABELS] for answer in answers])


def _pool(probabilities: Any, texts: Sequence[RatedText]) -> Pool:
    place = {label: index for index, label in enumerate(LABELS)}
    _, groups = np.unique([rated.row.group for rated in texts], return_inverse=True)
    return Pool(
        labels=LABELS,
        probabilities=probabilities,
        truth=np.array([place[rated.row.label] for rated in texts]),
        raters=np.array([[place[vote] for vote in rated.raters] for rated in texts]),
        groups=groups,
    )


def figures(pools: Mapping[str, Pool], seed: int) -> dict[str, Any]:
    """One seed's figures; votes are drawn :data:`DRAWS` times, and the means are reported."""
    rng, reviews = np.random.default_rng(seed), pools["reviews"]
    promised = [promise_figures(reviews, size, resamples=RESAMPLES, rng=rng) for size in CALIBRATION_TEXTS]
    whole = certify(reviews.confidence, reviews.predicted != reviews.truth, reviews.groups, PROMISE)
    asked = {name: [ask(pool, rng) for _ in range(DRAWS)] for name, pool in pools.items()}
    return {
        "promise": promised,
        "watched": {name: watched(pool, whole.threshold, repeats=20, rng=rng) for name, pool in pools.items()},
        "system_accuracy": mean_of([system_accuracy(reviews, draw) for draw in asked["reviews"]]),
        "labels_saved": {name: mean_of([answers_saved(pools[name], draw) for draw in asked[name]]) for name in ("reviews", "tweets")},
        "consolidation": {
            name: mean_of([consolidation(pools[name], draw, reviewed=_unsure(pools[name])) for draw in asked[name]])
            for name in ("reviews", "tweets")
        },
        "daily_budget": {name: mean_of([budget_order(pools[name], draw, rng) for draw in asked[name]]) for name in ("reviews", "tweets")},
    }


def _unsure(pool: Pool) -> Any:
    return np.flatnonzero(pool.confidence < threshold_for_share(pool.confidence, 0.2))


def mean_of(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The mean of each figure, however deep it lies."""
    return {
        name: mean_of([one[name] for one in found]) if isinstance(found[0][name], Mapping) else float(np.mean([one[name] for one in found]))
        for name in found[0]
    }


def together(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The figures, each with its spread over the seeds, and whether what is required was reached."""
    promised = [part for one in found for part in one["promise"]]
    saved = [one["labels_saved"]["reviews"] for one in found]
    result: dict[str, Any] = {
        "guarantee_held_share": {
            str(size): spread([part["guarantee_held_share"] for part in promised if part["texts"] == size]) for size in CALIBRATION_TEXTS
        },
        "auto_accepted_share": {
            str(size): spread([part["auto_accepted_share"]["mean"] for part in promised if part["texts"] == size])
            for size in CALIBRATION_TEXTS
        },
        "system_accuracy": {
            name: spread([one["system_accuracy"][name] for one in found]) for name in found[0]["system_accuracy"]
        },
        "labels_saved_by_adaptive": {
            name: {
                "answers": spread([1 - one[name]["answers"] / one["fixed"]["answers"] for one in saved]),
                "accuracy_change": spread([one[name]["accuracy"] - one["fixed"]["accuracy"] for one in saved]),
            }
            for name in saved[0]
        },
        "consolidation_vs_majority": {
            domain: {
                name: spread([one["consolidation"][domain][name] - one["consolidation"][domain]["plurality"] for one in found])
                for name in found[0]["consolidation"][domain]
                if name.startswith("dawid_skene")
            }
            for domain in found[0]["consolidation"]
        },
        "daily_budget": {
            domain: {
                order: {name: spread([one["daily_budget"][domain][order][name] for one in found]) for name in ("accuracy", "macro_f1")}
                for order in found[0]["daily_budget"][domain]
            }
            for domain in found[0]["daily_budget"]
        },
    }  # fmt: skip
    result["reached"] = reached(found, result)
    return result


def reached(found: Sequence[Mapping[str, Any]], result: Mapping[str, Any]) -> dict[str, bool]:
    """What is required, by name. The promise must hold for every seed and every size of the calibration set."""
    saved = result["labels_saved_by_adaptive"]
    equal = [
        each["answers"]["mean"] for name, each in saved.items() if name.startswith("adaptive") and each["accuracy_change"]["mean"] >= 0
    ]
    accuracy = result["system_accuracy"]
    return {
        "promise holds in 95 % of the resamples": all(
            part["guarantee_held_share"] >= REQUIRED["guarantee_held_share"] for one in found for part in one["promise"]
        ),
        "20 % to one person: as accurate as one person who labels everything": accuracy["20% to 1"]["mean"]
        >= accuracy["one_person"]["mean"],
        "20 % to up to three: as accurate as one person who labels everything": accuracy["20% to 3"]["mean"]
        >= accuracy["one_person"]["mean"],
        "20 % fewer answers at the same labels": saved["two_then_third"]["answers"]["mean"] >= REQUIRED["labels_saved"]
        and all(one["labels_saved"]["reviews"]["two_then_third"]["same_labels"] == 1 for one in found),
        "35 % fewer answers at equal accuracy": max(equal, default=0.0) >= REQUIRED["labels_saved_at_equal_accuracy"],
    }


def tables(content: Mapping[str, Any]) -> Iterator[Table]:
    """The figures for the terminal: the mean over the seeds, and the values that one in twenty is below and above."""
    promised = Table("calibration texts", "promise held", "answered alone", title="at most 10 % wrong, 95 % sure", min_width=70)
    for size, held in content["guarantee_held_share"].items():
        promised.add_row(size, shown(held), shown(content["auto_accepted_share"][size]))
    yield promised
    accuracy = Table("who answers", "accuracy", title="model and people together", min_width=70)
    for name, value in content["system_accuracy"].items():
        accuracy.add_row(name.replace("_", " "), shown(value))
    yield accuracy
    saved = Table(
        "rule", "fewer answers", "accuracy, change", title="answers to the 20 % that people see, against three each", min_width=70
    )
    for name, value in content["labels_saved_by_adaptive"].items():
        saved.add_row(name.replace("_", " "), shown(value["answers"]), shown(value["accuracy_change"]))
    yield saved
    rules = Table("texts", "rule and history", "right, change", title="Dawid-Skene against plurality, three votes each", min_width=70)
    for domain, each in content["consolidation_vs_majority"].items():
        for name, value in each.items():
            rules.add_row(domain, name.replace("_", "-"), shown(value))
    yield rules
    orders = Table("texts", "who is asked about", "accuracy", "macro-F1", title="a daily budget for half of the unsure 20 %", min_width=70)
    for domain, each in content["daily_budget"].items():
        for name, value in each.items():
            orders.add_row(domain, name, shown(value["accuracy"]), shown(value["macro_f1"]))
    yield orders
    required = Table("required", "reached", min_width=70)
    for name, good in content["reached"].items():
        required.add_row(name, "yes" if good else "no")
    yield required


def shown(value: Mapping[str, float]) -> str:
    return f"{100 * value['mean']:.1f} % ({100 * value['low']:.1f} to {100 * value['high']:.1f})"
