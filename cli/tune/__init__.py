"""``tune``: start and follow tunings and retrainings."""
