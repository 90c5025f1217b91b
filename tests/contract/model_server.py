"""The model server that the contract's peers build on: it behaves, and each of its steps can be replaced by a fault.

Deaf, dim, and monotone, but it plays all four roles.
"""

import json
import math
import struct
from collections import deque

HEADER = struct.Struct(">IIQIHH")
ROLES = {
    "stt": {"rates": [8000, 16000]},
    "llm": {},
    "tts": {"rates": [8000, 16000]},
    "realtime": {"rates": [8000, 16000]},
}


class Stream:
    def __init__(self, socket, message):
        self.socket, self.number, self.role = socket, message["stream"], message["role"]
        self.rate, self.credit = message.get("rate", 0), message["credit"]
        self.heard, self.sequence, self.outbox = 0, 0, deque()

    async def say(self, kind, **fields):
        await self.socket.send(json.dumps({"type": kind, "stream": self.number, **fields}))

    async def pump(self):
        while self.outbox:
            request, at, pcm = self.outbox[0]
            if pcm is None:
                await self.say("done", request=request)
            elif len(pcm) > self.credit:
                return
            else:
                await self.socket.send(HEADER.pack(self.number, self.sequence, at, request, 0, 0) + pcm)
                self.sequence, self.credit = self.sequence + 1, self.credit - len(pcm)
            self.outbox.popleft()

    async def on_audio(self, pcm):
        self.heard += len(pcm)
        await self.say("credit", bytes=len(pcm))
        if self.role == "realtime":
            self.outbox.append((1, 0, pcm))
            await self.pump()

    async def on_message(self, message):
        kind, request = message["type"], message.get("request")
        if kind == "credit":
            self.credit += message["bytes"]
            await self.pump()
        elif kind == "mark":
            await self.say("marked", mark=message["mark"])
        elif kind == "begin":
            self.heard = 0
        elif kind == "end":
            text = f"{self.heard} bytes" if self.heard else ""
            await self.say("transcript", request=request, text=text, final=True, elapsed_us=10)
        elif kind == "cancel" and (self.role == "stt" or any(item[0] == request for item in self.outbox)):
            self.outbox = deque(item for item in self.outbox if item[0] != request)
            await self.say("done", request=request, cancelled=True)
        elif kind == "generate":
            await self.say("token", request=request, text="You said: ", elapsed_us=5)
            await self.say("token", request=request, text=message["messages"][-1]["text"])
            await self.say("done", request=request, hang_up="bye" in message["messages"][-1]["text"])
        elif kind == "speak":
            await self.say("started", request=request, elapsed_us=5)
            for at in range(0, 800 * len(message["text"]), 800):
                tone = [int(9000 * math.sin(2 * math.pi * 440 * (at + n) / self.rate)) for n in range(800)]
                self.outbox.append((request, at, struct.pack("<800h", *tone)))
            self.outbox.append((request, 0, None))
            await self.pump()


async def connection(socket):
    streams = {}
    await socket.send(
        json.dumps({"type": "hello", "protocol": 1, "server": {"name": "acme", "version": "7"}, "roles": ROLES})
    )
    async for data in socket:
        if isinstance(data, bytes):
            number, *_ = HEADER.unpack_from(data)
            if number in streams:
                await streams[number].on_audio(data[HEADER.size :])
            continue
        message = json.loads(data)
        number = message.get("stream")
        if message["type"] == "open":
            streams[number] = Stream(socket, message)
            await streams[number].say(
                "opened", model={"name": f"acme-{message['role']}", "version": "7"}, credit=128000
            )
        elif message["type"] == "close" and number in streams:
            await streams.pop(number).say("closed")
        elif number in streams:
            await streams[number].on_message(message)
