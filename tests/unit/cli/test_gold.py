"""The file of gold texts, and what the commands say before they ask AWS."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.console import WRONG_OPTIONS
from cli.gold.texts import FEWEST_TEXTS, BadGold, read_gold
from cli.main import app, gold
from lambdas.common.labels import Labels
from lambdas.review.hosted_tasks.gold import GoldText

LABELS = Labels(("negative", "positive"), ("Bad", "Good"))
DOCS = Path(__file__).resolve().parents[3] / "docs"
ROWS = [f"text {number},{'Good' if number % 2 else 'negative'}" for number in range(FEWEST_TEXTS)]


def read(tmp_path: Path, *lines: str) -> list[GoldText]:
    path = tmp_path / "gold.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read_gold(path, LABELS, longest=100)


def test_labels_are_given_by_id_or_name_and_each_text_counts_once(tmp_path: Path) -> None:
    found = read(tmp_path, "text,label", *ROWS, ROWS[0])
    assert (len(found), found[0], found[1]) == (FEWEST_TEXTS, GoldText("text 0", "negative"), GoldText("text 1", "positive"))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_a_spreadsheet_is_read_as_every_other_file_of_texts(tmp_path: Path, encoding: str) -> None:
    """A person in Germany gets semicolons and another encoding; R and databases write other quotation marks."""
    path = tmp_path / "gold.csv"
    rows = [f'"Schön \\"{number}\\" €";Good' for number in range(FEWEST_TEXTS)]
    path.write_text("\r\n".join([" Text ;Label", *rows]) + "\r\n", encoding=encoding, newline="")
    assert read_gold(path, LABELS, longest=100)[0] == GoldText('Schön "0" €', "positive")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["text,answer", *ROWS], "missing: label"),
        (["text,label", *ROWS[:3]], f"has 3 different texts, and at least {FEWEST_TEXTS} are needed"),
        (["text,label", *ROWS, "x,Great"], "line 12: label 'Great' is none of Bad, Good"),
        (["text,label", *ROWS, "text 0,Good"], "line 12: the same text has another label further up"),
        (["text,label", *ROWS, f"{'x' * 101},Good"], "line 12: text"),
        (["text,label", *ROWS, "x"], "line 12: has 1 field where the header has 2"),
        (["text,label", *ROWS, "x,"], "line 12: label = ''"),
        (["text,label", *ROWS, '"two', 'lines",Great'], "line 12: label 'Great'"),
        (["texts alone", *ROWS], "has 1 name in its first line"),
        ([*ROWS], "missing: text and label"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(lines: list[str], said: str, tmp_path: Path) -> None:
    with pytest.raises(BadGold, match=r"gold\.csv") as refused:
        read(tmp_path, *lines)
    assert said in str(refused.value)


def test_a_stage_without_the_hosted_page_has_no_gold_tasks() -> None:
    done = CliRunner().invoke(app, ["review", "gold", "results", "--stage", "dev"])
    assert (done.exit_code, "only the hosted page has gold tasks" in " ".join(done.output.split())) == (WRONG_OPTIONS, True)


def test_every_command_has_its_row_on_the_page() -> None:
    section = (DOCS / "commands.md").read_text(encoding="utf-8").partition("\n## review gold\n")[2].partition("\n## ")[0]
    rows = [line.split("`")[1].split()[0] for line in section.splitlines() if line.startswith("| `")]
    assert rows == [command.name for command in gold.registered_commands]
