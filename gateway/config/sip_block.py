"""The block ``sip``: the options of endpoint and transports, and the addresses to listen on."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Annotated, Final

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema, field_validator

from gateway import registry
from gateway.config.problems import suggest
from gateway.net.options import SignallingOptions
from gateway.net.transport import Listen, transport_spec

__all__ = ["SipOptions", "parse_host_port", "parse_listen"]

_URL: Final = re.compile(r"(?P<transport>[a-z]+)://(?P<rest>.+)")
_HOST_PORT: Final = re.compile(r"(\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9.-]+))(:(?P<port>[0-9]{1,5}))?")


def parse_host_port(text: str) -> tuple[str, int | None]:
    """``host``, ``host:port``, ``[v6]`` or ``[v6]:port``. Raises ``ValueError``."""
    match = _HOST_PORT.fullmatch(text)
    if match is None or int(match["port"] or 0) > 65535:
        raise ValueError(
            f"{text!r} is not an address; write one like 192.0.2.10, 192.0.2.10:5060 or [2001:db8::1]:5060"
        )
    return match["v6"] or match["host"], int(match["port"]) if match["port"] else None


def parse_listen(value: object) -> object:
    """``udp://127.0.0.1:5060`` to a ``Listen``; the port is the transport's own if it is left out."""
    if isinstance(value, Listen):
        return value
    match = _URL.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is not an address to listen on; write one like udp://192.0.2.10:5060")
    known = registry.names(registry.TRANSPORTS)
    if match["transport"] not in known:
        raise ValueError(f"transport {match['transport']!r} is not there; {suggest(match['transport'], known)}")
    host, port = parse_host_port(match["rest"])
    try:
        ip_address(host)
    except ValueError:
        raise ValueError(f"{host!r} is a name; sockets are bound to addresses: write 127.0.0.1 or 0.0.0.0") from None
    default = transport_spec(match["transport"]).default_port
    return Listen(match["transport"], host, default if port is None else port)


def parse_listeners(value: object) -> object:
    """One address, or a list of them."""
    items = value if isinstance(value, list | tuple) else [value]
    found = tuple(parse_listen(item) for item in items)
    if not found:
        raise ValueError("an empty list listens nowhere; write at least one address like udp://192.0.2.10:5060")
    if len(set(found)) != len(found):
        raise ValueError("an address is there twice")
    return found


_ONE: Final = {"type": "string", "pattern": "^[a-z]+://"}
Listeners = Annotated[
    tuple[Listen, ...],
    BeforeValidator(parse_listeners),
    PlainSerializer(lambda listeners: [str(one) for one in listeners]),
    WithJsonSchema({"oneOf": [_ONE, {"type": "array", "items": _ONE, "minItems": 1}]}),
]


class SipOptions(SignallingOptions):
    """Where SIP is spoken, by which identity, timers and limits. The defaults are those of RFC 3261."""

    listen: Listeners = (Listen("udp", "127.0.0.1", 5060),)
    """Transport, address and port to listen on, or a list of them, like ``[udp://192.0.2.10, tcp://192.0.2.10]``.
    ``0.0.0.0`` takes calls on every address of the machine. What we send goes by the first one, unless the target
    asks for another transport."""

    @property
    def first(self) -> Listen:
        """The listener that what we send goes by."""
        return self.listen[0]

    @field_validator("advertise")
    @classmethod
    def _advertise(cls, value: str | None) -> str | None:
        if value is not None:
            parse_host_port(value)
        return value
