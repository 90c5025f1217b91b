"""SIP and tel URIs (RFC 3261 19.1, RFC 3966), read as far as an endpoint must: who, where, and the parameters."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from gateway.errors import SipError
from gateway.sip.memo import memo

__all__ = ["Uri", "host_port", "join_host_port", "parse_uri"]

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_ESCAPED_PRINTABLE: Final = re.compile(r"%([2-6][0-9A-Fa-f]|7[0-9A-Ea-e])")
_SPACE: Final = re.compile(r"[\s<>\"]")
_HOST: Final = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+(?:%[A-Za-z0-9._~-]+)?\]")


_PORTS: Final = {"tls": 5061, "ws": 80, "wss": 443}


@dataclass(frozen=True, slots=True)
class Uri:
    """A parsed URI. Of ``tel:`` and others ``user`` is what stands before the parameters, ``host`` is empty."""

    scheme: str
    user: str
    host: str
    port: int | None
    parameters: str
    """Everything from the first ``;`` on, unparsed."""

    def parameter(self, name: str) -> str | None:
        """Value of a URI parameter, ``""`` for one without a value, ``None`` if absent. Names ignore case."""
        for item in self.parameters.partition("?")[0].split(";"):
            key, _, value = item.partition("=")
            if key.strip().lower() == name:
                return value
        return None

    @property
    def user_text(self) -> str:
        """The user part for people: printable escapes decoded, ``%00`` and its like kept escaped (RFC 3261 19.1.2)."""
        return _ESCAPED_PRINTABLE.sub(lambda match: chr(int(match[1], 16)), self.user)

    @property
    def address(self) -> tuple[str, int]:
        """Host without brackets, and port (where none is given 5060, for TLS 5061: RFC 3261 19.1.2)."""
        if self.port is not None:
            return self.host.strip("[]"), self.port
        transport = (self.parameter("transport") or "").lower()
        default = 5061 if self.scheme == "sips" and transport != "wss" else _PORTS.get(transport, 5060)
        return self.host.strip("[]"), default


@memo
def parse_uri(text: str) -> Uri:
    """Parses a URI. Raises ``SipError`` 400 on what is not one."""
    scheme, colon, rest = text.strip().partition(":")
    if not colon or not _SCHEME.fullmatch(scheme) or _SPACE.search(rest):
        raise SipError(400, "Bad Request", "RFC 3261 19.1.1: malformed URI")
    scheme = scheme.lower()
    if scheme not in ("sip", "sips"):
        user, semicolon, parameters = rest.partition(";")
        return Uri(scheme, user, "", None, semicolon + parameters)
    # The last "@": paramchar and hnv-unreserved have none, while a user part may hold ";" and "?".
    user_info, _, location = rest.rpartition("@")
    end = min((at for at in (location.find(";"), location.find("?")) if at >= 0), default=len(location))
    host, port = host_port(location[:end])
    return Uri(scheme, user_info.partition(":")[0], host, port, location[end:])


@memo
def host_port(text: str) -> tuple[str, int | None]:
    """Splits ``host[:port]``, IPv6 references included (kept in brackets). Raises ``SipError`` 400."""
    text = text.strip()
    colon = text.find(":", text.rfind("]") + 1)
    host, port = (text, "") if colon < 0 else (text[:colon].rstrip(), text[colon + 1 :].lstrip())
    if not _HOST.fullmatch(host):
        raise SipError(400, "Bad Request", "RFC 3261 25.1: malformed host")
    if colon < 0:
        return host, None
    if not (port.isascii() and port.isdecimal() and len(port) <= 5 and 0 < int(port) < 65536):
        raise SipError(400, "Bad Request", "RFC 3261 25.1: malformed port")
    return host, int(port)


def join_host_port(address: tuple[str, int]) -> str:
    """``host:port`` for a header, IPv6 in brackets."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
