"""The report of labels as text for a terminal and as a page that loads nothing."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from cli.labels.report import FEWEST_COMPARED, Anchoring, Report

_HEAD = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Labels: consistency</title><style>:root { color-scheme: light dark } body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem;
margin: 2rem auto; padding: 0 1rem } table { border-collapse: collapse; width: 100% } th, td { text-align: start; vertical-align: top;
padding: .4rem .6rem; border-bottom: 1px solid #8888; overflow-wrap: anywhere }</style>"""


def lines(found: Report) -> Iterator[str]:
    yield f"{found.texts} texts with a label, {found.disputed} disputed"
    yield f"suggestions: {said(found.anchoring)}"
    yield f"nearly equal texts with different labels: {found.conflicting}"
    for one in found.conflicts:
        for identity, label, text in zip(one.ids, one.labels, one.texts, strict=True):
            yield f"  {label}: {text} ({identity})"
        yield ""
    yield f"labels that people confuse: {len(found.confusions) or 'none'}"
    for each in found.confusions:
        yield f"  {each.labels[0]} and {each.labels[1]}: {each.both} of {each.either} texts"
        yield f"    missing in the guidelines? {each.hint}"
        yield from (f"    e.g. {text}" for text in each.examples)


def said(one: Anchoring) -> str:
    """What the suggestions did, in one sentence."""
    if one.difference is None or one.low is None or one.high is None:
        return f"too few answers to compare ({one.shown} with one, {one.hidden} without; {FEWEST_COMPARED} of each are needed)"
    with_one, without = one.shown_agreed / one.shown, one.hidden_agreed / one.hidden
    return (
        f"people chose the model's label in {with_one:.1%} of {one.shown} answers with the suggestion and in {without:.1%} of {one.hidden} "
        f"without: {100 * one.difference:+.1f} points (95 % interval {100 * one.low:+.1f} to {100 * one.high:+.1f})"
    )


def page(found: Report) -> str:
    """HTML; every text is escaped."""
    conflicts = "".join(
        f"<tr><td>{escape(label)}</td><td><bdi>{escape(text)}</bdi></td><td>{escape(identity)}</td></tr>"
        for one in found.conflicts
        for identity, label, text in zip(one.ids, one.labels, one.texts, strict=True)
    )
    confused = "".join(
        f"<tr><td>{escape(one.labels[0])}, {escape(one.labels[1])}</td><td>{one.both} of {one.either}</td>"
        f"<td>{escape(one.hint)}</td><td>{''.join(f'<p><bdi>{escape(text)}</bdi></p>' for text in one.examples)}</td></tr>"
        for one in found.confusions
    )
    return (
        f"{_HEAD}<h1>How consistent the labels are</h1><p>{found.texts} texts with a label, {found.disputed} disputed.</p>"
        f"<h2>Suggestions</h2><p>Suggestions: {escape(said(found.anchoring))}.</p>"
        f"<h2>Nearly equal texts with different labels</h2><p>{found.conflicting} pairs; each pair has two rows.</p>"
        f"<table><tr><th>label</th><th>text</th><th>prediction</th></tr>{conflicts}</table>"
        f"<h2>Labels that people confuse</h2><table><tr><th>labels</th><th>texts with both</th><th>missing in the guidelines?</th>"
        f"<th>examples</th></tr>{confused}</table>\n"
    )
