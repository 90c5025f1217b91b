"""The block ``sip``: the endpoint's options and the address to listen on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated, Final

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema, field_validator

from gateway.sip.options import EndpointOptions

__all__ = ["Listen", "SipOptions", "parse_host_port", "parse_listen"]

_TRANSPORTS: Final = ("udp",)
_URL: Final = re.compile(r"(?P<transport>[a-z]+)://(?P<rest>.+)")
_HOST_PORT: Final = re.compile(r"(\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9.-]+))(:(?P<port>[0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class Listen:
    """A transport and a local address. Port 0 lets the kernel choose (tests)."""

    transport: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.transport}://{host}:{self.port}"


def parse_host_port(text: str) -> tuple[str, int | None]:
    """``host``, ``host:port``, ``[v6]`` or ``[v6]:port``. Raises ``ValueError``."""
    match = _HOST_PORT.fullmatch(text)
    if match is None or int(match["port"] or 0) > 65535:
        raise ValueError(
            f"{text!r} is not an address; write one like 192.0.2.10, 192.0.2.10:5060 or [2001:db8::1]:5060"
        )
    return match["v6"] or match["host"], int(match["port"]) if match["port"] else None


def parse_listen(value: object) -> object:
    """``udp://127.0.0.1:5060`` to a ``Listen``; the port is 5060 if it is left out."""
    if isinstance(value, Listen):
        return value
    match = _URL.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is not an address to listen on; write one like udp://192.0.2.10:5060")
    if match["transport"] not in _TRANSPORTS:
        raise ValueError(f"transport {match['transport']!r} is not there yet; write one of {', '.join(_TRANSPORTS)}")
    host, port = parse_host_port(match["rest"])
    try:
        ip_address(host)
    except ValueError:
        raise ValueError(f"{host!r} is a name; sockets are bound to addresses: write 127.0.0.1 or 0.0.0.0") from None
    return Listen(match["transport"], host, 5060 if port is None else port)


ListenAddress = Annotated[
    Listen,
    BeforeValidator(parse_listen),
    PlainSerializer(str),
    WithJsonSchema({"type": "string", "pattern": "^udp://"}),
]


class SipOptions(EndpointOptions):
    """Where SIP is spoken, by which identity, timers and limits. The defaults are those of RFC 3261."""

    listen: ListenAddress = Listen("udp", "127.0.0.1", 5060)
    """Transport, address and port to listen on. ``0.0.0.0`` takes calls on every address of the machine."""

    @field_validator("advertise")
    @classmethod
    def _advertise(cls, value: str | None) -> str | None:
        if value is not None:
            parse_host_port(value)
        return value
