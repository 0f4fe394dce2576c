"""Whatever the settings allow, a training job takes: both read ``contracts/bounds.py``, and a job's own parser has the last word."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import bounds
from model_code.arguments import read_arguments
from stacks.settings import Settings
from stacks.tuning_jobs import parameter_ranges, static_parameters


def at(limits: bounds.Bounds) -> st.SearchStrategy[int]:
    return st.sampled_from([int(limits.low), int(limits.high)]) | st.integers(int(limits.low), int(limits.high))


RATES = st.tuples(st.floats(1e-12, 0.1), st.floats(1e-12, 0.1)).filter(lambda pair: pair[0] < pair[1]) | st.just(
    (1e-12, bounds.LEARNING_RATE.high)
)
TRAINED = st.lists(at(bounds.TRAINED_LAYERS).map(str) | st.just("all"), min_size=1, max_size=10)
EPOCHS = st.lists(at(bounds.EPOCHS), min_size=1, max_size=30)


@st.composite
def chosen_settings(draw: st.DrawFn) -> Settings:
    def search() -> dict[str, Any]:
        low, high = draw(RATES)
        return {"learning_rate": {"low": low, "high": high}, "trained_layers": draw(TRAINED), "epochs": draw(EPOCHS)}

    tuning = {
        **search(),
        "layers": draw(st.lists(at(bounds.LAYERS), min_size=1, max_size=3)),
        "retraining": search(),
        "soft_labels": draw(st.booleans()),
        "max_length": draw(at(bounds.MAX_LENGTH) | st.just(bounds.AUTO)),
        "class_weights": draw(st.lists(st.sampled_from(bounds.CLASS_WEIGHTS), min_size=1, max_size=2, unique=True)),
        "batch_size": draw(at(bounds.BATCH_SIZE)),
        "seed": draw(at(bounds.SEED)),
        "max_unknown_share": draw(st.floats(bounds.UNKNOWN_SHARE.low, bounds.UNKNOWN_SHARE.high)),
    }
    share = draw(st.sampled_from([0.0, 1.0]) | st.floats(0, 1))
    return Settings.model_validate(
        {"stage": "test", "tuning": tuning, "review": {"target_share": share}, "retraining": {"replay_rows": draw(at(bounds.REPLAY_ROWS))}}
    )


def values(chosen: Settings, *, retraining: bool) -> dict[str, list[str]]:
    """Every value that a trial of the tuning job can be given, by hyper-parameter."""
    ranges = parameter_ranges(chosen, retraining=retraining)
    found = {item["Name"]: list(item["Values"]) for item in ranges["CategoricalParameterRanges"]}
    found |= {item["Name"]: [item["MinValue"], item["MaxValue"]] for item in ranges["ContinuousParameterRanges"]}
    fixed = static_parameters(chosen, "code.gz").items()
    return found | {name: [value] for name, value in fixed if not name.startswith("sagemaker_")}


@settings(deadline=None, max_examples=50)
@given(chosen_settings())
def test_every_value_of_the_settings_is_one_that_a_job_takes(chosen: Settings) -> None:
    for retraining in (False, True):
        found = values(chosen, retraining=retraining)
        assert {
            "learning_rate", "layers", "trained_layers", "epochs", "max_length", "batch_size", "class_weights", "review_share",
            "replay_rows", "max_unknown_share", "seed",
        } <= set(found)  # fmt: skip
        for number in range(max(len(options) for options in found.values())):
            trial = {name: options[min(number, len(options) - 1)] for name, options in found.items()}
            read, _ = read_arguments([part for name, value in trial.items() for part in (f"--{name}", value)])
            assert read.learning_rate == float(trial["learning_rate"])


@given(st.integers(-1, 30))
def test_the_pattern_of_trained_layers_says_what_their_bounds_say(layers: int) -> None:
    assert bool(re.match(bounds.TRAINED_LAYERS_PATTERN, str(layers))) is (layers in bounds.TRAINED_LAYERS)


@given(st.lists(st.sampled_from(bounds.CLASS_WEIGHTS), min_size=1, max_size=2, unique=True))
def test_class_weights_are_searched_when_there_is_a_choice_and_fixed_otherwise(choices: list[str]) -> None:
    chosen = Settings.model_validate({"stage": "test", "tuning": {"class_weights": choices}})
    for retraining in (False, True):
        ranges = {item["Name"]: item["Values"] for item in parameter_ranges(chosen, retraining=retraining)["CategoricalParameterRanges"]}
        fixed = static_parameters(chosen, "code.gz")
        assert (ranges.get("class_weights"), fixed.get("class_weights")) == ((choices, None) if len(choices) > 1 else (None, choices[0]))
