"""docs/settings.md names every setting with its default and its bounds, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stacks.settings import Settings

PAGE = Path(__file__).resolve().parents[3] / "docs" / "settings.md"
SCHEMA = Settings.model_json_schema()


def fields(schema: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for name, content in schema["properties"].items():
        options = [content, *content.get("anyOf", [])]
        section = next((option["$ref"] for option in options if "$ref" in option), None)
        if section:
            yield from fields(SCHEMA["$defs"][section.rsplit("/", 1)[-1]], f"{prefix}{name}.")
        else:
            yield prefix + name, content


def default(path: str) -> str:
    """As YAML would have it; ``required`` where there is none."""
    value: Any = Settings(stage="any").model_dump(mode="json")
    for part in path.split("."):
        value = value[part]
    if path == "stage":
        return "required"
    return value if isinstance(value, str) else json.dumps(value).replace('"', "")


def allowed(content: dict[str, Any]) -> str:
    match content:
        case {"anyOf": options}:
            text = " or ".join(allowed(option) for option in options)
        case {"type": "array", "items": item}:
            text = f"{content.get('minItems', 0)} to {content.get('maxItems', 'any number')}, each: {allowed(item)}"
        case {"type": "object", "additionalProperties": item}:
            text = f"each: {allowed(item)}"
        case {"enum": values}:
            text = ", ".join(str(value) for value in values)
        case {"const": value}:
            text = str(value)
        case {"pattern": pattern}:
            text = f"`{pattern}`".replace("|", "\\|")
        case {"type": "boolean"}:
            text = "true, false"
        case {"type": "null"}:
            text = "null"
        case _:
            low = f"above {content['exclusiveMinimum']}" if "exclusiveMinimum" in content else str(content["minimum"])
            text = f"{low} to {content['maximum']}" if "maximum" in content else low
    return text


def test_every_setting_is_on_the_page_as_it_is_in_the_code() -> None:
    rows = [line.strip("| ").split(" | ") for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    written = {cells[0].strip("`"): tuple(cells[1:3]) for cells in rows}
    assert written == {path: (default(path), allowed(content)) for path, content in fields(SCHEMA)}
    assert len(rows) == len(written), "a setting is listed twice"
    assert all(len(cells) == 4 and cells[3].strip() for cells in rows), "a setting has no explanation"
