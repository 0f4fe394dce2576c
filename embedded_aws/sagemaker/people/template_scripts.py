"""Whether inline scripts of worker templates run in the task's sandboxed frame: ``EMBEDDED_AWS_TEMPLATE_SCRIPTS=true``."""

from __future__ import annotations

import os

from review_page.template_scripts import script_sources

RUN = os.environ.get("EMBEDDED_AWS_TEMPLATE_SCRIPTS") == "true"


def sources(template: str) -> tuple[str, ...]:
    """The template's scripts that may run, as sources of its frame's policy. Raises TemplateError."""
    return script_sources(template) if RUN else ()
