"""Whom a certificate speaks for in SIP (RFC 5922 7): not everything that would do for a web page does here."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

__all__ = ["identities", "proves"]


def identities(certificate: Mapping[str, Any]) -> frozenset[str]:
    """Domains, lower case, of a verified certificate as ``ssl`` shows it: those of its ``sip:`` URIs if it has any,
    else its DNS names; addresses besides. The subject's common name counts only where no alternative name is."""
    names: list[tuple[str, str]] = list(certificate.get("subjectAltName", ()))
    domains = {domain for kind, value in names if kind == "URI" and (domain := _sip_domain(value))}
    domains = domains or {value.lower() for kind, value in names if kind == "DNS"}
    addresses = {_canonical(value) for kind, value in names if kind == "IP Address"}
    if not names:
        subject = (pair for group in certificate.get("subject", ()) for pair in group)
        domains = {value.lower() for key, value in subject if key == "commonName"}
    return frozenset(domains | addresses)


def proves(certificate: Mapping[str, Any], host: str) -> bool:
    """Whether it speaks for ``host``. No wildcards: RFC 5922 7.2 forbids them."""
    return _canonical(host.rstrip(".")) in identities(certificate)


def _sip_domain(uri: str) -> str:
    """Of ``sip:example.org``; a URI with a user speaks for that user alone (RFC 5922 7.1)."""
    scheme, _, rest = uri.partition(":")
    return rest.partition(";")[0].lower() if scheme.lower() == "sip" and "@" not in rest else ""


def _canonical(host: str) -> str:
    try:
        return str(ip_address(host))
    except ValueError:
        return host.lower()
