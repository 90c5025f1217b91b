"""A call connected to a speech-to-speech model: audio goes up as it comes, audio comes down in bursts.

The model takes the turns. The gateway plays, flushes when the model says that it was interrupted, tells it how much was
heard, and measures: the model's whole thinking counts to the stage ``tts``, up to the arrival of its first audio.
"""

from __future__ import annotations

import random

from gateway.errors import ProviderError
from gateway.media.contract import Leg
from gateway.options import Options
from gateway.plugs.contract import CallView, PlugSpec
from gateway.plugs.ledger import Ledger
from gateway.plugs.measured import MeasuredSession
from gateway.plugs.roles import Names
from gateway.plugs.wav import apology
from gateway.providers.contract import Brief, Failed, Interrupted, RealtimeResult, Said, Speech
from gateway.providers.router.effects import Lost, Moved
from gateway.providers.router.options import FailoverOptions
from gateway.providers.router.realtime import RealtimeFailover
from gateway.providers.router.session import Notice, RoutedRealtime
from gateway.units import Nanos, Samples, to_ms

__all__ = ["SPEC", "Realtime", "RealtimeOptions", "RealtimePlugSession"]


class RealtimeOptions(Options):
    """A plug of kind ``realtime``."""

    model: Names
    """Provider of the speech-to-speech model; or a list, the next of which hears what the caller said and got no
    answer to."""
    prompt: str = ""
    """What the model is told before the first word; models that were set up elsewhere have theirs."""
    greeting: str = ""
    """What it says first; empty lets the caller begin."""
    language: str = ""
    """Language of the conversation (BCP 47); empty leaves it to the model."""
    failover: FailoverOptions = FailoverOptions()
    """When the next provider of a list is asked."""


class Realtime:
    """One configured model, shared by its calls."""

    def __init__(self, options: RealtimeOptions) -> None:
        self._options = options

    def open(self, call: CallView) -> RealtimePlugSession:
        return RealtimePlugSession(call, self._options)


class RealtimePlugSession(MeasuredSession):
    """One call on a realtime model."""

    def __init__(self, call: CallView, options: RealtimeOptions) -> None:
        super().__init__(call)
        names = [options.model] if isinstance(options.model, str) else options.model
        brief = Brief(options.prompt, options.greeting, options.language)
        upstreams = [call.providers[name] for name in names]
        healths = [upstream.health("realtime") for upstream in upstreams]
        self._session = RoutedRealtime(
            RealtimeFailover(healths, options.failover, random.Random()),
            upstreams,
            call,
            opener=lambda upstream, listener: upstream.open_realtime(listener, rate=self.uplink_rate, brief=brief),
            listener=self._on_result,
            on_notice=self._on_notice,
            play=self._play,
        )
        self._ledger = Ledger(call.providers)
        self._apologising = False

    async def start(self, leg: Leg) -> None:
        await super().start(leg)
        if not await self._session.connect():
            raise ProviderError(", ".join(self._session.names), "no session could be had", transient=True)
        self._name_model()

    async def close(self) -> None:
        await super().close()
        self._session.close()
        self.call.totals.update(self._ledger.call())

    def _name_model(self) -> None:
        self.models["realtime"] = self._session.versions.get(self._session.provider, "")

    def _on_notice(self, notice: Notice) -> None:
        self._ledger.note(notice)
        match notice:
            case Lost(role, provider, error):
                self.call.log("provider.failed", role=role, provider=provider, reason=str(error))
            case Moved(role, source, target, _, waited):
                self.call.log("provider.moved", role=role, source=source, target=target, waited_ms=to_ms(waited))

    # --- what the leg hears -------------------------------------------------------------------------------------------

    def on_audio(self, pcm: bytes, media_time: Samples, arrival: Nanos, flags: int) -> None:
        self._session.audio(pcm, media_time, flags)

    def on_playout_idle(self, sent: Nanos, position: Samples) -> None:
        super().on_playout_idle(sent, position)
        if self._apologising:
            self.call.hang_up("a model failed")

    def on_flushed(self, number: int, sent: Nanos, position: Samples) -> None:
        super().on_flushed(number, sent, position)
        self._session.interrupted(self.played_ms(position))

    def on_speech_ended(self, media_time: Samples, arrival: Nanos) -> None:
        super().on_speech_ended(media_time, arrival)
        self._session.attend()

    # --- what the model delivers --------------------------------------------------------------------------------------

    def _play(self, pcm: bytes, rate: int) -> None:
        if self.leg is not None:
            self.leg.play(pcm, rate)

    def _on_result(self, result: RealtimeResult) -> None:
        match result:
            case Speech(_, audio, rate, elapsed, encoding) if self.leg is not None:
                self._name_model()
                self.audio_came(elapsed)
                self.leg.play(audio, rate, encoding)
            case Said(text, final=True):
                self.call.log("said", turn=self.turn, said=text)
            case Interrupted() if self.leg is not None:
                self.leg.flush(self.turn)
            case Failed():
                self._lost()

    def _lost(self) -> None:
        """Nobody is left: the caller hears the recorded sentence, and the call ends."""
        if self.leg is None:
            return
        self._apologising = True
        clip = apology()
        self.leg.flush(self.turn)
        self.leg.play(clip.pcm, clip.rate)


SPEC = PlugSpec("realtime", RealtimeOptions, Realtime, provider_roles={"model": "realtime"})
