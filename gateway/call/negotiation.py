"""A call's side of offer and answer (RFC 3264): what was said last, what is still owed, and one key for it all."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import Literal

from gateway.call.house import House
from gateway.call.trunk_options import TrunkOptions
from gateway.sdp import SUITES, SrtpTerms, Stream, accept, answer, offer, parse

__all__ = ["Negotiation"]


@dataclass(frozen=True, slots=True)
class Said:
    """How far it has come."""

    ours: bytes = b""
    """Our last description."""
    theirs: bytes = b""
    version: int = 1
    open: bool = False
    """Ours is an offer, and waits for its answer."""
    direction: str = "sendrecv"
    """What we want of the stream."""
    codec: tuple[str, int] = ("", 0)
    """Name and clock of what is spoken."""
    held: bool = False
    """The far end does not listen."""
    role: Literal["active", "passive", ""] = ""
    """Ours in the DTLS association, which stays as long as that does (RFC 8842 5.3)."""


class Negotiation:
    """Descriptions of one leg at ``port``. Everything here raises ``SdpError``, and then nothing has changed."""

    def __init__(self, house: House, trunk: TrunkOptions) -> None:
        self._host = str(trunk.media_advertise or house.media_host)
        self._formats = house.codecs.get(trunk.name, house.media.formats)
        self._ours_first = trunk.codec_choice == "ours"
        # One key per suite for the whole call: a refresh of the session must not rekey what goes on (RFC 4568 7.1.4).
        secured = trunk.srtp != "off"
        keys = {suite: secrets.token_bytes(size) for suite, size in SUITES.items()} if secured else {}
        fingerprint = house.media.fingerprint if secured and "dtls" in trunk.srtp_keys else ""
        self._srtp = SrtpTerms(trunk.srtp, keys, trunk.srtp_keys, fingerprint)
        self._session_id = secrets.randbits(31)
        self._said = Said()

    def describe(self, theirs: bytes | None, port: int) -> tuple[bytes, Stream | None]:
        """The answer to ``theirs`` and the stream that is agreed on; without ``theirs`` an offer, and no stream yet.

        The version in ``o=`` grows when the description differs from the last one, and only then (RFC 3264 8).
        """
        said = self._said
        sdp, stream = self._write(theirs, port, said.version)
        version = said.version
        if said.ours and sdp != said.ours:
            version += 1
            sdp, stream = self._write(theirs, port, version)
        self._said = replace(said, ours=sdp, version=version, theirs=theirs or said.theirs, open=stream is None)
        if stream is not None:
            self._agree(stream)
        return sdp, stream

    def _write(self, theirs: bytes | None, port: int, version: int) -> tuple[bytes, Stream | None]:
        local, formats, said = (self._host, port), self._formats, self._said
        direction = said.direction
        if theirs is None:
            if said.held and direction == "sendonly":
                direction = "inactive"  # RFC 3264 8.4: both sides hold
            before = [parse(one) for one in (said.ours, said.theirs) if one]
            # The codec that is spoken first: an offer that is about something else does not change it.
            formats = tuple(sorted(formats, key=lambda one: (one.name.upper(), one.clock) != said.codec))
            sdp = offer(
                local, self._session_id, formats, version=version, srtp=self._srtp, rtcp_mux=True, before=before,
                direction=direction,
            )  # fmt: skip
            return sdp, None
        agreement = answer(
            theirs, local, self._session_id, formats, version=version,
            srtp=replace(self._srtp, role=said.role) if said.role else self._srtp,
            ours_first=self._ours_first, direction=direction,
        )  # fmt: skip
        return agreement.sdp, agreement.stream

    def _agree(self, stream: Stream) -> None:
        role: Literal["active", "passive", ""] = "" if stream.dtls is None else stream.dtls.role
        self._said = replace(self._said, codec=(stream.codec.upper(), stream.clock), held=not stream.send, role=role)

    def turn(self, direction: str) -> None:
        """What we want of the stream from the next description on: ``sendrecv``, or ``sendonly`` to hold the call."""
        self._said = replace(self._said, direction=direction)

    @property
    def state(self) -> Said:
        """What to go back to when an exchange has failed."""
        return self._said

    @state.setter
    def state(self, before: Said) -> None:
        self._said = before

    def refused(self, before: Said) -> None:
        """Our offer was: what was agreed on before it stands (RFC 3261 14.1). Its version was used all the same. If the
        far end has changed the session since, only our wish is taken back."""
        said = self._said
        self._said = replace(before, version=said.version) if said.open else replace(said, direction=before.direction)

    @property
    def owed(self) -> bool:
        """Whether an offer of ours waits for its answer."""
        return self._said.open

    def repeat(self) -> None:
        """Our last description was offered again."""
        self._said = replace(self._said, open=True)

    def take(self, theirs: bytes, *, last: bool = True) -> Stream:
        """The answer to our offer. With ``last=False`` another one may follow: that of early media, which forking may
        bring several of."""
        if last:
            self._said = replace(self._said, open=False)
        stream = accept(theirs, self._said.ours, self._formats)
        if last:
            self._said = replace(self._said, theirs=theirs)
        self._agree(stream)
        return stream
