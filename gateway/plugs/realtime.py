"""A call connected to a speech-to-speech model: audio goes up as it comes, audio comes down in bursts.

The model takes the turns. The gateway plays, flushes when the model says that it was interrupted, tells it how much was
heard, and measures: the model's whole thinking counts to the stage ``tts``, up to the arrival of its first audio.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import model_validator

from gateway.media.contract import Leg
from gateway.options import Options
from gateway.plugs.contract import CallView, PlugSpec
from gateway.plugs.ledger import Ledger
from gateway.plugs.measured import MeasuredSession
from gateway.plugs.model_sessions import TTS_RATE
from gateway.plugs.phrases import Phrases, in_language
from gateway.plugs.pipeline_options import FailureOptions
from gateway.plugs.recollection import Recollection
from gateway.plugs.roles import Names
from gateway.plugs.wav import Clip, apology, read_wav
from gateway.providers.contract import (
    AnswerBegan,
    Brief,
    Failed,
    Interrupted,
    RealtimeResult,
    Said,
    Speech,
    Transcript,
)
from gateway.providers.router.effects import Lost, Moved
from gateway.providers.router.options import FailoverOptions
from gateway.providers.router.realtime import RealtimeFailover
from gateway.providers.router.realtime_session import RoutedRealtime
from gateway.providers.router.session import Notice
from gateway.providers.router.upstream import Upstream
from gateway.units import Nanos, Samples, to_ms

__all__ = ["SPEC", "Realtime", "RealtimeOptions", "RealtimePlugSession"]


class RealtimeFailureOptions(FailureOptions):
    """What happens when no model of the list can serve a call."""

    voice: Names | None = None
    """Provider of text to speech that makes `say`, at start; or a list. A realtime model says nothing word by word."""

    @model_validator(mode="after")
    def _somebody_to_say_it(self) -> Self:
        if self.say and not self.voice:
            raise ValueError("say needs voice; name a provider of text to speech, or give a recording as play")
        return self


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
    takeover_prompt: str = (
        "You take over a telephone call from a colleague whose line broke. Go on where the conversation stands, in the "
        "same role. Do not greet again, and do not mention the change. This was said so far:"
    )
    """What the next model is told behind `prompt`, followed by what the model before it wrote down of the call."""
    on_failure: RealtimeFailureOptions = RealtimeFailureOptions()
    """When nobody is left to ask."""


class Realtime:
    """One configured model, shared by its calls."""

    def __init__(self, options: RealtimeOptions) -> None:
        self._options = options
        failure = options.on_failure
        language = options.language or "en"
        self._sorry = in_language(failure.say, language) if failure.say else ""
        self._recorded = read_wav(failure.play) if failure.play else apology()
        self._phrases = Phrases([self._sorry], language=language, rate=TTS_RATE)

    def open(self, call: CallView) -> RealtimePlugSession:
        return RealtimePlugSession(call, self._options, self)

    async def prepare(self, providers: Mapping[str, Upstream], cache: Path | None) -> None:
        voice = self._options.on_failure.voice
        if voice:
            names = [voice] if isinstance(voice, str) else voice
            await self._phrases.prepare([providers[name] for name in names], cache)

    @property
    def apology(self) -> Clip:
        """When nobody can answer."""
        return self._phrases.get(self._sorry) or self._recorded


class RealtimePlugSession(MeasuredSession):
    """One call on a realtime model."""

    def __init__(self, call: CallView, options: RealtimeOptions, plug: Realtime) -> None:
        super().__init__(call)
        self._plug = plug
        self._failure = options.on_failure
        self.language = options.language
        names = [options.model] if isinstance(options.model, str) else options.model
        brief = Brief(options.prompt, options.greeting, options.language)
        recollection = self._recollection = Recollection(brief, options.takeover_prompt)
        rate = self.uplink_rate
        upstreams = [call.providers[name] for name in names]
        healths = [upstream.health("realtime") for upstream in upstreams]
        self._session = RoutedRealtime(
            RealtimeFailover(healths, options.failover, random.Random()),
            upstreams,
            call,
            opener=lambda upstream, listener: upstream.open_realtime(listener, rate=rate, brief=recollection.brief),
            listener=self._on_result,
            on_notice=self._on_notice,
            play=self._play,
        )
        self._ledger = Ledger(call.providers)
        self._apologising = False

    async def start(self, leg: Leg) -> None:
        """A model that is not there does not refuse the call: the caller hears `on_failure`."""
        await super().start(leg)
        await self._session.connect()
        self._name_model()

    def answered(self) -> None:
        if not self._session.ready:
            self._lost()
        if self.leg is not None:
            self._session.join(self.leg)

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

    def on_mark(self, number: int, sent: Nanos, position: Samples) -> None:
        """The sentence for the worst case was heard."""
        self._apologising = False
        if self._failure.then != "continue":
            self.part(self._failure.then, self._failure.transfer_to, "a model failed")

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
        self._recollection.note(result)
        match result:
            case Speech(_, audio, rate, elapsed, encoding) if self.leg is not None:
                self._name_model()
                self.audio_came(elapsed)
                self.leg.play(audio, rate, encoding)
            case Transcript(language=language, final=True) if language:
                self.language = language
            case AnswerBegan(at):
                self._name_model()
                self.audio_came(at=at)
            case Said(text, final=True):
                self.call.log("said", turn=self.turn, said=text)
            case Interrupted() if self.leg is not None and not self._apologising:
                self.leg.flush(self.turn)
            case Failed():
                self._lost()

    def _lost(self) -> None:
        """Nobody is left: the caller hears the sentence that was made ahead, and then what `on_failure` says."""
        if self.leg is None or self._apologising:
            return
        self._apologising = True
        clip = self._plug.apology
        self.leg.flush(self.turn)
        self.leg.play(clip.pcm, clip.rate)
        self.leg.mark(self.turn)


SPEC = PlugSpec("realtime", RealtimeOptions, Realtime, provider_roles={"model": "realtime", "on_failure.voice": "tts"})
