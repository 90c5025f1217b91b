"""A call's side of offer and answer (RFC 3264): what was said last, what is still owed, and one key for it all."""

from __future__ import annotations

import secrets

from gateway.call.house import House
from gateway.call.trunk_options import TrunkOptions
from gateway.sdp import SUITES, SrtpTerms, Stream, accept, answer, offer

__all__ = ["Negotiation"]


class Negotiation:
    """Descriptions of one leg at ``port``. Everything here raises ``SdpError``, and then nothing has changed."""

    def __init__(self, house: House, trunk: TrunkOptions) -> None:
        self._host = str(trunk.media_advertise or house.media_host)
        self._formats = house.codecs.get(trunk.name, house.media.formats)
        self._ours_first = trunk.codec_choice == "ours"
        # One key per suite for the whole call: a refresh of the session must not rekey what goes on (RFC 4568 7.1.4).
        self._srtp = SrtpTerms(trunk.srtp, {suite: secrets.token_bytes(size) for suite, size in SUITES.items()})
        self._session_id = secrets.randbits(31)
        self._version = 1
        self._ours = b""
        self._open: bytes | None = None

    def describe(self, theirs: bytes | None, port: int) -> tuple[bytes, Stream | None]:
        """The answer to ``theirs`` and the stream that is agreed on; without ``theirs`` an offer, and no stream yet.

        The version in ``o=`` grows when the description differs from the last one, and only then (RFC 3264 8).
        """
        sdp, stream = self._write(theirs, port, self._version)
        if self._ours and sdp != self._ours:
            sdp, stream = self._write(theirs, port, self._version + 1)
            self._version += 1
        self._ours = sdp
        self._open = sdp if stream is None else None
        return sdp, stream

    def _write(self, theirs: bytes | None, port: int, version: int) -> tuple[bytes, Stream | None]:
        local, formats = (self._host, port), self._formats
        if theirs is None:
            sdp = offer(local, self._session_id, formats, version=version, srtp=self._srtp, rtcp_mux=True)
            return sdp, None
        agreement = answer(
            theirs, local, self._session_id, formats, version=version, srtp=self._srtp, ours_first=self._ours_first
        )
        return agreement.sdp, agreement.stream

    @property
    def state(self) -> tuple[bytes, int, bytes | None]:
        """What to go back to when an exchange has failed."""
        return self._ours, self._version, self._open

    @state.setter
    def state(self, before: tuple[bytes, int, bytes | None]) -> None:
        self._ours, self._version, self._open = before

    @property
    def owed(self) -> bool:
        """Whether an offer of ours waits for its answer."""
        return self._open is not None

    def repeat(self) -> None:
        """Our last description was offered again."""
        self._open = self._ours

    def take(self, theirs: bytes, *, last: bool = True) -> Stream:
        """The answer to our offer. With ``last=False`` another one may follow: that of early media, which forking may
        bring several of."""
        ours = self._open or self._ours
        if last:
            self._open = None
        return accept(theirs, ours, self._formats)
