"""``release``: start, follow, control and explain rollouts."""
