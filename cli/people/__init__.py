"""``review people``: who may answer, as the stage's user pool has them."""
