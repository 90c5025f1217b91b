"""OpenAI's Realtime API as ears alone: speech to text with the turns that the gateway says."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Literal

from gateway.providers.contract import ModelInfo
from gateway.providers.dialect import Flushed, Heard, Life, Model, Opening, Ready, Reply, SttDialect, SttEvent, Wire
from gateway.providers.openai_events import APPEND, FORMATS, ga_format, realtime_fault
from gateway.providers.options import RoleOptions, address, dumps, merged, secret, web_socket
from gateway.units import SECOND, Nanos

__all__ = ["TranscriptionDialect", "TranscriptionStt"]


class TranscriptionStt(RoleOptions):
    """Speech to text at OpenAI."""

    model: str = "gpt-4o-mini-transcribe"
    """``gpt-4o-transcribe``, ``gpt-live-transcribe``, ..."""
    prompt: str = ""
    """Words and names to expect."""
    audio: Literal["mulaw", "alaw", "pcm"] = "mulaw"
    """``pcm`` is 24 kHz, for wideband calls."""


class TranscriptionDialect(SttDialect):
    """Without a detector of its own: what was said is committed when the gateway ends the turn."""

    life = Life(greeted=True, longest=Nanos(55 * 60 * SECOND))
    envelope = APPEND

    def __init__(self, options: Any, rate: int, language: str) -> None:
        self._options = options
        self._language = language.partition("-")[0]
        self.hears = FORMATS[options.stt.audio]
        self.model = ModelInfo(options.stt.model, "")
        self._texts: dict[str, str] = {}

    def opening(self) -> Opening:
        options = self._options
        headers = {"Authorization": f"Bearer {secret(options.api_key)}", **options.headers}
        url = address(web_socket(options.base_url), "/realtime", {"intent": "transcription"}, options.stt.query)
        return Opening(url, headers)

    def session(self) -> dict[str, Any]:
        stt = self._options.stt
        transcription = {"model": stt.model, "language": self._language}
        if stt.prompt:
            transcription["prompt"] = stt.prompt
        body = {
            "type": "transcription",
            "audio": {
                "input": {
                    "format": ga_format(self.hears),
                    "transcription": transcription,
                    "turn_detection": None,
                }
            },
        }
        return merged(body, stt.extra)

    def end(self) -> Iterable[Wire]:
        return ('{"type":"input_audio_buffer.commit"}',)

    def cancel(self) -> Iterable[Wire]:
        return ('{"type":"input_audio_buffer.clear"}',)

    def decode(self, message: Wire) -> Iterator[SttEvent]:
        found = json.loads(message)
        match found["type"]:
            case "session.created":
                yield Reply(dumps({"type": "session.update", "session": self.session()}))
            case "session.updated":
                yield Ready()
                yield Model(self.model)
            case "conversation.item.input_audio_transcription.delta":
                text = self._texts.get(found["item_id"], "") + found["delta"]
                self._texts[found["item_id"]] = text
                yield Heard(text)
            case "conversation.item.input_audio_transcription.completed":
                self._texts.pop(found["item_id"], None)
                yield Heard(found["transcript"], final=True)
                yield Flushed()
            case "input_audio_buffer.cleared":
                yield Flushed()
            case "conversation.item.input_audio_transcription.failed" | "error":
                if (found["error"].get("code") or "") == "input_audio_buffer_commit_empty":
                    yield Flushed()
                elif (fault := realtime_fault(found["error"])) is not None:
                    yield fault
