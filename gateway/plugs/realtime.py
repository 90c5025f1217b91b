"""A call connected to a speech-to-speech model: audio goes up as it comes, audio comes down in bursts.

The model takes the turns. The gateway plays, flushes when the model says that it was interrupted, tells it how much was
heard, and measures: the model's whole thinking counts to the stage ``tts``, up to the arrival of its first audio.
"""

from __future__ import annotations

from gateway.errors import ProviderError
from gateway.media.contract import Leg
from gateway.options import Options
from gateway.plugs.contract import CallView, PlugSpec
from gateway.plugs.session import BaseSession
from gateway.providers.contract import Failed, Interrupted, RealtimeResult, RealtimeSession, Speech
from gateway.timeline import Stamp
from gateway.units import Nanos, Samples

__all__ = ["SPEC", "Realtime", "RealtimeOptions", "RealtimePlugSession"]


class RealtimeOptions(Options):
    """A plug of kind ``realtime``."""

    model: str
    """Provider of the speech-to-speech model."""


class Realtime:
    """One configured model, shared by its calls."""

    def __init__(self, options: RealtimeOptions) -> None:
        self._provider = options.model

    def open(self, call: CallView) -> RealtimePlugSession:
        return RealtimePlugSession(call, self._provider)


class RealtimePlugSession(BaseSession):
    """One call on a realtime model."""

    def __init__(self, call: CallView, provider: str) -> None:
        super().__init__(call)
        self._provider = call.providers[provider]
        self._session: RealtimeSession | None = None
        self._turn = 0
        self._answer_start = Samples(0)

    async def start(self, leg: Leg) -> None:
        await super().start(leg)
        self._session = await self._provider.open_realtime(self._on_result, rate=self.uplink_rate)

    async def close(self) -> None:
        await super().close()
        session, self._session = self._session, None
        if session is not None:
            session.close()

    # --- what the leg hears -------------------------------------------------------------------------------------------

    def on_audio(self, pcm: bytes, media_time: Samples, arrival: Nanos, flags: int) -> None:
        if self._session is not None:
            self._session.audio(pcm, media_time, flags)

    def on_speech_started(self, media_time: Samples, arrival: Nanos) -> None:
        self._turn += 1
        self.call.timeline.stamp(self._turn, Stamp.SPEECH_STARTED, arrival)

    def on_speech_ended(self, media_time: Samples, arrival: Nanos) -> None:
        self.call.timeline.restamp(self._turn, Stamp.SPEECH_ENDED, arrival)

    def on_playout_started(self, sent: Nanos, position: Samples) -> None:
        self._answer_start = position
        self.call.timeline.stamp(self._turn, Stamp.FIRST_PACKET, sent)

    def on_playout_idle(self, sent: Nanos, position: Samples) -> None:
        times = self.call.timeline.take(self._turn)
        if times.gap is not None and times.gap >= 0:
            self.call.record("turn", turn=self._turn, kind="answer", **times.fields(Nanos(0)))

    def on_flushed(self, number: int, sent: Nanos, position: Samples) -> None:
        if self._session is not None:
            self._session.interrupted((position - self._answer_start) // 8)

    # --- what the model delivers --------------------------------------------------------------------------------------

    def _on_result(self, result: RealtimeResult) -> None:
        match result:
            case Speech(_, pcm, rate) if self.leg is not None:
                self.leg.play(pcm, rate)
            case Interrupted() if self.leg is not None:
                self.leg.flush(self._turn)
            case Failed(error):
                self._lost(error)

    def _lost(self, error: ProviderError) -> None:
        self._session = None
        self.call.log("provider.failed", provider=error.provider, reason=str(error))
        self.call.hang_up("a model failed")


SPEC = PlugSpec("realtime", RealtimeOptions, Realtime, provider_roles={"model": "realtime"})
