"""What each state of the rollout's machine does, in words. A test compares them with the states of the deployed machine."""

from __future__ import annotations

_DOING = {
    "Plan": "checking the request",
    "LayOut": "checking the request",
    "Kind": "checking the request",
    "Asked": "taking the challenger back",
    "OpenCanary": "giving the challenger its first share",
    "Challenge": "the challenger's fleet comes up",
    "ShiftWeights": "changing the weights",
    "WaitStep": "collecting evidence",
    "Judge": "collecting evidence",
    "NoteVerdict": "collecting evidence",
    "Verdict": "collecting evidence",
    "Approval": "waiting for approval",
    "WaitApproval": "waiting for approval",
    "Ask": "waiting for approval",
    "NoteAnswer": "waiting for approval",
    "Answer": "waiting for approval",
    "Watched": "watching the new champion",
    "WaitWatch": "watching the new champion",
    "Watch": "watching the new champion",
    "NoteWatch": "watching the new champion",
    "WatchVerdict": "watching the new champion",
    "CloseExperiment": "ending the comparison",
    "Promote": "putting the challenger in the champion's place",
    "TakeOver": "giving the new champion its instances",
    "GiveAll": "giving the new champion all callers",
    "First": "the endpoint comes up",
    "CloseStopped": "ending what a stopped rollout left",
    "Replace": "replacing the champion",
    "GrowReplacement": "giving the new champion its instances",
    "GiveReplacement": "giving the new champion all callers",
    "SettleReplacement": "taking the challenger's instances back",
    "EndComparison": "ending the comparison",
    "TakeBack": "ending the comparison",
    "GrowChampion": "giving the champion the instances for all callers",
    "TakeAll": "giving the champion all callers",
    "Withdraw": "taking the challenger back",
    "Settle": "taking the challenger's instances back",
    "Clear": "deleting the failed endpoint",
    "KeepReason": "taking the first release back",
    "UndoFirst": "taking the first release back",
    "ReleaseNotInPlace": "the release could not be taken back",
    "Outcome": "telling the outcome",
    **dict.fromkeys(("Promoted", "RolledBack", "Inconclusive", "Withdrawn", "Replaced", "Released", "Unchanged"), "telling the outcome"),
}
_OF_A_PHASE = ("Apply", "Wait", "Check", "Status")
_PROBLEM = ("Refused", "Lost", "Failed")
"""How the names of the states end that make a verdict of an error."""


def doing(state: str) -> str:
    """What the machine is at in this state. A state of another version of the app is called by its name."""
    if state in _DOING:
        return _DOING[state]
    for ending in (*_OF_A_PHASE, *_PROBLEM):
        known = _DOING.get(state.removesuffix(ending)) if state.endswith(ending) else None
        if known is not None:
            return f"{known}: that failed" if ending in _PROBLEM else known
    return state
