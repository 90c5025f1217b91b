"""What a session description says (RFC 8866), as far as an audio endpoint reads it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

__all__ = [
    "G711",
    "PCMA",
    "PCMU",
    "Agreement",
    "AudioFormat",
    "Codec",
    "DtlsPeer",
    "Media",
    "SessionDescription",
    "SrtpKeys",
    "Stream",
]


def _without_parameters(_: str) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """A codec of ours, as descriptions name it."""

    name: str
    """Encoding name as ``a=rtpmap`` writes it; compared without regard to case."""
    clock: int = 8000
    """Hz of the RTP timestamps."""
    channels: int = 1
    payload_type: int | None = None
    """The static one (RFC 3551 6); None: an offer gives it a dynamic one."""
    fmtp: str = ""
    """Our parameters in an offer."""
    agree: Callable[[str], str | None] = _without_parameters
    """The far end's ``a=fmtp`` to our parameters in the answer; None if we cannot do what it asks for."""


PCMU: Final = AudioFormat("PCMU", payload_type=0)
PCMA: Final = AudioFormat("PCMA", payload_type=8)
G711: Final = (PCMU, PCMA)
"""What every telephone speaks."""


@dataclass(frozen=True, slots=True)
class Codec:
    """One payload type of a media line."""

    payload_type: int
    name: str
    """Encoding name in upper case, from ``a=rtpmap`` or the static table of RFC 3551; ``""`` if neither knows it."""
    rate: int
    channels: int = 1
    fmtp: str = ""


@dataclass(frozen=True, slots=True)
class Media:
    """One ``m=`` section, with what it inherits from the session filled in."""

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    """As written; payload types for RTP profiles."""
    host: str
    """From ``c=``; ``""`` if there is none."""
    codecs: tuple[Codec, ...]
    direction: str
    """``sendrecv``, ``sendonly``, ``recvonly`` or ``inactive``, as the describer sees it."""
    ptime_ms: int | None = None
    attributes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class SessionDescription:
    session_id: str
    version: str
    """From ``o=``; together with ``session_id`` it tells whether a new description says anything new (RFC 3264 8)."""
    media: tuple[Media, ...]


@dataclass(frozen=True, slots=True)
class SrtpKeys:
    """One suite, and master key with salt of each direction (RFC 4568 6.1). Printing it shows no key."""

    suite: str
    receive: bytes = field(repr=False)
    send: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class DtlsPeer:
    """Whom the keys are to be made with (RFC 5763). As long as nothing of it changes, the association stays."""

    role: Literal["active", "passive"]
    """Ours: ``active`` opens the handshake."""
    fingerprints: tuple[tuple[str, bytes], ...]
    """What the far end's certificate hashes to, each by the name of the hash; all have to fit (RFC 8122 5)."""
    tls_id: str = ""
    """The far end's name of the association (RFC 8842), if it has one."""


@dataclass(frozen=True, slots=True)
class Stream:
    """What offer and answer agreed on for one leg: what the media plane is connected with."""

    remote: tuple[str, int]
    """Where to send, and where the first packet is expected from."""
    payload_type: int
    codec: str
    """Encoding name as in ``a=rtpmap``, in upper case."""
    event_payload_type: int | None = None
    """Payload type of telephone-event (RFC 4733), if negotiated."""
    ptime_ms: int = 20
    send: bool = True
    receive: bool = True
    """Direction, from our side (RFC 3264 6.1)."""
    clock: int = 8000
    """Hz of the RTP timestamps; with the name it tells codecs apart."""
    fmtp: str = ""
    """What the far end wants of the codec, as it wrote it."""
    rtcp: tuple[str, int] | None = None
    """Where the far end wants RTCP (RFC 3605), if not on the port above RTP's."""
    rtcp_mux: bool = False
    """RTCP shares RTP's port (RFC 5761)."""
    rtcp_metrics: bool = False
    """The far end asks for VoIP metrics (RFC 3611 5.1)."""
    srtp: SrtpKeys | None = None
    """None: plain RTP, unless ``dtls``."""
    dtls: DtlsPeer | None = None
    """A handshake on the port of the media makes the keys (RFC 5764)."""
    heard_payload_type: int | None = None
    """That of our description, where it differs from theirs: each side sends with the other's (RFC 3264 5.1)."""
    heard_event_payload_type: int | None = None


@dataclass(frozen=True, slots=True)
class Agreement:
    """Our answer, and what it means."""

    sdp: bytes
    stream: Stream
