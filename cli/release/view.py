"""A rollout in words: lines for a log, a live view for a terminal, a document for pipelines. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from cli.release.evidence import Evidence, nearness
from cli.release.history import Decision, Rollout

NOT_KNOWN = "not known"
_OUTCOME_STYLES = {"promoted": "green", "released": "green", "running": "cyan", "rolled_back": "bold red", "failed": "bold red"}


def document(rollout: Rollout) -> dict[str, Any]:
    """The JSON form: what was asked, how it stands, every decision and every weight. Fields that are not known are null."""
    return {
        "id": rollout.id,
        "outcome": rollout.outcome,
        "reason": rollout.why,
        "exit_code": None if rollout.runs else int(rollout.exit_code),
        "kind": rollout.kind or None,
        "champion": rollout.champion,
        "challenger": rollout.challenger,
        "policy": rollout.policy,
        "approval": rollout.approval,
        "asked": rollout.reason,
        "started": iso(rollout.started),
        "ended": iso(rollout.ended),
        "deadline": iso(rollout.deadline),
        "doing": rollout.doing if rollout.runs else None,
        "share": rollout.share,
        "weights": [asdict(change) for change in rollout.weights],
        "decisions": [decision_document(one) for one in rollout.decisions],
    }


def decision_document(decision: Decision) -> dict[str, Any]:
    return {
        "at": iso(decision.at),
        "look": decision.look,
        "share": decision.share,
        "decision": decision.decision,
        "reason": decision.reason,
        "evidence": dict(decision.raw_evidence),
    }


def news(before: Rollout, now: Rollout) -> Iterator[dict[str, Any]]:
    """What happened between two readings, in JSON lines: ``doing``, ``weights``, ``decision``, and ``end`` once it has ended."""
    if now.runs and now.doing != before.doing:
        yield {"event": "doing", "doing": now.doing}
    for change in now.weights[len(before.weights) :]:
        yield {"event": "weights", **asdict(change)}
    for decision in now.decisions[len(before.decisions) :]:
        yield {"event": "decision", **decision_document(decision)}
    if before.runs and not now.runs:
        yield {"event": "end", **document(now)}


def line(event: Mapping[str, Any]) -> str:
    """One of :func:`news` as a line of a log; empty for what a log does not need."""
    if event["event"] == "weights":
        return f"{clock(event['at'])}  the challenger gets {percent(event['challenger'], 0)} of the traffic"
    if event["event"] == "decision":
        numbers = numbers_of(Evidence.parse(event["evidence"]))
        return f"{clock(event['at'])}  {words(event['decision'])}: {event['reason']}" + (f" [{numbers}]" if numbers else "")
    if event["event"] == "end":
        return f"{clock(event['ended'])}  {words(event['outcome'])}: {event['reason']}"
    return f"{'':19}  {event['doing']}"


def numbers_of(evidence: Evidence) -> str:
    """The evidence in one line; empty where there is none."""
    if not evidence.has_pairs:
        return ""
    parts = [f"{evidence.pairs} pairs", f"{_count(evidence.differ)} differ", f"{_count(evidence.labelled)} labelled"]
    parts += [f"e for it {e_of(evidence.e_promote, evidence.thresholds.promote)}"]
    parts += [f"e against it {e_of(evidence.e_roll_back, evidence.thresholds.roll_back)}"]
    parts += [f"difference {interval_of(evidence)}"]
    return ", ".join(parts)


def live(rollout: Rollout, now: datetime) -> RenderableType:
    """The view of ``watch``: bars for time, traffic and both e-values, counts, and the last decision."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(width=30)
    grid.add_column(overflow="fold")
    if rollout.started:
        took = (rollout.ended or now) - rollout.started
        total = rollout.deadline - rollout.started if rollout.deadline else None
        bar = _bar(took / total) if total else Text("")
        grid.add_row("time", bar, span(took) + (f", decided within {span(total)}" if total else ""))
    if rollout.share is not None:
        grid.add_row("traffic", _bar(rollout.share), f"{percent(rollout.share, 0)} to the challenger")
    evidence = rollout.evidence
    if evidence.has_pairs:
        thresholds = evidence.thresholds
        grid.add_row(
            "for it", _bar(nearness(evidence.e_promote, thresholds.promote)), f"e = {e_of(evidence.e_promote, thresholds.promote)}"
        )
        grid.add_row(
            "against it",
            _bar(nearness(evidence.e_roll_back, thresholds.roll_back)),
            f"e = {e_of(evidence.e_roll_back, thresholds.roll_back)}",
        )
        grid.add_row("difference", Text(interval_of(evidence)), f"labels still needed: {_count(evidence.labels_needed)}")
        grid.add_row("pairs", Text(f"{evidence.pairs} scored, {_count(evidence.differ)} differ"), answers_of(evidence))
    style = _OUTCOME_STYLES.get(rollout.outcome, "yellow")
    head = Text.assemble(("rollout ", "bold"), (rollout.id, "bold"), "  ", (words(rollout.outcome), style))
    if rollout.runs and rollout.doing:
        head.append(f": {rollout.doing}")
    lines: list[RenderableType] = [head, Text(asked_of(rollout), style="dim"), grid]
    if not rollout.runs:
        lines.append(Text(rollout.why))
    elif rollout.decisions:
        last = rollout.decisions[-1]
        lines.append(Text(f"{clock(last.at)}  {words(last.decision)}: {last.reason}"))
    return Group(*lines)


def explained(rollout: Rollout) -> RenderableType:
    """Everything about one rollout: what was asked, every decision with its numbers, the end."""
    lines: list[RenderableType] = [live(rollout, rollout.ended or datetime.now(UTC))]
    if rollout.decisions:
        table = Table(box=None, pad_edge=False, title="decisions", title_justify="left", title_style="bold")
        with_pairs = any(one.evidence.has_pairs for one in rollout.decisions)
        for title in ("at", "look", "share", "decision", "reason", *(("pairs", "e for", "e against", "difference") if with_pairs else ())):
            table.add_column(title, overflow="fold")
        for one in rollout.decisions:
            evidence = one.evidence
            numbers: tuple[str, ...] = ("-",) * 4 if with_pairs else ()
            if evidence.has_pairs:
                numbers = (str(evidence.pairs), e_of(evidence.e_promote, None), e_of(evidence.e_roll_back, None), interval_of(evidence))
            row = (clock(one.at), str(one.look or "-"), percent(one.share, 0), words(one.decision), one.reason, *numbers)
            table.add_row(*map(escape, row))
        lines += [Text(""), table]
    return Group(*lines)


def asked_of(rollout: Rollout) -> str:
    """``challenger .../7 against champion .../6, canary, approval automatic; asked for: ...``"""
    against = f" against champion {short(rollout.champion)}" if rollout.champion and rollout.challenger else ""
    what = f"challenger {short(rollout.challenger)}{against}" if rollout.challenger else f"champion {short(rollout.champion)}"
    ways = [rollout.kind] if rollout.policy is None else [words(rollout.policy)]
    ways += [f"approval {rollout.approval}"] if rollout.approval else []
    said = ", ".join([what, *filter(None, ways)])
    return f"{said}; asked for: {rollout.reason}" if rollout.reason else said


def answers_of(evidence: Evidence) -> str:
    """What became of the differing pairs."""
    parts = [f"{_count(evidence.labelled)} labelled", f"{_count(evidence.waiting)} waiting", f"{_count(evidence.undecided)} undecided"]
    if evidence.lost:
        parts.append(f"{evidence.lost:,} lost")
    if evidence.better is not None or evidence.worse is not None:
        parts.append(f"better {_count(evidence.better)}, worse {_count(evidence.worse)}")
    if evidence.missed:
        parts.append("not scored: " + ", ".join(f"{count} {words(reason)}" for reason, count in evidence.missed.items()))
    return ", ".join(parts)


def history_lines(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows in columns, each with its last cell on a line of its own: reasons are long, and names must stay whole."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)] if rows else []
    for *cells, reason in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
        if reason:
            yield f"    {reason}"


def history_row(rollout: Rollout) -> tuple[str, ...]:
    """Id, start, duration, package, outcome, and its reason."""
    took = span(rollout.ended - rollout.started) if rollout.ended and rollout.started else "-"
    started = f"{rollout.started:%Y-%m-%d %H:%M}" if rollout.started else "-"
    return rollout.id, started, took, short(rollout.challenger or rollout.champion), words(rollout.outcome), rollout.why


# -- words ---------------------------------------------------------------------------------------------


def words(name: str) -> str:
    return name.replace("_", " ")


def short(arn: str | None) -> str:
    """``reviewloop-dev/7`` of a package's ARN."""
    return "-" if arn is None else arn.partition(":model-package/")[2] or arn


def percent(share: float | None, digits: int = 1) -> str:
    return "-" if share is None else f"{100 * share:.{digits}f} %"


def interval_of(evidence: Evidence) -> str:
    if evidence.interval is None:
        return NOT_KNOWN
    low, high = evidence.interval
    return f"{100 * low:+.1f} to {100 * high:+.1f} points"


def e_of(value: float | None, threshold: float | None) -> str:
    """``4.2 of 20``"""
    said = NOT_KNOWN if value is None else _e(value)
    return said if threshold is None else f"{said} of {_e(threshold)}"


def _e(value: float) -> str:
    return f"{value:.2g}" if value < 10 else f"{value:,.0f}" if value < 1e6 else f"{value:.1e}"


def span(time: timedelta) -> str:
    """``14 min``"""
    seconds = max(0.0, time.total_seconds())
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3_600:.1f} h"


def clock(at: datetime | str | None) -> str:
    """``2026-03-01 12:34:56`` in UTC; a rollout may take days."""
    if at is None:
        return "-"
    when = datetime.fromisoformat(at) if isinstance(at, str) else at
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def iso(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat(timespec="seconds")


def _count(value: int | None) -> str:
    return NOT_KNOWN if value is None else f"{value:,}"


def _bar(share: float | None) -> RenderableType:
    return Text(NOT_KNOWN) if share is None else ProgressBar(total=1.0, completed=max(0.0, min(1.0, share)), width=30)
