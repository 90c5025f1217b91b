"""A call connected to a speech-to-speech model: audio goes up as it comes, audio comes down in bursts.

The model takes the turns. The gateway plays, flushes when the model says that it was interrupted, tells it how much was
heard, and measures: the model's whole thinking counts to the stage ``tts``, up to the arrival of its first audio.
"""

from __future__ import annotations

from gateway.errors import ProviderError
from gateway.media.contract import Leg
from gateway.options import Options
from gateway.plugs.contract import CallView, PlugSpec
from gateway.plugs.measured import MeasuredSession
from gateway.plugs.wav import apology
from gateway.providers.contract import Failed, Interrupted, RealtimeResult, RealtimeSession, Speech
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


class RealtimePlugSession(MeasuredSession):
    """One call on a realtime model."""

    def __init__(self, call: CallView, provider: str) -> None:
        super().__init__(call)
        self._provider = call.providers[provider]
        self._session: RealtimeSession | None = None
        self._apologising = False

    async def start(self, leg: Leg) -> None:
        await super().start(leg)
        session = self._session = await self._provider.open_realtime(self._on_result, rate=self.uplink_rate)
        self.models["realtime"] = f"{session.model.name} {session.model.version}"

    async def close(self) -> None:
        await super().close()
        session, self._session = self._session, None
        if session is not None:
            session.close()

    # --- what the leg hears -------------------------------------------------------------------------------------------

    def on_audio(self, pcm: bytes, media_time: Samples, arrival: Nanos, flags: int) -> None:
        if self._session is not None:
            self._session.audio(pcm, media_time, flags)

    def on_playout_idle(self, sent: Nanos, position: Samples) -> None:
        super().on_playout_idle(sent, position)
        if self._apologising:
            self.call.hang_up("a model failed")

    def on_flushed(self, number: int, sent: Nanos, position: Samples) -> None:
        super().on_flushed(number, sent, position)
        if self._session is not None:
            self._session.interrupted(self.played_ms(position))

    # --- what the model delivers --------------------------------------------------------------------------------------

    def _on_result(self, result: RealtimeResult) -> None:
        match result:
            case Speech(_, audio, rate, elapsed, encoding) if self.leg is not None:
                self.audio_came(elapsed)
                self.leg.play(audio, rate, encoding)
            case Interrupted() if self.leg is not None:
                self.leg.flush(self.turn)
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
        self.leg.flush(self.turn)
        self.leg.play(clip.pcm, clip.rate)


SPEC = PlugSpec("realtime", RealtimeOptions, Realtime, provider_roles={"model": "realtime"})
