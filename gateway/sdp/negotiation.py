"""Offer and answer (RFC 3264) for one audio stream, and telephone-event beside it.

Every other media line is answered with port 0, in its place (RFC 3264 6). What cannot be agreed raises ``SdpError``,
with the warn-code that a 488 carries (RFC 3261 20.43): 304 for no usable audio line, 305 for no common codec.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from gateway.errors import SdpError
from gateway.sdp.crypto import (
    PLAIN,
    SrtpTerms,
    chosen_crypto,
    crypto_line,
    is_secure,
    keys_answered,
    offered_crypto,
)
from gateway.sdp.dtls import DTLS_PROFILES, answered_dtls, chosen_dtls, dtls_answered, is_dtls, offered_dtls
from gateway.sdp.numbering import numbered
from gateway.sdp.packets import PTIME_MS, packet_time, served_events
from gateway.sdp.parser import parse
from gateway.sdp.rtcp import RtcpTerms, rtcp_lines, rtcp_terms, unusable
from gateway.sdp.types import G711, Agreement, AudioFormat, Codec, DtlsPeer, Media, SessionDescription, SrtpKeys, Stream

__all__ = ["accept", "answer", "offer"]

Address = tuple[str, int]

_EVENT: Final = "TELEPHONE-EVENT"
# What we answer to each direction of an offer (RFC 3264 6.1).
_REVERSED: Final = {"sendrecv": "sendrecv", "sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive"}

_SENDING: Final = ("sendrecv", "sendonly")
_HEARING: Final = ("sendrecv", "recvonly")


def offer(
    local: Address,
    session_id: int,
    codecs: Sequence[AudioFormat] = G711,
    *,
    version: int = 1,
    direction: str = "sendrecv",
    rtcp_mux: bool = False,
    srtp: SrtpTerms = PLAIN,
    before: Sequence[SessionDescription] = (),
) -> bytes:
    """An offer of ``codecs`` in that order, and of telephone-event with the clock of each (RFC 4733 2.1).

    ``version`` grows with each change (RFC 3264 8). Who only prefers SRTP offers its keys on a plain line, which those
    who have none may take as such (RFC 8643); who requires it offers its first way of keying alone, because a line has
    one profile. Within a call ``before`` is our last description, and theirs: every media
    line stays in its place, and payload types mean what they meant (RFC 3264 8.1, 8.3.2).
    """
    lines = before[0].media if before else ()
    last = next((media for media in lines if media.kind == "audio" and media.port), None)
    formats = numbered(codecs, before)
    protocol, keys = _offered_security(srtp, last)
    rtcp_mux = rtcp_mux or any(line.startswith("a=setup") for line in keys)
    audio = [*_audio_lines(protocol, local[1], formats, direction), *rtcp_lines(mux=rtcp_mux, metrics=True), *keys]
    sections = [audio if media is last else _rejected(media) for media in lines]
    return _encode(local, session_id, version, sections if last is not None else [audio])


def answer(
    offer: bytes | SessionDescription,
    local: Address,
    session_id: int,
    codecs: Sequence[AudioFormat] = G711,
    *,
    version: int = 1,
    srtp: SrtpTerms = PLAIN,
    ours_first: bool = False,
    direction: str = "sendrecv",
) -> Agreement:
    """Answers an offer: the first audio line with a codec of ours is taken, with the offerer's first such codec, or,
    with ``ours_first``, ours. ``direction`` is what we want of it: who holds a call answers so (RFC 6337 5.3)."""
    description = offer if isinstance(offer, SessionDescription) else parse(offer)
    chosen, codec, fmtp, security = _choose(description, codecs, srtp, ours_first=ours_first)
    event = _event(chosen, codec.rate)
    direction = _both(_REVERSED[chosen.direction], direction)
    rtcp = rtcp_terms(chosen)
    stream = _agreement(chosen, codec, event, direction, local[0], rtcp)
    extra = rtcp_lines(mux=rtcp.mux, metrics=rtcp.metrics)
    if security is not None:
        stream = replace(stream, srtp=security.srtp, dtls=security.dtls)
        extra += security.lines
    sections = []
    for media in description.media:
        if media is chosen:
            formats = [codec if codec.fmtp == fmtp else replace(codec, fmtp=fmtp)]
            if event is not None:
                events = served_events(event.fmtp)
                formats.append(Codec(event.payload_type, _EVENT.lower(), event.rate, event.channels, events))
            lines = _audio_lines(media.protocol, local[1], formats, direction, stream.ptime_ms)
            sections.append([*lines, *extra])
        else:
            sections.append(_rejected(media))
    sdp = _encode(local, session_id, version, sections)
    return Agreement(sdp, stream)


def accept(
    answer: bytes | SessionDescription, offer: bytes | SessionDescription, codecs: Sequence[AudioFormat] = G711
) -> Stream:
    """What an answer to our offer means."""
    described = answer if isinstance(answer, SessionDescription) else parse(answer)
    offered = offer if isinstance(offer, SessionDescription) else parse(offer)
    if len(described.media) != len(offered.media):
        raise SdpError("RFC 3264 6: the answer has another number of media lines than the offer", 304)
    ours = next(media for media in offered.media if media.kind == "audio" and media.port)
    theirs = described.media[offered.media.index(ours)]
    if theirs.kind != "audio" or theirs.port == 0 or theirs.protocol != ours.protocol:
        raise SdpError("the answer rejects the audio line", 304)
    named = {_kind(codec) for codec in ours.codecs}
    common = _first_common(theirs, [one for one in codecs if (one.name.upper(), one.clock, one.channels) in named])
    if common is None:
        raise SdpError("RFC 3264 6.1: the answer has no codec of the offer", 305)
    codec, _ = common
    # Each side sends with the payload types of the other's description (RFC 3264 5.1).
    event, direction = _event(theirs, codec.rate), _both(_REVERSED[theirs.direction], ours.direction)
    stream = _agreement(theirs, codec, event, direction, ours.host, rtcp_terms(theirs, ours))
    heard, heard_event = next(one for one in ours.codecs if _kind(one) == _kind(codec)), _event(ours, codec.rate)
    dtls, srtp = dtls_answered(theirs, ours), keys_answered(theirs, ours)
    if dtls is not None and srtp is not None:
        raise SdpError("RFC 8643 3.2: the answer takes two ways of keying at once")
    return replace(
        stream,
        srtp=srtp,
        dtls=dtls,
        heard_payload_type=_where_other(heard, codec),
        heard_event_payload_type=_where_other(heard_event, event),
    )


def _where_other(ours: Codec | None, theirs: Codec | None) -> int | None:
    return None if ours is None or theirs is None or ours.payload_type == theirs.payload_type else ours.payload_type


@dataclass(frozen=True, slots=True)
class _Security:
    """How a line is secured, and what our answer says of it."""

    lines: list[str]
    srtp: SrtpKeys | None = None
    dtls: DtlsPeer | None = None


def _offered_security(terms: SrtpTerms, last: Media | None) -> tuple[str, list[str]]:
    """Our profile, and the lines that go with it; within a call those of our last description."""
    ways = list(terms.ways[:1] if terms.mode == "require" else terms.ways if terms.mode == "prefer" else ())
    protocol = "RTP/AVP" if terms.mode != "require" else "RTP/SAVP" if ways == ["sdes"] else "UDP/TLS/RTP/SAVP"
    if last is not None:
        named = {name for name, _ in last.attributes}
        ways = [way for way in terms.ways if {"sdes": "crypto", "dtls": "fingerprint"}[way] in named]
        protocol = last.protocol
    lines = ["a=rtcp-mux-only"] if protocol in DTLS_PROFILES else []
    for way in ways:
        lines += offered_crypto(terms) if way == "sdes" else offered_dtls(terms.fingerprint)
    return protocol, lines


def _choose(
    description: SessionDescription, codecs: Sequence[AudioFormat], srtp: SrtpTerms, *, ours_first: bool
) -> tuple[Media, Codec, str, _Security | None]:
    """The line, its codec, our parameters for it, and its keys; secured lines before plain ones if we have keys."""
    lines = [media for media in description.media if media.kind == "audio" and media.port]
    usable = [(media, keys) for media in lines for keys in _secured(media, srtp)]
    if not usable:
        ways = " or ".join({"sdes": "a suite of ours", "dtls": "DTLS and a=rtcp-mux"}[way] for way in srtp.ways)
        secure = f"SRTP with {ways}"
        wanted = {"off": "RTP/AVP", "prefer": f"RTP/AVP, or {secure}", "require": secure}[srtp.mode]
        raise SdpError(f"no audio over {wanted} is offered", 304)
    for media, keys in sorted(usable, key=lambda found: found[1] is None):
        common = _first_common(media, codecs, ours_first=ours_first)
        if common is not None:
            return media, *common, keys
    offered = ", ".join(codec.name or str(codec.payload_type) for codec in usable[0][0].codecs)
    raise SdpError(f"no common codec: offered {offered}; served {', '.join(one.name for one in codecs)}", 305)


def _secured(media: Media, srtp: SrtpTerms) -> list[_Security | None]:
    """How a line may be taken: with its keys, plain (None), or, empty, not at all."""
    plain = media.protocol in ("RTP/AVP", "RTP/AVPF")
    if srtp.mode == "off" or not (plain or is_secure(media) or is_dtls(media)):
        return [None] if plain else []
    for way in srtp.ways:
        security = _by_crypto(media, srtp) if way == "sdes" else _by_handshake(media, srtp)
        if security is not None:
            return [security]
    return [None] if plain and srtp.mode != "require" else []


def _by_crypto(media: Media, terms: SrtpTerms) -> _Security | None:
    found = None if is_dtls(media) else chosen_crypto(media, terms)
    if found is None:
        return None
    tag, keys = found
    return _Security([crypto_line(tag, keys.suite, keys.send)], srtp=keys)


def _by_handshake(media: Media, terms: SrtpTerms) -> _Security | None:
    peer = None if is_secure(media) else chosen_dtls(media, terms.role)
    return None if peer is None else _Security(answered_dtls(peer, terms.fingerprint), dtls=peer)


def _kind(codec: Codec) -> tuple[str, int, int]:
    return codec.name.upper(), codec.rate, codec.channels


def _first_common(media: Media, codecs: Sequence[AudioFormat], *, ours_first: bool = False) -> tuple[Codec, str] | None:
    """The describer's first codec that we have and whose parameters we can do, and our parameters for it."""
    ours = {(one.name.upper(), one.clock, one.channels): one for one in codecs}
    order = list(ours)
    theirs = [codec for codec in media.codecs if _kind(codec) in ours]
    for codec in sorted(theirs, key=lambda one: order.index(_kind(one))) if ours_first else theirs:
        served = ours.get(_kind(codec))
        fmtp = served.agree(codec.fmtp) if served else None
        if fmtp is not None:
            return codec, fmtp
    return None


def _event(media: Media, clock: int) -> Codec | None:
    """telephone-event with the clock of the audio (RFC 4733 2.1), if it has digits."""
    found = (codec for codec in media.codecs if codec.name == _EVENT and codec.rate == clock)
    return next((codec for codec in found if served_events(codec.fmtp)), None)


def _agreement(  # noqa: PLR0917
    media: Media, codec: Codec, event: Codec | None, direction: str, local_host: str, rtcp: RtcpTerms
) -> Stream:
    """``direction`` is ours. A connection address of zero is a hold of old (RFC 3264 8.4)."""
    held = media.host in ("0.0.0.0", "::")
    if (why := unusable(media.host, local_host)) is not None:
        raise SdpError(f"RFC 8866 5.7: the connection address is {why}", 301)
    return Stream(
        remote=(media.host, media.port),
        payload_type=codec.payload_type,
        codec=codec.name,
        event_payload_type=event.payload_type if event else None,
        ptime_ms=packet_time(media),
        send=direction in ("sendrecv", "sendonly") and not held,
        receive=direction in ("sendrecv", "recvonly"),
        clock=codec.rate,
        fmtp=codec.fmtp,
        rtcp=rtcp.address,
        rtcp_mux=rtcp.mux,
        rtcp_metrics=rtcp.metrics,
    )


def _both(one: str, other: str) -> str:
    """The direction in which both agree."""
    sends = one in _SENDING and other in _SENDING
    hears = one in _HEARING and other in _HEARING
    return {(True, True): "sendrecv", (True, False): "sendonly", (False, True): "recvonly"}.get(
        (sends, hears), "inactive"
    )


def _rejected(media: Media) -> list[str]:
    return [f"m={media.kind} 0 {media.protocol} {' '.join(media.formats)}"]


def _audio_lines(
    protocol: str, port: int, formats: Sequence[Codec], direction: str, ptime_ms: int = PTIME_MS
) -> list[str]:
    """What we send is as long as the far end wishes, and we wish for the same: many can do only one of both ways."""
    lines = [f"m=audio {port} {protocol} {' '.join(str(codec.payload_type) for codec in formats)}"]
    for codec in formats:
        channels = f"/{codec.channels}" if codec.channels > 1 else ""
        lines.append(f"a=rtpmap:{codec.payload_type} {codec.name}/{codec.rate}{channels}")
        if codec.fmtp:
            lines.append(f"a=fmtp:{codec.payload_type} {codec.fmtp}")
    return [*lines, f"a=ptime:{ptime_ms}", f"a={direction}"]


def _encode(local: Address, session_id: int, version: int, sections: list[list[str]]) -> bytes:
    family = "IP6" if ":" in local[0] else "IP4"
    lines = ["v=0", f"o=- {session_id} {version} IN {family} {local[0]}", "s=-", f"c=IN {family} {local[0]}", "t=0 0"]
    for section in sections:
        lines += section
    return ("\r\n".join(lines) + "\r\n").encode()
