"""Worker task templates: Liquid as SageMaker renders it.

Source: SageMaker developer guide, "Add automation with Liquid". Values are auto-escaped; ``skip_autoescape`` turns that off for one
value; ``grant_read_access`` turns an S3 URI into a pre-signed HTTPS URL. MarkupSafe, which python-liquid needs, also runs without its
compiled part.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import liquid
from liquid.exceptions import LiquidError
from markupsafe import Markup

from review_page.questions import TemplateError

GrantReadAccess = Callable[[str], str]


def render(template: str, task_input: Mapping[str, Any], grant_read_access: GrantReadAccess) -> str:
    """The HTML of one task.

    Args:
        template: Liquid source.
        task_input: the parsed InputContent (A2I) or taskInput (Ground Truth), ``task.input`` in the template.
        grant_read_access: S3 URI -> URL that a browser can read.

    Raises:
        TemplateError: the template is not valid Liquid.
    """
    environment = liquid.Environment(autoescape=True)
    environment.add_filter("to_json", lambda value: json.dumps(value, ensure_ascii=False))
    environment.add_filter("skip_autoescape", lambda value: Markup(str(value)))  # noqa: S704  (this filter is the documented risk)
    environment.add_filter("grant_read_access", grant_read_access)
    try:
        return str(environment.from_string(template).render(task={"input": task_input}))
    except LiquidError as error:
        raise TemplateError(f"the worker template cannot be rendered: {error}") from error
