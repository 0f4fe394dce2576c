"""A labelling job as the command sees it, whatever service asks people."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

SUBJECT = "subject"
"""Field of a manifest's line: whom or what the text is about."""
LABEL_ATTRIBUTE = "label"
"""Name of the field in the output manifest; that of its metadata ends with ``-metadata``."""
LONGEST_NAME = 30
_NAME = re.compile(r"[a-z0-9](-*[a-z0-9])*")


@dataclass(frozen=True)
class Standing:
    """How far a job is.

    Attributes:
        lines: key of a text -> its line of the output manifest, for the texts that nobody is asked about any more.
        done: how many texts these are; a service may count texts whose line it does not tell yet.
        answers: how many people have given; None where the service does not say.
        running: people are still asked.
        problem: why the service ended before everything was labelled.
        interrupted: somebody pressed Ctrl-C while people were still asked.
    """

    lines: Mapping[str, Mapping[str, Any]]
    done: int
    answers: int | None
    running: bool = False
    problem: str | None = None
    interrupted: bool = False


class Job(Protocol):
    """Both calls may be repeated: a text that was asked about is not asked about again."""

    def ask(self, progress: Callable[[int], None]) -> int:
        """Ask people about the texts that nobody was asked about yet; returns how many these are."""
        ...

    def look(self) -> Standing: ...


def job_name_of(stem: str) -> str:
    """A job's name from that of its file: ``Reviews 2026.csv`` gives ``reviews-2026``."""
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:LONGEST_NAME].strip("-") or "texts"


def name_fault(name: str) -> str | None:
    """What is wrong with a job's name; None when it can be one."""
    if _NAME.fullmatch(name) and len(name) <= LONGEST_NAME:
        return None
    return f"--name {name!r}: a job's name has 1 to {LONGEST_NAME} lower-case letters, digits and inner hyphens"


def source_fields(text: str, subject: str | None) -> dict[str, str]:
    """The fields of a manifest's line that are there before anybody is asked; Ground Truth hands them on."""
    return {"source": text, **({} if subject is None else {SUBJECT: subject})}


def labelled_line(text: str, content: Mapping[str, Any], job: str, at: str, subject: str | None = None) -> dict[str, Any]:
    """A line of the output manifest (SageMaker developer guide, "Output Data"). ``at`` is ISO 8601."""
    return {**source_fields(text, subject), LABEL_ATTRIBUTE: dict(content), f"{LABEL_ATTRIBUTE}-metadata": _metadata(job, at)}


def failed_line(text: str, reason: str, job: str, at: str) -> dict[str, Any]:
    return {"source": text, f"{LABEL_ATTRIBUTE}-metadata": {**_metadata(job, at), "failure-reason": reason}}


def label_of(line: Mapping[str, Any]) -> str | None:
    """The label id that people gave; None for a text that is undecided or failed."""
    content = line.get(LABEL_ATTRIBUTE)
    label = content.get("label") if isinstance(content, Mapping) else None
    return label if isinstance(label, str) else None


def has_failed(line: Mapping[str, Any]) -> bool:
    return "failure-reason" in line[f"{LABEL_ATTRIBUTE}-metadata"]


def _metadata(job: str, at: str) -> dict[str, str]:
    return {"type": "groundtruth/custom", "job-name": job, "human-annotated": "yes", "creation-date": at}
