"""A call connected to three models: speech to text, a language model, text to speech. The conversation lives here.

``turns.Conversation`` decides; this session carries its effects to the providers' sessions and the leg, and brings back
what they deliver. Every hand-over is a plain call on the event loop: no task or queue per packet, token or burst.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator

from gateway.media.contract import FrameFlags, Leg
from gateway.options import Options
from gateway.plugs.contract import CallView, PlugSpec
from gateway.plugs.model_sessions import STT_RATE, Listeners, ModelSessions, Wanted
from gateway.plugs.session import BaseSession
from gateway.plugs.wav import Clip, WavFile, apology, read_wav
from gateway.providers.contract import (
    Failed,
    Generated,
    LlmResult,
    Speech,
    SpeechDone,
    SttResult,
    Token,
    Transcript,
    TtsResult,
)
from gateway.turns import effects as do
from gateway.turns.conversation import Conversation
from gateway.turns.options import Greeting, TurnOptions
from gateway.units import Nanos, Samples, to_ms

__all__ = ["SPEC", "FailureOptions", "Pipeline", "PipelineOptions", "PipelineSession"]

_SPEECH: Final = int(FrameFlags.SPEECH)
_RETRY_FIRST: Final = 0.1
_RETRY_LONGEST: Final = 3.0
"""Seconds between a call's attempts to have its models again."""


class FailureOptions(Options):
    """What happens when a model is not there, or is lost in the middle of a call."""

    play: WavFile | None = None
    """A WAV file (16-bit mono) that the caller hears then; none plays the built-in sentence."""
    then: Literal["hang_up", "continue"] = "hang_up"
    """``continue`` listens on, and connects to the models again."""


def _greeting(value: object) -> object:
    return {"text": value} if isinstance(value, str) else value


class PipelineOptions(TurnOptions):
    """A plug of kind ``pipeline``."""

    stt: str
    """Provider that turns speech to text."""
    llm: str
    """Provider that answers."""
    tts: str
    """Provider that speaks."""
    language: str = "en"
    """Language of the conversation (BCP 47)."""
    prompt: str = ""
    """The system prompt for the LLM."""
    greeting: Annotated[Greeting | None, BeforeValidator(_greeting, json_schema_input_type=Greeting | str | None)] = (
        None
    )
    """What the agent says first: a text, or a block with ``text`` and ``interruptible``. None lets the caller begin."""
    on_failure: FailureOptions = FailureOptions()


class Pipeline:
    """One configured pipeline, shared by its calls."""

    def __init__(self, options: PipelineOptions) -> None:
        self.options = options
        play = options.on_failure.play
        self.apology = read_wav(play) if play else apology()

    def open(self, call: CallView) -> PipelineSession:
        return PipelineSession(self.options, self.apology, call)


class PipelineSession(BaseSession):
    """One call on a pipeline: the leg's observer, and the listener of three provider sessions.

    Each method tells the conversation what happened and drains it: its effects go to the models and the leg, its
    reports to the log and the call record.
    """

    uplink_rate = STT_RATE

    def __init__(self, options: PipelineOptions, apology: Clip, call: CallView) -> None:
        super().__init__(call)
        self._options = options
        self._apology = apology
        self._reconnecting = False
        self._conversation = Conversation(
            options,
            call.timeline,
            system=options.prompt,
            hang_up_on_failure=options.on_failure.then == "hang_up",
        )
        self._drive = call.drive(self._conversation, self._carry_out, self._report)
        self._models = ModelSessions(
            Wanted(options.stt, options.llm, options.tts, options.language),
            call.providers,
            Listeners(self._on_stt, self._on_llm, self._on_tts),
        )

    # --- life ---------------------------------------------------------------------------------------------------------

    async def start(self, leg: Leg) -> None:
        """A provider that is not there does not refuse the call: the caller hears the apology."""
        await super().start(leg)
        await self._connect()

    def answered(self) -> None:
        now = self._drive.now()
        if self._models.complete:
            self._conversation.answered(self._options.greeting, now)
        else:
            self._conversation.failed(now)
        self._drive.poke()

    def on_hold(self, held: bool) -> None:
        self._conversation.hold(held, self._drive.now())
        self._drive.poke()

    async def close(self) -> None:
        await super().close()
        self._drive.close()
        self._models.close()

    async def _connect(self) -> None:
        for failure in await self._models.connect():
            self.call.log("provider.failed", provider=failure.provider, reason=str(failure))

    async def _reconnect(self) -> None:
        """While the call goes on; the provider's own log lines tell how it fares."""
        pause = _RETRY_FIRST
        while not self._models.complete and not self._models.closed:
            await asyncio.sleep(pause)
            await self._models.connect()
            pause = min(2 * pause, _RETRY_LONGEST)
        self._reconnecting = False

    # --- what the leg hears -------------------------------------------------------------------------------------------

    def on_audio(self, pcm: bytes, media_time: Samples, arrival: Nanos, flags: int) -> None:
        if flags & _SPEECH:
            self._conversation.speech_heard(arrival, self._drive.now())
            self._drive.poke()
        if self._models.stt is not None:
            self._models.stt.audio(pcm, media_time, flags)

    def on_speech_started(self, media_time: Samples, arrival: Nanos) -> None:
        self._conversation.speech_started(media_time, arrival, self._drive.now())
        self._drive.poke()

    def on_speech_ended(self, media_time: Samples, arrival: Nanos) -> None:
        self._conversation.speech_ended(media_time, arrival, self._drive.now())
        self._drive.poke()

    def on_playout_started(self, sent: Nanos, position: Samples) -> None:
        self._conversation.playout_started(sent, position)
        self._drive.poke()

    def on_playout_idle(self, sent: Nanos, position: Samples) -> None:
        self._conversation.playout_idle(sent, position, self._drive.now())
        self._drive.poke()

    def on_flushed(self, number: int, sent: Nanos, position: Samples) -> None:
        self._conversation.flushed(number, sent, position, self._drive.now())
        self._drive.poke()

    # --- what the models deliver --------------------------------------------------------------------------------------

    def _on_stt(self, result: SttResult) -> None:
        match result:
            case Transcript():
                self._conversation.transcript(
                    result.turn,
                    result.text,
                    self._drive.now(),
                    final=result.final,
                    understood=result.understood,
                    end_of_turn=result.end_of_turn,
                    elapsed=result.elapsed,
                )
            case Failed():
                self._failed("stt", result)
        self._drive.poke()

    def _on_llm(self, result: LlmResult) -> None:
        now = self._drive.now()
        match result:
            case Token(request, text, elapsed):
                self._conversation.token(request, text, now, elapsed)
            case Generated(request, cancelled, hang_up) if not cancelled:
                self._conversation.generated(request, now, hang_up=hang_up)
            case Failed():
                self._failed("llm", result)
        self._drive.poke()

    def _on_tts(self, result: TtsResult) -> None:
        now = self._drive.now()
        match result:
            case Speech(request, audio, rate, elapsed, encoding):
                if self._conversation.speech(request, result.samples * 8000 // rate, now, elapsed) and self.leg:
                    self.leg.play(audio, rate, encoding)
            case SpeechDone(request, cancelled) if not cancelled:
                self._conversation.speech_done(request, now)
            case Failed():
                self._failed("tts", result)
        self._drive.poke()

    def _failed(self, role: str, failed: Failed) -> None:
        """One request, or the session: the conversation apologises once, and a lost session is opened again."""
        self.call.log("provider.failed", role=role, provider=failed.error.provider, reason=str(failed.error))
        if failed.request is None:
            self._models.lost(role)
        self._conversation.failed(self._drive.now())

    # --- what the conversation wants ----------------------------------------------------------------------------------

    def _carry_out(self, effect: do.Effect) -> None:
        match effect:
            case do.HangUp(reason):
                self.call.hang_up(reason)
            case do.Flush() | do.Apologise():
                self._to_leg(effect)
            case _:
                self._to_model(effect)

    def _to_leg(self, effect: do.Flush | do.Apologise) -> None:
        match effect, self.leg:
            case do.Flush(number), leg if leg:
                leg.flush(number)
            case do.Apologise(request), leg if leg:
                self._apologise(leg, request)

    def _to_model(self, effect: do.ToModel) -> None:
        """A model that is missing when something is wanted of it fails the conversation."""
        stt, llm, tts = self._models.stt, self._models.llm, self._models.tts
        match effect:
            case do.BeginTurn(turn, media_time) if stt:
                stt.begin_turn(turn, media_time)
            case do.EndTurn(turn, media_time) if stt:
                stt.end_turn(turn, media_time)
            case do.CancelTurn(turn) if stt:
                stt.cancel_turn(turn)
            case do.Generate(request, messages) if llm:
                llm.generate(request, messages)
            case do.CancelGenerate(request) if llm:
                llm.cancel(request)
            case do.Speak(request, text) if tts:
                tts.speak(request, text)
            case do.CancelSpeak(request) if tts:
                tts.cancel(request)
            case do.EndTurn() | do.Generate() | do.Speak():
                self._conversation.failed(self._drive.now())

    def _apologise(self, leg: Leg, request: int) -> None:
        now = self._drive.now()
        if self._conversation.speech(request, self._apology.samples, now):
            leg.play(self._apology.pcm, self._apology.rate)
        self._conversation.speech_done(request, now)
        if not self._models.complete and self._options.on_failure.then == "continue" and not self._reconnecting:
            self._reconnecting = True
            self.call.spawn(self._reconnect())

    # --- what the conversation reports --------------------------------------------------------------------------------

    def _report(self, report: do.Report) -> None:
        match report:
            case do.Heard(turn, text):
                self.call.log("heard", turn=turn, heard=text)
            case do.Interrupted(interruption):
                self.call.record(
                    "barge_in",
                    turn=interruption.turn,
                    confirm_ms=to_ms(self._options.barge_in_confirm),
                    stop_ms=to_ms(interruption.stop),
                    stamps={
                        "speech_started": interruption.onset,
                        "confirmed": interruption.confirmed,
                        "last_packet": interruption.stopped,
                    },
                )
            case do.TurnDone():
                self.call.record("turn", **self._turn_fields(report))

    def _turn_fields(self, done: do.TurnDone) -> dict[str, Any]:
        return {
            "turn": done.times.turn,
            "kind": done.kind,
            "heard": done.heard,
            "said": done.said,
            "understood": done.understood,
            "interrupted": done.interrupted,
            **done.times.fields(self._options.hangover),
            "models": dict(self._models.versions),
        }


SPEC = PlugSpec(
    kind="pipeline",
    options=PipelineOptions,
    create=Pipeline,
    provider_roles={"stt": "stt", "llm": "llm", "tts": "tts"},
)
