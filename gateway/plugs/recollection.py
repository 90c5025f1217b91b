"""What was said on a call with a speech-to-speech model, for the model that takes the call over.

A model's session dies with all it knows. The next one is told the plug's prompt and, behind it, what caller and agent
said; and it greets nobody who was greeted.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import Final

from gateway.providers.contract import Brief, RealtimeResult, Said, SpeechDone, Transcript

__all__ = ["Recollection"]

_LINES: Final = 60
"""Older ones are forgotten: a prompt must not grow with the call."""


class Recollection:
    """``note`` takes every result of the model; ``brief`` is for the session that is opened now."""

    def __init__(self, brief: Brief, takeover: str) -> None:
        self._brief = brief
        self._takeover = takeover
        self._lines: deque[tuple[str, str]] = deque(maxlen=_LINES)
        self._saying = ""
        self._greeted = False

    def note(self, result: RealtimeResult) -> None:
        match result:
            case Transcript(text=text, final=True) if text:
                self._say_caller(text)
            case Said(text, final=True):
                self._saying = text
                self._keep_saying()
            case Said(text, final=False):
                self._saying += text
            case SpeechDone():
                self._greeted = True
                self._keep_saying()
            case _:
                pass

    @property
    def brief(self) -> Brief:
        lines = list(self._lines)
        if self._saying.strip():  # it broke off here
            lines.append(("Agent", f"{self._saying.strip()} ..."))
        if not lines:
            return replace(self._brief, greeting="") if self._greeted else self._brief
        told = "\n".join(f"{who}: {text}" for who, text in lines)
        prompt = "\n\n".join(part for part in (self._brief.prompt, self._takeover, told) if part)
        return replace(self._brief, prompt=prompt, greeting="" if self._greeted else self._brief.greeting)

    def _say_caller(self, text: str) -> None:
        self._greeted = True
        self._lines.append(("Caller", text.strip()))

    def _keep_saying(self) -> None:
        said, self._saying = self._saying.strip(), ""
        if said:
            self._lines.append(("Agent", said))
