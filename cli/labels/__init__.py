"""``labels``: people's labels with their provenance as a file, how consistent they are, corrections, and the deletion of what is known of a
person."""
