"""What the media plane promises to the rest of the house.

A *leg* is one RTP session: a socket pair's worth of state that lives in a shard of the plane. Its verbs only push a
command into the shard's ring; they never block, and take effect at the shard's next tick (5 ms). What the leg hears
comes back through its observer, on the event loop, in batches: one wake-up per tick and shard.

Times are CLOCK_MONOTONIC nanoseconds taken in the plane at the packet. Media times are samples at 8000 Hz,
whatever the codec, from the leg's first received packet; they never jump.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag
from typing import Final, Protocol

from gateway.audio import Encoding
from gateway.sdp.types import Stream
from gateway.units import Nanos, Samples
from gateway.wire.pipe import Patch, PatchListener, PatchTerms, Socket

__all__ = [
    "PLAYED_RATES",
    "FarReport",
    "FrameFlags",
    "Hearing",
    "Leg",
    "LegObserver",
    "LegStats",
    "LineCounts",
    "LineTerms",
    "SoundObserver",
    "Stream",
    "TapeOrder",
]


NO_TIME: Final = Nanos(0)
PLAYED_RATES: Final = (8000, 16000, 22050, 24000, 44100, 48000)
"""Hz of what a leg plays: those of the plane's resampler."""


class FrameFlags(IntFlag):
    """What the plane knows of an uplink frame. None of them: a packet's own audio, in its time.

    A recogniser may treat what is CONCEALED, UNSENT or COMFORT_NOISE as less than heard; a detector of its own should
    not learn from it. 4 is left to the plug protocol, whose GAP is none of the plane's.
    """

    NONE = 0
    SPEECH = 1
    """The voice activity detector calls it speech."""
    CONCEALED = 2
    """Its packet was lost, or came too late; the samples were made up from what was heard around them."""
    UNSENT = 8
    """The caller's telephone sent nothing for this span (discontinuous transmission, digits, a stall): silence."""
    COMFORT_NOISE = 16
    """As UNSENT, rendered as the noise that the telephone has described (RFC 3389). The detector hears silence."""
    LATE = 32
    """Real audio that came behind time: it waited for a packet that it had overtaken, or silence was handed up before
    it. What comes in order, however jittered, is never marked."""


@dataclass(frozen=True, slots=True)
class FarReport:
    """What the far end's last RTCP report says of the stream that we send it."""

    packets_lost: int
    """Since the start; negative if it got more than we sent, duplicates on the way."""
    recent_loss: float
    """Share lost between its last two reports."""
    jitter_ms: float
    r_factor: float
    """Rated by us (ITU-T G.107) from its loss, our round trip, and the delay that it tells or its jitter suggests."""
    mos: float
    reported_r_factor: int | None = None
    """As the far end itself rates it (RFC 3611 4.7.5), if it does."""
    reported_mos: float | None = None


@dataclass(frozen=True, slots=True)
class LineCounts:
    """What a line did."""

    packets: int = 0
    lost: int = 0
    reordered: int = 0
    duplicated: int = 0
    crowded: int = 0
    """Found no room, and went on at once."""


@dataclass(frozen=True, slots=True)
class LegStats:
    """Counters of a leg at its end (or so far)."""

    packets_received: int = 0
    packets_sent: int = 0
    packets_lost: int = 0
    packets_late: int = 0
    """Came after their place was concealed."""
    packets_duplicate: int = 0
    packets_refused: int = 0
    """From somebody else (of whom the kernel drops what comes once the source is settled), of another payload type or
    synchronisation source, or not RTP."""
    packets_unkeyed: int = 0
    """Of either way, dropped because the handshake that makes the keys was not over (DTLS-SRTP)."""
    frames_concealed: int = 0
    underruns: int = 0
    """Times the playout queue ran dry in the middle of an utterance."""
    utterances: int = 0
    """Runs of queued audio, each from an empty queue."""
    utterances_interrupted: int = 0
    """Of them, by one underrun or more."""
    caught_up_ms: float = 0.0
    """Of queued audio, left out to work off the delay that underruns had left behind."""
    overflows: int = 0
    """Commands or frames that found a full ring."""
    untaped: int = 0
    """Packets that a recording or capture lost because the disk did not keep up."""
    jitter_ms: float = 0.0
    """Interarrival jitter (RFC 3550 6.4.1)."""
    r_factor: float | None = None
    """Rating of what we heard (ITU-T G.107), 0 to 93.2. None if nothing came."""
    mos: float | None = None
    """The mean opinion score that the rating stands for, 1 to 4.4."""
    round_trip_ms: float | None = None
    """On the network, from RTCP; None until the far end has answered a report of ours."""
    rtcp_sent: int = 0
    rtcp_received: int = 0
    rtcp_refused: int = 0
    """Malformed, from elsewhere, or of another session."""
    far: FarReport | None = None
    """None if the far end has not reported."""
    line_sent: LineCounts | None = None
    """What ``Leg.impair`` did to what was sent; None: nothing, or nobody asked for it."""
    line_received: LineCounts | None = None


@dataclass(frozen=True, slots=True)
class TapeOrder:
    """What of a leg is copied for recordings and captures from now on."""

    name: int
    """By which the recorder knows whose it is."""
    voice: bool
    packets: bool
    paused: bool
    """The voice is withheld already where it is heard."""
    beep_ms: int
    """The caller hears a beep so often; 0: never."""
    beep_both: bool
    """The agent hears it too."""


@dataclass(frozen=True, slots=True)
class Hearing:
    """How edges of sound are told (``Leg.listen``): by an energy detector with hindsight, apart from the plane's."""

    threshold_dbfs: float = -48.0
    """The least level that counts as sound."""
    margin_db: float = 12.0
    """What it must be above the background; 0: the threshold alone decides."""
    confirm_ms: float = 10.0
    """Sound must last so long to be told, and is dated back to its beginning."""
    release_ms: float = 200.0
    """Silence likewise."""
    block_ms: float = 2.5
    """What is judged at a time."""
    audio: bool = False
    """Frames are handed up as well (``on_audio``), and the plane's detector runs."""


@dataclass(frozen=True, slots=True)
class LineTerms:
    """What a bad line does to the datagrams of one direction (``Leg.impair``), drawn from ``seed``."""

    seed: int = 0
    to_bad: float = 0.0
    """Gilbert-Elliott: from the good state to the bad one, per packet; and back."""
    to_good: float = 1.0
    loss_good: float = 0.0
    loss_bad: float = 1.0
    reorder: float = 0.0
    """Share of packets that are held back for ``reorder_by``, and so overtaken."""
    duplicate: float = 0.0
    delay: Nanos = NO_TIME
    jitter: Nanos = NO_TIME
    """Uniform, up to this; none overtakes another for it."""
    reorder_by: Nanos = NO_TIME
    trace: bytes = b""
    """Further delay, packet by packet and over and over: int32 of microseconds."""
    under_way: int = 64
    """Datagrams at a time, 512 at most; further ones go on at once."""


class LegObserver(Protocol):
    """What a leg tells its owner. Every method returns at once; none may raise."""

    def on_audio(self, pcm: bytes, media_time: Samples, arrival: Nanos, flags: int) -> None:
        """One frame from the caller: 16-bit little-endian mono at the leg's uplink rate, 20 ms for 20 ms packets.

        ``media_time`` is that of its first sample, ``arrival`` that of its packet (of the tick, if concealed).
        """

    def on_speech_started(self, media_time: Samples, arrival: Nanos) -> None:
        """``arrival`` is that of the first packet that crossed the threshold."""

    def on_speech_ended(self, media_time: Samples, arrival: Nanos) -> None:
        """The caller has been silent for the detector's release time; ``arrival`` is that of the *last speech packet*,
        ``media_time`` the end of that packet."""

    def on_digit(self, digit: str, duration_ms: int, arrival: Nanos) -> None:
        """One DTMF digit (``0``-``9 * # A``-``D``), told once, at its first end packet (or when its packets cease)."""

    def on_playout_started(self, sent: Nanos, position: Samples) -> None:
        """The first packet of queued audio after an idle queue has left; ``position`` counts from the leg's start the
        8 kHz samples of queued audio that had been played before it. ``sent`` is the packet's departure plus the place
        of the audio in it, which is its beginning unless a moment was asked for (``Leg.play``); the silence before it
        counts as played."""

    def on_playout_idle(self, sent: Nanos, position: Samples) -> None:
        """The last packet of queued audio has left at ``sent`` and the queue is empty; ``position`` includes it.

        Told one packet time later at the latest, when nothing has followed. A flush answers ``on_flushed`` instead."""

    def on_mark(self, number: int, sent: Nanos, position: Samples) -> None:
        """The packet with the last sample queued before the mark left at ``sent``."""

    def on_flushed(self, number: int, sent: Nanos, position: Samples) -> None:
        """The queue was emptied. ``sent`` is when the last packet with queued audio left (0: none ever did),
        ``position`` what was played."""

    def on_trimmed(self, number: int, position: Samples) -> None:
        """The tail of the queue was dropped: with what is still queued, playout will reach ``position``."""

    def on_rtp_timeout(self, now: Nanos) -> None:
        """Neither RTP nor RTCP from the far end for the configured time, which is another one on hold."""

    def on_secured(self, fault: str | None) -> None:
        """The handshake that ``Stream.dtls`` asked for is over: media flow from here on, or, with the reason why it
        failed, never."""

    def on_closed(self, stats: LegStats) -> None:
        """The socket is closed; nothing follows."""


class SoundObserver(LegObserver, Protocol):
    """What a leg that listens (``Leg.listen``) tells as well."""

    def on_sound(self, started: bool, packet: Nanos, at: Nanos, media_time: Samples, sound: int) -> None:
        """Sound began or ended. ``packet`` is the arrival of the packet with the first (last) sample of it, ``at`` adds
        that sample's place inside the packet; ``media_time`` counts in the codec's rate. ``sound``, of an end: so many
        nanoseconds of it were really heard since the beginning, pauses and concealment left out."""

    def on_first_packet(self, arrival: Nanos) -> None:
        """Audio has come for the first time, with sound in it or not."""


class Leg(Protocol):
    """One RTP session. ``local`` is the address and port that the socket is bound to."""

    local: tuple[str, int]

    @property
    def rate(self) -> int:
        """Hz of the codec; 0 before the leg was connected."""

    def connect(self, stream: Stream) -> None:
        """Starts the leg, or changes it in mid-call (re-INVITE). Playout goes on; only what differs is touched.

        With ``stream.dtls`` nothing is heard or sent until ``on_secured``, unless that association stands already."""

    @property
    def secured(self) -> bool:
        """False while a handshake is under way."""

    def play(self, audio: bytes, rate: int, encoding: Encoding = Encoding.PCM, *, at: Nanos = ...) -> None:
        """Queues mono audio at ``rate`` Hz (8000, 16000, 24000 or 48000), any length of whole samples.

        ``at``: where nothing is queued, its first sample leaves at this moment, to the sample, or at once if that has
        passed: the packet that covers it begins with silence. What is queued behind it follows it."""

    def listen(self, hearing: Hearing) -> None:
        """Tells edges of sound from here on; the observer is a ``SoundObserver`` then."""

    def impair(
        self, sent: LineTerms | None, received: LineTerms | None, *, skew_ppm: float = 0.0, sparing: bool = False
    ) -> None:
        """Puts a bad line between the leg and the network, for who measures others. What it delays of what is received
        arrives so much later, to the nanosecond; what is sent leaves at the nearest tick. ``skew_ppm``: our clock is so
        slow; ``sparing``: nothing is sent while nothing is said."""

    def mark(self, number: int) -> None:
        """Asks to be told (``on_mark``) when everything queued so far was sent."""

    def flush(self, number: int) -> None:
        """Empties the playout queue inside one frame; marks that fall out of it are not reported. ``on_flushed``
        answers."""

    def trim(self, number: int, position: Samples) -> None:
        """Drops what is queued beyond ``position``, which counts as in ``on_playout_started``, and the marks there;
        what lies before it is played without a break. Too late for a position that was played. ``on_trimmed``
        answers."""

    def echo(self, on: bool) -> None:
        """Plays what the leg hears, resampled to its uplink rate and back, 20 ms behind the first frame. ``on_audio``
        is not called meanwhile; everything else goes on."""

    def patch(self, socket: Socket, listener: PatchListener, terms: PatchTerms) -> Patch | None:
        """Frames pass between the leg and a model's connection without the event loop (``gateway.wire.pipe``), and
        ``on_audio`` is not called meanwhile. None: not now, or never, as the connection is another shard's."""

    def tape(self, order: TapeOrder) -> None:
        """What is copied for recordings and captures; they call it themselves."""

    def send_digits(self, digits: str, *, tone: Nanos = ..., gap: Nanos = ..., number: int = -1) -> None:
        """Sends DTMF (``0``-``9 * # A``-``D``, 64 at most) from the next packet on: as telephone-events (RFC 4733), or
        as tones where those were not agreed on. Queued audio waits meanwhile; ``on_mark`` tells ``number``, if it is
        not negative, when the last gap is over. Both lengths are 100 ms if not given."""

    def set_backdrop(self, pcm: bytes, rate: int, *, level_db: float = -20.0, duck_db: float = -10.0) -> None:
        """Loops 16-bit little-endian mono under the call, from the next packet on: background, or a filler between
        utterances. ``level_db`` is its gain, to which ``duck_db`` is added under queued audio (-100: silent there).
        ``b""`` ends it. The same bytes may serve any number of legs; they are not copied."""

    def close(self) -> None:
        """Ends the leg; ``on_closed`` follows. Closing twice is harmless."""
