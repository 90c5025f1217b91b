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
from gateway.plugs.wav import apology
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
        self._apologising = False
        self._models: dict[str, str] = {}

    async def start(self, leg: Leg) -> None:
        await super().start(leg)
        session = self._session = await self._provider.open_realtime(self._on_result, rate=self.uplink_rate)
        self._models["realtime"] = f"{session.model.name} {session.model.version}"

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
        self.call.timeline.take(self._turn)  # one that got no answer
        self._turn += 1
        self.call.timeline.stamp(self._turn, Stamp.SPEECH_STARTED, arrival)

    def on_speech_ended(self, media_time: Samples, arrival: Nanos) -> None:
        self.call.timeline.restamp(self._turn, Stamp.SPEECH_ENDED, arrival)

    def on_playout_started(self, sent: Nanos, position: Samples) -> None:
        self._answer_start = position
        self.call.timeline.stamp(self._turn, Stamp.FIRST_PACKET, sent)

    def on_playout_idle(self, sent: Nanos, position: Samples) -> None:
        self._answered(sent, interrupted=False)
        if self._apologising:
            self.call.hang_up("a model failed")

    def on_flushed(self, number: int, sent: Nanos, position: Samples) -> None:
        self._answered(sent, interrupted=True)
        if self._session is not None:
            self._session.interrupted((position - self._answer_start) // 8)

    def _answered(self, sent: Nanos, *, interrupted: bool) -> None:
        """Writes the turn down. Speech that the model answered before it had ended has no gap."""
        times = self.call.timeline.take(self._turn)
        if times.gap is not None and times.gap >= 0:
            times.stamps[Stamp.LAST_PACKET] = sent
            fields = {**times.fields(Nanos(0)), "interrupted": interrupted, "models": dict(self._models)}
            self.call.record("turn", turn=self._turn, kind="answer", **fields)

    # --- what the model delivers --------------------------------------------------------------------------------------

    def _on_result(self, result: RealtimeResult) -> None:
        match result:
            case Speech(_, audio, rate, elapsed, encoding) if self.leg is not None:
                if Stamp.SPEECH_ENDED in self.call.timeline.turn(self._turn).stamps:
                    self.call.timeline.stamp(self._turn, Stamp.TTS_FIRST_AUDIO, self.call.now())
                    self.call.timeline.model_took(self._turn, "tts", elapsed)
                self.leg.play(audio, rate, encoding)
            case Interrupted() if self.leg is not None:
                self.leg.flush(self._turn)
            case Failed(error):
                self._lost(error)

    def _lost(self, error: ProviderError) -> None:
        """The caller hears the recorded sentence, and the call ends."""
        self._session = None
        self.call.log("provider.failed", role="realtime", provider=error.provider, reason=str(error))
        if self.leg is None:
            return
        self._apologising = True
        clip = apology()
        self.leg.flush(self._turn)
        self.leg.play(clip.pcm, clip.rate)


SPEC = PlugSpec("realtime", RealtimeOptions, Realtime, provider_roles={"model": "realtime"})
