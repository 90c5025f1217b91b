"""Whom a certificate speaks for in SIP (RFC 5922 7): not everything that would do for a web page does here."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from gateway.sip.dialog import is_numeric

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


def proves(certificate: Mapping[str, Any], host: str, *, wildcards: bool = False) -> bool:
    """Whether it speaks for ``host``. A wildcard counts only where that is asked for, against RFC 5922 7.2, and then as
    on the web: for one label, the leftmost (RFC 2818 3.1)."""
    wanted, proved = _canonical(host.rstrip(".")), identities(certificate)
    return wanted in proved or (wildcards and _wildcard(wanted) in proved)


def _wildcard(host: str) -> str:
    """What would match it; ``""`` for an address, and for a name right under a top-level domain."""
    _, _, domain = host.partition(".")
    return f"*.{domain}" if "." in domain and not is_numeric(host) else ""


def _sip_domain(uri: str) -> str:
    """Of ``sip:example.org``; a URI with a user speaks for that user alone (RFC 5922 7.1)."""
    scheme, _, rest = uri.partition(":")
    return rest.partition(";")[0].lower() if scheme.lower() == "sip" and "@" not in rest else ""


def _canonical(host: str) -> str:
    try:
        return str(ip_address(host))
    except ValueError:
        return host.lower()
