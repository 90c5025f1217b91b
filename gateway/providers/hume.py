"""Hume's EVI: speech to speech, PCM up and WAV files down."""

from __future__ import annotations

import json
import wave
from binascii import a2b_base64
from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import Any, Final

from pydantic import Field

from gateway.audio import PCM_8K, PCM_16K, AudioFormat, Encoding
from gateway.options import Secret
from gateway.providers.contract import Brief, Interrupted, ModelInfo, Said, ToolUse
from gateway.providers.dialect import (
    Done,
    Envelope,
    Fault,
    Heard,
    Life,
    Opening,
    Ready,
    RealtimeDialect,
    RealtimeEvent,
    Reply,
    Resumable,
    Sound,
    Use,
    Wire,
)
from gateway.providers.options import RoleOptions, VendorOptions, address, dumps, merged, secret, web_socket
from gateway.providers.sessions.vendor import adapter

__all__ = ["SPEC", "Evi", "HumeOptions"]

_RATES: Final = {8000, 16_000, 24_000, 48_000}


class HumeRealtime(RoleOptions):
    """EVI, as it was configured at Hume."""

    config: str | None = None
    """Identifier of the configuration; None is Hume's own."""
    config_version: int | None = None
    """Of that; None takes the newest."""
    voice: str | None = None
    """Identifier of the voice; None leaves it to the configuration."""


class HumeOptions(VendorOptions):
    """A provider of kind ``hume``."""

    api_key: Secret
    """From app.hume.ai."""
    base_url: str = "https://api.hume.ai"
    """Where the API is."""
    realtime: HumeRealtime = Field(default_factory=HumeRealtime)


class Evi(RealtimeDialect):
    """Each piece of an answer is a WAV file; what still comes of one that was interrupted is dropped by its id."""

    life = Life(greeted=True, flows=True)
    envelope = Envelope(b'{"type":"audio_input","data":"', b'"}', base64=True)

    def __init__(self, options: HumeOptions, rate: int, brief: Brief) -> None:
        self._options = options
        self.brief = brief
        self.hears = PCM_8K if rate == 8000 else PCM_16K
        self.speaks = AudioFormat(Encoding.PCM, 48_000)
        version = options.realtime.config_version
        self.model = ModelInfo(f"evi {options.realtime.config or ''}".strip(), "" if version is None else str(version))
        self._group = ""
        self._id = self._void = ""

    def opening(self) -> Opening:
        options, role = self._options, self._options.realtime
        query = {
            "config_id": role.config,
            "config_version": role.config_version,
            "resumed_chat_group_id": self._group or None,
            "verbose_transcription": True,
        }
        headers = {"X-Hume-Api-Key": secret(options.api_key), **options.headers}
        url = address(web_socket(options.base_url), "/v0/evi/chat", query, role.query)
        return Opening(url, headers, (dumps(self.settings()),))

    def settings(self) -> dict[str, Any]:
        role, brief = self._options.realtime, self.brief
        audio = {"encoding": "linear16", "sample_rate": self.hears.rate, "channels": 1}
        body: dict[str, Any] = {"type": "session_settings", "audio": audio}
        if brief.prompt:
            body["system_prompt"] = brief.prompt
        if role.voice:
            body["voice_id"] = role.voice
        if brief.tools:
            body["tools"] = [
                {
                    "type": "function",
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": json.dumps(dict(tool.parameters)),
                }
                for tool in brief.tools
            ]
        return merged(body, role.extra)

    def resume(self, handle: str) -> bool:
        self._group = handle
        return True

    def tool_result(self, call: str, text: str) -> Iterable[Wire]:
        return (dumps({"type": "tool_response", "tool_call_id": call, "content": text}),)

    def decode(self, message: Wire) -> Iterator[RealtimeEvent]:
        found = json.loads(message)
        match found.get("type"):
            case "chat_metadata":
                yield from self._started(found)
            case "audio_output":
                yield from self._sound(found)
            case "user_interruption":
                self._void = self._id
                yield Interrupted()
            case "user_message":
                yield Heard(found["message"]["content"] or "", final=not found.get("interim"))
            case "assistant_message":
                yield Said(found["message"]["content"] or "", final=False)
            case "assistant_end":
                yield Done()
            case "tool_call" if found.get("response_required", True):
                yield Use(ToolUse(found["tool_call_id"], found["name"], found["parameters"]))
            case "error":
                code = str(found.get("code") or "")  # I...: internal
                yield Fault(f"{code} {found.get('message')}", transient=code.startswith("I"))

    def _started(self, found: dict[str, Any]) -> Iterator[RealtimeEvent]:
        yield Ready()
        if self.brief.greeting and not self._group:
            yield Reply(dumps({"type": "assistant_input", "text": self.brief.greeting}))
        yield Resumable(found["chat_group_id"])

    def _sound(self, found: dict[str, Any]) -> Iterator[RealtimeEvent]:
        self._id = found.get("id") or ""
        if self._void and self._id == self._void:
            return
        try:
            with wave.open(BytesIO(a2b_base64(found["data"])), "rb") as file:
                rate, shape = file.getframerate(), (file.getnchannels(), file.getsampwidth())
                audio = file.readframes(file.getnframes())
        except (wave.Error, EOFError) as error:
            raise ValueError(f"no WAV file: {error}") from error
        if shape != (1, 2) or rate not in _RATES:
            raise ValueError(f"a WAV file of {rate} Hz, {shape[0]} channels, {shape[1]} bytes")
        self.speaks = AudioFormat(Encoding.PCM, rate)
        yield Sound(audio)


SPEC: Final = adapter("hume", HumeOptions, realtime=Evi)
