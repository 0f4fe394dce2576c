"""IAM in the embedded AWS: every call is checked, passed roles and customer keys too, and every decision is recorded.

A service that acts under a role makes its calls through ``embedded_aws.core.sessions.role_session``, which are requests like
any other; one that decides by itself (Step Functions' integrations) records its decisions with :func:`audit`.
``aws:SecureTransport`` counts as true: the loopback interface stands for TLS.
"""

from __future__ import annotations

from embedded_aws.iam.audit_log import audit

__all__ = ["audit", "install"]


def install() -> None:
    """Put the hooks in place."""
    from embedded_aws.iam import decided_once, enforcement, signatures, simulation

    decided_once.install()
    enforcement.install()
    simulation.install()
    signatures.install()
