"""A call whose far side takes the turns itself (a speech-to-speech model, a bot): what the caller waited is measured at
the wire, from the end of speech that the plane heard to the first packet of the answer."""

from __future__ import annotations

from gateway.plugs.contract import CallView
from gateway.plugs.session import BaseSession
from gateway.timeline import Stamp
from gateway.units import Nanos, Samples

__all__ = ["MeasuredSession"]


class MeasuredSession(BaseSession):
    """Counts the caller's turns and writes each down when its answer has been played, or was cut short."""

    def __init__(self, call: CallView) -> None:
        super().__init__(call)
        self.turn = 0
        self.models: dict[str, str] = {}
        """Written into every turn."""
        self.language = ""
        """What is spoken, where it is known."""
        self._answer_start = Samples(0)

    def audio_came(self, elapsed: Nanos | None = None, at: Nanos | None = None) -> None:
        """A burst of the answer has arrived, now or then; only the first of a turn counts."""
        if Stamp.SPEECH_ENDED in self.call.timeline.turn(self.turn).stamps:
            self.call.timeline.stamp(self.turn, Stamp.TTS_FIRST_AUDIO, self.call.now() if at is None else at)
            self.call.timeline.model_took(self.turn, "tts", elapsed)

    def played_ms(self, position: Samples) -> int:
        """How much of the answer at work had been heard at this position of the playout."""
        return (position - self._answer_start) // 8

    def on_speech_started(self, media_time: Samples, arrival: Nanos) -> None:
        self.call.timeline.take(self.turn)  # one that got no answer
        self.turn += 1
        self.call.timeline.stamp(self.turn, Stamp.SPEECH_STARTED, arrival)

    def on_speech_ended(self, media_time: Samples, arrival: Nanos) -> None:
        self.call.timeline.restamp(self.turn, Stamp.SPEECH_ENDED, arrival)

    def on_playout_started(self, sent: Nanos, position: Samples) -> None:
        self._answer_start = position
        self.call.timeline.stamp(self.turn, Stamp.FIRST_PACKET, sent)

    def on_playout_idle(self, sent: Nanos, position: Samples) -> None:
        self._answered(sent, interrupted=False)

    def on_flushed(self, number: int, sent: Nanos, position: Samples) -> None:
        self._answered(sent, interrupted=True)

    def _answered(self, sent: Nanos, *, interrupted: bool) -> None:
        """Writes the turn down. Speech that was answered before it had ended has no gap."""
        times = self.call.timeline.take(self.turn)
        if times.gap is not None and times.gap >= 0:
            times.stamps[Stamp.LAST_PACKET] = sent
            fields = {**times.fields(Nanos(0)), "interrupted": interrupted, "models": dict(self.models)}
            if self.language:
                fields["language"] = self.language
            self.call.record("turn", turn=self.turn, kind="answer", **fields)
