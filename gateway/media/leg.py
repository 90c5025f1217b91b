"""One leg as the event loop sees it: each verb becomes a command to the thread that owns the socket."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple
from typing import Final, Protocol

from codecs_ext.codec import Kernel
from codecs_ext.plane import PlaneShard
from codecs_ext.srtp import PROFILES
from gateway.audio import Encoding
from gateway.errors import MisuseError
from gateway.media.codecs.contract import Codecs
from gateway.media.contract import Hearing, LegObserver, LegStats, LineTerms, Stream, TapeOrder
from gateway.media.pipe import LegPatch, PlanePipe
from gateway.media.quality import leg_stats
from gateway.media.verbs import Verbs
from gateway.sdp.types import DtlsPeer, SrtpKeys
from gateway.units import MS, Nanos, Samples
from gateway.wire.pipe import Backlog, PatchListener, PatchTerms, Piped, Socket

__all__ = ["PlaneLeg"]

_TONE: Final = Nanos(100 * MS)
_GAP: Final = Nanos(100 * MS)
_AT_ONCE: Final = Nanos(0)
_FULL_SCALE: Final = 32768.0
_LAWS: Final = {Encoding.PCM: -1, Encoding.ULAW: 0, Encoding.ALAW: 1}


def _session_keys(keys: SrtpKeys | None) -> tuple[int, bytes, bytes]:
    if keys is None:
        return 0, b"", b""
    if keys.suite not in PROFILES:
        raise MisuseError(f"the plane knows no SRTP suite {keys.suite}")
    return PROFILES[keys.suite], keys.receive, keys.send


def _payload_types(stream: Stream) -> tuple[tuple[int, int], tuple[int, int]]:
    """Of audio and telephone-event: sent, heard."""
    audio, event = stream.payload_type, -1 if stream.event_payload_type is None else stream.event_payload_type
    heard = audio if stream.heard_payload_type is None else stream.heard_payload_type
    return (audio, event), (
        heard,
        event if stream.heard_event_payload_type is None else stream.heard_event_payload_type,
    )


class Bridged(Protocol):
    """What a leg tells its bridge."""

    def renew(self) -> None:
        """The leg was connected anew, perhaps with another codec."""

    def close(self) -> None:
        """The leg ends."""


class Handshaking(Protocol):
    """One handshake of a leg (``gateway.media.handshake``)."""

    peer: DtlsPeer

    @property
    def keys(self) -> SrtpKeys | None:
        """None until it is complete."""

    def receive(self, datagram: bytes, source: bytes) -> None:
        """A datagram of DTLS has come."""

    def close(self) -> None:
        """Nobody wants its keys any more."""


class PlaneLeg:
    """A leg of the plane; implements ``gateway.media.contract.Leg``."""

    __slots__ = (
        "_closed",
        "_codec_rate",
        "_codecs",
        "_handshake",
        "_observer",
        "_rate",
        "_shake",
        "_shard",
        "_slot",
        "_stats",
        "_verbs",
        "bridge",
        "local",
        "spoken",
    )

    def __init__(
        self,
        local: tuple[str, int],
        shard: PlaneShard,
        slot: int,
        verbs: Verbs,
        codecs: Codecs,
        *,
        rate: int,
        observer: LegObserver,
        shake: Callable[[PlaneLeg, DtlsPeer], Handshaking],
    ) -> None:
        self.local = local
        self.bridge: Bridged | None = None
        """What is told when the leg changes or ends; set by ``gateway.media.bridge``."""
        self.spoken: tuple[Kernel, str, int] | None = None
        """What the leg was connected with: kernel, encoding name, clock."""
        self._shard = shard
        self._slot = slot
        self._verbs = verbs
        self._codecs = codecs
        self._rate = rate
        self._closed = False
        self._observer = observer
        self._shake = shake
        self._handshake: Handshaking | None = None
        self._codec_rate = 0
        self._stats = LegStats()

    def connect(self, stream: Stream) -> None:
        """Starts or changes the leg. Raises ``MisuseError`` for a codec, packet time or address the plane cannot do."""
        host, port = stream.remote
        kernel = self._codecs.kernel(stream, self._rate)
        self._codec_rate = kernel.rate
        self.spoken = (kernel, stream.codec.upper(), stream.clock)
        standing = self._handshake if self._handshake is not None and self._handshake.peer == stream.dtls else None
        self._do(
            self._shard.connect,
            host,
            port,
            kernel,
            *_payload_types(stream),
            self._codecs.packet_ms(stream),
            stream.send,
            stream.receive,
            *(stream.rtcp or (host, min(port + 1, 65_535))),
            stream.rtcp_mux,
            stream.rtcp_metrics,
            stream.dtls is not None,
            *_session_keys(stream.srtp if standing is None else standing.keys),
        )
        if standing is None:
            self._end_handshake()
            if stream.dtls is not None and not self._closed:
                self._handshake = self._shake(self, stream.dtls)
        if self.bridge is not None:
            self.bridge.renew()

    # --- handshake ----------------------------------------------------------------------------------------------------

    @property
    def secured(self) -> bool:
        """False while a handshake is under way."""
        return self._handshake is None or self._handshake.keys is not None

    def heard_handshake(self, datagram: bytes, source: bytes) -> None:
        """The plane has a datagram of DTLS; ``source`` is whence it came."""
        if self._handshake is not None:
            self._handshake.receive(datagram, source)

    def send_handshake(self, datagram: bytes, to: bytes) -> None:
        """From the port of the media: to such a source, or (``b""``) where media go."""
        self._do(self._shard.send, datagram, to)

    def secure(self, keys: SrtpKeys) -> None:
        """What the handshake has made."""
        self._do(self._shard.key, *_session_keys(keys))
        self._observer.on_secured(None)

    def fail(self, reason: str) -> None:
        """The handshake came to nothing; the leg stays silent."""
        self._observer.on_secured(reason)

    def _end_handshake(self) -> None:
        if self._handshake is not None:
            self._handshake.close()
            self._handshake = None

    # --- the plane's verbs --------------------------------------------------------------------------------------------

    def is_on(self, shard: PlaneShard) -> bool:
        """Whether the leg lives there."""
        return self._shard is shard

    def join(self, other: PlaneLeg, *, listen: bool, most: Nanos, quantile: float) -> None:
        """Hears ``other`` and is heard by it, from the next tick on; called by ``gateway.media.bridge``.

        Raises ``MisuseError`` unless both are connected legs of one shard.
        """
        if self._shard is not other._shard or self.spoken is None or other.spoken is None:
            raise MisuseError("a bridge joins two connected legs of one shard: open one `beside` the other")
        (kernel, *codec), (other_kernel, *other_codec) = self.spoken, other.spoken
        self._do(self._shard.bridge, other._slot, kernel, other_kernel, codec == other_codec, listen, most, quantile)

    def part(self) -> None:
        """Ends what ``join`` began."""
        if self.spoken is not None:
            self._do(self._shard.bridge, -1, self.spoken[0], self.spoken[0], True, False, 0, 0.0)

    def play(self, audio: bytes, rate: int, encoding: Encoding = Encoding.PCM, *, at: Nanos = _AT_ONCE) -> None:
        """Queues audio. Raises ``MisuseError`` for half a sample, or a rate that the contract does not name."""
        law = -1 if encoding is Encoding.PCM else _LAWS[encoding]
        self._do(self._shard.play, audio, rate, law, at)

    def listen(self, hearing: Hearing) -> None:
        """Tells edges of sound. Raises ``MisuseError`` for what cannot be judged."""
        amplitude = _FULL_SCALE * 10 ** (hearing.threshold_dbfs / 20)
        self._do(
            self._shard.listen,
            amplitude * amplitude,
            10 ** (hearing.margin_db / 10) if hearing.margin_db else 0.0,
            round(hearing.block_ms * 1000),
            max(1, round(hearing.confirm_ms / hearing.block_ms)),
            max(1, round(hearing.release_ms / hearing.block_ms)),
            hearing.audio,
        )

    def impair(
        self, sent: LineTerms | None, received: LineTerms | None, *, skew_ppm: float = 0.0, sparing: bool = False
    ) -> None:
        """A bad line. Raises ``MisuseError`` for one that cannot be made."""
        lines = (None if terms is None else astuple(terms) for terms in (sent, received))
        self._do(self._shard.line, *lines, skew_ppm / 1e6, sparing)

    def mark(self, number: int) -> None:
        """Asks for ``on_mark`` when everything queued so far was sent."""
        self._do(self._shard.mark, number)

    def flush(self, number: int) -> None:
        """Empties the queue; ``on_flushed`` answers, and ``on_playout_idle`` does not come then."""
        self._do(self._shard.flush, number)

    def echo(self, on: bool) -> None:
        """Plays what the leg hears, in the plane: ``on_audio`` is not called meanwhile."""
        self._do(self._shard.echo, on)

    def send_digits(self, digits: str, *, tone: Nanos = _TONE, gap: Nanos = _GAP, number: int = -1) -> None:
        """Sends DTMF. Raises ``MisuseError`` for what are no digits, more than 64, or lengths outside 40 ms to 8 s."""
        self._do(self._shard.dial, digits.upper().encode("ascii", "replace"), tone // MS, gap // MS, number)

    def set_backdrop(self, pcm: bytes, rate: int, *, level_db: float = -20.0, duck_db: float = -10.0) -> None:
        """Loops audio under the call; ``b""`` ends it. Raises ``MisuseError`` as ``play`` does."""
        self._do(self._shard.backdrop, pcm, rate, 10 ** (level_db / 20), 10 ** (duck_db / 20))

    def trim(self, number: int, position: Samples) -> None:
        """Drops what is queued beyond ``position``; ``on_trimmed`` answers."""
        self._do(self._shard.trim, number, position)

    def patch(self, socket: Socket, listener: PatchListener, terms: PatchTerms) -> LegPatch | None:
        """Frames pass between the leg and a model's connection in the plane. None: not now, or never, as the connection
        is another shard's."""
        if self._closed or self._verbs.waiting or self._shard.is_patched(self._slot) or terms.rate != self._rate:
            return None
        pipe = socket.hand_over(self._take)
        if not isinstance(pipe, PlanePipe) or not pipe.is_on(self._shard):
            return None
        end = self._shard.patch(
            self._slot, pipe.slot, listener, terms.stream, terms.rate, terms.told, terms.gap, terms.allowed
        )
        return None if end is None else LegPatch(end, self._verbs)

    def _take(self, fd: int, room: int, backlog: Backlog, protocol: Piped) -> PlanePipe:
        return PlanePipe(self._shard, self._verbs, fd, room=room, backlog=backlog, protocol=protocol)

    def tape(self, order: TapeOrder) -> None:
        """What is copied for the recorder; called by ``recording.recorder.LegTape``."""
        self._do(
            self._shard.tape,
            order.name,
            order.voice,
            order.packets,
            order.paused,
            order.beep_ms,
            order.beep_both,
        )

    @property
    def rate(self) -> int:
        """Hz of the codec; 0 before the leg was connected."""
        return self._codec_rate

    def close(self) -> None:
        """Ends the leg; ``on_closed`` follows. Verbs after it are ignored."""
        if self.bridge is not None:
            self.bridge.close()
        self._end_handshake()
        if not self._closed:
            self._do(self._shard.close)
            self._closed = True

    def stats(self) -> LegStats:
        """Counters so far; at most a tick old, and final once ``on_closed`` was called."""
        return self._stats if self._slot < 0 else leg_stats(self._shard.counts(self._slot))

    def ended(self, stats: LegStats) -> None:
        """The plane has closed it: ``stats`` are final, and the slot may belong to another leg from here on."""
        self._closed = True
        self._end_handshake()
        self._slot = -1
        self._stats = stats
        if self.bridge is not None:
            self.bridge.close()

    def _do(self, verb: Callable[..., bool], *arguments: object) -> None:
        if self._closed:
            return
        try:
            if self._verbs.waiting or not verb(self._slot, *arguments):
                self._verbs.do(verb, self._slot, *arguments)
        except ValueError as error:
            raise MisuseError(str(error)) from error
