"""Test numbers, as every telephone exchange has them: echo, milliwatt tone, silence, a recording.

They need no model. An operator dials them to check a trunk, and others dial them to test us.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from typing import Final

from pydantic import Field

from gateway.options import Options
from gateway.plugs.contract import CallView, Plug, PlugSession, PlugSpec
from gateway.plugs.session import BaseSession
from gateway.plugs.wav import Clip, WavFile, read_wav
from gateway.units import Nanos, Samples

__all__ = ["ECHO", "PLAY", "SILENCE", "TONE"]

_ECHO_RATE: Final = 16000

_OVERLOAD_DBM0: Final = 3.17
"""Level of a sine that just reaches the largest mu-law code (ITU-T G.711, table 6/7: 0 dBm0 lies this far below)."""
_LARGEST: Final = 32124
"""That code as 16-bit linear."""


class EchoOptions(Options):
    """A plug of kind ``echo``: the caller hears themselves, after the whole decode and encode path."""


class EchoSession(BaseSession):
    """Has the plane play what it hears, as wide as the widest codec: nothing of it passes the event loop."""

    uplink_rate = _ECHO_RATE

    def answered(self) -> None:
        if self.leg is not None:
            self.leg.echo(True)

    def on_hold(self, held: bool) -> None:
        """An echo of what was said on hold would come when nobody expects it."""
        if self.leg is not None:
            self.leg.echo(not held)


class SilenceOptions(Options):
    """A plug of kind ``silence``: the call is up, and nothing is said."""


class ToneOptions(Options):
    """A plug of kind ``tone``: the milliwatt of the test line (1004 Hz at 0 dBm0, ANSI T1.207)."""

    frequency_hz: int = Field(default=1004, ge=100, le=3400)
    """Whole hertz, so that one second of it joins the next without a click."""
    level_dbm0: float = Field(default=0.0, ge=-60.0, le=3.0)
    """Level; 0 is the milliwatt."""


class PlayOptions(Options):
    """A plug of kind ``play``: a recording."""

    file: WavFile
    """A WAV file, 16-bit mono at 8, 16, 24 or 48 kHz."""
    loop: bool = False
    """Begin again at its end, until the caller hangs up; if not, the call ends with it."""


class ClipSession(BaseSession):
    """Plays a recording once, or over and over: two copies are queued, and each one sent brings the next."""

    def __init__(self, call: CallView, clip: Clip, *, loop: bool) -> None:
        super().__init__(call)
        self._clip = clip
        self._loop = loop

    def answered(self) -> None:
        for _ in range(2 if self._loop else 1):
            self._queue()

    def on_mark(self, number: int, sent: Nanos, position: Samples) -> None:
        if self._loop:
            self._queue()
        else:
            self.call.hang_up("recording played")

    def _queue(self) -> None:
        if self.leg is not None:
            self.leg.play(self._clip.pcm, self._clip.rate)
            self.leg.mark(0)


def tone(frequency_hz: int, level_dbm0: float) -> Clip:
    """One second of a sine at 8 kHz."""
    peak = _LARGEST / 10 ** ((_OVERLOAD_DBM0 - level_dbm0) / 20)
    step = 2 * math.pi * frequency_hz / 8000
    return Clip(array("h", (round(peak * math.sin(step * n)) for n in range(8000))).tobytes(), 8000)


class _Opens:
    """A plug that is no more than the session it opens."""

    def __init__(self, session: Callable[[CallView], PlugSession]) -> None:
        self.open = session


def _play(options: PlayOptions) -> Plug:
    clip = read_wav(options.file)
    return _Opens(lambda call: ClipSession(call, clip, loop=options.loop))


def _tone(options: ToneOptions) -> Plug:
    clip = tone(options.frequency_hz, options.level_dbm0)
    return _Opens(lambda call: ClipSession(call, clip, loop=True))


ECHO = PlugSpec("echo", EchoOptions, lambda _: _Opens(EchoSession), provider_roles={})
SILENCE = PlugSpec("silence", SilenceOptions, lambda _: _Opens(BaseSession), provider_roles={})
TONE = PlugSpec("tone", ToneOptions, _tone, provider_roles={})
PLAY = PlugSpec("play", PlayOptions, _play, provider_roles={})
