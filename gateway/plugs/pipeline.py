"""A call connected to three models: speech to text, a language model, text to speech. The conversation lives here.

``turns.Conversation`` decides; this session carries its effects to the providers' sessions and the leg, and brings back
what they deliver. Every hand-over is a plain call on the event loop: no task or queue per packet, token or burst.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from weakref import proxy

from gateway.media.contract import PLAYED_RATES, FrameFlags, Leg
from gateway.plugs.contract import CallView, PlugSpec
from gateway.plugs.ledger import Ledger
from gateway.plugs.model_sessions import Listeners, ModelSessions
from gateway.plugs.pipeline_options import PipelineOptions
from gateway.plugs.session import BaseSession
from gateway.plugs.sounds import Sounds
from gateway.plugs.wav import Clip
from gateway.providers.contract import (
    Bye,
    Digits,
    Failed,
    Generated,
    LanguageWanted,
    LlmResult,
    Speech,
    SpeechDone,
    SttResult,
    Token,
    ToolCall,
    Transcript,
    TtsResult,
    Unasked,
    Words,
)
from gateway.providers.router.effects import Lost, Moved
from gateway.providers.router.session import Notice
from gateway.providers.router.upstream import Upstream
from gateway.turns import effects as do
from gateway.turns.conversation import MODEL_FAILED, Conversation
from gateway.units import Nanos, Samples, to_ms

__all__ = ["SPEC", "Pipeline", "PipelineSession"]

_SPEECH: Final = int(FrameFlags.SPEECH)


class Pipeline:
    """One configured pipeline, shared by its calls."""

    def __init__(self, options: PipelineOptions) -> None:
        self.options = options
        self.sounds = Sounds(options)

    def open(self, call: CallView) -> PipelineSession:
        return PipelineSession(self.options, self.sounds, call)

    async def prepare(self, providers: Mapping[str, Upstream], cache: Path | None) -> None:
        if self.options.ahead:
            await self.sounds.phrases.prepare([providers[name] for name in self.options.order("tts")], cache)


class PipelineSession(BaseSession):
    """One call on a pipeline: the leg's observer, and the listener of three provider sessions.

    Each method tells the conversation what happened and drains it: its effects go to the models and the leg, its
    reports to the log and the call record.
    """

    def __init__(self, options: PipelineOptions, sounds: Sounds, call: CallView) -> None:
        super().__init__(call)
        self._options = options
        self._sounds = sounds
        self._conversation = Conversation(
            options,
            call.timeline,
            system=options.prompt,
            hang_up_on_failure=options.on_failure.then != "continue",
            bridge_after=options.bridge.after if options.bridge else None,
        )
        self._drive = call.drive(self._conversation, self._carry_out, self._report)
        self._ledger = Ledger(call.providers)
        self._blamed: set[tuple[str, str]] = set()
        """Whose failing was logged since the last turn."""
        self._languages: dict[int, str] = {}
        """What each open turn was spoken in, where the STT can tell."""
        self._interrupted: int | None = None
        """The turn whose answer was cut short, until it is known by what."""
        player: Any = proxy(self)  # asked by sessions that are this one's own, and must not keep it
        listeners = Listeners(
            self._on_stt, self._on_llm, self._on_tts, self._on_notice, self._conversation.kept, player
        )
        self._models = ModelSessions(options, call, listeners)
        self.uplink_rate = self._models.rate

    # --- life ---------------------------------------------------------------------------------------------------------

    async def start(self, leg: Leg) -> None:
        """A provider that is not there does not refuse the call: the caller hears the apology."""
        await super().start(leg)
        await self._models.connect()

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
        self.call.totals.update(self._ledger.call())

    # --- what the leg hears -------------------------------------------------------------------------------------------

    def on_audio(self, pcm: bytes, media_time: Samples, arrival: Nanos, flags: int) -> None:
        if flags & _SPEECH:
            self._conversation.speech_heard(arrival, self._drive.now())
            self._drive.poke()
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

    def on_trimmed(self, number: int, position: Samples) -> None:
        self._conversation.trimmed(number, position)

    def on_digit(self, digit: str, duration_ms: int, arrival: Nanos) -> None:
        super().on_digit(digit, duration_ms, arrival)
        self._models.llm.digit(digit)

    def on_mark(self, number: int, sent: Nanos, position: Samples) -> None:
        self._conversation.answer_begins(sent)

    # --- what the models deliver --------------------------------------------------------------------------------------

    def _on_stt(self, result: SttResult) -> None:
        match result:
            case Transcript():
                if result.final and result.language:
                    self._languages[result.turn] = result.language
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
                self._failed()
        self._drive.poke()

    def _on_llm(self, result: LlmResult) -> None:
        now = self._drive.now()
        match result:
            case Token(request, text, elapsed, interruptible):
                self._conversation.token(request, text, now, elapsed, interruptible=interruptible)
            case Generated(request, cancelled, hang_up) if not cancelled:
                self._conversation.generated(request, now, hang_up=hang_up)
            case ToolCall(_, use):
                self.call.log("tool.called", name=use.name)
            case Failed():
                self._failed()
            case _:
                self._on_beside(result, now)
        self._drive.poke()

    def _on_beside(self, result: LlmResult, now: Nanos) -> None:
        """What the LLM wants beside its answers."""
        match result:
            case Unasked(text, last, interruptible):
                self._conversation.unasked(text, now, last=last, interruptible=interruptible)
            case Bye():
                self._conversation.bye()
            case Digits(digits):
                self.press(digits)
            case LanguageWanted(speech, transcription):
                self.call.log("language.wanted", speech=speech, transcription=transcription)

    def _on_tts(self, result: TtsResult) -> None:
        now = self._drive.now()
        match result:
            case Speech(request, audio, rate, elapsed, encoding):
                if self._conversation.speech(request, result.samples * 8000 // rate, now, elapsed) and self.leg:
                    self.leg.play(audio, rate, encoding)
            case Words(request, words):
                self._conversation.words(request, words)
            case SpeechDone(request, cancelled) if not cancelled:
                self._conversation.speech_done(request, now)
            case Failed():
                self._failed()
        self._drive.poke()

    def _failed(self) -> None:
        """Nobody is left who could do it: the conversation apologises once."""
        self._conversation.failed(self._drive.now())

    def _on_notice(self, notice: Notice) -> None:
        """What the caller does not hear of."""
        self._ledger.note(notice)
        match notice:
            case Lost(role, provider, error):
                if (role, provider) not in self._blamed:
                    self._blamed.add((role, provider))
                    self.call.log("provider.failed", role=role, provider=provider, reason=str(error))
                self._conversation.lost(self._drive.now())
                self._drive.poke()
            case Moved(role, source, target, _, waited):
                waited_ms = to_ms(waited)
                self.call.log("provider.moved", role=role, source=source, target=target, waited_ms=waited_ms)

    # --- what failing over asks of the playout ------------------------------------------------------------------------

    def playable(self, burst: Speech) -> bool:
        return burst.rate in PLAYED_RATES and len(burst.audio) % burst.encoding.width == 0

    def played(self, request: int) -> int:
        return self._conversation.gone(request, self._drive.now())

    def trim(self, request: int, at: int) -> None:
        self._conversation.trim(request, at)
        self._drive.poke()

    # --- what the conversation wants ----------------------------------------------------------------------------------

    def _carry_out(self, effect: do.Effect) -> None:
        match effect:
            case do.HangUp(reason):
                self._hang_up(reason)
            case do.Flush() | do.Trim() | do.CoverGap() | do.MarkAnswer() | do.Apologise():
                if self.leg is not None:
                    self._to_leg(effect, self.leg)
            case _:
                self._to_model(effect)

    def _to_leg(self, effect: do.ToLeg, leg: Leg) -> None:
        match effect:
            case do.Flush(number):
                leg.flush(number)
            case do.Trim(request, position):
                leg.trim(request, position)
            case do.MarkAnswer(request):
                leg.mark(request)
            case do.CoverGap():
                self._cover_gap(leg)
            case do.Apologise(request):
                self._play(leg, request, self._sounds.apology)

    def _cover_gap(self, leg: Leg) -> None:
        clip = self._sounds.bridge
        if clip is not None:
            self._conversation.covered(clip.samples)
            leg.play(clip.pcm, clip.rate)

    def _play(self, leg: Leg, request: int, clip: Clip) -> None:
        """A recording is a sentence that comes at once and whole."""
        now = self._drive.now()
        if self._conversation.speech(request, clip.samples, now):
            leg.play(clip.pcm, clip.rate)
        self._conversation.speech_done(request, now)

    def _speak(self, request: int, text: str) -> None:
        """What was made ahead is played from there, unless it would overtake what is being synthesised."""
        clip = self._sounds.phrases.get(text)
        if clip is None or self.leg is None or self._models.tts.working:
            self._models.tts.speak(request, text)
        else:
            self._play(self.leg, request, clip)

    def _hang_up(self, reason: str) -> None:
        failure = self._options.on_failure
        then = failure.then if reason == MODEL_FAILED else "hang_up"
        self.part(then, failure.transfer_to, reason)

    def _to_model(self, effect: do.ToModel) -> None:
        stt, llm, tts = self._models.stt, self._models.llm, self._models.tts
        match effect:
            case do.BeginTurn(turn, media_time):
                stt.begin_turn(turn, media_time)
            case do.EndTurn(turn, media_time):
                stt.end_turn(turn, media_time)
            case do.CancelTurn(turn):
                stt.cancel_turn(turn)
            case do.Generate(request, messages):
                llm.generate(request, messages)
            case do.CancelGenerate(request):
                llm.cancel(request)
            case do.TellInterrupted(text, played_ms):
                llm.interrupted(text, played_ms)
            case do.Speak(request, text):
                self._speak(request, text)
            case do.CancelSpeak(request):
                tts.cancel(request)

    # --- what the conversation reports --------------------------------------------------------------------------------

    def _report(self, report: do.Report) -> None:
        match report:
            case do.Heard(turn, text):
                self.call.log("heard", turn=turn, heard=text)
            case do.Interrupted(interruption):
                self._interrupted = interruption.turn
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
        self._blamed.clear()
        turn = done.times.turn
        language = self._languages.get(turn, self._options.language)
        self._languages = {later: known for later, known in self._languages.items() if later > turn}
        return {
            "turn": turn,
            "language": language,
            **self._false_barge_in(done),
            "kind": done.kind,
            "heard": done.heard,
            "said": done.said,
            "understood": done.understood,
            "interrupted": done.interrupted,
            **done.times.fields(self._options.hangover),
            "providers": self._models.serving,
            "models": self._models.versions,
            **self._ledger.turn(),
        }

    def _false_barge_in(self, done: do.TurnDone) -> dict[str, Any]:
        """The agent fell silent for a cough: what interrupted it was understood as nothing."""
        if self._interrupted is None or done.times.turn <= self._interrupted:
            return {}
        self._interrupted = None
        return {"false_barge_in": True} if done.understood and not done.heard else {}


SPEC = PlugSpec(
    kind="pipeline",
    options=PipelineOptions,
    create=Pipeline,
    provider_roles={key: role for role in ("stt", "llm", "tts") for key in (role, f"shadow.{role}")},
)
