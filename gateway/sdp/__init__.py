"""Session descriptions (RFC 8866) and offer/answer (RFC 3264), without I/O."""

from __future__ import annotations

from gateway.sdp.crypto import PLAIN, SUITES, SrtpTerms
from gateway.sdp.negotiation import accept, answer, offer
from gateway.sdp.parser import parse
from gateway.sdp.types import Agreement, Codec, DtlsPeer, Media, SessionDescription, SrtpKeys, Stream

__all__ = [
    "PLAIN",
    "SUITES",
    "Agreement",
    "Codec",
    "DtlsPeer",
    "Media",
    "SessionDescription",
    "SrtpKeys",
    "SrtpTerms",
    "Stream",
    "accept",
    "answer",
    "offer",
    "parse",
]
