"""Words that AWS keeps for itself, so that a name with one fails in the middle of a deploy.

Sources: SSM API reference, PutParameter ("can't be prefixed with aws or ssm"); Cognito, CreateUserPoolDomain ("Domain cannot contain
reserved word": aws, amazon, cognito); S3 user guide, "General purpose bucket naming rules" (prefix ``sthree-``; its other reserved
prefixes and suffixes need characters that a name here cannot have).
"""

from __future__ import annotations

_PARAMETER_PREFIXES = ("aws", "ssm")
_DOMAIN_WORDS = ("aws", "amazon", "cognito")
_BUCKET_NAMES = ("sthree",)


def reserved(name: str, stage: str, *, has_user_pool: bool) -> str | None:
    """What is reserved in ``name`` or ``stage`` and what to do, or None.

    Args:
        has_user_pool: the app makes a user pool, whose sign-in domain begins with both.
    """
    prefix = next((word for word in _PARAMETER_PREFIXES if name.startswith(word)), None)
    if prefix:
        return f"name {name!r} begins with {prefix!r}, with which no SSM parameter may begin: choose a name that does not"
    if name in _BUCKET_NAMES:
        return f"name {name!r} would make buckets that begin with '{name}-', which S3 keeps for itself: choose another"
    for field, value in (("name", name), ("stage", stage)):
        word = next((word for word in _DOMAIN_WORDS if word in value), None)
        if word and has_user_pool:
            return f"{field} {value!r} has {word!r} in it, which Cognito allows in no sign-in domain: choose a {field} without it"
    return None
