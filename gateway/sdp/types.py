"""What a session description says (RFC 8866), as far as an audio endpoint reads it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Agreement", "Codec", "Media", "MediaAgreement", "SessionDescription"]


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
class MediaAgreement:
    """What offer and answer agreed on for the audio stream; field for field what the media plane takes."""

    remote: tuple[str, int]
    payload_type: int
    codec: str
    event_payload_type: int | None = None
    ptime_ms: int = 20
    send: bool = True
    receive: bool = True
    """Direction, from our side."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Our answer, and what it means."""

    sdp: bytes
    stream: MediaAgreement
