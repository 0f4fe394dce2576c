"""Which names are public AWS hosts, and at which address of this machine each of them is. Pure; the only place that knows the mapping.

RFC 6761, section 6.3: names below ``.localhost`` are loopback. Browsers resolve them so without asking anybody, and treat pages from
there as a secure context, so ``Secure`` and ``__Host-`` cookies work over plain HTTP.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

SUFFIX = ".localhost"
FROM_FUNCTION = "x-embedded-aws-function"
"""Header of a request that a function of the account sends: redirects stay as they are, since the function knows public names only."""


class Kind(StrEnum):
    DISTRIBUTION = "distribution"
    SIGN_IN = "sign_in"
    HTTP_API = "http_api"
    ISSUER = "issuer"


_SHAPES = {
    Kind.DISTRIBUTION: r"(?P<distribution>[a-z0-9]+)\.cloudfront\.net",
    Kind.SIGN_IN: r"(?P<sign_in>[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)\.auth\.(?P<sign_in_region>[a-z0-9-]+)\.amazoncognito\.com",
    Kind.HTTP_API: r"(?P<http_api>[a-z0-9]+)\.execute-api\.(?P<http_api_region>[a-z0-9-]+)\.amazonaws\.com",
    Kind.ISSUER: r"(?P<issuer>cognito-idp)\.(?P<issuer_region>[a-z0-9-]+)\.amazonaws\.com",
}
PATTERN = "|".join(_SHAPES.values())
"""The pattern of a whole host name, in lower case."""
_NAME = re.compile(PATTERN)
_URL_HOST = re.compile(r"https://([a-z0-9.-]+)(?::443)?(?![a-z0-9.:-])", re.IGNORECASE)


@dataclass(frozen=True)
class PublicHost:
    """``label`` is the host's own first part; ``region`` is empty for a distribution, which has none."""

    name: str
    kind: Kind
    label: str
    region: str = ""


def parse(name: str) -> PublicHost | None:
    """The public host with this name, in this account or in another."""
    found = _NAME.fullmatch(name.lower())
    if found is None:
        return None
    groups = found.groupdict()
    kind = next(kind for kind in Kind if groups[kind.value])
    return PublicHost(name.lower(), kind, groups[kind.value], groups.get(f"{kind.value}_region") or "")


def asked_for(host_header: str) -> PublicHost | None:
    """The public host behind a ``Host`` header of this machine, such as ``d111.cloudfront.net.localhost:4566``."""
    try:
        name = urlsplit(f"http://{host_header}").hostname or ""
    except ValueError:
        return None
    return parse(name.removesuffix(SUFFIX)) if name.endswith(SUFFIX) else None


def address(name: str, port: int) -> str:
    """The address at which a browser of this machine finds the host: an origin, without a slash at its end."""
    return f"http://{name}{SUFFIX}:{port}"


def for_browser(text: str, port: int, is_ours: Callable[[PublicHost], bool]) -> str:
    """``text`` (a URL, or a header with URLs in it) with each ``https://H`` of this account replaced by H's address."""

    def replaced(found: re.Match[str]) -> str:
        host = parse(found[1])
        return address(host.name, port) if host is not None and is_ours(host) else found[0]

    return _URL_HOST.sub(replaced, text)


def for_service(url: str) -> str:
    """The public form of an address in a header that a browser sends (``Origin``, ``Referer``); anything else as it is."""
    parts = urlsplit(url)
    host = asked_for(parts.netloc) if parts.scheme == "http" else None
    return parts._replace(scheme="https", netloc=host.name).geturl() if host is not None else url
