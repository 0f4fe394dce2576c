"""People read what a rollout is at, so every state of the deployed machine has words."""

from __future__ import annotations

from rollout_definition import rollout_definition

from cli.release.history import Rollout


def test_every_state_of_the_machine_has_words_instead_of_its_name() -> None:
    said = {state: Rollout("r", state=state).doing for state in rollout_definition()["States"]}

    assert {"CloseStopped", "GrowReplacement", "SettleReplacement", "Settle"} <= said.keys()
    assert [state for state, words in said.items() if state in words or " " not in words] == []
