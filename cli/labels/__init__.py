"""``labels``: people's labels with their provenance as a file, corrections, and the deletion of what is known of a person."""
