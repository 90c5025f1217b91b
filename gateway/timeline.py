"""Stamps of a call on one monotonic clock: the source of every latency figure, the tests' oracle, the trace's format.

A turn of the caller and the answer to it share a number; turn 0 is the greeting. The stages of a turn are the spaces
between consecutive stamps, so they add up to the gap on the wire by construction:

    SPEECH_ENDED --hangover--> ENDPOINT --stt--> STT_FINAL --llm--> LLM_FIRST_TOKEN --tts--> TTS_FIRST_AUDIO
                 --first_packet--> FIRST_PACKET

``SPEECH_ENDED`` is the arrival of the last packet of the caller's speech and ``FIRST_PACKET`` the departure of the
answer's first, both taken in the media plane at the packet. A stage that a plug does not have (a realtime model has no
STT of its own) leaves its stamp out, and its time counts to the stage after it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from gateway.units import Nanos, to_ms

__all__ = ["STAGES", "Interruption", "Stamp", "Timeline", "TurnTimes"]


class Stamp(StrEnum):
    """What can be stamped within a turn."""

    ANSWERED = "answered"
    """The call was confirmed (turn 0 only)."""
    SPEECH_STARTED = "speech_started"
    SPEECH_ENDED = "speech_ended"
    ENDPOINT = "endpoint"
    """The gateway took the turn as ended and asked the STT for its final."""
    STT_FINAL = "stt_final"
    LLM_FIRST_TOKEN = "llm_first_token"  # noqa: S105  (a word of a model, no password)
    LLM_FIRST_SENTENCE = "llm_first_sentence"
    """The first sentence was complete and went to the TTS; lies within the stage ``tts``."""
    TTS_FIRST_AUDIO = "tts_first_audio"
    FIRST_PACKET = "first_packet"
    LAST_PACKET = "last_packet"


STAGES: Final[tuple[tuple[str, Stamp], ...]] = (
    ("hangover", Stamp.ENDPOINT),
    ("stt", Stamp.STT_FINAL),
    ("llm", Stamp.LLM_FIRST_TOKEN),
    ("tts", Stamp.TTS_FIRST_AUDIO),
    ("first_packet", Stamp.FIRST_PACKET),
)
"""Stages in their order: name, and the stamp that ends each. The first begins at ``SPEECH_ENDED``."""


@dataclass(slots=True)
class TurnTimes:
    """Stamps of one turn, and the time that each model reported for its own work in it."""

    turn: int
    stamps: dict[Stamp, Nanos] = field(default_factory=dict)
    model: dict[str, Nanos] = field(default_factory=dict)
    """By stage name: ``stt``, ``llm``, ``tts``."""

    @property
    def gap(self) -> int | None:
        """What the caller waited at the wire, in nanoseconds. None if the turn got no answer, or was not asked for."""
        first, ended = self.stamps.get(Stamp.FIRST_PACKET), self.stamps.get(Stamp.SPEECH_ENDED)
        return None if first is None or ended is None else first - ended

    def stages(self) -> dict[str, int]:
        """Length of each stage in nanoseconds; empty if there is no gap to divide."""
        if self.gap is None:
            return {}
        lengths: dict[str, int] = {}
        reached = self.stamps[Stamp.SPEECH_ENDED]
        for stage, stamp in STAGES:
            at = self.stamps.get(stamp)
            if at is not None:
                lengths[stage], reached = at - reached, at
        return lengths

    def ours(self, hangover: Nanos) -> int | None:
        """What the gateway and the network to the models added, in nanoseconds: the gap less the configured hangover
        (or less, where the model ended the turn sooner) and less what the models reported for themselves."""
        if self.gap is None:
            return None
        return self.gap - min(hangover, self.stages().get("hangover", 0)) - sum(self.model.values())

    def fields(self, hangover: Nanos) -> dict[str, object]:
        """The turn as the log and the call record hold it: milliseconds for people, raw stamps for everything else."""
        gap, ours = self.gap, self.ours(hangover)
        return {
            "gap_ms": None if gap is None else to_ms(gap),
            "stages_ms": {stage: to_ms(length) for stage, length in self.stages().items()},
            "model_ms": {stage: to_ms(length) for stage, length in self.model.items()},
            "hangover_configured_ms": to_ms(hangover),
            "ours_ms": None if ours is None else to_ms(ours),
            "stamps": {str(stamp): at for stamp, at in self.stamps.items()},
        }


@dataclass(frozen=True, slots=True)
class Interruption:
    """The caller broke into the agent's answer to ``turn``."""

    turn: int
    onset: Nanos
    """Arrival of the first packet of the caller's speech."""
    confirmed: Nanos
    """When the confirmation window had passed and the plane was told to flush."""
    stopped: Nanos
    """Departure of the agent's last packet."""

    @property
    def stop(self) -> int:
        """What the caller spoke over, in nanoseconds; zero if the agent had just stopped by itself."""
        return max(0, self.stopped - self.onset)


class Timeline:
    """The open turns of one call. A turn is taken out when it is written down, so a long call does not grow."""

    def __init__(self) -> None:
        self._turns: dict[int, TurnTimes] = {}

    def stamp(self, turn: int, stamp: Stamp, at: Nanos) -> None:
        """The first stamp of a kind stays: a turn has one first packet, whatever follows."""
        self.turn(turn).stamps.setdefault(stamp, at)

    def restamp(self, turn: int, stamp: Stamp, at: Nanos) -> None:
        """The latest stamp of a kind stays: speech that ended may go on, and end again."""
        self.turn(turn).stamps[stamp] = at

    def model_took(self, turn: int, stage: str, elapsed: Nanos | None) -> None:
        """What the model itself reported; told once a stage."""
        if elapsed is not None:
            self.turn(turn).model.setdefault(stage, elapsed)

    def turn(self, turn: int) -> TurnTimes:
        return self._turns.setdefault(turn, TurnTimes(turn))

    def take(self, turn: int) -> TurnTimes:
        """The turn's times; the timeline forgets it."""
        return self._turns.pop(turn, None) or TurnTimes(turn)
