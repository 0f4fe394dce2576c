"""The pages that people judge a run by, in a real browser: as wide as its screen, nothing behind a scroll box, no rule of axe broken."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from page_server import violations
from playwright.sync_api import Browser

from cli.labels import report_page
from cli.labels.report import report
from cli.release import page as rollout_page
from cli.release.history import Rollout
from contracts.report.page import page as data_page
from lambdas.common.predictions import StoredPrediction
from local.demo.report import write_report
from local.demo.summary import DriftPoint, Interval, Score, Summary, Trial

pytestmark = pytest.mark.slow

UNIT = Path(__file__).resolve().parents[1] / "unit"
LONG = "https://example.org/" + "a" * 300
ONE = Interval(0.81, 0.78, 0.85)


def demo(folder: Path) -> str:
    chosen = {"learning_rate": "0.000117", "epochs": "2", "layers": "4", "trained_layers": "2"}
    names = ("majority", "tfidf", "challenger", "champion", "human_1", "human_3")
    summary = Summary(
        outcome="new model promoted", reason="a loss of 5.0 points is refuted", trials=[Trial("t", "Completed", 0.77, chosen, 60.0)],
        scores=dict.fromkeys(names, Score(ONE, ONE)), confidences={"requested": [0.4], "not_required": [0.9]}, review_rate=0.5,
        drift=[DriftPoint("amazon", 300, 0.6, {}, "OK"), DriftPoint("tweets again", 50, 2.0, {}, "ALARM")], drift_detected_after=50,
        before_after={"tweets": {"before": ONE, "after": ONE, "gain": ONE}}, seconds={"8 retrain and roll out": 117.0},
        evaluation={"confusion": {"labels": ["negative", "positive"], "matrix": [[280, 26], [25, 85]]}, "rows": 871, "groups": 75},
        predictions={"accepted": 1_362, "unaccounted": 0}, rollout={"outcome": "promoted"},
    )  # fmt: skip
    write_report(summary, folder / "report.html", told())
    return (folder / "report.html").read_text(encoding="utf-8")


def told() -> Rollout:
    """A recorded rollout, with evidence of the kind that the judge writes now."""
    events = json.loads((UNIT / "cli/histories/promoted.json").read_text(encoding="utf-8"))
    guardrails = [{"name": "failures", "rings": False, "e": 0.08, "threshold": 160, "reason": "0 of 18 calls failed " + LONG}]
    evidence = {
        "pairs": 812, "differ": 40, "labelled": 40, "e_promote": 23.0, "e_roll_back": 0.2, "interval": [-0.05, 0.25], "margin": 0.05,
        "threshold": {"promote": 20, "roll_back": 20}, "guardrails": guardrails,
    }  # fmt: skip
    for event in events:
        details = event.get("stateExitedEventDetails", {})
        output = json.loads(details.get("output") or "{}")
        if isinstance(output.get("verdict"), dict):
            output["verdict"] |= {"evidence": evidence}
            details["output"] = json.dumps(output)
    return Rollout.read("rollout-06aedb048a1f101bf4b894df6e49a8a723db2572-0", events)


def data(_: Path) -> str:
    content: dict[str, Any] = json.loads((UNIT / "cli/reports/report.json").read_text(encoding="utf-8"))
    chosen = {"learning_rate": "0.000117", "trained_layers": "2"}
    trials = [{"name": "reviewloop-dev-e76e3589-001-6a76ddbd", "objective": 0.77, "hyperparameters": chosen, "seconds": 75.0}]
    errors = [{**content["surest_errors"][0], "text": LONG}]
    cost = [{"what": "the endpoint, always on", "amount": "4 x 730 h of ml.m5.large a month", "basis": LONG}]
    steps = [{"what": "Deploy.", "command": f".venv/bin/python -m cli doctor {LONG}"}]
    return data_page({**content, "surest_errors": errors, "trials": trials, "cost": cost, "next_steps": steps})


def labels(_: Path) -> str:
    def stored(number: int, label: str | None, votes: Mapping[str, int]) -> StoredPrediction:
        answers = [{"worker_id": f"w{place}", "label": one, "seconds": 1.0} for place, one in enumerate(votes)]
        item = {
            "prediction_id": f"{number:032x}", "text": f"{LONG} \u202e {number}", "created_at": "2026-11-23T09:00:00+00:00",
            "expires_at": 1, "review_state": "reviewed", "attempt": 1, "label": "good", "human_label": label,
            "answers": answers, "votes": dict(votes),
            "reviewed_at": "2026-11-23T12:00:00+00:00",
        }  # fmt: skip
        return StoredPrediction.parse({name: value for name, value in item.items() if value is not None})

    both = {"good": 1, "bad": 1}
    return report_page.page(report([stored(number, "good", both) for number in range(4)], [stored(9, None, both)]))


PAGES: Mapping[str, Callable[[Path], str]] = {
    "demo": demo, "data": data, "labels": labels, "rollout": lambda _: rollout_page.page(told()),
}  # fmt: skip


@pytest.fixture(params=PAGES, scope="module")
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    (folder / "page.html").write_text(PAGES[request.param](folder), encoding="utf-8")
    return folder / "page.html"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 820, 1280])
def test_a_page_of_a_run_fits_its_screen_and_breaks_no_rule_of_axe(browser: Browser, written: Path, width: int, scheme: Any) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, is_mobile=width < 600, has_touch=width < 600
    )  # fmt: skip
    page = context.new_page()
    page.goto(written.as_uri())
    try:
        assert page.evaluate("innerWidth") == width, "a page without a viewport is shown as on a desk, and everything is tiny"
        wide = "() => [...document.querySelectorAll('body *')].filter((one) => one.getBoundingClientRect().right > innerWidth + 1)"
        hidden = "() => [...document.querySelectorAll('.wide')].filter((one) => one.scrollWidth > one.clientWidth)"
        named = "map((one) => `${one.tagName} ${one.className} ${one.textContent.slice(0, 40)}`)"
        assert page.evaluate(f"() => ({wide})().{named}") == []
        assert page.evaluate(f"() => ({hidden})().{named}") == []
        assert violations(page) == []
    finally:
        context.close()
