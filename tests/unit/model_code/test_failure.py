"""What a failed job says: the error, where the service and the training toolkit look for it, not the end of a log."""

from __future__ import annotations

from pathlib import Path

import pytest

from contracts.dataset import InvalidDataset
from embedded_aws.containers.training_toolkit import failure_message
from model_code.arguments import InvalidHyperparameter, read_arguments
from model_code.failure import MOST_BYTES, reason_of, told_in


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (InvalidDataset("data.jsonl:2: field 'text' is empty"), "InvalidDataset: data.jsonl:2: field 'text' is empty (ValueError)"),
        (ValueError("two\n  lines"), "ValueError: two lines"),
        (KeyError("label"), "KeyError: 'label'"),
    ],
)
def test_a_reason_names_the_error_and_the_class_that_the_toolkit_looks_for(error: Exception, reason: str) -> None:
    assert reason_of(error) == reason


def test_a_diverged_training_is_an_arithmetic_error() -> None:
    from model_code.trainer import Diverged

    assert reason_of(Diverged("the loss is nan")) == "Diverged: the loss is nan (ArithmeticError)"


def test_the_toolkit_finds_the_reason_before_what_else_was_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, told_in(tmp_path / "output" / "failure", Path("/proc/nowhere/failure")):
        raise InvalidDataset("row 'a': label = 'x' has 0 votes and 'y' has 1")
    assert ended.value.code == 1
    expected = "InvalidDataset: row 'a': label = 'x' has 0 votes and 'y' has 1 (ValueError)"
    assert (tmp_path / "output" / "failure").read_text() == expected
    said = capsys.readouterr().err
    assert "Traceback" in said
    message = failure_message("loading weights\nwarning: slow disk\n" + said + "\nsomething is cleaned up", 1, ["python3", "train.py"])
    assert message.startswith(f'ExecuteUserScriptError:\nExitCode 1\nErrorMessage "{expected}\n')


def test_a_program_that_says_nothing_has_an_empty_message() -> None:
    assert failure_message("Killed", -9, ["python3", "train.py"]) == (
        'ExecuteUserScriptError:\nExitCode -9\nErrorMessage ""\nCommand "python3 train.py"'
    )


def test_a_long_reason_is_cut_between_characters(tmp_path: Path) -> None:
    with pytest.raises(SystemExit), told_in(tmp_path / "message"):
        raise ValueError("é" * 2_000)
    content = (tmp_path / "message").read_bytes()
    assert MOST_BYTES - 1 <= len(content) <= MOST_BYTES
    assert content.decode().endswith("é")


def test_what_is_interrupted_is_no_failure(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), told_in(tmp_path / "failure"):
        raise KeyboardInterrupt
    assert not (tmp_path / "failure").exists()


def test_a_value_of_another_type_is_an_error_by_name() -> None:
    with pytest.raises(InvalidHyperparameter, match="hyper-parameter epochs = 'many': allowed is a number, 1 to 20"):
        read_arguments(["--epochs", "many"])
