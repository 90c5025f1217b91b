"""Google's Gemini Live: speech to speech over one WebSocket, PCM at 16 kHz up and 24 kHz down."""

from __future__ import annotations

import json
from binascii import a2b_base64
from collections.abc import Iterable, Iterator
from typing import Any, Final

from pydantic import Field

from gateway.audio import PCM_16K, PCM_24K
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
    Retire,
    Sound,
    Spent,
    Use,
    Wire,
)
from gateway.providers.options import RoleOptions, VendorOptions, address, dumps, merged, secret, web_socket
from gateway.providers.sessions.vendor import adapter

__all__ = ["SPEC", "GeminiLive", "GeminiLiveOptions"]

_PATH: Final = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
_PERMANENT: Final = {1007, 1008}


class GeminiRealtime(RoleOptions):
    """Gemini by voice."""

    model: str = "models/gemini-3.8-live"
    """As Google names it; Vertex wants its long name."""
    voice: str = "Puck"
    """Name of the voice."""
    path: str = _PATH
    """Of the WebSocket; Vertex and ephemeral tokens have others."""


class GeminiLiveOptions(VendorOptions):
    """A provider of kind ``gemini-live``."""

    api_key: Secret
    """From aistudio.google.com; for Vertex, write the token under ``headers.Authorization`` and anything here."""
    base_url: str = "https://generativelanguage.googleapis.com"
    """Where the API is."""
    realtime: GeminiRealtime = Field(default_factory=GeminiRealtime)


class GeminiLive(RealtimeDialect):
    """The server says when it was interrupted, and when its connection is about to end; a handle takes it up again."""

    life = Life(greeted=True, flows=True, frame_ms=40)
    envelope = Envelope(b'{"realtimeInput":{"audio":{"mimeType":"audio/pcm;rate=16000","data":"', b'"}}}', base64=True)
    hears = PCM_16K
    speaks = PCM_24K

    def __init__(self, options: GeminiLiveOptions, rate: int, brief: Brief) -> None:
        self._options = options
        self.brief = brief
        self.model = ModelInfo(options.realtime.model.rpartition("/")[2], "")
        self._handle = ""
        self._heard = ""
        self._calls: dict[str, str] = {}

    def opening(self) -> Opening:
        options, role = self._options, self._options.realtime
        headers = {"x-goog-api-key": secret(options.api_key), **options.headers}
        url = address(web_socket(options.base_url), role.path, {}, role.query)
        return Opening(url, headers, (dumps({"setup": self.setup()}),))

    def setup(self) -> dict[str, Any]:
        role, brief = self._options.realtime, self.brief
        speech: dict[str, Any] = {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": role.voice}}}
        if brief.language:
            speech["languageCode"] = brief.language
        body: dict[str, Any] = {
            "model": role.model,
            "generationConfig": {"responseModalities": ["AUDIO"], "speechConfig": speech},
            "inputAudioTranscription": {},
            "outputAudioTranscription": {},
            "sessionResumption": {"handle": self._handle} if self._handle else {},
            "contextWindowCompression": {"slidingWindow": {}},
        }
        if brief.prompt:
            body["systemInstruction"] = {"parts": [{"text": brief.prompt}]}
        if brief.tools:
            declarations = [
                {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
                for tool in brief.tools
            ]
            body["tools"] = [{"functionDeclarations": declarations}]
        return merged(body, role.extra)

    def resume(self, handle: str) -> bool:
        self._handle = handle
        return True

    def tool_result(self, call: str, text: str) -> Iterable[Wire]:
        answer = {"id": call, "name": self._calls.pop(call, ""), "response": {"result": text}}
        return (dumps({"toolResponse": {"functionResponses": [answer]}}),)

    def closed(self, code: int | None, reason: str) -> Fault | None:
        """A quota that is used up comes with the code of a policy."""
        if code in _PERMANENT and any(word in reason.lower() for word in ("quota", "exhausted", "exceeded")):
            return Fault(f"closed: {code} {reason}", transient=True, busy=True)
        return None

    def decode(self, message: Wire) -> Iterator[RealtimeEvent]:
        """The fields of a message may come together, and messages in binary frames."""
        found = json.loads(message)
        if "setupComplete" in found:
            yield Ready()
            if self.brief.greeting and not self._handle:
                text = f"Greet the caller with exactly these words: {self.brief.greeting}"
                yield Reply(dumps({"realtimeInput": {"text": text}}))
        if content := found.get("serverContent"):
            yield from self._content(content)
        for call in (found.get("toolCall") or {}).get("functionCalls", ()):
            self._calls[call["id"]] = call["name"]
            yield Use(ToolUse(call["id"], call["name"], dumps(call.get("args") or {})))
        if usage := found.get("usageMetadata"):
            yield Spent(
                input_tokens=usage.get("promptTokenCount", 0),
                cached_tokens=usage.get("cachedContentTokenCount", 0),
                output_tokens=usage.get("responseTokenCount", 0),
            )
        update = found.get("sessionResumptionUpdate") or {}
        if update.get("resumable") and update.get("newHandle"):
            yield Resumable(update["newHandle"])
        if "goAway" in found:
            yield Retire()

    def _content(self, content: dict[str, Any]) -> Iterator[RealtimeEvent]:
        if content.get("interrupted"):
            yield Interrupted()
        if text := (content.get("inputTranscription") or {}).get("text"):
            self._heard += text
            yield Heard(self._heard)
        for part in (content.get("modelTurn") or {}).get("parts", ()):
            audio = (part.get("inlineData") or {}).get("data")
            if audio:
                yield from self._heard_all()
                yield Sound(a2b_base64(audio))
        if text := (content.get("outputTranscription") or {}).get("text"):
            yield Said(text, final=False)
        if content.get("generationComplete"):
            yield Done()

    def _heard_all(self) -> Iterator[RealtimeEvent]:
        """What the caller said is whole when the answer begins: nothing else says so."""
        if self._heard:
            yield Heard(self._heard.strip(), final=True)
            self._heard = ""


SPEC: Final = adapter("gemini-live", GeminiLiveOptions, realtime=GeminiLive)
