"""The page of one rollout, made from its execution's history alone: one HTML file without a script and without another file."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

from cli.plot_style import PAGE_STYLE
from cli.release import figures, view
from cli.release.history import Decision, Rollout
from contracts.report.words import words
from lambdas.rollout.progress import RolloutPolicy

_WORDS = (
    "rollout", "champion", "challenger", "judge", "look", "pair", "margin", "evidence (e-value)", "guardrail",
)  # fmt: skip
_COLUMNS = {"name": "guardrail", "rings": "ends it", "e": "evidence"}
"""Columns of the guardrails whose names in the verdict are too short to be read."""
_NUMBERS = ("evidence", "threshold")
STYLE = (
    PAGE_STYLE
    + """
main{max-width:900px}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:14px;width:100%}td,th{padding:5px 8px;border-bottom:1px solid #e4e7eb;
text-align:left;vertical-align:top}th{color:#52606d;font-weight:600;white-space:nowrap}td.n{text-align:right;white-space:nowrap}
th.n{text-align:right}tr.figures td{border-bottom:0;padding-bottom:0}tr.figures+tr td{padding-top:2px}
.reason{min-width:13em;overflow-wrap:anywhere}.asked{overflow-wrap:anywhere}
.promote,.promoted,.released{color:#047857}.roll_back,.rolled_back,.failed{color:#b91c1c}
@media(max-width:860px){thead{display:none}table,tbody,tr,td{display:block}
td,td.n{border:0;padding:1px 0;text-align:start;white-space:normal}
td[data-of]::before{content:attr(data-of) ": ";font-weight:600}tr{border-bottom:1px solid #e4e7eb;padding:6px 0}
tr.figures{border:0;padding-bottom:0}tr.figures+tr{padding-top:0}}
"""
)


def write(rollout: Rollout, path: Path) -> None:
    """Write the page; the folders above it are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(rollout), encoding="utf-8")


def page(rollout: Rollout, now: datetime | None = None) -> str:
    """The page's HTML. ``now`` ends the figures of a rollout that still runs."""
    until = rollout.ended or now or datetime.now(UTC)
    title = f"Rollout {rollout.id}: {view.words(rollout.outcome)}"
    said = sentence(rollout.why) if rollout.why else f"It runs: {rollout.doing}."
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main><h1>{escape(title)}</h1>"
        f'<p class="asked">{escape(said)}</p><p class="asked">{escape(sentence(view.asked_of(rollout)))}</p>'
        f"{_facts(rollout, until)}{''.join(sections(rollout, until))}{words(*_WORDS)}</main></body></html>\n"
    )


def sections(rollout: Rollout, until: datetime) -> Iterator[str]:
    """The figures with their titles, the guardrails, and every decision; also for other pages. What is not known is left out."""
    evidence, looks = rollout.evidence, rollout.looks
    yield _section(_of_weights(rollout), "Every change of the live weights.", "weights", figures.weights(rollout, until))
    yield _section(
        f"Evidence for the challenger: {_evidence(evidence.e_promote, evidence.thresholds.promote)}; "
        f"against it: {_evidence(evidence.e_roll_back, evidence.thresholds.roll_back)}",
        "Evidence (an e-value) is what gamblers who bet against a claim have made of a capital of 1, pair by pair. While the claim is "
        "true, it reaches the threshold in at most the declared share of rollouts, however often it is looked at. The scale is "
        "logarithmic.",
        "e-values",
        figures.e_values(rollout, until),
    )
    yield _section(
        f"The difference is within {view.interval_of(evidence)}",
        "How much more often people agree with the challenger than with the champion, on the same texts. The interval holds at every look "
        f"at once. Labels still needed, by expectation: {_known(evidence.labels_needed)}.",
        "interval",
        figures.interval(rollout, until),
    )
    yield _section(
        f"{_known(evidence.differ)} of {_known(evidence.pairs)} pairs differ; people judged {_known(evidence.labelled)}",
        f"People are asked only where the two labels differ. {sentence(view.answers_of(evidence))}.",
        "pairs",
        figures.pairs(rollout, until),
    )
    yield without_pairs(rollout)
    yield _guardrails(looks)
    yield _decisions(rollout.decisions)


def without_pairs(rollout: Rollout) -> str:
    """Why no look has any pairs; empty where one has."""
    if not rollout.looks or any(one.evidence.has_pairs for one in rollout.looks):
        return ""
    why = "The verdicts are of an earlier kind. Their reasons stand below."
    if rollout.policy == RolloutPolicy.BLUE_GREEN:
        why = "A blue/green rollout compares nothing: it is guarded by the fleet's canary, alarms and failures."
    return f"<section><h2>No pairs</h2><p>{why}</p></section>"


def _of_weights(rollout: Rollout) -> str:
    most = max((change.challenger for change in rollout.weights), default=0.0)
    return f"The challenger had at most {view.percent(most, 0)} of the traffic"


def _facts(rollout: Rollout, until: datetime) -> str:
    evidence = rollout.evidence
    facts = [("outcome", view.words(rollout.outcome))]
    if rollout.started:
        facts.append(("took", view.span(until - rollout.started)))
    facts.append(("looks", str(len(rollout.looks))))
    if evidence.has_pairs:
        facts += [("pairs", _known(evidence.pairs)), ("labels", _known(evidence.labelled))]
    return '<div class="facts">' + "".join(f"<div>{escape(name)}<b>{escape(value)}</b></div>" for name, value in facts) + "</div>"


def _section(title: str, text: str, label: str, drawing: str) -> str:
    if not drawing:
        return ""
    image = drawing.replace("<svg ", f'<svg role="img" aria-label="{escape(label)}" ', 1)
    return f"<section><h2>{escape(title)}</h2><p>{escape(text)}</p>{image}</section>"


def _guardrails(looks: Sequence[Decision]) -> str:
    """The guardrails at the last look that has any; one row each."""
    found = next((one for one in reversed(looks) if one.evidence.guardrails), None)
    if found is None:
        return ""
    rows = list(_guardrail_rows(found.evidence.guardrails))
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = (
        "A guardrail ends the rollout whatever people answer, each with its own share of the error: once its evidence reaches its "
        f"threshold, or at once where it has none. As of {view.clock(found.at)} UTC."
    )
    names = [_COLUMNS.get(key, key) for key in columns]
    cells = [f"<tr>{''.join(_cell(name, row.get(key)) for key, name in zip(columns, names, strict=True))}</tr>" for row in rows]
    return f"<section><h2>Guardrails</h2><p>{escape(text)}</p>{_table(names, cells, _NUMBERS)}</section>"


def _guardrail_rows(guardrails: Any) -> Iterator[dict[str, Any]]:
    """From a list of records, or a record of each by name."""
    named = guardrails.items() if isinstance(guardrails, Mapping) else ((None, one) for one in guardrails)
    for name, one in named:
        row = dict(one) if isinstance(one, Mapping) else {"value": one}
        yield {**({} if name is None else {"name": name}), **row}


def _decisions(decisions: Sequence[Decision]) -> str:
    if not decisions:
        return "<section><h2>No decision yet</h2></section>"
    columns = ["time (UTC)", "look", "share", "decision"]
    with_pairs = any(one.evidence.has_pairs for one in decisions)
    columns += ["pairs", "labels", "for it", "against it", "difference, points"] if with_pairs else []
    rows = []
    for one in decisions:
        row = [
            _number("time (UTC)", view.clock(one.at)), _number("look", str(one.look or "-")), _number("share", view.percent(one.share, 0)),
            f'<td class="{escape(one.decision)}" data-of="decision">{escape(view.words(one.decision))}</td>',
        ]  # fmt: skip
        if with_pairs:
            evidence = one.evidence
            numbers = (_known(evidence.pairs), _known(evidence.labelled), view.e_of(evidence.e_promote, None),
                       view.e_of(evidence.e_roll_back, None), view.interval_of(evidence).removesuffix(" points"))  # fmt: skip
            row += [_number(name, value if evidence.has_pairs else "-") for name, value in zip(columns[4:], numbers, strict=True)]
        rows.append(f'<tr class="figures">{"".join(row)}</tr>')
        rows.append(f'<tr><td class="reason" colspan="{len(columns)}">{escape(sentence(one.reason))}</td></tr>')
    text = "A decision without the number of a look was made by an error or by a person. The share is the challenger's, of the traffic."
    text += " Evidence stands for the challenger and against it." if with_pairs else ""
    return f"<section><h2>Every decision, with its reason</h2><p>{text}</p>{_table(columns, rows, {*columns} - {'decision'})}</section>"


def _table(columns: Sequence[str], rows: Sequence[str], numbers: Collection[str]) -> str:
    """``rows`` with their ``<tr>``. ``numbers``: the columns whose values stand at the right."""
    head = "".join(f"<th{' class=n' if name in numbers else ''}>{escape(view.words(name))}</th>" for name in columns)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def _number(name: str, value: str) -> str:
    return f'<td class="n" data-of="{escape(name)}">{escape(value)}</td>'


def _cell(name: str, value: Any) -> str:
    if value is None:
        return _number(name, "-") if name in _NUMBERS else f'<td data-of="{escape(name)}">-</td>'
    if isinstance(value, bool):
        return f'<td data-of="{escape(name)}">{"yes" if value else "no"}</td>'
    if isinstance(value, int | float):
        return _number(name, f"{value:,.4g}" if isinstance(value, float) else f"{value:,}")
    return f'<td class="reason" data-of="{escape(name)}">{escape(view.words(value) if isinstance(value, str) else str(value))}</td>'


def _evidence(value: float | None, threshold: float | None) -> str:
    """``23 (20 decides)``"""
    said = view.e_of(value, None)
    return said if threshold is None else f"{said} ({view.e_of(threshold, None)} decides)"


def _known(value: int | None) -> str:
    return view.NOT_KNOWN if value is None else f"{value:,}"


def sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
