"""When has the caller finished? Silence for the hangover, or the STT's own word for it, whichever comes first.

QUIET --speech--> SPEAKING --silence--> PAUSED --hangover passed, or the model is sure--> QUIET
                   |  ^------speech-------'
                   '--no pause for too long--> QUIET
"""

from __future__ import annotations

from enum import Enum, auto

from gateway.units import Nanos

__all__ = ["Endpointer"]


class _State(Enum):
    QUIET = auto()
    SPEAKING = auto()
    PAUSED = auto()


class Endpointer:
    """Tells the end of a turn. The hangover counts from the last speech *packet*, so the detector's release time and
    whatever delayed its report are inside it and not on top."""

    def __init__(self, hangover: Nanos, longest: Nanos) -> None:
        self._hangover = hangover
        self._longest = longest
        self._began = Nanos(0)
        self._state = _State.QUIET
        self._last_speech = Nanos(0)

    @property
    def speaking(self) -> bool:
        """The caller's turn is open: speech, or a pause that may still go on."""
        return self._state is not _State.QUIET

    @property
    def paused(self) -> bool:
        return self._state is _State.PAUSED

    def speech_started(self, now: Nanos) -> None:
        if self._state is _State.QUIET:
            self._began = now
        self._state = _State.SPEAKING

    def speech_ended(self, arrival: Nanos) -> None:
        if self._state is _State.SPEAKING:
            self._state, self._last_speech = _State.PAUSED, arrival

    def reset(self) -> None:
        self._state = _State.QUIET

    def next_timer(self) -> Nanos | None:
        match self._state:
            case _State.PAUSED:
                return Nanos(self._last_speech + self._hangover)
            case _State.SPEAKING:
                return Nanos(self._began + self._longest)
            case _State.QUIET:
                return None

    def ended(self, now: Nanos, *, model_sure: bool = False) -> bool:
        """Whether the turn ends here; if so, the next one may begin."""
        due = self.next_timer()
        if due is None or not (now >= due or (model_sure and self.paused)):
            return False
        self._state = _State.QUIET
        return True
