"""The figures of one look as metrics: those that the rollout's page shows (``cli/release/figures.py``). Pure.

The evidence of a guardrail is divided by its threshold, so all of them ring from 1 on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

EVIDENCE = {"e_promote": "EvidenceForChallenger", "e_roll_back": "EvidenceAgainstChallenger", "threshold": "EvidenceThreshold"}
PAIRS = {"pairs": "PairsScored", "asked": "PairsAsked", "labelled": "PairsAnswered"}
INTERVAL = ("DifferenceLow", "DifferenceHigh")
SHARE = "ChallengerShare"
GUARDRAILS = {
    "sample_ratio": "GuardrailSampleRatio",
    "alarms": "GuardrailAlarms",
    "failures": "GuardrailFailures",
    "latency": "GuardrailLatency",
    "confidence": "GuardrailConfidence",
}


def figures(evidence: Mapping[str, Any], share: float) -> Iterator[tuple[str, float]]:
    """(metric, value). The share is in percent, the interval in percentage points.

    Args:
        evidence: of the verdict; blue/green has no pairs in it.
        share: of the traffic that the challenger has, 0..1.
    """
    yield SHARE, 100 * share
    for field, name in {**EVIDENCE, **PAIRS}.items():
        if evidence.get(field) is not None:
            yield name, float(evidence[field])
    for name, end in zip(INTERVAL, evidence.get("interval", ()), strict=False):
        yield name, 100 * float(end)
    for one in evidence["guardrails"]:
        tested = one["e"] is not None and one["threshold"]
        yield GUARDRAILS[one["name"]], one["e"] / one["threshold"] if tested else float(one["rings"])
