"""The settings file as YAML: what it says twice or what YAML reads as something else is named, with the line and the cure."""

from __future__ import annotations

import datetime as dt
import reprlib
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from stacks.settings.stage import Settings

_SHOWN = reprlib.Repr()
_SHOWN.maxlevel, _SHOWN.maxlist, _SHOWN.maxdict, _SHOWN.maxstring, _SHOWN.maxother = 2, 30, 10, 200, 200
"""Shortens a value for a message. With aliases, a file of a few lines may stand for gigabytes."""
_NO_TEXT = (bool, int, float, dt.date, type(None))


class SettingsError(ValueError):
    """The settings cannot be used; the text says which field, why, and what is allowed."""


def load_settings(path: Path) -> Settings:
    """Read one YAML file into :class:`Settings`.

    Raises:
        SettingsError: the file cannot be read, or a field is out of bounds.
    """
    raw = read_mapping(path)
    try:
        return Settings.model_validate(raw)
    except ValidationError as error:
        raise refusal(path, error) from None


def settings_text(settings: Settings) -> str:
    """Every field of the settings as the text of a file that :func:`load_settings` reads."""
    return yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, which keeps the last of two equal keys without a word; this one refuses them."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        first: dict[Any, int] = {}
        for key_node, _ in node.value:
            key, line = (key_node.tag, key_node.value), key_node.start_mark.line + 1
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            if isinstance(key_node.value, str) and key in first:
                raise yaml.MarkedYAMLError(
                    problem=f"the key {key_node.value!r} stands twice, on lines {first[key]} and {line}: keep one of them"
                )
            if isinstance(key_node.value, str):
                first[key] = line
        mapping: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return mapping


def read_mapping(path: Path) -> dict[Any, Any]:
    """The file's sections.

    Raises:
        SettingsError: the file is missing, not UTF-8, not YAML, has a key twice, or is not a mapping.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
        raw: Any = yaml.load(text, Loader=_Loader)  # noqa: S506  (a SafeLoader)
    except FileNotFoundError:
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.yaml"))) or "none"
        raise SettingsError(f"settings file {path} does not exist; stages with a file: {known}") from None
    except OSError as error:
        raise SettingsError(f"settings file {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        byte = error.object[error.start]
        raise SettingsError(f"settings file {path} is not UTF-8: byte 0x{byte:02X} on line {line}; save it as UTF-8") from None
    except yaml.YAMLError as error:
        raise SettingsError(f"settings file {path} is not valid YAML: {error}") from None
    except RecursionError:
        raise SettingsError(f"settings file {path} is not valid YAML: it is nested too deep") from None
    except ValueError as error:  # a date or a number that YAML's own forms allow and Python's do not
        raise SettingsError(f"settings file {path} has a value that YAML reads as a date or number and cannot be one: {error}") from None
    if not isinstance(raw, dict):
        raise SettingsError(f"settings file {path} must hold a mapping of sections, not {type(raw).__name__}")
    return raw


def refusal(path: Path, error: ValidationError) -> SettingsError:
    """Every problem on a line of its own: field, value, what is allowed."""
    lines = [f"settings file {path} cannot be used:"]
    for item in error.errors():
        where = ".".join(str(part) for part in item["loc"]) or "(whole file)"
        value = "" if isinstance(item["input"], dict | BaseModel) else f" = {_SHOWN.repr(item['input'])}"
        lines.append(f"  {where}{value}: {item['msg'].removeprefix('Value error, ')}{_quote(item['type'], item['input'])}")
    return SettingsError("\n".join(lines))


def _quote(problem: str, value: Any) -> str:
    """YAML 1.1 reads yes, no, on, off, null and numbers without quotation marks as something else than texts."""
    if problem != "string_type" or not isinstance(value, _NO_TEXT):
        return ""
    if isinstance(value, bool):
        words = "yes, on or true" if value else "no, off or false"
        return f" (YAML reads {words} without quotation marks as {str(value).lower()}: write the text in quotation marks)"
    if value is None:
        return " (YAML reads null, ~ and an empty value as nothing: write the text in quotation marks)"
    return f" (YAML reads it without quotation marks as a {'date' if isinstance(value, dt.date) else 'number'}: write it as '{value}')"
