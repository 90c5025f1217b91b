"""A far end that keys its media by DTLS: a socket, an association of its own, and pylibsrtp for what it has made."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from pylibsrtp import Policy, Session

from codecs_ext import rtp, srtp
from gateway.media.dtls import Association, Identity
from gateway.media.leg import PlaneLeg
from gateway.media.plane import MediaPlane
from gateway.sdp import DtlsPeer
from tests.unit.media.peer import Phone


def fingerprint_of(text: str) -> tuple[str, bytes]:
    """``sha-256 AB:CD...`` as ``DtlsPeer`` has it."""
    name, digits = text.split()
    return name, bytes.fromhex(digits.replace(":", ""))


def is_dtls(data: bytes) -> bool:
    return 20 <= data[0] <= 63


class DtlsPhone(Phone):
    """``role`` is its own; the plane's leg has the other one."""

    def __init__(self, plane: MediaPlane, role: str) -> None:
        super().__init__()
        self.identity = Identity()
        self.role = role
        self.renew(plane)

    def renew(self, plane: MediaPlane) -> None:
        """Another association, with the certificate that is in ``identity``."""
        self.association = Association(self.identity, DtlsPeer(self.role, (fingerprint_of(plane.fingerprint),)))  # type: ignore[arg-type]

    def shown(self, **changes: Any) -> DtlsPeer:
        """What our descriptions would say of it."""
        fields = {"role": "passive" if self.role == "active" else "active"} | changes
        fields.setdefault("fingerprints", (fingerprint_of(self.identity.fingerprint),))
        return DtlsPeer(**fields)

    def stream(self, **changes: Any) -> Any:
        return super().stream(**{"rtcp_mux": True, "dtls": self.shown()} | changes)

    def flush(self, leg: PlaneLeg) -> None:
        for datagram in self.association.outgoing():
            self.socket.sendto(datagram, leg.local)

    async def next(self) -> bytes:
        async with asyncio.timeout(5):
            return await asyncio.get_running_loop().sock_recv(self.socket, 4096)

    async def shake(self, leg: PlaneLeg) -> None:
        """The whole handshake; ``incoming`` and ``outgoing`` are its sessions."""
        self.association.start()
        self.flush(leg)
        while self.association.keys is None:
            data = await self.next()
            if is_dtls(data):
                self.association.receive(data)
                self.flush(leg)
        keys = self.association.keys
        profile = srtp.PROFILES[keys.suite]
        self.outgoing = Session(Policy(keys.send, Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile))
        self.incoming = Session(Policy(keys.receive, Policy.SSRC_ANY_INBOUND, srtp_profile=profile))

    def sealed(self, number: int, payload: bytes = b"\xff" * 160) -> bytes:
        return self.outgoing.protect(rtp.build(0, False, number, number * 160, 77, payload))


@asynccontextmanager
async def dtls_phone(plane: MediaPlane, role: str) -> AsyncIterator[DtlsPhone]:
    phone = DtlsPhone(plane, role)
    try:
        yield phone
    finally:
        phone.socket.close()
