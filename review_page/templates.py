"""Worker task templates: Liquid as SageMaker renders it.

Source: SageMaker developer guide, "Add automation with Liquid". Values are auto-escaped; ``skip_autoescape`` turns that off for one
value; ``grant_read_access`` turns an S3 URI into a pre-signed HTTPS URL; the other filters and tags are Liquid's own. A template is
bounded in the rounds of its loops, and in the size of what it writes, keeps or passes from filter to filter: it can be wrong, but it
cannot use up the server. MarkupSafe, which python-liquid needs, also runs without its compiled part.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache, wraps
from typing import Any

import liquid
from liquid.exceptions import LiquidError
from liquid.filter import math_filter, num_arg
from markupsafe import Markup, escape

from review_page.elements import check_elements
from review_page.fields import TemplateError

GrantReadAccess = Callable[[str], str]
MOST_ROUNDS = 10_000
"""Most rounds of all loops of a template together. Nested loops count with the product of their rounds."""
MOST_CHARACTERS = 4 * 1024 * 1024
"""Largest size of a rendered task, and of every value that is made on the way. An input may have 3 MB."""
MOST_ITEMS = 100_000
"""Most items of a list or a range that a filter accepts."""
_S3_URI = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/.+", re.DOTALL)
_HALF_A_PAIR = re.compile("[\ud800-\udfff]")
"""A surrogate. In Python's texts two halves of a pair that belong together are one character."""
_REFUSED_TAGS = ("include", "render")
"""There is nothing to include from. ``extends`` and ``block`` are no tags of standard Liquid."""
_FAILURES = (LiquidError, RecursionError, ValueError, TypeError, ArithmeticError, LookupError, AttributeError)


def check_template(template: str, *, scripts: bool = False) -> None:
    """Whether the page can show the template at all, before any task uses it.

    Args:
        scripts: the template's own inline scripts run in the task's frame.

    Raises:
        TemplateError: it is not valid Liquid, or names the element, tag or filter that is not supported.
    """
    environment = _environment(str)
    try:
        used = environment.from_string(template).analyze(include_partials=False)
    except _FAILURES as error:
        raise TemplateError(f"the worker template is not valid Liquid: {error}") from None
    for tag in _REFUSED_TAGS:
        if tag in used.tags:
            raise TemplateError(f"the Liquid tag {tag} is not supported: a worker template is one file")
    for name in used.filters:
        if name not in environment.filters:
            raise TemplateError(f"the Liquid filter {name} is not supported")
    check_elements(template, scripts=scripts)


def render(template: str, task_input: Mapping[str, Any], grant_read_access: GrantReadAccess) -> str:
    """The HTML of one task.

    Args:
        template: Liquid source.
        task_input: the parsed InputContent (A2I) or taskInput (Ground Truth), ``task.input`` in the template.
        grant_read_access: S3 URI -> URL that a browser can read. Called with nothing else than an S3 URI of an object.

    Raises:
        TemplateError: the template is not valid Liquid, goes beyond a limit, or grants access to what is no object of S3.
    """
    try:
        return str(_parsed(template, grant_read_access).render(task={"input": _kept(task_input)}))
    except TemplateError:
        raise
    except _FAILURES as error:
        raise TemplateError(f"the worker template cannot be rendered: {error}") from None


@lru_cache(maxsize=8)
def _parsed(template: str, grant_read_access: GrantReadAccess) -> liquid.BoundTemplate:
    """A server renders few templates, each for many tasks, and parsing takes longer than rendering."""
    return _environment(grant_read_access).from_string(template)


def _environment(grant_read_access: GrantReadAccess) -> liquid.Environment:
    def granted(uri: object) -> str:
        if not isinstance(uri, str) or not _S3_URI.fullmatch(uri):
            raise TemplateError(f"grant_read_access needs the S3 URI of an object (s3://bucket/key), not {str(uri)[:80]!r}")
        return grant_read_access(str(uri))

    environment = liquid.Environment(autoescape=True)
    environment.loop_iteration_limit = MOST_ROUNDS
    environment.output_stream_limit = MOST_CHARACTERS
    environment.local_namespace_limit = 4 * MOST_CHARACTERS
    environment.context_depth_limit = 50
    environment.add_filter("round", math_filter(_rounded))
    for name in environment.filters:
        environment.filters[name] = _bounded(name, environment.filters[name])
    environment.add_filter("to_json", lambda value: json.dumps(value, ensure_ascii=False))
    environment.add_filter("skip_autoescape", lambda value: Markup(str(value)))  # noqa: S704  (this filter is the documented risk)
    environment.add_filter("grant_read_access", granted)
    return environment


class _Text(str):
    """A value with a carriage return, which a browser would make a line feed. It leaves a reference to one as it is."""

    __slots__ = ()

    def __html__(self) -> Markup:
        return _escaped(self)


def _escaped(text: str) -> Markup:
    return Markup(str(escape(str(text))).replace("\r", "&#13;"))  # noqa: S704  (it is escaped)


def _kept_text(value: Any) -> Any:
    return _Text(value) if type(value) is str and "\r" in value else value


def _kept(value: Any) -> Any:
    """A task's input as a page can show it.

    The carriage returns of its texts reach the browser where they are escaped. Half a surrogate pair has no bytes, so U+FFFD stands for it,
    which is as long for a browser. The page marks it.
    """
    if isinstance(value, list):
        return [_kept(one) for one in value]
    if isinstance(value, Mapping):
        return {_whole(name): _kept(one) for name, one in value.items()}
    return _kept_text(_whole(value))


def _whole(value: Any) -> Any:
    return _HALF_A_PAIR.sub("\ufffd", value) if isinstance(value, str) else value


def _rounded(number: float, digits: Any = 0) -> float:
    """Half away from zero, as Ruby rounds; Python's own function rounds half to even."""
    places = int(num_arg(digits, default=0))
    if places < 0:
        return 0
    exact = Decimal(repr(number))
    if exact.is_finite() and -int(exact.as_tuple().exponent) > places:
        exact = exact.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)
    return int(exact) if places == 0 or isinstance(number, int) else float(exact)


def _bounded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The filter, for values that are not too large, and as long as its result is not."""

    @wraps(function)
    def bounded(value: Any, *arguments: Any, **named: Any) -> Any:
        if any(isinstance(one, list | tuple | range) and len(one) > MOST_ITEMS for one in (value, *arguments)):
            raise TemplateError(f"the filter {name} takes at most {MOST_ITEMS} items")
        if name in ("replace", "replace_first", "join") and _grown(name, value, arguments) > MOST_CHARACTERS:
            raise _too_large(name)
        result = function(value, *arguments, **named)
        if isinstance(result, str) and len(result) > MOST_CHARACTERS:
            raise _too_large(name)
        if isinstance(result, int) and result.bit_length() > _MOST_BITS:
            raise _too_large(name)
        if name == "escape":
            return Markup(str(result).replace("\r", "&#13;"))  # noqa: S704  (the filter has escaped it)
        return [_kept_text(one) for one in result] if isinstance(result, list) else _kept_text(result)

    return bounded


_MOST_BITS = 4_096


def _too_large(name: str) -> TemplateError:
    return TemplateError(f"the filter {name} makes more than the {MOST_CHARACTERS} characters that a task may have")


def _grown(name: str, value: Any, arguments: tuple[Any, ...]) -> int:
    """How many characters the result may have: known before it is made."""
    if name == "join":
        items = value if isinstance(value, list | tuple | range) else ()
        return len(items) * len(str(arguments[0] if arguments else " "))
    found, new = (str(one) for one in (*arguments, "", "")[:2])
    text = str(value)
    return len(text) + (text.count(found) if found else len(text) + 1) * len(new)
