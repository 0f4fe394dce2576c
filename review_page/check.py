"""What the page makes of a folder of worker templates: ``python -m review_page.check FOLDER``.

Each template is created, rendered with an input that is made up from the names it uses (or with ``<template>.input.json`` beside it), and
answered. There are three outcomes. It is ``shown``: it renders, and the documented answer to its questions is accepted. It is ``refused``
when it is created, with the element, filter or attribute that is not supported. Or it has ``failed``: it was created, and then cannot be
shown; that is a defect of the page, or the made-up input does not fit.

Templates are files ``*.html`` and ``*.liquid``, and the code blocks of ``*.md`` that have a crowd element and load the crowd elements.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from review_page.fields import Checks, Choice, Classifier, Entities, Field, FixedText, MultiSelect, NumberField, TemplateError, TextField
from review_page.questions import Questions, questions
from review_page.templates import check_template, render

SHOWN, REFUSED, FAILED = "shown", "refused", "failed"
_BLOCK = re.compile(r"^```[^\n]*\n(.*?)^```", re.DOTALL | re.MULTILINE)
_LOOP = re.compile(r"\{%-?\s*for\s+(\w+)\s+in\s+task\.input\.([\w.-]+)")
_LIST = re.compile(r"task\.input\.([\w.-]+)\s*\|\s*to_json")
_FILE = re.compile(r"task\.input\.([\w.-]+)\s*\|\s*grant_read_access")
_NAME = re.compile(r"task\.input\.([\w.-]+)")
_OF_S3 = {"bucket": "samples", "name": "sample.png"}
"""Parts of an S3 URI that templates put together themselves."""


@dataclass(frozen=True)
class Checked:
    """``detail``: why it was refused or has failed. ``answer`` and ``html`` only of what is shown."""

    name: str
    outcome: str
    detail: str = ""
    answer: Mapping[str, Any] | None = None
    html: str | None = None


def check(name: str, template: str, task_input: Mapping[str, Any] | None = None, *, scripts: bool = False) -> Checked:
    """What becomes of one template; without an input, one is made up. ``scripts``: the template's own inline scripts run."""
    try:
        check_template(template, scripts=scripts)
    except TemplateError as error:
        return Checked(name, REFUSED, str(error))
    try:
        shown = sample_input(template) if task_input is None else task_input
        html = render(template, shown, lambda uri: f"https://files.example/{uri[5:]}")
        asked = questions(html)
        return Checked(name, SHOWN, "", asked.check(sample_answer(asked)), html)
    except TemplateError as error:
        return Checked(name, FAILED, str(error))


def templates(folder: Path) -> Iterator[tuple[str, str, Mapping[str, Any] | None]]:
    """Name, source and input of every template of a folder, by name. Raises ValueError: an input is no JSON object."""
    for path in sorted(path for path in folder.rglob("*") if path.suffix in (".html", ".liquid", ".md")):
        name, text = path.relative_to(folder).as_posix(), path.read_text(encoding="utf-8")
        beside = path.with_name(f"{path.name}.input.json")
        task_input = json.loads(beside.read_text(encoding="utf-8")) if beside.is_file() else None
        if task_input is not None and not isinstance(task_input, dict):
            raise ValueError(f"{beside}: an input must be a JSON object")
        if path.suffix != ".md":
            yield name, text, task_input
            continue
        blocks = [block for block in _BLOCK.findall(text) if "<crowd-" in block and "<script" in block]
        for number, block in enumerate(blocks, 1):
            yield name if len(blocks) == 1 else f"{name}#{number}", block, task_input


def sample_input(template: str) -> dict[str, Any]:
    """An input with every name that the template uses: what it loops over is a list, what it makes JSON of a list of categories."""
    values: dict[str, Any] = {}
    for path in _NAME.findall(template):
        last = path.rpartition(".")[2]
        _put(values, path, _OF_S3.get(last, f"A sample of {last}, which has some more words."))
    for path in _LIST.findall(template):
        _put(values, path, ["First", "Second", "Third"])
    for path in _FILE.findall(template):
        _put(values, path, "s3://samples/sample.png")
    for item, path in _LOOP.findall(template):
        fields = set(re.findall(rf"\b{item}\.([\w-]+)", template))
        _put(values, path, [{field: f"{field} {number}" for field in fields} if fields else f"{item} {number}" for number in (1, 2)])
    return values


def _put(values: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.rstrip(".-").split(".")
    for parent in parents:
        inner = values.setdefault(parent, {})
        values = inner if isinstance(inner, dict) else values.setdefault(f"{parent}-", {})
    if not isinstance(values.get(last), dict):
        values[last] = value


def sample_answer(asked: Questions) -> dict[str, Any]:
    """An answer in the form that SageMaker documents: everything is filled in, and the first of several is chosen."""
    answer: dict[str, Any] = {}
    for field in asked.fields:
        answer |= _sample(field)
    return answer


def _sample(field: Field) -> dict[str, Any]:  # noqa: PLR0911  (one for each kind of field)
    match field:
        case Classifier():
            return {field.name: {"label": field.categories[0]}}
        case MultiSelect():
            return {field.name: {"labels": [field.categories[0]]}}
        case Entities():
            marked = [{"startOffset": 0, "endOffset": 1, "label": field.labels[0]}] if field.length else []
            return {field.name: {"entities": marked}}
        case FixedText():
            return {field.name: field.value}
        case Choice():
            return {field.name: next((value for value in field.values if value), "")}
        case NumberField():
            return {field.name: field.lowest}
        case Checks():
            chosen = set(field.members[:1] if field.one else field.members)
            return {name: {value: (name, value) in chosen for one, value in field.members if one == name} for name in field.names}
        case TextField():
            return {field.name: _text(field)}
    raise TypeError(f"no sample for {type(field).__name__}")


def _text(field: TextField) -> str:
    if field.kind == "number":
        return f"{min(max(field.lowest, 1), field.highest):g}"
    if field.kind == "date":
        return "2026-01-31"
    return "some words".ljust(field.shortest, ".")[: field.longest]


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0; 1 when a template has failed; 2 when the folder has none or an input cannot be read."""
    told = "Which worker templates of a folder the page can show."
    parser = argparse.ArgumentParser(prog="python -m review_page.check", description=told)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", action="store_true", help="everything, with the rendered HTML")
    parser.add_argument("--template-scripts", action="store_true", help="as with the setting review.page.template_scripts")
    chosen = parser.parse_args(arguments)
    try:
        found = [check(*each, scripts=chosen.template_scripts) for each in templates(chosen.folder)]
    except ValueError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    if not found:
        sys.stderr.write(f"error: {chosen.folder} has no template\n")
        return 2
    if chosen.json:
        json.dump([asdict(one) for one in found], sys.stdout, ensure_ascii=True)
    else:
        for one in found:
            sys.stdout.write(f"{one.outcome:8}{one.name}: {one.detail or json.dumps(one.answer, ensure_ascii=False)}\n")
        counts = (f"{sum(one.outcome == outcome for one in found)} {outcome}" for outcome in (SHOWN, REFUSED, FAILED))
        sys.stdout.write(f"{', '.join(counts)}\n")
    return int(any(one.outcome == FAILED for one in found))


if __name__ == "__main__":
    sys.exit(main())
