"""Whatever the settings allow, a training job takes: both read ``contracts/bounds.py``, and a job's own parser has the last word."""

from __future__ import annotations

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
LAYERS = st.lists(st.sampled_from([*map(str, range(1, 10)), "all"]), min_size=1, max_size=10)
EPOCHS = st.lists(at(bounds.EPOCHS), min_size=1, max_size=30)


@st.composite
def chosen_settings(draw: st.DrawFn) -> Settings:
    def search() -> dict[str, Any]:
        low, high = draw(RATES)
        return {"learning_rate": {"low": low, "high": high}, "trained_layers": draw(LAYERS), "epochs": draw(EPOCHS)}

    tuning = {
        **search(),
        "layers": draw(st.lists(st.sampled_from([3, 4, 6]), min_size=1, max_size=3)),
        "retraining": search(),
        "soft_labels": draw(st.booleans()),
        "max_length": draw(at(bounds.MAX_LENGTH)),
        "seed": draw(at(bounds.SEED)),
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
        assert {"learning_rate", "layers", "trained_layers", "epochs", "max_length", "review_share", "replay_rows", "seed"} <= set(found)
        for number in range(max(len(options) for options in found.values())):
            trial = {name: options[min(number, len(options) - 1)] for name, options in found.items()}
            read, _ = read_arguments([part for name, value in trial.items() for part in (f"--{name}", value)])
            assert read.learning_rate == float(trial["learning_rate"])
