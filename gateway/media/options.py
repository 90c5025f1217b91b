"""The block ``media``: addresses, ports, and how patient the plane is."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, field_validator

from gateway.errors import ResourceError
from gateway.media.codecs.contract import Codecs
from gateway.options import Duration, Options
from gateway.registry import CODECS, names
from gateway.units import MS, SECOND

__all__ = [
    "AdmissionOptions",
    "LatchingOptions",
    "MediaOptions",
    "PlayoutOptions",
    "PortRange",
    "RtcpOptions",
    "VadOptions",
]


def _parse_ports(value: object) -> tuple[int, int]:
    first, dash, last = value.partition("-") if isinstance(value, str) else ("", "", "")
    if not dash or not first.strip().isdecimal() or not last.strip().isdecimal():
        raise ValueError(f"{value!r} is not a range of ports; write it like 20000-29999")
    low, high = int(first), int(last)
    if not 1024 <= low < high <= 65535:
        raise ValueError(f"{value!r}: ports run from 1024 to 65535, the lower one first")
    return low, high


PortRange = Annotated[
    tuple[int, int],
    BeforeValidator(_parse_ports),
    WithJsonSchema({"type": "string", "pattern": r"^\d+\s*-\s*\d+$"}),
]
"""``20000-29999`` in YAML, both ends included. RTP takes the even ports, RTCP the odd ones (RFC 3550 11)."""


def _known_codecs(value: tuple[str, ...]) -> tuple[str, ...]:
    known = names(CODECS)
    for name in value:
        if name not in known:
            raise ValueError(f"{name!r} is no codec; known: {', '.join(known)}")
    if len(set(value)) < len(value):
        raise ValueError("each codec is named once")
    try:
        Codecs(value)
    except ResourceError as error:
        raise ValueError(str(error)) from None
    return value


CodecNames = Annotated[tuple[str, ...], Field(min_length=1, max_length=16), AfterValidator(_known_codecs)]
_DEFAULT_CODECS: Final = ("g722", "pcmu", "pcma")


class VadOptions(Options):
    """What counts as speech. Levels are taken over 10 ms and compared with a noise floor that follows the line."""

    threshold_db: float = Field(default=10.0, ge=3.0, le=40.0)
    """How far above the noise floor speech begins."""
    min_level_db: float = Field(default=-48.0, ge=-80.0, le=-10.0)
    """Nothing below this level (dB of full scale) is speech, however quiet the line."""
    attack: Duration = Field(default="20ms", validate_default=True)
    """Speech has begun when the level has stayed above the threshold for this long (steps of 10 ms)."""
    release: Duration = Field(default="200ms", validate_default=True)
    """Speech has ended when the level has stayed below the threshold for this long (steps of 10 ms)."""


class RtcpOptions(Options):
    """Reports of reception quality, to the far end and from it (RFC 3550 6, RFC 3611)."""

    interval: Duration = Field(default="5s", validate_default=True)
    """Least mean time between two reports; each is drawn from half to one and a half of it. 0s: no RTCP at all."""

    @field_validator("interval")
    @classmethod
    def _interval(cls, value: int) -> int:
        if 0 < value < SECOND // 10:
            raise ValueError("reports more often than every 100ms are a load and no information; write 0s for none")
        return value


class LatchingOptions(Options):
    """Symmetric RTP (RFC 4961), and what keeps strangers from being taken for a caller behind NAT."""

    learn: Literal["any", "port", "never"] = "any"
    """Which sources besides the address in SDP may be learned: ``any``, another ``port`` of its host, or ``never``. The
    first is for callers behind NAT; where all media comes from carriers, the others are safer."""
    packets: int = Field(default=3, ge=1, le=50)
    """Packets in sequence that such a source has to show first; they are not heard. Of SRTP one is enough."""
    settle: Duration = Field(default="1s", validate_default=True)
    """How long the address in SDP may still take a learned source's place. Also how long, after a re-INVITE, the old
    source has to be silent before another is tried."""
    silence: Duration = Field(default="0s", validate_default=True)
    """A source that has been silent for this long may be replaced without a re-INVITE. 0s: never."""


class AdmissionOptions(Options):
    """When the media threads are too busy for another call. Measured once a second and thread; with several threads,
    new calls go to those that are not full, and are refused with 503 when all are."""

    busy: float = Field(default=0.85, gt=0.0, le=1.0)
    """Share of the time that a thread may be busy."""
    late: float = Field(default=0.05, gt=0.0, le=1.0)
    """Share of its ticks (5 ms) that may be missed."""
    retry_after: Duration = Field(default="5s", validate_default=True, ge=SECOND)
    """What refused callers are told to wait."""


class PlayoutOptions(Options):
    """What the caller hears beside and around queued audio."""

    gain_db: float = Field(default=0.0, ge=-40.0, le=20.0)
    """Gain of everything that is played, clipped at full scale."""
    fade: Duration = Field(default="10ms", validate_default=True)
    """When playout is flushed (barge-in), so much of what would have come next fades out, so that it does not click.
    0s: cut off; at most 20ms."""
    comfort_noise_db: float = Field(default=0.0, ge=-80.0, le=0.0)
    """Noise between utterances, in dB of full scale (-60 is a quiet line); 0: digital silence."""
    catch_up: bool = True
    """Audio that comes at the pace of speech and once had a hole (an underrun) is late from then on. Leave periods of
    it out, as much as the hole was long, until it is not."""

    @field_validator("fade")
    @classmethod
    def _fade(cls, value: int) -> int:
        if value > 20 * MS:
            raise ValueError("a flush is over within one packet, so a fade has 20ms at most")
        return value


class MediaOptions(Options):
    """RTP and everything between its packets and the calls."""

    address: IPv4Address | IPv6Address = IPv4Address("127.0.0.1")
    """Local address of the RTP sockets."""
    advertise: IPv4Address | IPv6Address | None = None
    """Address to put into SDP, if it is not ``address`` (1:1 NAT of a cloud)."""
    ports: PortRange = Field(default="20000-29999", validate_default=True)
    """Ports for RTP; each call takes an even one and leaves the odd one above it to RTCP."""
    codecs: CodecNames = _DEFAULT_CODECS
    """Codecs served, in the order in which we offer them: ``g722``, ``pcmu``, ``pcma``, ``l16-16k``, ``l16-8k``,
    ``opus`` (needs libopus: ``linecard[opus]`` or the system's), and those of installed extensions. An answer takes the
    first of the caller's that is listed here (RFC 3264 6.1)."""
    shards: int = Field(default=1, ge=1, le=64)
    """Media threads. One serves some 1000 calls."""
    realtime: bool = True
    """Ask for the scheduling class SCHED_FIFO; without the permission the threads run as ordinary ones."""
    dscp: int = Field(default=46, ge=0, le=63)
    """Differentiated services code point of RTP; 46 is expedited forwarding (RFC 4594 2.3)."""
    latching: LatchingOptions = LatchingOptions()
    """Whose packets are heard when they do not come from the address in SDP."""
    rtp_timeout: Duration = Field(default="30s", validate_default=True)
    """Report a call from whose far end neither RTP nor RTCP has come for this long. 0s: never."""
    hold_timeout: Duration = Field(default="30m", validate_default=True)
    """The same for a call on hold, from which no RTP is expected: who sends RTCP may hold as long as they like, who is
    gone is noticed. 0s: never."""
    reorder_window: Duration = Field(default="40ms", validate_default=True)
    """How long a missing packet is waited for at most when a later one has come. How long it really is follows how late
    overtaken packets have been; packets that come in order never wait."""
    reorder_least: Duration = Field(default="10ms", validate_default=True)
    """How long it is waited for where gaps have turned out to be losses."""
    stall: Duration = Field(default="200ms", validate_default=True)
    """Without any packet for this long, silence is handed up in real time (a caller who sends nothing while silent)."""
    max_gap: Duration = Field(default="1s", validate_default=True)
    """The longest gap in RTP timestamps that is filled; a larger one is a new beginning."""
    rtcp: RtcpOptions = RtcpOptions()
    """Reports of reception quality."""
    playout_limit: Duration = Field(default="120s", validate_default=True)
    """Audio that one leg queues at most; what does not fit is dropped and counted."""
    playout: PlayoutOptions = PlayoutOptions()
    """How queued audio sounds."""
    event_ring: int = Field(default=8, ge=1, le=1024)
    """MiB per shard for what waits to be read by the event loop: 100 calls at 16 kHz fill 3.4 MB per second."""
    admission: AdmissionOptions = AdmissionOptions()
    """When new calls are refused because the media threads have too much to do."""
    tape_ring: int = Field(default=8, ge=1, le=1024)
    """MiB per shard for what waits to be written of recordings and captures: 100 calls fill 3.7 MB a second."""
    vad: VadOptions = VadOptions()
    """Speech detection."""
