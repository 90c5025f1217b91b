"""The asyncio face of the media plane: shards, legs, and the way back from their threads into the event loop.

plane = MediaPlane(options)
plane.start()                           # in a running loop
leg = plane.open_leg(observer)          # bound: leg.local can be put into SDP
leg.connect(stream)                     # now packets flow
leg.play(pcm, 24000); leg.mark(1)
leg.close()                             # observer.on_closed follows
await plane.stop()
"""

from __future__ import annotations

import asyncio
import base64
import socket
import time
from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import structlog

from codecs_ext.plane import PlaneShard
from gateway.errors import MisuseError, ResourceError
from gateway.media.codecs.contract import Codecs
from gateway.media.contract import LegObserver
from gateway.media.costs import PlaneCosts, plane_costs
from gateway.media.leg import PlaneLeg
from gateway.media.load import LoadGauge, ShardLoad
from gateway.media.options import MediaOptions
from gateway.media.ports import PortPool
from gateway.media.quality import leg_stats
from gateway.media.recording.recorder import LegTape, Recorder, TapedLeg
from gateway.media.verbs import Verbs
from gateway.randomness import RandomPool
from gateway.sdp.types import AudioFormat, DtlsPeer
from gateway.units import MS, Nanos

if TYPE_CHECKING:
    from gateway.media.dtls import Identity
    from gateway.media.handshake import Handshake

__all__ = ["MediaPlane"]

_MIB: Final = 1 << 20
_PERIOD_S: Final = 1.0
_VAD_BLOCK: Final = 10 * MS
_SAMPLE: Final = 125_000
"""Nanoseconds of a sample at 8 kHz."""

_log = structlog.get_logger("linecard.media")


def _close(*sockets: socket.socket | None) -> None:
    for sock in sockets:
        if sock is not None:
            sock.close()


class _ShardFace:
    """One media thread, its legs, and its place in the event loop."""

    def __init__(self, options: MediaOptions, capacity: int) -> None:
        self.loop = asyncio.get_running_loop()
        self.legs: dict[int, PlaneLeg] = {}
        self.verbs = Verbs(self.loop)
        self._stopped = self.loop.create_future()
        self.shard = PlaneShard(
            capacity,
            self._on_error,
            self._on_closed,
            self._on_handshake,
            event_bytes=options.event_ring * _MIB,
            tape_bytes=options.tape_ring * _MIB,
            window_ns=options.reorder_window,
            window_least_ns=options.reorder_least,
            stall_ns=options.stall,
            timeout_ns=options.rtp_timeout,
            hold_timeout_ns=options.hold_timeout,
            max_gap=options.max_gap // _SAMPLE,
            playout_limit=options.playout_limit // _SAMPLE,
            fade_ms=options.playout.fade // MS,
            gain=10 ** (options.playout.gain_db / 20),
            comfort_db=options.playout.comfort_noise_db,
            catch_up=options.playout.catch_up,
            learn=options.latching.learn,
            learn_packets=options.latching.packets,
            settle_ns=options.latching.settle,
            silence_ns=options.latching.silence,
            report_ns=options.rtcp.interval,
            vad_threshold_db=options.vad.threshold_db,
            vad_min_level_db=options.vad.min_level_db,
            vad_attack=options.vad.attack // _VAD_BLOCK,
            vad_release=options.vad.release // _VAD_BLOCK,
        )

    def start(self, realtime: bool) -> bool:
        granted = self.shard.start(realtime)
        self.loop.add_reader(self.shard.fileno(), self._on_readable)
        return granted

    def _on_readable(self) -> None:
        self.shard.drain()
        if self.shard.stopped and not self._stopped.done():
            self._stopped.set_result(None)

    async def stop(self) -> None:
        self.shard.request_stop()
        await self._stopped
        self.loop.remove_reader(self.shard.fileno())
        self.verbs.drop()
        self.shard.finish()

    def _on_closed(self, slot: int, observer: LegObserver, counts: dict[str, Any]) -> None:
        stats = leg_stats(counts)
        self.legs.pop(slot).ended(stats)
        observer.on_closed(stats)

    def _on_handshake(self, slot: int, datagram: bytes, source: bytes) -> None:
        self.legs[slot].heard_handshake(datagram, source)

    def _on_error(self, error: Exception) -> None:
        """An observer raised, which it must not: told in the way of the loop, and its other events go on."""
        self.loop.call_exception_handler({"message": "an observer of the media plane raised", "exception": error})


class MediaPlane:
    """All media threads of the gateway. Verbs and observers run on the event loop that called ``start``."""

    def __init__(self, options: MediaOptions) -> None:
        self._options = options
        self._ports = PortPool(options.address, options.ports, options.dscp, rtcp=options.rtcp.interval > 0)
        self._shards: list[_ShardFace] = []
        self._codecs = Codecs(options.codecs)
        self._random = RandomPool()
        self._recorder = Recorder(len(self._ports))
        self._gauge: LoadGauge | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def formats(self) -> tuple[AudioFormat, ...]:
        """The codecs served, in the order of preference."""
        return self._codecs.formats

    def start(self) -> None:
        """Starts the threads. Needs a running loop."""
        if self._shards:
            raise MisuseError("the media plane runs already")
        shards = [_ShardFace(self._options, len(self._ports)) for _ in range(self._options.shards)]
        realtime = [shard.start(self._options.realtime) for shard in shards]
        self._shards = shards
        self._recorder.start([shard.shard.tape_end() for shard in shards])
        self._gauge = LoadGauge(self._options.admission, len(shards), Nanos(time.monotonic_ns()))
        self._timer = asyncio.get_running_loop().call_later(_PERIOD_S, self._measure)
        _log.info("media.started", shards=len(shards), realtime=all(realtime), ports=len(self._ports))

    async def stop(self) -> None:
        """Closes every leg (``on_closed`` is called) and ends the threads, within a tick or two. Twice is harmless."""
        shards, self._shards = self._shards, []
        if self._timer is not None:
            self._timer.cancel()
        for shard in shards:
            await shard.stop()
        await self._recorder.stop()

    def open_leg(self, observer: LegObserver, *, uplink_rate: int = 16000, beside: PlaneLeg | None = None) -> PlaneLeg:
        """A bound leg on the shard that has the fewest, or on that of ``beside``, to be bridged with it.

        Raises ``ResourceError`` if no port or descriptor is left.
        """
        if not self._shards:
            raise MisuseError("the media plane does not run")
        face = self._emptiest()
        if beside is not None:
            face = next((one for one in self._shards if beside.is_on(one.shard)), face)
        sock, control = self._ports.bind()
        local, random = sock.getsockname()[:2], self._random
        try:
            slot = face.shard.open(
                sock.fileno(),
                -1 if control is None else control.fileno(),
                observer,
                uplink_rate,
                random.getrandbits(32),
                random.getrandbits(16),
                random.getrandbits(32),
                base64.b64encode(random.token_bytes(12)),  # a name that tells nothing of the host (RFC 7022 5)
                random.getrandbits(64),
            )
        except MemoryError as error:
            _close(sock, control)
            raise ResourceError(f"no room for another leg: {error}") from error
        except ValueError as error:
            _close(sock, control)
            raise MisuseError(str(error)) from error
        sock.detach()
        if control is not None:
            control.detach()
        leg = PlaneLeg(
            local, face.shard, slot, face.verbs, self._codecs, rate=uplink_rate, observer=observer, shake=self._shake
        )
        face.legs[slot] = leg
        return leg

    def _shake(self, leg: PlaneLeg, peer: DtlsPeer) -> Handshake:
        from gateway.media.handshake import Handshake

        handshake = Handshake(self._identity, peer, leg.send_handshake, leg.secure, leg.fail)
        handshake.start()
        return handshake

    @cached_property
    def _identity(self) -> Identity:
        """Made when the first call wants it. OpenSSL for Python is loaded by who has trunks with DTLS alone."""
        try:
            from gateway.media.dtls import Identity
        except ImportError as error:
            raise ResourceError(f"DTLS-SRTP needs pyOpenSSL; install linecard[dtls] ({error})") from error
        return Identity()

    @property
    def fingerprint(self) -> str:
        """Of the certificate that we show in DTLS, as ``a=fingerprint`` writes it. Raises ``ResourceError`` without
        pyOpenSSL."""
        return self._identity.fingerprint

    def _emptiest(self) -> _ShardFace:
        """The shard that has the fewest legs, of those that are not full if there are any."""
        full = [load.full for load in self._gauge.loads] if self._gauge is not None else []
        chosen = min(zip(full, self._shards, strict=True), key=lambda one: (one[0], one[1].shard.legs_open))
        return chosen[1]

    def _measure(self) -> None:
        """Once a second: what the threads do, and what changes with it."""
        if self._gauge is None or not self._shards:
            return
        costs = [plane_costs([face.shard]) for face in self._shards]
        for number, load in self._gauge.observe(costs, Nanos(time.monotonic_ns())):
            tell = _log.warning if load.full else _log.info
            tell("media.full" if load.full else "media.recovered", shard=number, **asdict(load))
        self._timer = asyncio.get_running_loop().call_later(_PERIOD_S, self._measure)

    def overload(self) -> str | None:
        """Why no further call should be taken now, if so."""
        return self._gauge.overload() if self._gauge is not None and self._shards else None

    @property
    def loads(self) -> tuple[ShardLoad, ...]:
        """Each media thread over the last second."""
        return self._gauge.loads if self._gauge is not None else ()

    def tape(self, leg: TapedLeg) -> LegTape:
        """For recordings and captures of the leg. Raises ``ResourceError`` if there are too many."""
        return self._recorder.tape(leg)

    @property
    def legs_open(self) -> int:
        """Legs that are open or closing."""
        return sum(face.shard.legs_open for face in self._shards)

    def costs(self) -> PlaneCosts:
        """What the threads have cost since their start, all shards together."""
        return plane_costs([face.shard for face in self._shards])
