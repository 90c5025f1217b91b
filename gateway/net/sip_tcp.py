"""SIP over TCP (RFC 3261 18): a listener, and connections that are used in both directions."""

from __future__ import annotations

from typing import Final

from gateway.net.options import SignallingOptions
from gateway.net.streams import StreamTransport
from gateway.net.transport import Listen, Receiver, TransportSpec

__all__ = ["SPEC"]


async def _open(listen: Listen, options: SignallingOptions, receiver: Receiver) -> StreamTransport:
    transport = StreamTransport(listen, options, receiver)
    await transport.listen()
    return transport


SPEC: Final = TransportSpec("tcp", default_port=5060, open=_open)
