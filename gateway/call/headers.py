"""What the far end has added to its INVITE, for plugs and records: every header that is not the protocol's own."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Final

from gateway.errors import SipError
from gateway.sip.message import Message
from gateway.sip.names import canonical
from gateway.sip.values import plain

__all__ = ["CallHeaders", "chosen"]

_PROTOCOL: Final = frozenset(
    ("Via", "From", "To", "Call-ID", "CSeq", "Contact", "Route", "Record-Route", "Max-Forwards", "Content-Length",
     "Content-Type", "Content-Disposition", "Content-Encoding", "MIME-Version", "Allow", "Supported", "Require",
     "Proxy-Require", "Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Proxy-Authorization",
     "Session-Expires", "Min-SE", "Replaces", "Timestamp", "Allow-Events", "Path", "P-Asserted-Identity",
     "P-Preferred-Identity", "Remote-Party-ID")
)  # fmt: skip
"""Credentials are nobody's business, and who is calling is told by ``caller``, as far as the trunk is believed."""


class CallHeaders(Mapping[str, str]):
    """By canonical name, found whatever its capitals; one that comes several times is joined by commas. Printable."""

    __slots__ = ("_values",)

    def __init__(self, message: Message | None = None, *, without: Collection[str] = ()) -> None:
        self._values: dict[str, str] = {}
        for name, value in message.headers if message is not None else ():
            if name not in _PROTOCOL and name not in without:
                before = self._values.get(name)
                self._values[name] = plain(value) if before is None else f"{before}, {plain(value)}"

    def __getitem__(self, name: str) -> str:
        try:
            return self._values[canonical(name)]
        except SipError:
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def chosen(headers: Mapping[str, str], patterns: Iterable[str]) -> dict[str, str]:
    """Those whose names fit, whatever their capitals."""
    lowered = [pattern.lower() for pattern in patterns]
    return {name: value for name, value in headers.items() if any(fnmatchcase(name.lower(), one) for one in lowered)}
