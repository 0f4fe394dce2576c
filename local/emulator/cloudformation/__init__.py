"""CloudFormation types and properties that ministack lacks."""


def install() -> None:
    """Register the types and mends."""
