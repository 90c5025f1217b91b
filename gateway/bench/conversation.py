"""The conversation as it is shown: what the caller did and what the gateway logged, in the order that people expect.

The caller's own words are known when they leave, the agent's when its turn is over: an agent that was interrupted is
written down *after* the interruption began. So the line of an interruption waits for the line that it interrupts.
"""

from __future__ import annotations

import asyncio

from gateway.bench.callers.caller import Caller, Happening, PickedUp, Rang, Speaks
from gateway.bench.measure.inside import (
    InsideInterruption,
    InsideTurn,
    LogLine,
    joined,
    read_interruption,
    read_turn,
)
from gateway.bench.measure.results import TurnResult
from gateway.bench.terminal import Terminal
from gateway.units import to_ms

__all__ = ["Conversation"]


class Conversation:
    """One call, told by its caller (``on_caller``) and by the gateway's log (``on_line``)."""

    def __init__(self, terminal: Terminal) -> None:
        self.turns: list[InsideTurn] = []
        self.interruptions: list[InsideInterruption] = []
        self.caller: Caller | None = None
        """Set before the call is placed."""
        self.over = asyncio.Event()
        """The gateway has written the call's last line."""
        self._terminal = terminal
        self._held: Speaks | None = None

    # --- the caller's side --------------------------------------------------------------------------------------------

    def on_caller(self, happening: Happening) -> None:
        match happening:
            case Rang():
                pass
            case PickedUp(at=at):
                self._terminal.start = at
            case Speaks(interrupting=True):
                self.release()
                self._held = happening
            case Speaks():
                self.release()
                self._say(happening)

    def release(self) -> None:
        """Shows an interruption that still waits for what it interrupted."""
        if self._held is not None:
            self._say(self._held)
            self._held = None

    def _say(self, happening: Speaks) -> None:
        self._terminal.speaks("caller", happening.at, happening.text, "(interrupts)" if happening.interrupting else "")

    # --- the gateway's side -------------------------------------------------------------------------------------------

    def on_line(self, line: LogLine) -> None:
        """A line of the gateway's log; those of other calls are not ours to tell."""
        if self.caller is None or line.call_id != self.caller.result.call_id:
            return
        match line.event:
            case "heard":
                self._terminal.understood(str(line.fields.get("heard", "")))
            case "turn":
                self._on_turn(read_turn(line))
            case "barge_in":
                self._on_interruption(read_interruption(line))
            case "call.ended":
                self.over.set()
            case _:
                pass

    def _on_turn(self, turn: InsideTurn) -> None:
        self.turns.append(turn)
        if turn.said:
            at = turn.stamps.get("first_packet", self._terminal.start)
            self._terminal.speaks("agent", at, turn.said + (" —" if turn.interrupted else ""), _remark(turn))
        outside = self._outside(turn)
        self._terminal.waterfall(
            turn, None if outside is None or outside.packet_gap is None else to_ms(outside.packet_gap)
        )
        if turn.interrupted:
            self.release()
            self._tell_stop()

    def _on_interruption(self, interruption: InsideInterruption) -> None:
        self.interruptions.append(interruption)
        if self.turns and self.turns[-1].interrupted:
            self._tell_stop()

    def _tell_stop(self) -> None:
        """Both lines are there, in whatever order they came."""
        if not self.interruptions or not self.turns or self.interruptions[-1].turn != self.turns[-1].number:
            return
        stop = self.interruptions[-1]
        self._terminal.stopped(stop.stop_ms, stop.confirm_ms)

    def _outside(self, inside: InsideTurn) -> TurnResult | None:
        if self.caller is None or inside.gap_ms is None:
            return None
        return next((turn for turn in self.caller.so_far().turns if joined(turn, [inside]) is inside), None)


def _remark(turn: InsideTurn) -> str:
    return "" if turn.understood else "(did not understand)"
