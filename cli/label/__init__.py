"""``label``: texts of a file become labels of people, by Ground Truth or on the app's own page."""
