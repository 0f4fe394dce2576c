"""docs/settings.md is what the fields of the settings make of it, and says enough about each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stacks.settings import Settings
from stacks.settings import __main__ as command
from stacks.settings.page import FREE_TEXT, LINE_LENGTH, PAGE, allowed, page
from stacks.settings.pipeline import PipelineSettings

SCHEMA = Settings.model_json_schema()
WRITTEN = PAGE.read_text(encoding="utf-8")
OF_A_STAGE, _, OF_PIPELINES = WRITTEN.partition("\n## The file of pipelines\n")


def sections() -> dict[str, dict[str, Any]]:
    """Name of each section's class -> its schema."""
    return {"Settings": SCHEMA, **SCHEMA["$defs"]}


def values() -> Iterator[tuple[str, dict[str, Any]]]:
    """Fields that hold a value and no section; a section is explained by its docstring."""
    for name, section in sections().items():
        for field, content in section["properties"].items():
            if "$ref" not in str(content):
                yield f"{name}.{field}", content


def rows(part: str = OF_A_STAGE) -> dict[str, list[str]]:
    lines = [re.split(r"(?<!\\)\|", line.strip("|")) for line in part.splitlines() if line.startswith("| `")]
    return {cells[0].strip(" `"): [cell.strip() for cell in cells[1:]] for cells in lines}


def test_the_page_is_what_the_fields_say() -> None:
    assert page(FREE_TEXT.read_text(encoding="utf-8")) == WRITTEN, "run make docs"


def test_every_section_and_every_field_says_what_it_decides() -> None:
    assert [name for name, section in sections().items() if not section.get("description")] == []
    assert [name for name, content in values() if not content.get("description", "").endswith(".")] == []


def leaves(value: Any, prefix: str = "") -> Iterator[str]:
    if isinstance(value, dict) and value and prefix != "hosting.initial_weights.":
        for name, inner in value.items():
            yield from leaves(inner, f"{prefix}{name}.")
    else:
        yield prefix.rstrip(".")


def test_every_setting_has_its_row() -> None:
    """The fields are counted in an object, not in the schema that the page is made of. A section that may be left out must be there."""
    review = {"backend": "hosted", "promise": {"max_error": 0.1}, "mail": {"addresses": ["ann@example.com"]}, "answers": {"adaptive": {}},
              "guidelines": {"labels": {"KEY": {"means": "x"}}}}  # fmt: skip
    whole = Settings.model_validate({"stage": "any", "review": review, "labeling": {"backend": "hosted"}})
    assert sorted(rows()) == sorted([*leaves(whole.model_dump()), "review.guidelines.labels"])


def test_every_field_of_the_pipelines_file_has_its_row() -> None:
    found = rows(OF_PIPELINES)
    assert list(found) == list(PipelineSettings.model_fields)
    assert found["repository"][0] == "required"
    assert found["accounts"][:2] == ["required", r"each `^[a-z][a-z0-9]{1,7}$`: `^\d{12}$`"]
    assert all(cells[2].endswith(".") for cells in found.values())


@pytest.mark.parametrize(
    ("field", "default", "bounds"),
    [
        ("stage", "required", "`^[a-z][a-z0-9]{1,7}$`"),
        ("dataset.labels", "null", "2 to 200, each: `^[a-z][a-z0-9_-]{0,30}$` or null"),
        ("review.guidelines.question", "null", "1 to 300 characters or null"),
        ("review.guidelines.labels", "{}", "0 to 200, each: a section (below)"),
        ("review.guidelines.labels.KEY.fits", "[]", "0 to 5, each: 1 to 500 characters"),
        ("tuning.strategy", "Bayesian", "Random, Bayesian, Hyperband"),
        ("tuning.layers", "[3, 4, 6]", "1 to 24, each: 1 to 24"),
        ("tuning.trained_layers", "[2, all]", r"1 to 10, each: `^([1-9]\|1[0-9]\|2[0-4]\|all)$`"),
        ("tuning.retraining.learning_rate.high", "0.0002", "above 0 to 0.1"),
        ("hosting.initial_weights", "{champion: 0.9, challenger: 0.1}", "each: 0 to 1000"),
        ("hosting.fleet_shift.max_latency_ms", "2000", "1 to 17000"),
        ("api.manage_account_role", "true", "true, false"),
        ("api.reserved_concurrency", "200", "1 to 100000 or null"),
        ("review.threshold", "model", "model or 0.0 to 1.0"),
    ],
)
def test_a_row_has_the_default_as_in_yaml_and_what_is_allowed(field: str, default: str, bounds: str) -> None:
    assert rows()[field][:2] == [default, bounds]


def test_a_number_without_a_bound_is_not_shown_as_if_it_had_one() -> None:
    assert allowed({"type": "integer", "minimum": 3}) == "3"


def test_free_text_follows_its_section() -> None:
    text = page("Read this first.\n\n## network\n\nAsk your network team.\n")
    before, _, after = text.partition("\n\nAsk your network team.\n\n## tuning\n")
    assert "\n\nRead this first.\n\n## The stage\n" in before
    assert before.rpartition("\n## ")[2].startswith("network\n")
    assert after


def test_free_text_of_no_section_is_refused() -> None:
    with pytest.raises(ValueError, match=r"page\.md has the heading netwrok: allowed are the sections dataset, network"):
        page("## netwrok\n\nAsk your network team.\n")


def test_lines_of_text_are_short() -> None:
    assert [line for line in WRITTEN.splitlines() if len(line) > LINE_LENGTH and not line.startswith("|")] == []


def test_links_lead_somewhere() -> None:
    for target, anchor in re.findall(r"\]\((\w+\.md)?#([\w-]+)\)", WRITTEN):
        linked = (PAGE.parent / target).read_text(encoding="utf-8") if target else WRITTEN
        headings = re.findall(r"^#+ (.+)$", linked, flags=re.MULTILINE)
        assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}, anchor


def test_the_check_fails_on_a_stale_page_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stale = tmp_path / "docs" / "settings.md"
    monkeypatch.setattr(command, "PAGE", stale)
    assert command.main(["--check"]) == 1
    stale.parent.mkdir()
    stale.write_text("# Settings\n", encoding="utf-8")
    assert command.main(["--check"]) == 1
    assert "docs/settings.md differs from the fields of the settings: run make docs" in capsys.readouterr().err
    assert stale.read_text(encoding="utf-8") == "# Settings\n"
    assert command.main([]) == 0
    assert command.main(["--check"]) == 0
    assert stale.read_text(encoding="utf-8") == WRITTEN
