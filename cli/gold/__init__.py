"""``review gold``: texts whose label is known, and how people do on them."""
