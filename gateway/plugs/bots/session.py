"""A call connected to a bot: the caller's frames go up as they come, the bot's bursts are queued, marks come back."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from typing import Any, Final

from gateway import trace
from gateway.audio import AudioFormat
from gateway.errors import ProviderError
from gateway.media.contract import Leg
from gateway.plugs.bots.dialect import LEFT, BotCall, BotDialect, Clear, HangUp, Keys, Mark, Play, StatusWanted
from gateway.plugs.bots.options import BotOptions
from gateway.plugs.contract import CallView, Plug, PlugSpec
from gateway.plugs.measured import MeasuredSession
from gateway.plugs.wav import apology
from gateway.providers import faults
from gateway.providers.dialect import Fault
from gateway.providers.sessions.base import Converter
from gateway.providers.sessions.link import Link
from gateway.units import SECOND, Nanos, Samples

__all__ = ["Bot", "BotSession", "MakeDialect", "bot"]

MakeDialect = Callable[[Any, BotCall], BotDialect]
"""(options, call) -> dialect."""


_MOST_MARKS: Final = 10_000
_TIRED: Final = 3
"""Losses in a row, without a sound between them, after which a session is not taken up any more."""
_RESUMES: Final = (0.0, 0.5, 1.0, 2.0)
"""Seconds before each attempt to take a lost session up."""


class BotSession(MeasuredSession):
    """One call on one connection."""

    def __init__(self, call: CallView, kind: str, options: BotOptions, make: MakeDialect) -> None:
        super().__init__(call)
        token, stream = secrets.token_hex(16), secrets.token_hex(16)
        context = trace.current()
        traced = {} if context is None else {"traceparent": context.traceparent}
        parameters = {**options.parameters, **traced}
        about = self.about = BotCall(call.call_id, call.caller, call.called, token, stream, parameters)
        self._options = options
        self._dialect = make(options, about)
        self.uplink_rate = max(8000, min(16000, self._dialect.hears.rate))
        self.models["bot"] = kind
        self._link = Link(kind, self._dialect, self, options.limits, headers=traced)
        self._converter = Converter(self.uplink_rate, self._dialect.hears, self._dialect.life.frame_ms)
        self._started = False
        self._frames = 0
        self._marks: dict[int, str] = {}
        self._number = 0
        self._odd = b""
        self._queued_until = Nanos(0)
        self._resumed = 0
        self._ending: str | None = None
        self._end_mark = -1
        """Behind the last of what is still to be heard; then the call ends."""
        self.on_close: Callable[[], None] | None = None
        """Called once the call is over."""

    async def start(self, leg: Leg) -> None:
        """The bot hears nothing before the call is answered; its connection stands by then."""
        await super().start(leg)
        await self._link.open()
        self.call.record("bot.connected", kind=self._link.name, bot_call=self.about.call_token)

    async def close(self) -> None:
        await super().close()
        self._link.close()
        if self.on_close is not None:
            self.on_close()

    def answered(self) -> None:
        if not self._started:
            self._started = True
            self._link.send(self._dialect.started())

    # --- what the leg hears -------------------------------------------------------------------------------------------

    def on_audio(self, pcm: bytes, media_time: Samples, arrival: Nanos, flags: int) -> None:
        piece = self._converter.feed(pcm)
        if piece is None or not self._started or not self._link.alive:
            return
        self._link.send_audio(piece, self._dialect.wrap())
        self._frames += 1
        if self._dialect.beat_every and self._frames % self._dialect.beat_every == 0:
            self._link.send(self._dialect.beat())

    def on_digit(self, digit: str, duration_ms: int, arrival: Nanos) -> None:
        super().on_digit(digit, duration_ms, arrival)
        self._link.send(self._dialect.digit(digit, duration_ms))

    def on_mark(self, number: int, sent: Nanos, position: Samples) -> None:
        name = self._marks.pop(number, None)
        if name is not None:
            self._link.send(self._dialect.played(name))
        elif number == self._end_mark and self._ending is not None:
            self.call.hang_up(self._ending)

    def on_playout_idle(self, sent: Nanos, position: Samples) -> None:
        super().on_playout_idle(sent, position)
        self._link.send(self._dialect.drained())

    # --- what the bot wants -------------------------------------------------------------------------------------------

    def on_event(self, event: Any) -> None:
        leg = self.leg
        if leg is None or self._ending is not None:
            return
        match event:
            case Play(audio, spoken):
                self._play(leg, audio, spoken or self._dialect.speaks)
            case Clear():
                self._clear(leg)
            case Mark(name):
                self._marks[self._next()] = name
                leg.mark(self._number)
                if len(self._marks) > _MOST_MARKS:
                    self._lost(ProviderError(self._link.name, "too many marks are waiting", transient=False))
            case HangUp(reason, after_playout=True):
                self._end(leg, reason)
            case HangUp(reason):
                self.call.hang_up(reason)
            case StatusWanted():
                self._link.send(self._dialect.status(self._queued_ms()))
            case Keys(digits):
                self.press(digits)

    def on_retire(self) -> None:
        """A bot's connection lasts as long as its call."""

    def on_lost(self, fault: Fault) -> None:
        if self._ending is not None:
            return  # it has said its last word, which is still being heard
        if self._started and self._resumed < _TIRED and self._dialect.resume():
            self._resumed += 1
            self.call.spawn(self._resume(fault))
        else:
            self._give_up(fault)

    def _play(self, leg: Leg, audio: bytes, spoken: AudioFormat) -> None:
        """A sample may be cut in two by the end of a message."""
        audio = self._odd + audio
        whole = len(audio) - len(audio) % spoken.encoding.width
        audio, self._odd = audio[:whole], audio[whole:]
        if not audio:
            return
        now = self.call.now()
        length = len(audio) * SECOND // spoken.bytes_per_second
        self._queued_until = Nanos(max(self._queued_until, now) + length)
        if self._queued_until - now > self._options.max_queue:
            self._lost(ProviderError(self._link.name, "more audio is queued than max_queue allows", transient=False))
            return
        self._resumed = 0
        self.audio_came()
        leg.play(audio, spoken.rate, spoken.encoding)

    def _clear(self, leg: Leg) -> None:
        names, self._marks = tuple(self._marks.values()), {}
        self._queued_until = self.call.now()
        self._odd = b""
        leg.flush(self._next())
        self._link.send(self._dialect.cleared(names))

    def _queued_ms(self) -> int:
        return max(0, self._queued_until - self.call.now()) * 1000 // SECOND

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _end(self, leg: Leg, reason: str) -> None:
        """The call ends when all that is queued was heard."""
        self._ending, self._end_mark = reason, self._next()
        leg.mark(self._end_mark)

    async def _resume(self, fault: Fault) -> None:
        """The platform dials again. What the caller says meanwhile is lost; what is queued plays on."""
        for pause in _RESUMES:
            await asyncio.sleep(pause)
            link = Link(self._link.name, self._dialect, self, self._options.limits)
            try:
                await link.open()
            except ProviderError as error:
                if not error.transient:
                    break
            else:
                self._link = link
                link.send(self._dialect.resumed())
                self.call.log("bot.resumed", kind=link.name)
                return
        self._give_up(fault)

    def _give_up(self, fault: Fault) -> None:
        if fault is LEFT:
            self.call.hang_up(fault.text)
        else:
            self._lost(faults.to_error(self._link.name, fault))

    def _lost(self, error: ProviderError) -> None:
        """The caller hears the recorded sentence, and the call ends."""
        self.call.log("provider.failed", role="bot", provider=error.provider, reason=str(error))
        self._link.close()
        if self.leg is None:
            return
        clip = apology()
        self._marks.clear()
        self.leg.flush(self._next())
        self.leg.play(clip.pcm, clip.rate)
        self._end(self.leg, "the bot failed")


class Bot:
    """One configured bot, shared by its calls."""

    def __init__(self, kind: str, options: BotOptions, make: MakeDialect) -> None:
        self._kind = kind
        self._options = options
        self._make = make

    def open(self, call: CallView) -> BotSession:
        return BotSession(call, self._kind, self._options, self._make)


def bot(kind: str, options: type[BotOptions], make: MakeDialect) -> PlugSpec:
    """The constant that the file of a bot protocol ends in."""

    def create(block: BotOptions) -> Plug:
        return Bot(kind, block, make)

    return PlugSpec(kind, options, create, provider_roles={})
