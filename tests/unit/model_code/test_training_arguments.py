"""Hyper-parameters arrive as strings, beside flags that are not ours."""

from __future__ import annotations

import re

import pytest

from model_code.arguments import InvalidHyperparameter, read_arguments
from model_code.data import Row
from model_code.train import METRIC_LINE
from model_code.trainer import targets


def test_strings_are_converted_and_foreign_flags_ignored() -> None:
    settings, folders = read_arguments(
        ["--learning_rate", "0.0002", "--layers", "3", "--trained_layers", "all", "--_tuning_objective_metric", "validation:macro_f1"]
    )
    assert (settings.learning_rate, settings.layers, settings.trained) == (0.0002, 3, None)
    assert folders.parent is None


@pytest.mark.parametrize(
    ("flag", "value"), [("learning_rate", "0"), ("layers", "0"), ("trained_layers", "some"), ("soft_labels", "2"), ("replay_rows", "-1")]
)
def test_value_out_of_range_is_named(flag: str, value: str) -> None:
    with pytest.raises(InvalidHyperparameter, match=f"{flag}.*allowed"):
        read_arguments([f"--{flag}", value])


def test_metric_line_matches_the_regex_of_the_tuning_job() -> None:
    line = METRIC_LINE.format(epoch=2, loss=0.5, accuracy=0.75, macro_f1=0.7012)
    found = re.search("validation:macro_f1=([0-9.]+)", line)
    assert found is not None
    assert float(found[1]) == 0.7012


def test_soft_targets_are_vote_shares_and_hard_ones_the_label() -> None:
    rows = [Row("1", "t", "positive", {"negative": 1, "positive": 3}, "g", "s", "s")]
    assert targets(rows, ["negative", "positive"], soft=True).tolist() == [[0.25, 0.75]]
    assert targets(rows, ["negative", "positive"], soft=False).tolist() == [[0.0, 1.0]]
