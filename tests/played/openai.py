"""OpenAI, played: Realtime events, transcription, Responses, speech."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable
from typing import Any

from tests.played.roles import HttpTtsScript, LlmScript, RealtimeScript, SttScript
from tests.played.stage import Message, Script


class _Keyed(Script):
    def allowed(self) -> bool:
        return self.request.headers.get("Authorization") == "Bearer key"


def event(kind: str, **fields: Any) -> str:
    return json.dumps({"type": kind, "event_id": "e", **fields}, ensure_ascii=False)


class Realtime(_Keyed, RealtimeScript):
    """Also played for those who speak the same events."""

    def greeting(self) -> Iterable[Message]:
        yield event("session.created", session={"id": "s", "model": "gpt-realtime-2-2026-05"})

    def sort(self, message: Message) -> tuple[str, bytes]:
        found = json.loads(message)
        match found["type"]:
            case "session.update":
                self.session = found["session"]
                return "session", b""
            case "input_audio_buffer.append":
                return "audio", b64decode(found["audio"])
            case "conversation.item.truncate":
                return "interrupted", str(found["audio_end_ms"]).encode()
            case "conversation.item.create" if found["item"]["type"] == "function_call_output":
                return "tool_result", found["item"]["output"].encode()
        return "", b""

    async def on_message(self, message: Message) -> None:
        if self.sort(message)[0] == "session":
            await self.say([event("session.updated", session={"id": "s", "model": "gpt-realtime-2-2026-05"})])
        await super().on_message(message)

    def heard_text(self, text: str) -> Iterable[Message]:
        yield event("input_audio_buffer.committed", item_id="u1", previous_item_id=None)
        yield event("conversation.item.input_audio_transcription.completed", item_id="u1", transcript=text)

    def said(self, text: str) -> Iterable[Message]:
        yield event("response.created", response={"id": "r1", "status": "in_progress"})
        yield event("response.output_audio_transcript.delta", response_id="r1", item_id="i1", delta=text)
        yield event("response.output_audio_transcript.done", response_id="r1", item_id="i1", transcript=text)

    def audio(self, audio: bytes) -> Iterable[Message]:
        delta = b64encode(audio).decode()
        yield event("response.output_audio.delta", response_id="r1", item_id="i1", content_index=0, delta=delta)

    def tool_call(self, call: str, name: str, arguments: str) -> Iterable[Message]:
        fields = {"call_id": call, "name": name, "arguments": arguments}
        yield event("response.function_call_arguments.done", response_id="r1", item_id="i2", **fields)

    def done(self) -> Iterable[Message]:
        usage = {"input_tokens": 7, "output_tokens": 5, "input_token_details": {"cached_tokens": 3}}
        yield event("response.done", response={"id": "r1", "status": "completed", "usage": usage})

    def interrupted(self) -> Iterable[Message]:
        yield event(
            "error", error={"type": "invalid_request_error", "code": "response_cancel_not_active", "message": "x"}
        )
        yield event("input_audio_buffer.speech_started", audio_start_ms=100, item_id="u2")

    def error(self) -> Iterable[Message]:
        yield event("error", error={"type": "server_error", "code": "server_error", "message": "oops"})


class Transcription(_Keyed, SttScript):
    bytes_per_ms = 8
    items = 0

    def greeting(self) -> Iterable[Message]:
        assert self.request.query["intent"] == "transcription"
        yield event("session.created", session={"id": "s", "type": "transcription"})

    async def on_message(self, message: Message) -> None:
        found = json.loads(message)
        if found["type"] == "session.update":
            assert found["session"]["audio"]["input"]["format"] == {"type": "audio/pcmu"}
            await self.say([event("session.updated", session={"id": "s", "type": "transcription"})])
        elif found["type"] == "input_audio_buffer.clear":
            self.heard = 0
            await self.say([event("input_audio_buffer.cleared")])
        await super().on_message(message)

    def sort(self, message: Message) -> tuple[str, bytes]:
        found = json.loads(message)
        if found["type"] == "input_audio_buffer.append":
            return "audio", b64decode(found["audio"])
        return ("end" if found["type"] == "input_audio_buffer.commit" else ""), b""

    def interim(self, text: str) -> Iterable[Message]:
        for piece in (text[:3], text[3:]):
            yield event("conversation.item.input_audio_transcription.delta", item_id=f"i{self.items}", delta=piece)

    def final(self, text: str) -> Iterable[Message]:
        if not text:
            code = "input_audio_buffer_commit_empty"
            yield event("error", error={"type": "invalid_request_error", "code": code, "message": "buffer too small"})
            return
        kind = "conversation.item.input_audio_transcription.completed"
        yield event(kind, item_id=f"i{self.items}", transcript=text)
        self.items += 1

    def error(self) -> Iterable[Message]:
        yield event("error", error={"type": "server_error", "code": "server_error", "message": "oops"})


class Responses(_Keyed, LlmScript):
    def last_message(self, body: dict[str, Any]) -> str:
        assert self.request.path.endswith("/responses")
        last = body["input"][-1]
        return str(last.get("content") or last.get("output"))

    def chunk(self, kind: str, **fields: Any) -> str:
        return (
            f"event: {kind}\ndata: {json.dumps({'type': kind, 'sequence_number': 1, **fields}, ensure_ascii=False)}\n\n"
        )

    def head(self) -> Iterable[str]:
        yield self.chunk(
            "response.created", response={"id": "r", "model": "gpt-5-mini-2026-02", "status": "in_progress"}
        )
        yield self.chunk("response.output_item.added", output_index=0, item={"type": "message"})

    def token(self, text: str) -> Iterable[str]:
        yield self.chunk("response.output_text.delta", item_id="i", output_index=0, content_index=0, delta=text)

    def tool_call(self, name: str, arguments: str) -> Iterable[str]:
        yield self.chunk("response.function_call_arguments.delta", item_id="i", delta=arguments[:5])
        item = {"type": "function_call", "call_id": "call_1", "name": name, "arguments": arguments}
        yield self.chunk("response.output_item.done", output_index=0, item=item)

    def finish(self, *, tools: bool) -> Iterable[str]:
        usage = {"input_tokens": 7, "output_tokens": 5, "input_tokens_details": {"cached_tokens": 3}}
        response = {"id": "r", "model": "gpt-5-mini-2026-02", "status": "completed", "usage": usage}
        yield self.chunk("response.completed", response=response)

    def failure(self) -> Iterable[str]:
        yield self.chunk("response.failed", response={"error": {"code": "server_error", "message": "oops"}})


class SpeechHttp(_Keyed, HttpTtsScript):
    def text(self, body: dict[str, Any]) -> str:
        assert body["response_format"] == "pcm"
        return str(body["input"])


class Live(_Keyed, RealtimeScript):
    """Full duplex: no word of an interruption, or of an answer's end."""

    async def on_message(self, message: Message) -> None:
        found = json.loads(message)
        if found["type"] == "session.start":
            assert found["session"]["audio"]["format"] == {"type": "audio/pcmu", "rate": 8000}
            await self.say([event("session.started", session={"id": "live_1", "model": "gpt-live-1-2026-09"})])
        await super().on_message(message)

    def sort(self, message: Message) -> tuple[str, bytes]:
        found = json.loads(message)
        if found["type"] == "session.input_audio.append":
            return "audio", b64decode(found["audio"])
        return "", b""

    def heard_text(self, text: str) -> Iterable[Message]:
        yield event("session.input_transcript.delta", delta=text, start_ms=0, end_ms=100)

    def said(self, text: str) -> Iterable[Message]:
        yield event("session.output_transcript.delta", delta=text, start_ms=100, end_ms=200)

    def audio(self, audio: bytes) -> Iterable[Message]:
        yield event("session.output_audio.delta", delta=b64encode(audio).decode())

    def done(self) -> Iterable[Message]:
        yield event("session.usage.updated", usage={"seconds": 1.0})

    def interrupted(self) -> Iterable[Message]:
        return ()

    def error(self) -> Iterable[Message]:
        yield event("error", error={"type": "server_error", "code": "server_error", "message": "oops"})
