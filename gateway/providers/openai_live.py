"""OpenAI's GPT-Live: full duplex. It hears and speaks all the time, and yields the floor inside the model.

Its audio is one stream in real time, silence included: nothing is flushed, and no event says that the caller broke in.
"""

from __future__ import annotations

import json
from binascii import a2b_base64
from collections.abc import Iterator
from typing import Any, Final, Literal

from pydantic import Field

from gateway.audio import ALAW_8K, PCM_16K, PCM_24K, ULAW_8K, AudioFormat, Encoding
from gateway.options import Secret
from gateway.providers.contract import Brief, ModelInfo, Said
from gateway.providers.dialect import (
    Envelope,
    Fault,
    Heard,
    Life,
    Model,
    Opening,
    Ready,
    RealtimeDialect,
    RealtimeEvent,
    Resumable,
    Sound,
    Spent,
    Wire,
)
from gateway.providers.openai_events import realtime_fault
from gateway.providers.options import RoleOptions, VendorOptions, address, dumps, merged, secret, web_socket
from gateway.providers.sessions.vendor import adapter
from gateway.units import SECOND, Nanos

__all__ = ["SPEC", "GptLive", "OpenAiLiveOptions"]

_FORMATS: Final = {"mulaw": ULAW_8K, "alaw": ALAW_8K, "pcm16": PCM_16K, "pcm24": PCM_24K}
_NAMES: Final = {Encoding.ULAW: "audio/pcmu", Encoding.ALAW: "audio/pcma", Encoding.PCM: "audio/pcm"}
_REMEMBERED: Final = 100
"""Texts that a new session is told; 128 are taken."""


class LiveRole(RoleOptions):
    """GPT-Live."""

    model: str = "gpt-live-1"
    """As OpenAI names it."""
    voice: str = "marin"
    """Name of the voice."""
    audio: Literal["mulaw", "alaw", "pcm16", "pcm24"] = "mulaw"
    """Both ways."""


class OpenAiLiveOptions(VendorOptions):
    """A provider of kind ``openai-live``."""

    api_key: Secret
    """From platform.openai.com; for Azure, write it under ``headers.api-key`` as well."""
    base_url: str = "https://api.openai.com/v1"
    """Where the API is."""
    realtime: LiveRole = Field(default_factory=LiveRole)


class GptLive(RealtimeDialect):
    """A session that was lost in a pause is begun anew with what was said."""

    life = Life(greeted=True, flows=True, longest=Nanos(50 * 60 * SECOND))
    envelope = Envelope(b'{"type":"session.input_audio.append","audio":"', b'"}', base64=True)

    def __init__(self, options: OpenAiLiveOptions, rate: int, brief: Brief) -> None:
        self._options = options
        self.brief = brief
        self.hears = self.speaks = _FORMATS[options.realtime.audio]
        self.model = ModelInfo(options.realtime.model, "")
        self._known: list[dict[str, Any]] = []
        self._open = {"user": "", "assistant": ""}
        self._seconds = 0.0

    def opening(self) -> Opening:
        options, role = self._options, self._options.realtime
        headers = {"Authorization": f"Bearer {secret(options.api_key)}", **options.headers}
        session = {
            "model": role.model,
            "instructions": self._instructions(),
            "audio": {"format": _format(self.hears), "output": {"voice": role.voice}},
            "input": self._known,
        }
        first = dumps({"type": "session.start", "session": merged(session, role.extra)})
        return Opening(address(web_socket(options.base_url), "/live/sessions", {}, role.query), headers, (first,))

    def _instructions(self) -> str:
        greeting = self.brief.greeting
        if not greeting or self._known:
            return self.brief.prompt
        return f"{self.brief.prompt}\n\nBegin the call by saying exactly: {greeting}".strip()

    def resume(self, handle: str) -> bool:
        self._known = json.loads(handle)
        return True

    def close(self) -> Iterator[Wire]:
        yield '{"type":"session.close"}'

    def decode(self, message: Wire) -> Iterator[RealtimeEvent]:
        found = json.loads(message)
        match found["type"]:
            case "session.started":
                yield Ready()
                yield Model(ModelInfo(found["session"].get("model") or self.model.name, ""))
            case "session.output_audio.delta":
                yield Sound(a2b_base64(found["delta"]))
            case "session.input_transcript.delta":
                yield from self._said("user", found["delta"])
            case "session.output_transcript.delta":
                yield from self._said("assistant", found["delta"])
            case "session.usage.updated":
                seconds, self._seconds = self._seconds, found["usage"]["seconds"]
                yield Spent(seconds=self._seconds - seconds)
            case "session.closed":
                reason = found.get("reason", "")
                yield Fault(f"the session was closed: {reason}", transient=reason != "content")
            case "error" if (fault := realtime_fault(found["error"])) is not None:
                yield fault

    def _said(self, role: str, delta: str) -> Iterator[RealtimeEvent]:
        """Nobody says when a turn has ended: it has when the other one is heard."""
        other = "user" if role == "assistant" else "assistant"
        if text := self._open[other].strip():
            self._open[other] = ""
            yield Heard(text, final=True) if other == "user" else Said(text, final=True)
            kind = "input_text" if other == "user" else "output_text"
            item = {"type": "message", "role": other, "content": [{"type": kind, "text": text}]}
            self._known = [*self._known, item][-_REMEMBERED:]
            yield Resumable(json.dumps(self._known, ensure_ascii=False))
        self._open[role] += delta
        yield Heard(self._open[role]) if role == "user" else Said(delta, final=False)


def _format(audio: AudioFormat) -> dict[str, Any]:
    return {"type": _NAMES[audio.encoding], "rate": audio.rate}


SPEC: Final = adapter("openai-live", OpenAiLiveOptions, realtime=GptLive)
