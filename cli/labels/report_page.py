"""The report of labels as text for a terminal and as a page that loads nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape

from cli.labels.report import FEWEST_COMPARED, Agreement, Anchoring, CannotTell, Disputed, Report
from cli.labels.unseen import marked
from contracts.phrases import counted
from contracts.report.words import words
from lambdas.common.agreement import FEWEST_FOR_INTERVAL, Alpha

_HEAD = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Labels: agreement and consistency</title><style>
:root { color-scheme: light dark }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.7rem; line-height: 1.2 }
h2 { font-size: 1.25rem; margin-top: 2rem }
table { border-collapse: collapse }
th, td { text-align: start; vertical-align: top; padding: .4rem .6rem; border-bottom: 1px solid #8888 }
th { white-space: nowrap }
td { overflow-wrap: break-word }
td.long { overflow-wrap: anywhere }
td p { margin: 0 0 .4rem }
.number { text-align: end; white-space: nowrap; font-variant-numeric: tabular-nums }
.pair td { border-bottom: 0 }
.unseen { border: 1px solid; border-radius: .2rem; padding: 0 .2rem; font: .8em ui-monospace, monospace }
dt { font-weight: 600 }
dd { margin: 0 0 .5rem }
summary { cursor: pointer; font-weight: 600; margin-top: 2rem }
.narrow { display: flex; flex-wrap: wrap; align-items: start; gap: 1.5rem 3rem }
@media (max-width: 40rem) {
  table.wide, .wide tbody, .wide tr, .wide td { display: block }
  .wide thead { display: none }
  .wide tr { border-bottom: 1px solid #8888; padding: .6rem 0 }
  .wide .pair { border-bottom: 0; padding-bottom: 0 }
  .wide td { border: 0; padding: .1rem 0 }
  .wide td::before { content: attr(data-of) ": "; font-weight: 600 }
  .wide td p { margin-top: .3rem }
}</style>"""
_WORDS = ("label", "disputed review", "lead", "Krippendorff's alpha", "suggestion", "guidelines")
_WHAT_ALPHA_IS = "Krippendorff's alpha: 1 is agreement, 0 is chance"


def lines(found: Report) -> Iterator[str]:
    yield f"{counted(found.texts, 'text')} with a label, {found.disputed} disputed{_to_settle(found)}"
    yield from (f"  {_votes(one)}: {marked(one.text)} ({one.id})" for one in found.to_settle)
    yield f"how far people agree ({_WHAT_ALPHA_IS}): {_figure(found.agreement.overall)} in {_texts(found.agreement.overall)}"
    yield from (f"  {label}: {_figure(one)} ({_texts(one)})" for label, one in found.agreement.by_class.items())
    yield from (f"  week of {monday}: {_figure(one)} ({_texts(one)})" for monday, one in found.agreement.by_week.items())
    yield f"people cannot tell: {_unclear(found.cannot_tell)}"
    yield from (f"  e.g. {marked(text)}" for text in found.cannot_tell.examples)
    yield f"suggestions: {said(found.anchoring)}"
    yield f"nearly equal texts with different labels: {found.conflicting}{_first(found)}"
    for one in found.conflicts:
        for identity, label, text in zip(one.ids, one.labels, one.texts, strict=True):
            yield f"  {label}: {marked(text)} ({identity})"
        yield ""
    yield f"labels that people confuse: {len(found.confusions) or 'none'}"
    for each in found.confusions:
        yield f"  {each.labels[0]} and {each.labels[1]}: {each.both} of {counted(each.either, 'text')}"
        yield f"    missing in the guidelines? {each.hint}"
        yield from (f"    e.g. {marked(text)}" for text in each.examples)


def said(one: Anchoring) -> str:
    """What the suggestions did, in one sentence."""
    if one.difference is None or one.low is None or one.high is None:
        return f"too few answers to compare: {one.shown} with a suggestion, {one.hidden} without; {FEWEST_COMPARED} of each are needed"
    with_one, without = (f"{100 * agreed / of:.1f} %" for agreed, of in ((one.shown_agreed, one.shown), (one.hidden_agreed, one.hidden)))
    return (
        f"people chose the model's label in {with_one} of {one.shown} answers with the suggestion and in {without} of {one.hidden} "
        f"without: {100 * one.difference:+.1f} points (95 % interval {100 * one.low:+.1f} to {100 * one.high:+.1f})"
    )


def page(found: Report) -> str:
    """HTML; every text is escaped."""
    return (
        f"{_HEAD}<main><h1>Labels: agreement and consistency</h1>"
        f"<p>{counted(found.texts, 'text')} with a label, {found.disputed} disputed{_to_settle(found)}.</p>{_disputed(found)}"
        f"<h2>Agreement</h2>{_agreement(found.agreement)}"
        f"<h2>People cannot tell</h2>{_cannot_tell(found.cannot_tell)}"
        f"<h2>Suggestions</h2><p>{escape(said(found.anchoring).capitalize())}.</p>"
        f"<h2>Nearly equal texts with different labels</h2>{_conflicts(found)}"
        f"<h2>Labels that people confuse</h2>{_confusions(found)}{words(*_WORDS)}</main>\n"
    )


def _text(text: str) -> str:
    """Somebody's words: for themselves, so that they turn the direction of nothing beside them."""
    return f"<bdi>{marked(text, '<span class=unseen>{}</span>'.format, escape)}</bdi>"


def _to_settle(found: Report) -> str:
    if not found.to_settle:
        return ""
    shown = "" if len(found.to_settle) == found.disputed else f"; the oldest {len(found.to_settle)}"
    return f"; a lead decides them with labels correct{shown}"


def _votes(one: Disputed) -> str:
    unclear = [f"{one.cannot_tell} cannot tell"] if one.cannot_tell else []
    return ", ".join([*(f"{count} {label}" for label, count in sorted(one.votes.items())), *unclear]) or "no label"


def _unclear(found: CannotTell) -> str:
    if not found.count:
        return f"in none of {counted(found.answers, 'answer')}"
    share = 100 * found.count / found.answers
    return f"in {found.count} of {counted(found.answers, 'answer')} ({share:.1f} %), about {counted(found.texts, 'text')}"


def _cannot_tell(found: CannotTell) -> str:
    texts = "".join(f"<li>{_text(text)}</li>" for text in found.examples)
    return f"<p>{_unclear(found).capitalize()}.{' Among them:' if texts else ''}</p>" + (f"<ul>{texts}</ul>" if texts else "")


def _disputed(found: Report) -> str:
    if not found.to_settle:
        return ""
    rows = "".join(
        f"<tr><td data-of=votes>{escape(_votes(one))}</td><td class=long data-of=text>{_text(one.text)}</td>"
        f"<td class=long data-of=prediction>{escape(one.id)}</td></tr>"
        for one in found.to_settle
    )
    head = "<th>votes</th><th>text</th><th>prediction</th>"
    return f"<h2>Disputed texts</h2><table class=wide><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _agreement(found: Agreement) -> str:
    return (
        f"<p>Alpha is {_figure(found.overall)}: it compares the first two answers to {counted(found.overall.texts, 'text')}, given without "
        f"the model's label beside them. ({_WHAT_ALPHA_IS}.) A label's alpha compares it with all other labels; its texts are those for "
        f"which somebody chose it. The 95 % interval resamples the texts, of which it needs {FEWEST_FOR_INTERVAL}. Alpha is undefined "
        "where all these answers are the same, and where there are none.</p><div class=narrow>"
        f"{_alphas('label', found.by_class)}{_alphas('week of', found.by_week)}</div>"
    )


def _alphas(title: str, part: Mapping[str, Alpha]) -> str:
    if not part:
        return ""
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td class=number>{_figure(one)}</td><td class=number>{one.texts}</td></tr>"
        for name, one in part.items()
    )
    head = f"<th>{title}</th><th class=number>alpha (95 %)</th><th class=number>texts</th>"
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _conflicts(found: Report) -> str:
    if not found.conflicts:
        return "<p>None.</p>"
    rows = "".join(
        f"<tr{'' if second else ' class=pair'}><td data-of=label>{escape(label)}</td>"
        f"<td class=long data-of=text>{_text(text)}</td><td class=long data-of=prediction>{escape(identity)}</td></tr>"
        for one in found.conflicts
        for second, (identity, label, text) in enumerate(zip(one.ids, one.labels, one.texts, strict=True))
    )
    return (
        f"<p>{counted(found.conflicting, 'pair')}{_first(found)}; each pair has two rows.</p>"
        f"<table class=wide><thead><tr><th>label</th><th>text</th><th>prediction</th></tr></thead><tbody>{rows}</tbody></table>"
    )


def _first(found: Report) -> str:
    return "" if found.conflicting == len(found.conflicts) else f", the first {len(found.conflicts)} of them below"


def _confusions(found: Report) -> str:
    if not found.confusions:
        return "<p>None.</p>"
    rows = "".join(
        f"<tr><td data-of=labels>{escape(one.labels[0])}, {escape(one.labels[1])}</td>"
        f'<td data-of="texts with both">{one.both} of {one.either}</td><td data-of="missing in the guidelines?">{escape(one.hint)}</td>'
        f"<td class=long data-of=examples>{''.join(f'<p>{_text(text)}</p>' for text in one.examples)}</td></tr>"
        for one in found.confusions
    )
    return (
        "<table class=wide><thead><tr><th>labels</th><th>texts with both</th><th>missing in the guidelines?</th><th>examples</th></tr>"
        f"</thead><tbody>{rows}</tbody></table>"
    )


def _figure(one: Alpha) -> str:
    if one.value is None:
        return "undefined"
    return f"{one.value:.2f}" if one.low is None or one.high is None else f"{one.value:.2f} ({one.low:.2f} to {one.high:.2f})"


def _texts(one: Alpha) -> str:
    return f"{counted(one.texts, 'text')} with two answers"
