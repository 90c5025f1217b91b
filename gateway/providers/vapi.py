"""Vapi: an assistant of that platform; a call is made over HTTP, and joined over a WebSocket in mu-law."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from gateway.audio import PCM_16K, ULAW_8K
from gateway.options import Secret
from gateway.providers.contract import Brief, Interrupted, ModelInfo, Said
from gateway.providers.dialect import (
    Done,
    Heard,
    HttpRequest,
    Life,
    Opening,
    RealtimeDialect,
    RealtimeEvent,
    Sound,
    Wire,
)
from gateway.providers.options import RoleOptions, VendorOptions, address, merged, secret
from gateway.providers.sessions.vendor import adapter

__all__ = ["SPEC", "Vapi", "VapiOptions"]


class VapiRealtime(RoleOptions):
    """An assistant, as it was made at Vapi; what is to be otherwise goes into ``extra.assistantOverrides``."""

    assistant: str
    """Its identifier."""


class VapiOptions(VendorOptions):
    """A provider of kind ``vapi``."""

    api_key: Secret
    """The private one, from dashboard.vapi.ai."""
    base_url: str = "https://api.vapi.ai"
    """Where the API is."""
    realtime: VapiRealtime


class Vapi(RealtimeDialect):
    """The assistant brings its own prompt, voice and tools, and takes the turns."""

    life = Life(flows=True)

    def __init__(self, options: VapiOptions, rate: int, brief: Brief) -> None:
        self._options = options
        self.brief = brief
        self.hears = self.speaks = ULAW_8K if rate == 8000 else PCM_16K
        self.model = ModelInfo(f"assistant {options.realtime.assistant}", "")
        self._url = ""

    def booking(self) -> HttpRequest:
        options, role = self._options, self._options.realtime
        encoding = "mulaw" if self.hears == ULAW_8K else "pcm_s16le"
        audio = {"format": encoding, "container": "raw", "sampleRate": self.hears.rate}
        body: dict[str, Any] = {
            "assistantId": role.assistant,
            "transport": {"provider": "vapi.websocket", "audioFormat": audio},
        }
        if self.brief.greeting:
            body["assistantOverrides"] = {"firstMessage": self.brief.greeting}
        headers = {
            "Authorization": f"Bearer {secret(options.api_key)}",
            "Content-Type": "application/json",
            **options.headers,
        }
        return HttpRequest(address(options.base_url, "/call", {}, role.query), headers, merged(body, role.extra))

    def booked(self, answer: dict[str, Any]) -> None:
        self._url = str(answer["transport"]["websocketCallUrl"])

    def opening(self) -> Opening:
        """Its address is the key."""
        return Opening(self._url)

    def close(self) -> Iterable[Wire]:
        return ('{"type":"end-call"}',)

    def decode(self, message: Wire) -> Iterator[RealtimeEvent]:
        if isinstance(message, bytes):
            yield Sound(message)
            return
        found = json.loads(message)
        match found.get("type"), found.get("role"):
            case "user-interrupted", _:
                yield Interrupted()
            case "speech-update", "assistant" if found.get("status") == "stopped":
                yield Done()
            case "transcript", "user":
                yield Heard(found["transcript"], final=found.get("transcriptType") == "final")
            case "transcript", "assistant" if found.get("transcriptType") == "final":
                yield Said(found["transcript"], final=False)


SPEC: Final = adapter("vapi", VapiOptions, realtime=Vapi)
