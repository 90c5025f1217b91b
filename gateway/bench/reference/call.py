"""One call of the reference agent: hears where the caller's speech ends, to the sample, and answers so much later.

It has no speech detector whose hangover could be wrong. Callers that are told who it is (``--reference``) send exact
digital silence between utterances and never within one (``speech.lifted``); where the last sample before it lay in its
packet, and when that packet arrived, is when the caller fell silent. The answer is kept for its moment by the plane
(``Leg.play``), so it leaves at the sample that is due. What it really produced, kernel's stamp of the arrival to
departure, is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from gateway import sdp
from gateway.bench.callers.speech import RATE
from gateway.bench.reference.options import Manners, Vice
from gateway.bench.reference.sound import voice
from gateway.media.contract import Hearing, Leg, LegStats
from gateway.units import MS, SECOND, Nanos, Samples, to_ms

__all__ = ["ReferenceCall", "Tell"]

Tell = Callable[[dict[str, Any]], None]

_BLOCK_MS: Final = 2.0
_LONGEST_RELEASE_MS: Final = 100.0
_HANDLING_MS: Final = 40.0
"""Between the packet that shows the end and the command that answers."""
_SILENCE_DBFS: Final = -72.2
"""Above the silence of both laws, which A-law's decoder gives back as 8 (ITU-T G.711)."""
_OTHER: Final = {"PCMU": ("PCMA", 8), "PCMA": ("PCMU", 0)}
_GREETING_AHEAD: Final = 50 * MS


class ReferenceCall:
    """Implements ``SoundObserver``."""

    def __init__(self, call: int, call_id: str, manners: Manners, tell: Tell) -> None:
        self.call = call
        self._call_id = call_id
        self._manners = manners
        self._tell = tell
        self._leg: Leg | None = None
        self._turn = 0
        self._heard: dict[int, Nanos] = {}
        """End of the caller's speech by the mark of its answer."""
        self._began: tuple[Nanos, Samples] | None = None
        """What is being said: when its first sample left, and its position."""
        self._cut: tuple[Nanos, Nanos] | None = None
        """The interruption that is being obeyed, and when the last sample leaves."""
        self.closed = asyncio.get_running_loop().create_future()

    @property
    def vice(self) -> Vice:
        return self._manners.vice

    def hear(self, leg: Leg) -> None:
        """The leg is there, and tells what it hears to this object."""
        self._leg = leg
        release = min(_LONGEST_RELEASE_MS, max(_BLOCK_MS, self._manners.delay / MS - _HANDLING_MS))
        leg.listen(
            Hearing(
                threshold_dbfs=_SILENCE_DBFS, margin_db=0, confirm_ms=_BLOCK_MS, release_ms=release, block_ms=_BLOCK_MS
            )
        )

    def connect(self, stream: sdp.Stream) -> None:
        """Offer and answer agreed on it."""
        if self._leg is None or self._manners.vice is Vice.NO_AUDIO:
            return
        if self._manners.vice is Vice.OTHER_CODEC:
            name, payload_type = _OTHER[stream.codec]
            stream = replace(stream, codec=name, payload_type=payload_type)
        self._leg.connect(stream)

    def begin(self, now: Nanos) -> None:
        """The ACK is there: the greeting."""
        if self._manners.vice is Vice.NEVER_STOPS and self._leg is not None:
            self._leg.set_backdrop(voice(Nanos(SECOND)), RATE, level_db=0.0)
        elif self._manners.greets:
            self._say(Nanos(now + _GREETING_AHEAD))

    def close(self) -> None:
        """The call is over."""
        if self._leg is not None:
            self._leg.close()

    # --- turns --------------------------------------------------------------------------------------------------------

    def _say(self, at: Nanos) -> None:
        if self._leg is None or self._manners.vice is not Vice.NONE:
            return
        self._leg.play(voice(self._manners.answer), RATE, at=at)
        self._leg.mark(self._turn)

    def on_sound(self, started: bool, packet: Nanos, at: Nanos, media_time: Samples, sound: int) -> None:
        if started:
            self._interrupted(at)
            return
        self._turn += 1
        self._heard[self._turn] = at
        self._say(Nanos(at + self._manners.delay))

    def _interrupted(self, at: Nanos) -> None:
        """What is being said ends at its sample, too."""
        if self._began is None or self._leg is None or self._cut is not None:
            return
        began, position = self._began
        end = Nanos(at + self._manners.stop)
        self._cut = (at, end)
        self._leg.trim(self._turn, Samples(position + (end - began) * RATE // SECOND))

    def on_playout_started(self, sent: Nanos, position: Samples) -> None:
        self._began, self._cut = (sent, position), None
        heard = self._heard.pop(self._turn, None)
        self._tell(
            {
                "event": "greeting" if self._turn == 0 else "answer",
                "call_id": self._call_id,
                "turn": self._turn,
                "heard": heard,
                "sent": sent,
                "delay_ms": None if heard is None else to_ms(sent - heard),
                "wanted_ms": to_ms(self._manners.delay),
            }
        )

    def on_playout_idle(self, sent: Nanos, position: Samples) -> None:
        """``sent`` is when the last packet left; ``position`` says where in it the last sample lay."""
        if self._began is not None and self._cut is not None:
            began, first = self._began
            end = began + (position - first) * SECOND // RATE
            stop = to_ms(end - self._cut[0])
            self._tell({"event": "stopped", "call_id": self._call_id, "turn": self._turn, "sent": end, "stop_ms": stop})
        self._began = self._cut = None

    # --- what else the plane tells ------------------------------------------------------------------------------------

    def on_first_packet(self, arrival: Nanos) -> None:
        """Nothing begins with it."""

    def on_audio(self, pcm: bytes, media_time: Samples, arrival: Nanos, flags: int) -> None:
        """Frames are not asked for."""

    def on_speech_started(self, media_time: Samples, arrival: Nanos) -> None:
        """No detector is asked."""

    def on_speech_ended(self, media_time: Samples, arrival: Nanos) -> None:
        """See above."""

    def on_digit(self, digit: str, duration_ms: int, arrival: Nanos) -> None:
        """``#`` ends an entry of digits, as speech ends a turn."""
        if digit == "#":
            ended = Nanos(arrival)
            self._turn += 1
            self._heard[self._turn] = ended
            self._say(Nanos(ended + self._manners.delay))

    def on_mark(self, number: int, sent: Nanos, position: Samples) -> None:
        """``on_playout_idle`` tells it as well."""

    def on_flushed(self, number: int, sent: Nanos, position: Samples) -> None:
        """Nothing is flushed."""

    def on_trimmed(self, number: int, position: Samples) -> None:
        """It ends there."""

    def on_rtp_timeout(self, now: Nanos) -> None:
        """The caller decides how long a call lasts."""

    def on_secured(self, fault: str | None) -> None:
        """No DTLS is offered."""

    def on_closed(self, stats: LegStats) -> None:
        if not self.closed.done():
            self.closed.set_result(None)
