"""Models that answer at once, over the native plug protocol: what is left of a turn is ours.

Real recognition of a hundred calls needs more processors than this machine has, and its time would be subtracted from
the figure anyway. These models cost next to nothing: an STT that heard "yes", an LLM with one sentence, a TTS with one
clip of a voice-like sound, a realtime model that sends back what it hears.

    python benchmarks/prompt_models.py 8765
"""

from __future__ import annotations

import asyncio
import math
import sys
from array import array
from typing import Any, Final

import uvloop
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from gateway.wire.messages import MAX_AUDIO_BYTES, SUBPROTOCOL, decode, encode
from gateway.wire.socket import AudioMessage, WebSocket

ROLES: Final = {"stt": {}, "llm": {}, "tts": {}, "realtime": {}}
MODEL: Final = {"name": "prompt", "version": "1"}
ENDLESS: Final = 1 << 40
ANSWER: Final = "Certainly, that is all right."


def voice(rate: int, seconds: float) -> bytes:
    """Pulses of 120 Hz through one resonance; sound from the first sample to the last."""
    period = rate / 120
    return array(
        "h",
        [
            round(9000 * math.exp(-(n % period) * 320 / rate) * math.sin(2 * math.pi * 600 * (n % period + 1) / rate))
            for n in range(round(rate * seconds))
        ],
    ).tobytes()


class Server:
    """One connection of the gateway; the owner of its WebSocket."""

    clips: Final[dict[int, bytes]] = {}

    def __init__(self, seconds: float) -> None:
        self.socket = WebSocket(ServerProtocol(subprotocols=[Subprotocol(SUBPROTOCOL)]), self)
        self.seconds = seconds
        self.rates: dict[int, int] = {}
        self.roles: dict[int, str] = {}
        self.sequence: dict[int, int] = {}
        self.handlers = {
            "open": self.opened,
            "close": self.closed,
            "cancel": self.cancel,
            "mark": self.mark,
            "end": self.end,
            "generate": self.generate,
            "speak": self.speak,
        }

    def send(self, kind: str, **fields: object) -> None:
        self.socket.send_text(encode(kind, **fields))

    def on_open(self) -> None:
        self.send("hello", protocol=1, server=MODEL, roles=ROLES)

    def on_pong(self) -> None:
        pass

    def on_lost(self, reason: str) -> None:
        pass

    def on_audio(self, message: AudioMessage) -> None:
        stream, sequence, timestamp, _, flags, pcm = message
        if self.roles.get(stream) == "realtime":
            self.socket.send_audio(stream, sequence, timestamp, 0, flags, pcm)

    def on_text(self, text: str) -> None:
        message = decode(text)
        handler = self.handlers.get(message["type"])
        if handler is not None:
            handler(message["stream"], message)

    def cancel(self, stream: int, message: dict[str, Any]) -> None:
        self.send("done", stream=stream, request=message["request"], cancelled=True)

    def mark(self, stream: int, message: dict[str, Any]) -> None:
        self.send("marked", stream=stream, mark=message["mark"])

    def closed(self, stream: int, message: dict[str, Any]) -> None:
        self.send("closed", stream=stream)
        self.rates.pop(stream, None)
        self.roles.pop(stream, None)

    def end(self, stream: int, message: dict[str, Any]) -> None:
        self.send("transcript", stream=stream, request=message["request"], text="yes", final=True, elapsed_us=0)

    def generate(self, stream: int, message: dict[str, Any]) -> None:
        self.send("token", stream=stream, request=message["request"], text=ANSWER, elapsed_us=0)
        self.send("done", stream=stream, request=message["request"])

    def speak(self, stream: int, message: dict[str, Any]) -> None:
        request, rate = message["request"], self.rates[stream]
        clip = self.clips.get(rate) or self.clips.setdefault(rate, voice(rate, self.seconds))
        self.send("started", stream=stream, request=request, elapsed_us=0)
        for start in range(0, len(clip), MAX_AUDIO_BYTES // 2):
            burst = clip[start : start + MAX_AUDIO_BYTES // 2]
            self.socket.send_audio(stream, self.sequence[stream], start // 2, request, 0, burst)
            self.sequence[stream] += 1
        self.send("done", stream=stream, request=request)

    def opened(self, stream: int, message: dict[str, Any]) -> None:
        self.roles[stream], self.rates[stream], self.sequence[stream] = message["role"], message.get("rate", 8000), 0
        self.send("opened", stream=stream, model=MODEL, credit=ENDLESS)


async def main(port: int, seconds: float) -> None:
    def connected() -> asyncio.Protocol:
        return Server(seconds).socket

    server = await asyncio.get_running_loop().create_server(connected, "127.0.0.1", port)
    print('{"event": "ready"}', flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 1.5))
