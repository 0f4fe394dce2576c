"""Public AWS host names of this account, served to browsers and functions of this machine.

A host ``H`` (a distribution, a sign-in domain, an HTTP API) has the address ``http://H.localhost:<port>/`` here. :mod:`names` owns the
mapping, :mod:`owners` knows what the account has, :mod:`serving` answers, :mod:`functions` sends Python functions to the same place.
"""

from __future__ import annotations


def install() -> None:
    """Put the hooks in place."""
    from embedded_aws.public_hosts import functions, serving

    functions.install()
    serving.install()
