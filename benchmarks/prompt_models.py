"""Models that answer at once, over the native plug protocol: what is left of a turn is ours.

Real recognition of a hundred calls needs more processors than this machine has, and its time would be subtracted from
the figure anyway. These models cost next to nothing: an STT that heard "yes", an LLM with one sentence, a TTS with one
clip of a voice-like sound, a realtime model that sends back what it hears.

    python benchmarks/prompt_models.py 8765
    python benchmarks/prompt_models.py 8765 1.5 0.28    # commits a fault at this share of its requests
"""

from __future__ import annotations

import asyncio
import math
import random
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

    def __init__(self, seconds: float, faults: float) -> None:
        self.faults = faults
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

    def fails(self, stream: int, request: int) -> bool:
        """A stall, an error or a 429 instead of the answer."""
        if random.random() >= self.faults:
            return False
        kind = random.choice(("stall", "internal", "busy"))
        if kind != "stall":
            self.send("error", stream=stream, request=request, transient=True, code=kind, message="a fault")
        return True

    def end(self, stream: int, message: dict[str, Any]) -> None:
        if self.fails(stream, message["request"]):
            return
        self.send("transcript", stream=stream, request=message["request"], text="yes", final=True, elapsed_us=0)

    def generate(self, stream: int, message: dict[str, Any]) -> None:
        if self.fails(stream, message["request"]):
            return
        self.send("token", stream=stream, request=message["request"], text=ANSWER, elapsed_us=0)
        self.send("done", stream=stream, request=message["request"])

    def speak(self, stream: int, message: dict[str, Any]) -> None:
        request, rate = message["request"], self.rates[stream]
        clip = self.clips.get(rate) or self.clips.setdefault(rate, voice(rate, self.seconds))
        breaks_off = random.random() < self.faults / 2
        if not breaks_off and random.random() < self.faults / 2 and self.fails(stream, request):
            return
        self.send("started", stream=stream, request=request, elapsed_us=0)
        if breaks_off:  # in mid-sentence, and without a word
            clip = clip[: len(clip) // 4 * 2]
            self.socket.send_audio(stream, self.sequence[stream], 0, request, 0, clip)
            self.sequence[stream] += 1
            return
        for start in range(0, len(clip), MAX_AUDIO_BYTES // 2):
            burst = clip[start : start + MAX_AUDIO_BYTES // 2]
            self.socket.send_audio(stream, self.sequence[stream], start // 2, request, 0, burst)
            self.sequence[stream] += 1
        self.send("done", stream=stream, request=request)

    def opened(self, stream: int, message: dict[str, Any]) -> None:
        self.roles[stream], self.rates[stream], self.sequence[stream] = message["role"], message.get("rate", 8000), 0
        self.send("opened", stream=stream, model=MODEL, credit=ENDLESS)


async def main(port: int, seconds: float = 1.5, faults: float = 0.0) -> None:
    def connected() -> asyncio.Protocol:
        return Server(seconds, faults).socket

    server = await asyncio.get_running_loop().create_server(connected, "127.0.0.1", port)
    print('{"event": "ready"}', flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), *map(float, sys.argv[2:])))
