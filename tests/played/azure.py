"""Azure, played: Speech (headers and a body in each message), and the realtime models."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterable
from typing import Any

from tests.played.openai import Realtime, event
from tests.played.openai_chat import Chat
from tests.played.roles import QuietSttScript, TtsScript
from tests.played.stage import Message, Script


class _Keyed(Script):
    unknown = "Path:something.new\r\nX-RequestId:1\r\n\r\n{}"

    def allowed(self) -> bool:
        headers = self.request.headers
        return headers.get("Ocp-Apim-Subscription-Key") == "key" and "X-ConnectionId" in headers


def split(message: Message) -> tuple[dict[str, str], Any]:
    if isinstance(message, bytes):
        (length,) = struct.unpack_from(">H", message)
        head, body = message[2 : 2 + length].decode(), message[2 + length :]
        return dict(line.split(": ", 1) for line in head.splitlines()), body
    head, _, text = message.partition("\r\n\r\n")
    return dict(line.split(": ", 1) for line in head.splitlines()), text


def told(path: str, request: str, body: object) -> str:
    head = f"X-RequestId:{request}\r\nContent-Type:application/json; charset=utf-8\r\nPath:{path}\r\n\r\n"
    return head + json.dumps(body)


class SpeechToText(_Keyed, QuietSttScript):
    wav = False
    request_id = ""

    def sort(self, message: Message) -> tuple[str, bytes]:
        headers, body = split(message)
        self.request_id = headers["X-RequestId"]
        if headers["Path"] != "audio":
            return "", b""
        if body.startswith(b"RIFF"):
            (tag, _, rate) = struct.unpack_from("<HHI", body, 20)
            self.bytes_per_ms = {1: 2, 6: 1, 7: 1}[tag] * rate / 1000
            return "", b""
        return ("audio" if body else ""), body

    def interim(self, text: str) -> Iterable[Message]:
        yield told("turn.start", self.request_id, {"context": {"serviceTag": "t"}})
        yield told("speech.startDetected", self.request_id, {"Offset": 100})
        yield told("speech.hypothesis", self.request_id, {"Text": text, "Offset": 100, "Duration": 100})

    def final(self, text: str) -> Iterable[Message]:
        phrase = {"RecognitionStatus": "Success", "DisplayText": text, "Offset": 100, "Duration": 100}
        yield told("speech.phrase", self.request_id, phrase)

    def error(self) -> Iterable[Message]:
        yield told("speech.phrase", self.request_id, {"RecognitionStatus": "ServiceUnavailable"})


class TextToSpeech(_Keyed, TtsScript):
    request_id = ""

    def sort(self, message: Message) -> tuple[str, str, str]:
        headers, body = split(message)
        self.request_id = headers["X-RequestId"]
        if headers["Path"] == "synthesis.context":
            output = json.loads(body)["synthesis"]["audio"]["outputFormat"]
            assert output == "raw-8khz-8bit-mono-mulaw"
        if headers["Path"] != "ssml":
            return "", "", ""
        text = re.search(r"<voice [^>]*>(.*)</voice>", body)
        assert text is not None
        return "speak", self.request_id, text[1]

    def audio(self, context: str, audio: bytes) -> Iterable[Message]:
        head = f"X-RequestId:{context}\r\nContent-Type:audio/basic\r\nX-StreamId:1\r\nPath:audio\r\n".encode()
        yield struct.pack(">H", len(head)) + head + audio

    def words(self, context: str, words: list[tuple[str, float, float]]) -> Iterable[Message]:
        yield told("turn.start", context, {"context": {"serviceTag": "t"}})
        metadata = [
            {
                "Type": "WordBoundary",
                "Data": {
                    "Offset": round(start * 1e7),
                    "Duration": round((end - start) * 1e7),
                    "text": {"Text": word, "Length": len(word), "BoundaryType": "WordBoundary"},
                },
            }
            for word, start, end in words
        ]
        yield told("audio.metadata", context, {"Metadata": metadata})

    def done(self, context: str) -> Iterable[Message]:
        yield from self.audio(context, b"")
        yield told("turn.end", context, {})

    def error(self) -> Iterable[Message]:
        self.drop()
        return ()


class OwnKey:
    request: Any

    def allowed(self) -> bool:
        return bool(self.request.headers.get("api-key") == "key")


class AzureChat(OwnKey, Chat):
    pass


class AzureRealtimeScript(OwnKey, Realtime):
    pass


class VoiceLiveScript(OwnKey, Realtime):
    """The older names of the events."""

    def audio(self, audio: bytes) -> Iterable[Message]:
        for message in super().audio(audio):
            yield str(message).replace("response.output_audio.delta", "response.audio.delta")

    def said(self, text: str) -> Iterable[Message]:
        assert self.session["input_audio_format"] == "g711_ulaw"
        yield event("response.created", response={"id": "r1", "status": "in_progress"})
        yield event("response.audio_transcript.delta", response_id="r1", item_id="i1", delta=text)
        yield event("response.audio_transcript.done", response_id="r1", item_id="i1", transcript=text)
