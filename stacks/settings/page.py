"""docs/settings.md as text: tables and explanations come from the fields, all other text from ``page.md``."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stacks.settings.pipeline import PipelineSettings
from stacks.settings.stage import Settings

PAGE = Path(__file__).resolve().parents[2] / "docs" / "settings.md"
FREE_TEXT = Path(__file__).with_suffix(".md")
LINE_LENGTH = 120
_MARK = "<!-- Written by `make docs` from the fields and docstrings in stacks/settings/ and from stacks/settings/page.md. -->"
_HEAD = "| field | default | allowed | what it decides |\n|---|---|---|---|"

Schema = dict[str, Any]
"""A JSON schema, or a part of one."""


def page(free_text: str) -> str:
    """The whole page.

    Args:
        free_text: ``page.md``. What comes before its first heading opens the page. What follows ``## <section>`` ends that section.

    Raises:
        ValueError: a heading of ``free_text`` names no section.
    """
    schema = Settings.model_json_schema()
    defaults = Settings(stage="any").model_dump(mode="json", exclude={"stage"})
    introduction, *blocks = f"\n{free_text}".split("\n## ")
    endings = dict(block.split("\n", 1) for block in blocks)
    sections = _sections(schema, schema)
    unknown = sorted(set(endings) - set(sections))
    if unknown:
        raise ValueError(f"{FREE_TEXT.name} has the heading {', '.join(unknown)}: allowed are the sections {', '.join(sections)}")
    parts = ["# Settings", _MARK, introduction, "## The stage", *_body(schema, schema, "", defaults)]
    for name, section in sections.items():
        parts += [f"## {name}", *_explained(section, schema, f"{name}.", defaults[name]), endings.get(name, "")]
    pipeline = PipelineSettings.model_json_schema()
    given = {field: content["default"] for field, content in pipeline["properties"].items() if "default" in content}
    parts += ["## The file of pipelines", *_body(pipeline, pipeline, "", given)]
    return "\n\n".join(part.strip() for part in parts if part.strip()) + "\n"


def _section(content: Schema, schema: Schema) -> Schema | None:
    """The schema of the section that a field holds, or None for a field with a value."""
    options = [content, *content.get("anyOf", [])]
    name = next((option["$ref"].rsplit("/", 1)[-1] for option in options if "$ref" in option), None)
    section: Schema | None = schema["$defs"][name] if name else None
    return section


def _sections(outer: Schema, schema: Schema) -> dict[str, Schema]:
    """Field -> section, for the fields of ``outer`` that hold one."""
    found = ((name, _section(content, schema)) for name, content in outer["properties"].items())
    return {name: section for name, section in found if section is not None}


def _explained(section: Schema, schema: Schema, prefix: str, defaults: Schema, more: str = "") -> Iterator[str]:
    """A section and those in it. ``defaults``: of its fields. ``more``: what the field that holds the section says about it.

    A section that may be left out has no defaults of its own there: those of its fields count once it is given.
    """
    yield from _body(section, schema, prefix, defaults, more)
    for name, inner in _sections(section, schema).items():
        yield f"### {prefix}{name}"
        values = defaults[name] or {field: content["default"] for field, content in inner["properties"].items() if "default" in content}
        yield from _explained(inner, schema, f"{prefix}{name}.", values, section["properties"][name].get("description", ""))
    for name, content in section["properties"].items():
        of_each = _section(content.get("additionalProperties") or {}, schema) if content.get("type") == "object" else None
        if of_each is not None:
            yield f"### {prefix}{name}.KEY"
            given = {field: one["default"] for field, one in of_each["properties"].items() if "default" in one}
            yield from _explained(of_each, schema, f"{prefix}{name}.KEY.", given)


def _body(section: Schema, schema: Schema, prefix: str, defaults: Schema, more: str = "") -> Iterator[str]:
    """The docstring of a section, and the table of its fields that hold a value."""
    yield from (_wrapped(paragraph) for paragraph in [*section.get("description", "").split("\n\n"), more])
    fields = {name: content for name, content in section["properties"].items() if _section(content, schema) is None}
    rows = (
        f"| `{prefix}{name}` | {_default(defaults.get(name, 'required'))} | {allowed(content)} | {_cell(content.get('description', ''))} |"
        for name, content in fields.items()
    )
    yield "\n".join([_HEAD, *rows])


def _wrapped(paragraph: str) -> str:
    """A paragraph of a docstring as Markdown."""
    words = paragraph.replace("``", "`")
    return textwrap.fill(" ".join(words.split()), LINE_LENGTH, break_long_words=False, break_on_hyphens=False)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _default(value: Any) -> str:
    """The default as it would be written in YAML."""
    return _cell(value if isinstance(value, str) else json.dumps(value).replace('"', ""))


def allowed(content: Schema) -> str:
    """What a field's schema allows, in words."""
    match content:
        case {"anyOf": options}:
            text = " or ".join(allowed(option) for option in options)
        case {"type": "array", "items": item}:
            text = f"{content.get('minItems', 0)} to {content.get('maxItems', 'any number')}, each: {allowed(item)}"
        case {"type": "object", "additionalProperties": {"$ref": _}}:
            text = f"0 to {content.get('maxProperties', 'any number')}, each: a section (below)"
        case {"type": "object", "additionalProperties": item}:
            text = f"each: {allowed(item)}"
        case {"type": "object", "patternProperties": patterns}:
            text = ", ".join(f"each `{_cell(key)}`: {allowed(item)}" for key, item in patterns.items())
        case {"enum": values}:
            text = ", ".join(str(value) for value in values)
        case {"const": value}:
            text = str(value)
        case {"pattern": pattern}:
            text = f"`{_cell(pattern)}`"
        case {"type": "string"}:
            text = f"{content.get('minLength', 0)} to {content.get('maxLength', 'any number of')} characters"
        case {"type": "boolean"}:
            text = "true, false"
        case {"type": "null"}:
            text = "null"
        case _:
            low = f"above {content['exclusiveMinimum']}" if "exclusiveMinimum" in content else str(content["minimum"])
            text = f"{low} to {content['maximum']}" if "maximum" in content else low
    return text
