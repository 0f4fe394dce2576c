"""Hyper-parameters arrive as strings, beside flags that are not ours."""

from __future__ import annotations

import re

import numpy as np
import pytest

from contracts.dataset import Row
from model_code.arguments import InvalidHyperparameter, read_arguments
from model_code.review_threshold import threshold_for_share


def test_strings_are_converted_and_foreign_flags_ignored() -> None:
    settings, folders = read_arguments(
        ["--learning_rate", "0.0002", "--layers", "3", "--trained_layers", "all", "--_tuning_objective_metric", "validation:macro_f1"]
    )
    assert (settings.learning_rate, settings.layers, settings.trained) == (0.0002, 3, None)
    assert folders.parent is None


BAD = [
    ("learning_rate", "0.0"), ("learning_rate", "0.11"), ("learning_rate", "nan"), ("learning_rate", "fast"), ("layers", "0"),
    ("layers", "25"),
    ("layers", "3.5"), ("trained_layers", "some"), ("trained_layers", "0"), ("trained_layers", "25"), ("epochs", "0"), ("epochs", "21"),
    ("epochs", "two"), ("batch_size", "0"), ("soft_labels", "2"), ("seed", "-1"), ("max_length", "7"), ("max_length", "513"),
    ("max_length", "all"), ("max_length", "64.0"), ("class_weights", "focal"),
    ("review_share", "1.01"), ("review_share", "-0.1"), ("review_share", "nan"), ("patience", "-1"), ("replay_rows", "-1"),
]  # fmt: skip


@pytest.mark.parametrize(("flag", "value"), BAD)
def test_value_out_of_range_is_named(flag: str, value: str) -> None:
    with pytest.raises(InvalidHyperparameter, match=f"hyper-parameter {flag} = '?{value}'?: allowed is") as caught:
        read_arguments([f"--{flag}={value}"])
    assert str(caught.value).partition("allowed is ")[2]


@pytest.mark.parametrize(("value", "read"), [("auto", None), ("8", 8), ("512", 512)])
def test_the_training_texts_decide_how_much_is_read_unless_a_number_does(value: str, read: int | None) -> None:
    settings, _ = read_arguments(["--max_length", value])
    assert settings.longest_text == read


@pytest.mark.parametrize(
    ("lengths", "positions", "most", "chosen"),
    [
        ([10] * 100, 512, 10**6, 64),
        ([64] * 95 + [500] * 5, 512, 10**6, 64),
        ([64] * 94 + [65] * 6, 512, 10**6, 96),
        ([64] * 94 + [65] * 6, 80, 10**6, 64),  # the next length is more than the base model reads
        ([40] * 100, 32, 10**6, 32),
        ([9_999] * 100, 512, 10**6, 512),
        ([9_999] * 100, 512, 100 * 512 - 1, 384),
        ([9_999] * 100, 512, 1, 64),  # the shortest one, whatever it needs
    ],
)
def test_the_shortest_length_that_reads_most_texts_whole_is_chosen(lengths: list[int], positions: int, most: int, chosen: int) -> None:
    from model_code.lengths import chosen_length

    assert chosen_length(np.array(lengths, dtype=np.int32), positions, most) == chosen


def test_everything_may_go_to_people() -> None:
    settings, _ = read_arguments(["--review_share", "1.0"])
    confidence = np.array([0.5, 0.9, 0.99])
    assert [threshold_for_share(confidence, share) for share in (0.0, settings.review_share)] == [0.0, 1.0]


def test_metric_line_matches_the_regex_of_the_tuning_job() -> None:
    from model_code.train import METRIC_LINE

    line = METRIC_LINE.format(epoch=2, loss=0.5, accuracy=0.75, macro_f1=0.7012)
    found = re.search("validation:macro_f1=([0-9.]+)", line)
    assert found is not None
    assert float(found[1]) == 0.7012


def test_soft_targets_are_vote_shares_and_hard_ones_the_label() -> None:
    from model_code.trainer import targets

    rows = [Row("1", "t", "positive", {"negative": 1, "positive": 3}, "g", "s", "s")]
    assert targets(rows, ["negative", "positive"], soft=True).tolist() == [[0.25, 0.75]]
    assert targets(rows, ["negative", "positive"], soft=False).tolist() == [[0.0, 1.0]]


def test_balanced_classes_count_alike_and_the_mean_row_counts_one() -> None:
    import torch

    from model_code.trainer import class_weights

    goal = torch.tensor([[1.0, 0.0, 0.0]] * 6 + [[0.5, 0.5, 0.0]] * 4)  # 8 and 2 of 10, and a class that nothing has
    weights = class_weights(goal, "balanced")
    assert weights is not None
    assert weights.tolist() == pytest.approx([0.625, 2.5, 0.0])
    assert float((goal * weights).sum()) == pytest.approx(len(goal))
    assert class_weights(goal, "none") is None
