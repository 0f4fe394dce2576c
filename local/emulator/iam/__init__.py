"""IAM in the embedded AWS: every call is checked, passed roles and customer keys too, and every decision is recorded.

A service that acts under a role makes its calls through ``local.emulator.sessions.role_session``, which are requests like
any other; one that does not (Step Functions' integrations) asks :func:`denial` or :func:`request_denial`.
``aws:SecureTransport`` counts as true: the loopback interface stands for TLS.
"""

from __future__ import annotations

from local.emulator.iam.audit_log import audit

__all__ = ["audit", "denial", "install", "request_denial"]


def denial(
    role_arn: str, action: str, resource: str = "*", *, session: str = "service", context: dict[str, object] | None = None
) -> str | None:
    """See :func:`local.emulator.iam.enforcement.denial`."""
    from local.emulator.iam import enforcement

    return enforcement.denial(role_arn, action, resource, session=session, context=context)


def request_denial(role_arn: str, service: str, operation: str, request: dict[str, object], *, session: str = "service") -> str | None:
    """See :func:`local.emulator.iam.enforcement.request_denial`."""
    from local.emulator.iam import enforcement

    return enforcement.request_denial(role_arn, service, operation, request, session=session)


def install() -> None:
    """Put the hooks in place."""
    from local.emulator.iam import enforcement

    enforcement.install()
