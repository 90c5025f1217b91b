"""ElevenLabs, played."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable

from tests.played.roles import RealtimeScript, SttScript, TtsScript
from tests.played.stage import Message, Script


class _Keyed(Script):
    def allowed(self) -> bool:
        return self.request.headers.get("xi-api-key") == "key"

    def refusal(self, status: int) -> str:
        return json.dumps({"detail": {"status": "refused", "message": f"refused with {status}"}})


class MultiContext(_Keyed, TtsScript):
    limit_close = (1011, "gone")

    def sort(self, message: Message) -> tuple[str, str, str]:
        assert self.request.query["output_format"] == "ulaw_8000"
        found = json.loads(message)
        context = found.get("context_id", "")
        if found.get("close_context"):
            # Ends a context whose text has been flushed; of one that speaks, it is how the client interrupts.
            self.closing = getattr(self, "closing", set())
            seen = context in self.closing
            self.closing.add(context)
            return ("cancel" if seen else "", context, "")
        return ("speak" if found.get("flush") else "", context, found.get("text", "").removesuffix(" "))

    def audio(self, context: str, audio: bytes) -> Iterable[Message]:
        yield json.dumps({"audio": b64encode(audio).decode(), "contextId": context})

    def words(self, context: str, words: list[tuple[str, float, float]]) -> Iterable[Message]:
        text = " ".join(word for word, _, _ in words)
        alignment = {
            "chars": list(text),
            "charStartTimesMs": [20 * number for number, _ in enumerate(text)],
            "charDurationsMs": [20] * len(text),
        }
        yield json.dumps({"audio": b64encode(b"").decode() or None, "contextId": context, "alignment": alignment})

    def done(self, context: str) -> Iterable[Message]:
        yield json.dumps({"isFinal": True, "contextId": context, "audio": None})

    def cancelled(self, context: str) -> Iterable[Message]:
        return self.done(context)

    def error(self) -> Iterable[Message]:
        yield json.dumps({"error": "internal_error", "message": "oops", "code": 1011})


class ScribeScript(_Keyed, SttScript):
    def greeting(self) -> Iterable[Message]:
        assert self.request.query["audio_format"] in {"ulaw_8000", "pcm_16000"}
        self.bytes_per_ms = 8 if self.request.query["audio_format"] == "ulaw_8000" else 32
        yield json.dumps({"message_type": "session_started", "session_id": "s", "config": {}})

    def sort(self, message: Message) -> tuple[str, bytes]:
        found = json.loads(message)
        assert found["message_type"] == "input_audio_chunk"
        return ("end" if found["commit"] else "audio"), b64decode(found["audio_base_64"])

    def interim(self, text: str) -> Iterable[Message]:
        yield json.dumps({"message_type": "partial_transcript", "text": text})

    def final(self, text: str) -> Iterable[Message]:
        yield json.dumps({"message_type": "committed_transcript", "text": text})

    def error(self) -> Iterable[Message]:
        yield json.dumps({"message_type": "transcriber_error", "error": "oops"})


class ConvAi(_Keyed, RealtimeScript):
    event = 0

    def greeting(self) -> Iterable[Message]:
        event = {
            "conversation_id": "c",
            "agent_output_audio_format": "ulaw_8000",
            "user_input_audio_format": "ulaw_8000",
        }
        yield json.dumps({"type": "conversation_initiation_metadata", "conversation_initiation_metadata_event": event})
        yield json.dumps({"type": "ping", "ping_event": {"event_id": 7}})

    def sort(self, message: Message) -> tuple[str, bytes]:
        found = json.loads(message)
        if "user_audio_chunk" in found:
            return "audio", b64decode(found["user_audio_chunk"])
        if found["type"] == "client_tool_result":
            return "tool_result", found["result"].encode()
        return "", b""

    def heard_text(self, text: str) -> Iterable[Message]:
        yield json.dumps({"type": "user_transcript", "user_transcription_event": {"user_transcript": text}})

    def said(self, text: str) -> Iterable[Message]:
        yield json.dumps({"type": "agent_response", "agent_response_event": {"agent_response": text}})

    def audio(self, audio: bytes) -> Iterable[Message]:
        self.event = self.event or 1
        event = {"audio_base_64": b64encode(audio).decode(), "event_id": self.event}
        yield json.dumps({"type": "audio", "audio_event": event})

    def done(self) -> Iterable[Message]:
        return ()

    def interrupted(self) -> Iterable[Message]:
        yield json.dumps({"type": "interruption", "interruption_event": {"event_id": self.event}})
        self.event += 1

    def tool_call(self, call: str, name: str, arguments: str) -> Iterable[Message]:
        found = {"tool_name": name, "tool_call_id": call, "parameters": json.loads(arguments)}
        yield json.dumps({"type": "client_tool_call", "client_tool_call": found})

    def error(self) -> Iterable[Message]:
        self.drop()
        return ()
