"""The rollout of a release: its stack, functions and state machine, and the role that updates the endpoint stack for it."""
