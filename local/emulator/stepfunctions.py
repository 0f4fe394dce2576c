"""Filled by its owner."""


def install() -> None:
    """Put the hooks in place."""
