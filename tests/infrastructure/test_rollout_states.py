"""Everything that can come in a rollout's way, one row per case: the deployed definition, the real functions, and services in memory.

The judge's part is scripted here; test_rollout_judged.py has the real one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from rollout_walk import FUNCTIONS, STEPS, Happening, everything_in_its_place, walked
from rollout_world import ALONE, NEW, OLD, OTHER, SHIFT_SECONDS, World, client_error
from state_walk import Stopped

from lambdas.common.release import Release
from lambdas.rollout.progress import Progress

CANARY = ("advance", "promote")


class Judge:
    """Gives the verdicts in their order; ``hold`` when there are no more. ``roll_back now``: a guardrail rings."""

    def __init__(self, verdicts: tuple[str, ...]) -> None:
        self.verdicts, self.looks = list(verdicts), 0

    def __call__(self, event: dict[str, Any]) -> dict[str, Any]:
        self.looks += 1
        decision, _, now = (self.verdicts.pop(0) if self.verdicts else "hold").partition(" ")
        if decision.startswith("!"):
            raise {"!MetricsUnreadable": MetricsUnreadable}.get(decision, RuntimeError)(decision)
        progress = Progress.parse(event["progress"])
        if decision == "advance":
            progress = replace(progress, step=progress.step + 1, share=STEPS[progress.step + 1])
        evidence = {"looks": self.looks, "rollout": event["rollout"]}
        verdict = {"decision": decision, "reason": f"the judge said {decision}", "take_back": "at_once" if now else "instances_first"}
        return {**verdict, "evidence": evidence, "progress": progress.as_json()}


class MetricsUnreadable(RuntimeError):
    pass


def stop(world: World) -> None:
    raise Stopped


@dataclass(frozen=True)
class Case:
    """Args: ``serves``: the champion afterwards. ``shares``: of every record of the experiment, in order."""

    name: str
    outcome: str = "promoted"
    serves: str | None = NEW
    verdicts: tuple[str, ...] = CANARY
    content: Mapping[str, Any] = field(default_factory=dict)
    served: Release | None = ALONE
    before: Happening = lambda world: None
    at: Mapping[str, Happening] = field(default_factory=dict)
    told: str = "the judge said"
    shares: tuple[float, ...] | None = None
    passes: tuple[str, ...] = ()
    """States that were entered."""
    avoids: tuple[str, ...] = ()


def refuse_silently(world: World) -> None:
    world.silently_refused.add(NEW)


def refuse_openly(world: World) -> None:
    world.openly_refused.add(NEW)


def ruin(world: World) -> None:
    world.ruinous.add(NEW)


def throttled(operation: str, times: int = 1) -> Happening:
    return lambda world: world.fail_next(operation, *[client_error("ThrottlingException", "Rate exceeded", operation)] * times)


def by_hand(champion: float, challenger: float) -> Happening:
    def change(world: World) -> None:
        assert world.endpoint
        world.endpoint.weights = {"champion": champion, "challenger": challenger}

    return change


def recorded(package: str) -> Happening:
    """A rollout was stopped after it had written this record."""
    return lambda world: world.parameters.update({"/release": f"{package},{package}"})


def runs(champion: str, challenger: str) -> Happening:
    def change(world: World) -> None:
        assert world.endpoint
        world.endpoint.packages = {"champion": champion, "challenger": challenger}

    return change


def failed(world: World) -> None:
    assert world.endpoint
    world.endpoint.status = "Failed"


def serves_a_mix(world: World) -> None:
    """A rolling update of somebody failed, and its rollback too."""
    assert world.endpoint
    world.endpoint.status = "UpdateRollbackFailed"


def forget_endpoint_config(world: World) -> None:
    world.fail_next("describe_endpoint_config", client_error("ValidationException", "Could not find the configuration"))


SHADOW, BLUE_GREEN, MANUAL = {"policy": "shadow"}, {"policy": "blue_green"}, {"approval": "manual"}
REPLACED = {"champion": OTHER, "challenger": OTHER, "replace": True}
OTHER_RUNS = {"executionArn": "arn:first", "name": "first", "startDate": 0}
OWN = {"executionArn": "arn:r-1", "name": "r-1", "startDate": 1}
ROLLED_BACK = {"outcome": "rolled_back", "serves": OLD}
CASES = [
    # -- the ways through ---------------------------------------------------------------------------
    Case("canary, promoted after its last step", shares=(0.2, 0.5), passes=("CloseExperiment",)),
    Case("canary, promoted at its first step", verdicts=("promote",), shares=(0.2,)),
    Case("canary, held for long", verdicts=("hold",) * 200 + CANARY, shares=(0.2, 0.5)),
    Case("canary, rolled back by the judge", verdicts=("advance", "roll_back"), shares=(0.2, 0.5), passes=("GrowChampion", "TakeAll"),
         **ROLLED_BACK),
    Case("canary, rolled back by a guardrail", verdicts=("advance", "roll_back now"), passes=("TakeAll",), avoids=("GrowChampion",),
         **ROLLED_BACK),
    Case("canary, rolled back, and the champion's instances are refused", verdicts=("roll_back",),
         at={"GrowChampion": throttled("describe_endpoint", 4)}, passes=("TakeAll",), **ROLLED_BACK),
    Case("canary, rolled back, and nobody can read the endpoint at first", verdicts=("roll_back",),
         at={"EndComparison": throttled("describe_endpoint", 4)}, passes=("TakeAll",), **ROLLED_BACK),
    Case("canary, inconclusive", "inconclusive", OLD, ("hold", "inconclusive")),
    Case("canary, a word that nobody knows", verdicts=("perhaps",), **ROLLED_BACK),
    Case("canary, approved by a person", verdicts=("advance", "await_approval", "await_approval", "promote"), content=MANUAL),
    Case("canary, approved by nobody", "inconclusive", OLD, ("advance", "await_approval", "inconclusive"), MANUAL),
    Case("canary, an alarm while it waits for approval", verdicts=("await_approval", "roll_back"), content=MANUAL, **ROLLED_BACK),
    Case("shadow, promoted from a weight of 0", verdicts=("hold", "promote"), content=SHADOW, shares=(0.0,)),
    Case("shadow, rolled back", verdicts=("roll_back",), content=SHADOW, shares=(0.0,), **ROLLED_BACK),
    Case("shadow, inconclusive", "inconclusive", OLD, ("inconclusive",), SHADOW),
    Case("shadow, approved by a person", verdicts=("await_approval", "promote"), content=SHADOW | MANUAL, shares=(0.0,)),
    Case("blue/green", verdicts=("promote",), content=BLUE_GREEN, shares=(), passes=("Watch", "Settle"), avoids=("Ask", "OpenCanary")),
    Case("blue/green, held by a pause", verdicts=("hold", "promote"), content=BLUE_GREEN),
    Case("blue/green, taken back by its watch", verdicts=("roll_back",), content=BLUE_GREEN, **ROLLED_BACK),
    Case("blue/green, approved", verdicts=("await_approval", "promote", "promote"), content=BLUE_GREEN | MANUAL, passes=("Ask", "Watch")),
    Case(
        "blue/green, never approved", "inconclusive", OLD, ("await_approval", "inconclusive"), BLUE_GREEN | MANUAL,
        avoids=("ReplaceApply",),
    ),
    Case("first release", "released", NEW, content={"champion": NEW, "challenger": NEW}, served=None, told="nothing served before"),
    Case("the champion serves alone already", "released", OLD, content={"challenger": OLD}, told="nothing to do", avoids=("OpenCanary",)),
    Case("replacement", "released", OTHER, content=REPLACED, told="is replaced", passes=("SettleReplacement",)),
    Case("replacement, and nobody can read the endpoint at first", "released", OTHER, content=REPLACED, told="is replaced",
         at={"CloseStopped": throttled("describe_endpoint", 4)}),
    Case("replacement, its instances are refused", "released", OTHER, content=REPLACED, told="is replaced",
         at={"GrowReplacement": throttled("describe_endpoint", 4)}),
    # -- the record says already what is wanted ------------------------------------------------------
    Case("a promotion was stopped, and goes on under its watch", served=Release(NEW, NEW), verdicts=("promote",), content=BLUE_GREEN,
         before=by_hand(0.5, 0.5), passes=("GrowReplacement", "Watch")),
    Case("the same, and the watch takes it back", served=Release(NEW, NEW), verdicts=("hold", "roll_back now"), content=BLUE_GREEN,
         before=by_hand(0.5, 0.5), passes=("Watch",), **ROLLED_BACK),
    Case("the same, and without a champion to go back to", "FAILED", NEW, served=Release(NEW, NEW),
         content={**BLUE_GREEN, "champion": OTHER}, before=lambda world: world.packages.pop(OTHER), told="does not exist"),
    Case("a promotion was stopped before its weights", "released", NEW, content={"champion": NEW, "replace": True},
         served=Release(NEW, NEW), before=by_hand(0.5, 0.5), told="is replaced", passes=("GrowReplacement",)),
    Case("a promotion was stopped and an alarm has taken it back", "released", NEW, content={"champion": NEW, "challenger": NEW},
         before=recorded(NEW), told="is replaced"),
    Case("the same, and the alarm rings again", content={"champion": NEW, "replace": True},
         before=lambda world: [recorded(NEW)(world), refuse_silently(world)], told="an alarm rang", **ROLLED_BACK),
    Case("a withdrawal was stopped", "released", OLD, content={"challenger": OLD},
         before=runs(OLD, NEW), told="is replaced"),
    Case("nothing to do, but the autoscaler is at work", "released", OLD, content={"challenger": OLD},
         before=lambda world: world.autoscaler("champion", 3), told="nothing to do", avoids=("ReplaceApply",)),
    Case("nobody can say what the endpoint runs", "released", OLD, content={"challenger": OLD}, before=forget_endpoint_config,
         told="is replaced"),
    Case("the endpoint has failed", "released", OLD, content={"challenger": OLD}, before=failed, told="nothing served before",
         passes=("ClearApply",)),
    Case("the endpoint serves two configurations", "FAILED", content={"challenger": OLD}, before=serves_a_mix, serves=None,
         told="is UpdateRollbackFailed: no capacity. It may still serve"),
    Case("the same, and it shall be withdrawn", "FAILED", content={"withdraw": True}, before=serves_a_mix, serves=None,
         told="bring it back to InService"),
    Case("there is no endpoint any more", "released", OLD, content={"challenger": OLD},
         before=lambda world: setattr(world, "endpoint", None), told="nothing served before", avoids=("ClearApply",)),
    Case("withdrawal of nothing", "withdrawn", OLD, content={"withdraw": True}, told=f"{OLD} goes on alone"),
    # -- the fleet ----------------------------------------------------------------------------------
    Case("an alarm in the challenger's bake", before=refuse_silently, told="an alarm rang", shares=(), **ROLLED_BACK),
    Case("an alarm in the winner's bake", at={"PromoteApply": refuse_silently}, told="an alarm rang", **ROLLED_BACK),
    Case("an alarm in the bake of blue/green", content=BLUE_GREEN, before=refuse_silently, told="an alarm rang", **ROLLED_BACK),
    Case("the stack's update fails", before=refuse_openly, told="no capacity", **ROLLED_BACK),
    Case("the stack's update fails at the promotion", at={"PromoteApply": refuse_openly}, told="no capacity", **ROLLED_BACK),
    Case("the stack cannot be updated", before=lambda world: setattr(world, "stack_status", "REVIEW"), told="StackUnusable",
         outcome="FAILED", serves=None),
    # -- others who change things -------------------------------------------------------------------
    Case("weights changed by hand at a step", at={"WaitStep": by_hand(1.0, 0.0)}, shares=(0.2, 0.5)),
    Case("weights of another sum", before=by_hand(9, 1), shares=(0.2, 0.5)),
    Case("the autoscaler before the first share", at={"OpenCanary": lambda world: world.autoscaler("champion", 3)}),
    Case("the autoscaler scales in during a step", at={"WaitStep": lambda world: world.autoscaler("challenger", 1, seconds=400)}),
    Case("a scale-in as the fleet's update is to begin", at={"ChallengeApply": lambda world: world.autoscaler("champion", 1)}),
    Case("a scale-in during a change of the weights", at={"ShiftWeights": lambda world: world.autoscaler("challenger", 1)}),
    Case("the autoscaler before the promotion", at={"PromoteApply": lambda world: world.autoscaler("champion", 3)}),
    Case("a deploy in a pause", verdicts=("hold", "hold", *CANARY), at={"Judge": lambda world: world.cdk_deploy(3_000)}),
    Case("another challenger was left behind", served=Release(OLD, OTHER), shares=(0.2, 0.5)),
    Case("the record of an earlier experiment was left behind",
         before=lambda world: world.parameters.update({"/experiment": "broken"}), shares=(0.2, 0.5)),
    # -- calls that fail ----------------------------------------------------------------------------
    Case("metrics cannot be read for a while", verdicts=("!MetricsUnreadable",) * 3 + CANARY),
    Case("metrics can never be read", verdicts=("!MetricsUnreadable",) * 6, told="MetricsUnreadable", **ROLLED_BACK),
    Case("the judge breaks", verdicts=("!",), told="RuntimeError", **ROLLED_BACK),
    Case("a throttled look at the fleet", at={"ChallengeCheck": throttled("describe_stacks")}),
    Case("looks at the fleet are throttled on and on", at={"ChallengeCheck": throttled("describe_stacks", 4)}, told="Rate exceeded",
         **ROLLED_BACK),
    Case("a throttled look at the winner's fleet", at={"PromoteCheck": throttled("describe_endpoint", 2)}),
    Case("a throttled change of the weights", at={"ShiftWeights": throttled("update_endpoint_weights_and_capacities")}),
    Case("a throttled update of the stack", at={"PromoteApply": throttled("update_stack")}),
    Case("the experiment's record cannot be cleared", verdicts=("roll_back",), at={"TakeAll": throttled("put_parameter")}, **ROLLED_BACK),
    Case("the weights cannot be taken back", verdicts=("roll_back",), at={"TakeAll": throttled("describe_endpoint", 4)}, **ROLLED_BACK),
    Case("the configuration is gone in a look", at={"ChallengeCheck": forget_endpoint_config}),
    # -- refusals -----------------------------------------------------------------------------------
    Case("a package that was deleted", "FAILED", OLD, before=lambda world: world.packages.pop(NEW), told="InvalidRollout"),
    Case("a package that is deleted before its promotion", at={"PromoteApply": lambda world: world.packages.pop(NEW)},
         told="no capacity", **ROLLED_BACK),
    Case("a package that is not approved", "FAILED", OLD, before=lambda world: world.packages.update({NEW: "Rejected"}), told="Rejected"),
    Case("a package from elsewhere", "FAILED", OLD, before=lambda world: world.from_elsewhere.add(NEW), told="names no training job"),
    Case("a package from elsewhere, blue/green", before=lambda world: world.from_elsewhere.add(NEW), verdicts=("promote",),
         content=BLUE_GREEN),
    Case("the champion is another one", "FAILED", OLD, content={"champion": OTHER}, told="is not the running champion"),
    Case("the same package as both", "released", OLD, content={"challenger": OLD}, told="nothing to do"),
    Case("a policy that nobody knows", "FAILED", OLD, content={"policy": "careful"}, told="shadow, canary, blue_green"),
    Case("another rollout runs", "FAILED", OLD, before=lambda world: world.others.extend([OTHER_RUNS, OWN]), told="rollout first"),
    Case("started twice, the first", before=lambda world: world.others.extend([OWN, OTHER_RUNS | {"startDate": 2}])),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_rollout_ends_as_its_row_says(case: Case) -> None:
    world = World(case.served)
    case.before(world)
    content = {"withdraw": True} if "withdraw" in case.content else {"champion": OLD, "challenger": NEW, **case.content}
    walk, ended = walked(world, content, judge=Judge(case.verdicts), at=case.at)
    if case.outcome == "FAILED":
        assert ended["status"] == "FAILED", ended
        assert case.told in f"{ended['error']} {ended['cause']}"
    else:
        assert ended["status"] == "SUCCEEDED", ended
        assert ended["output"]["outcome"] == case.outcome, ended["output"]
        assert case.told in ended["output"]["reason"]
    if case.serves is not None:
        everything_in_its_place(world, case.serves)
    if case.shares is not None:
        assert tuple(experiment.share for experiment in world.experiments) == case.shares
    assert set(case.passes) <= set(walk.states)
    assert not set(case.avoids) & set(walk.states)


def states_of(content: Mapping[str, Any], verdicts: tuple[str, ...]) -> list[str]:
    walk, _ = walked(World(), content, judge=Judge(verdicts))
    return list(dict.fromkeys(walk.states))


ROLLOUT = {"champion": OLD, "challenger": NEW}
WAYS: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "a canary": (ROLLOUT, CANARY),
    "a canary that is rolled back": (ROLLOUT, ("roll_back",)),
    "a shadow": (ROLLOUT | SHADOW, ("promote",)),
    "blue/green with approval": (ROLLOUT | BLUE_GREEN | MANUAL, ("promote", "promote")),
    "a replacement": ({"champion": NEW, "replace": True}, ("promote",)),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_rollout_that_is_stopped_in_any_state_is_taken_back_by_a_withdrawal(way: str) -> None:
    content, verdicts = WAYS[way]
    states = states_of(content, verdicts)
    assert len(states) > 12
    for state in states:
        world = World()
        with pytest.raises(Stopped):
            walked(world, content, judge=Judge(verdicts), at={state: stop})
        _, ended = walked(world, {"withdraw": True}, judge=Judge(()), name="r-2")
        assert ended["status"] == "SUCCEEDED", (state, ended)
        assert ended["output"]["outcome"] == "withdrawn", state
        everything_in_its_place(world, world.runs["champion"])
        assert world.runs["champion"] == OLD or state in AFTER_THE_SWITCH, state


@pytest.mark.parametrize("way", WAYS)
def test_a_deploy_in_any_state_changes_nothing_of_a_rollout(way: str) -> None:
    """The stack is busy for some minutes, so what needs it waits."""
    content, verdicts = WAYS[way]
    undisturbed = World()
    walk, expected = walked(undisturbed, content, judge=Judge(verdicts))
    for state in dict.fromkeys(walk.states):
        world = World()
        _, ended = walked(world, content, judge=Judge(verdicts), at={state: World.cdk_deploy})
        assert ended["status"] == "SUCCEEDED", (state, ended)
        assert ended["output"]["outcome"] == expected["output"]["outcome"], state
        assert world.endpoint == undisturbed.endpoint, state
        assert [one.share for one in world.experiments] == [one.share for one in undisturbed.experiments], state
        everything_in_its_place(world, world.runs["champion"])


AFTER_THE_SWITCH = (
    "PromoteWait", "PromoteCheck", "PromoteStatus", "TakeOver", "GiveAll", "Settle", "Outcome", "Promoted",
    "ReplaceWait", "ReplaceCheck", "ReplaceStatus", "GrowReplacement", "GiveReplacement", "Watched", "WaitWatch", "Watch",
    "NoteWatch", "WatchVerdict", "SettleReplacement", "Replaced",
)  # fmt: skip
"""The new model had won, or a person had approved it, and its fleet was on its way: it stays."""


@pytest.mark.parametrize("function", [*FUNCTIONS, "judge_rollout"])
@pytest.mark.parametrize("way", WAYS)
def test_each_function_killed_once_ends_the_rollout_no_other_way(way: str, function: str) -> None:
    content, verdicts = WAYS[way]
    _, expected = walked(World(), content, judge=Judge(verdicts))
    judge = Judge(verdicts if function != "judge_rollout" else (verdicts[0], *verdicts))
    world = World()
    _, ended = walked(world, content, judge=judge, killed=function)
    assert ended["output"]["outcome"] == expected["output"]["outcome"]
    everything_in_its_place(world, OLD if ended["output"]["outcome"] == "rolled_back" else NEW)


@pytest.mark.parametrize("way", WAYS)
def test_a_rollout_that_is_stopped_in_any_state_can_be_promoted_after_it(way: str) -> None:
    """As ``release promote`` does it, which knows the champion before by the rollout that was stopped. It is watched, and can go back."""
    content, verdicts = WAYS[way]
    for state in states_of(content, verdicts):
        for watched, champion in (("promote", NEW), ("roll_back now", OLD)):
            world = World()
            world.challenger_bounds = (2, 2)
            with pytest.raises(Stopped):
                walked(world, content, judge=Judge(verdicts), at={state: stop})
            walk, ended = walked(world, ROLLOUT | BLUE_GREEN, judge=Judge((watched,)), name="r-2")
            assert ended["status"] == "SUCCEEDED", (state, ended)
            assert ended["output"]["outcome"] == ("promoted" if champion == NEW else "rolled_back"), state
            assert "Watch" in walk.states, state
            everything_in_its_place(world, champion)


def test_a_stopped_experiment_that_is_started_again_begins_anew() -> None:
    world = World()
    with pytest.raises(Stopped):
        walked(world, ROLLOUT, judge=Judge(CANARY), at={"WaitStep": stop})
    _, ended = walked(world, ROLLOUT, judge=Judge(CANARY), name="r-2")
    assert ended["output"]["outcome"] == "promoted"
    assert [experiment.id for experiment in world.experiments] == ["r-1", "r-2", "r-2"]
    everything_in_its_place(world, NEW)


def test_a_stuck_stack_with_a_failed_endpoint_fails_by_name_and_a_withdrawal_makes_it_anew() -> None:
    world = World()
    _, ended = walked(world, ROLLOUT, judge=Judge(CANARY), at={"ChallengeApply": ruin})
    assert ended["status"] == "FAILED", "the champion does not serve: a person must hear of it"
    assert world.record == f"{OLD},{OLD}"
    world.ruinous.clear()
    _, ended = walked(world, {"withdraw": True}, judge=Judge(()), name="r-2")
    assert ended["output"]["outcome"] == "released"
    everything_in_its_place(world, OLD)


def test_the_rollout_tells_the_evidence_of_its_last_look_and_clears_what_it_was_told() -> None:
    world = World()
    world.tell(paused=True)
    _, ended = walked(world, ROLLOUT, judge=Judge(("hold", *CANARY)))
    assert ended["output"]["evidence"] == {"looks": 3, "rollout": "r-1"}
    assert world.parameters["/rollout-control"] == "none"
    weights = [change["challenger"] for change in ended["output"]["weights"]]
    assert weights == [0.2, 0.5, 0.0]


def test_what_another_rollout_was_told_stays() -> None:
    world = World()
    world.tell("r-9", paused=True)
    walked(world, ROLLOUT, judge=Judge(CANARY))
    assert "r-9" in world.parameters["/rollout-control"]


def test_the_winner_takes_over_the_instances_before_the_callers_and_the_challenger_keeps_its_fewest() -> None:
    world = World()
    at_all: list[tuple[float, int]] = []

    def scaled_out(world: World) -> None:
        assert world.endpoint
        world.endpoint.counts = {"champion": 3, "challenger": 4}

    def noted(world: World) -> None:
        assert world.endpoint
        at_all.append((world.endpoint.weights["challenger"], world.endpoint.counts["champion"]))

    _, ended = walked(world, ROLLOUT, judge=Judge(CANARY), at={"CloseExperiment": scaled_out, "GiveAll": noted})
    assert ended["output"]["outcome"] == "promoted"
    assert at_all == [(0.5, 6)], "3 served half of the callers"
    assert world.endpoint
    assert world.endpoint.counts == {"champion": 6, "challenger": 2}


@pytest.mark.parametrize(
    ("content", "champion", "settles"),
    [(ROLLOUT | BLUE_GREEN, NEW, "Settle"), (REPLACED, OTHER, "SettleReplacement")],
    ids=["the challenger is promoted", "another one replaces both"],
)
def test_who_replaces_a_canary_takes_over_the_instances_before_the_callers(content: dict[str, Any], champion: str, settles: str) -> None:
    """``release promote`` stops the canary. Its weights, instances, bounds and record are as it left them."""
    world, seen = World(), {}

    def scaled_out(world: World) -> None:
        assert world.endpoint
        world.endpoint.counts = {"champion": 3, "challenger": 4}

    def noted(state: str) -> Happening:
        def note(world: World) -> None:
            assert world.endpoint
            seen[state] = (world.endpoint.weights["challenger"], dict(world.endpoint.counts))

        return note

    with pytest.raises(Stopped):
        walked(world, ROLLOUT, judge=Judge(CANARY), at={"Judge": scaled_out, "CloseExperiment": stop})
    at = {state: noted(state) for state in ("ReplaceApply", "GiveReplacement", settles)}
    _, ended = walked(world, content, judge=Judge(("promote",)), at=at, name="r-2")
    assert ended["status"] == "SUCCEEDED", ended
    everything_in_its_place(world, champion)
    assert seen == {
        "ReplaceApply": (0.5, {"champion": 3, "challenger": 4}),
        "GiveReplacement": (0.5, {"champion": 6, "challenger": 4}),
        settles: (0.0, {"champion": 6, "challenger": 4}),
    }, "3 served half of the callers"
    assert world.endpoint
    assert world.endpoint.counts == {"champion": 6, "challenger": 2}
    assert world.challenger_bounds == (2, 2)
    assert [change["challenger"] for change in ended["output"]["weights"]] == [0.5, 0.0]


@pytest.mark.parametrize("decisions", [CANARY, ("roll_back",)], ids=["promoted", "rolled back"])
def test_autoscaling_may_give_instances_to_a_challenger_only_while_it_is_compared(decisions: tuple[str, ...]) -> None:
    world = World()
    world.challenger_bounds = (2, 2)
    compared: list[tuple[int, int]] = []
    walked(world, ROLLOUT, judge=Judge(decisions), at={"ChallengeApply": lambda world: compared.append(world.challenger_bounds)})
    assert compared == [(2, 6)], "before its fleet comes"
    assert world.challenger_bounds == (2, 2)


@pytest.mark.parametrize("verdict", ["roll_back", "inconclusive", "roll_back now"])
def test_a_loser_gives_its_instances_back_and_the_champion_has_those_for_all_callers(verdict: str) -> None:
    """Before the callers come, or right after them where the challenger breaks something."""
    world = World()

    def scaled_out(world: World) -> None:
        assert world.endpoint
        world.endpoint.counts = {"champion": 3, "challenger": 4}

    at = {"EndComparison": scaled_out}
    _, ended = walked(world, ROLLOUT, judge=Judge(("advance", verdict)), at=at)
    assert ended["output"]["outcome"] == ("inconclusive" if verdict == "inconclusive" else "rolled_back")
    back = ["champion 6 instances", "challenger 0"]  # 3 served half of them
    assert world.asked == ["challenger 0.2", "challenger 0.5", *(back[::-1] if "now" in verdict else back), "challenger 2 instances"]
    assert world.endpoint
    assert world.endpoint.counts == {"champion": 6, "challenger": 2}
    everything_in_its_place(world, OLD)


def test_an_autoscaler_that_takes_the_champions_instances_back_keeps_no_bad_challenger_before_the_callers() -> None:
    world = World()

    def scaled_in(world: World) -> None:
        world.later(SHIFT_SECONDS, lambda: world.autoscaler("champion", 2, seconds=20))

    _, ended = walked(world, ROLLOUT, judge=Judge(("roll_back",)), at={"TakeAll": scaled_in})
    assert ended["output"]["outcome"] == "rolled_back"
    assert world.asked == ["challenger 0.2", "champion 3 instances", "challenger 0", "champion 3 instances"]


def test_a_champion_that_serves_nearly_all_callers_waits_for_no_instances() -> None:
    world = World()

    def scaled_out(world: World) -> None:
        assert world.endpoint
        world.endpoint.counts = {"champion": 6, "challenger": 4}

    _, ended = walked(world, ROLLOUT, judge=Judge(("roll_back",)), at={"WaitStep": scaled_out})
    assert ended["output"]["outcome"] == "rolled_back"
    assert world.endpoint
    assert world.endpoint.counts == {"champion": 6, "challenger": 2}, "a variant may have no more"


def test_instances_that_nobody_gives_do_not_keep_the_winner_from_its_callers() -> None:
    world = World()

    def scaled_out(world: World) -> None:
        assert world.endpoint
        world.endpoint.counts = {"champion": 3, "challenger": 3}

    refused = client_error("ResourceLimitExceeded", "no instance is left")
    at: dict[str, Happening] = {
        "CloseExperiment": scaled_out,
        "TakeOver": lambda world: world.fail_next("update_endpoint_weights_and_capacities", *[refused] * 4),
    }
    _, ended = walked(world, ROLLOUT, judge=Judge(CANARY), at=at)
    assert ended["output"]["outcome"] == "promoted"
    everything_in_its_place(world, NEW)
