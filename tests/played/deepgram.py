"""Deepgram, played."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from tests.played.roles import SttScript, TtsScript
from tests.played.stage import Message

WIDTH = {"mulaw": 1, "alaw": 1, "linear16": 2}


class Listen(SttScript):
    limit_close = (1011, "NET-0001")

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        query = self.request.query
        self.bytes_per_ms = WIDTH[query["encoding"]] * int(query["sample_rate"]) / 1000

    def allowed(self) -> bool:
        return self.request.headers.get("Authorization") == "Token key"

    def refusal(self, status: int) -> str:
        return json.dumps({"err_code": "TEST", "err_msg": f"refused with {status}", "request_id": "1"})


class Nova(Listen):
    def sort(self, message: Message) -> tuple[str, bytes]:
        if isinstance(message, bytes):
            assert message, "an empty binary message ends the stream"
            return "audio", message
        return {"Finalize": "end"}.get(json.loads(message)["type"], ""), b""

    def results(self, text: str, **more: Any) -> str:
        words = [{"word": w.lower(), "punctuated_word": w, "start": 0.1, "end": 0.5} for w in text.split()]
        return json.dumps(
            {
                "type": "Results",
                "channel_index": [0, 1],
                "start": 0.0,
                "duration": 1.0,
                "is_final": False,
                "speech_final": False,
                "channel": {"alternatives": [{"transcript": text, "confidence": 0.9, "words": words}]},
                "metadata": {
                    "request_id": "1",
                    "model_uuid": "u",
                    "model_info": {"name": "general-nova-3", "version": "2025-04-17.21547", "arch": "nova-3"},
                },
                **more,
            }
        )

    def interim(self, text: str) -> Iterable[Message]:
        yield self.results(text)

    def final(self, text: str) -> Iterable[Message]:
        yield self.results(text, is_final=True, speech_final=True, from_finalize=True)

    def error(self) -> Iterable[Message]:
        yield json.dumps({"type": "Error", "variant": "SchemaError", "description": "could not parse"})


class Flux(Listen):
    turn = 0

    def greeting(self) -> Iterable[Message]:
        yield json.dumps({"type": "Connected", "request_id": "r1", "sequence_id": 0})

    def sort(self, message: Message) -> tuple[str, bytes]:
        if isinstance(message, bytes):
            return "audio", message
        return {"ForceEndTurn": "end"}.get(json.loads(message)["type"], ""), b""

    def info(self, event: str, text: str) -> str:
        return json.dumps(
            {
                "type": "TurnInfo",
                "request_id": "r1",
                "sequence_id": 1,
                "event": event,
                "turn_index": self.turn,
                "audio_window_start": 0.0,
                "audio_window_end": 1.0,
                "transcript": text,
                "words": [{"word": word, "confidence": 0.9} for word in text.split()],
                "end_of_turn_confidence": 0.8,
            }
        )

    def interim(self, text: str) -> Iterable[Message]:
        yield self.info("StartOfTurn", text)
        yield self.info("Update", text)

    def final(self, text: str) -> Iterable[Message]:
        if text:  # ForceEndTurn is ignored if no turn is open
            yield self.info("EndOfTurn", text)
            self.turn += 1

    def error(self) -> Iterable[Message]:
        yield json.dumps({"type": "Error", "code": "INTERNAL_SERVER_ERROR", "description": "oops"})


class Speak(TtsScript):
    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        query = self.request.query
        self.samples_per_ms = int(query["sample_rate"]) // 1000
        self.sample = b"\xff" if query["encoding"] == "mulaw" else b"\0\0"
        self.text = ""

    def allowed(self) -> bool:
        return self.request.headers.get("Authorization") == "Token key"

    def refusal(self, status: int) -> str:
        return json.dumps({"err_code": "TEST", "err_msg": f"refused with {status}", "request_id": "1"})

    def sort(self, message: Message) -> tuple[str, str, str]:
        found = json.loads(message)
        match found["type"]:
            case "Speak":
                self.text += found["text"]
            case "Flush":
                text, self.text = self.text, ""
                return "speak", "", text
            case "Clear" | "Interrupt":
                return "cancel", "", ""
        return "", "", ""

    def audio(self, context: str, audio: bytes) -> Iterable[Message]:
        yield audio


class Aura(Speak):
    def greeting(self) -> Iterable[Message]:
        yield json.dumps(
            {
                "type": "Metadata",
                "request_id": "r",
                "model_name": "aura-2-thalia-en",
                "model_version": "2025-02-10.0",
                "model_uuid": "u",
            }
        )

    def done(self, context: str) -> Iterable[Message]:
        yield json.dumps({"type": "Flushed", "sequence_id": 0})

    def cancelled(self, context: str) -> Iterable[Message]:
        yield json.dumps({"type": "Cleared", "sequence_id": 0})

    def error(self) -> Iterable[Message]:
        yield json.dumps({"type": "Error", "code": "NET-0000", "description": "internal"})


class FluxVoice(Speak):
    def greeting(self) -> Iterable[Message]:
        yield json.dumps(
            {
                "type": "Connected",
                "request_id": "r",
                "model_name": "flux-haley-en",
                "model_version": "1",
                "model_uuids": [],
            }
        )

    def done(self, context: str) -> Iterable[Message]:
        yield json.dumps({"type": "Flushed", "speech_id": "s"})
        yield json.dumps(
            {"type": "SpeechMetadata", "speech_id": "s", "audio_duration_ms": 100, "billable_character_count": 5}
        )

    def cancelled(self, context: str) -> Iterable[Message]:
        yield json.dumps({"type": "SpeechInterrupted", "audio_played_ms": 0, "metadata": {}})

    def error(self) -> Iterable[Message]:
        yield json.dumps({"type": "Error", "code": "NET-0003", "description": "internal"})
