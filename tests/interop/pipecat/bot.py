"""A bot with Pipecat's own Twilio serializer; runs in an environment of its own, where Pipecat is installed.

    python bot.py PORT REST_URL

It echoes what it hears. Digit 5 makes it say 20 seconds of a tone, 1 interrupts it, and # hangs up over Twilio's API.
"""

import asyncio
import math
import struct
import sys
from types import SimpleNamespace

from aiohttp import WSMsgType, web
from pipecat.audio.dtmf.types import KeypadEntry
from pipecat.frames.frames import EndFrame, InputAudioRawFrame, InputDTMFFrame, InterruptionFrame, TTSAudioRawFrame
from pipecat.serializers.twilio import TwilioFrameSerializer

RATE = 16000
TONE = struct.pack(f"<{RATE}h", *(round(12000 * math.sin(math.tau * 440 * n / RATE)) for n in range(RATE)))


class Bot:
    def __init__(self, rest):
        self.rest = rest
        self.echoing = True

    async def serve(self, request):
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        serializer = None
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                continue
            event = message.json()
            if event["event"] == "start":
                start = event["start"]
                serializer = TwilioFrameSerializer(
                    event["streamSid"], start["callSid"], start["accountSid"], "secret", base_url=self.rest
                )
                await serializer.setup(SimpleNamespace(audio_in_sample_rate=RATE))
            if serializer is not None:
                frame = await serializer.deserialize(message.data)
                for answer in self.answers(frame):
                    data = await serializer.serialize(answer)
                    if data:
                        await socket.send_str(data)
        return socket

    def answers(self, frame):
        match frame:
            case InputAudioRawFrame() if self.echoing:
                yield TTSAudioRawFrame(frame.audio, frame.sample_rate, 1)
            case InputDTMFFrame(button=KeypadEntry.FIVE):
                self.echoing = False
                for _ in range(20):
                    yield TTSAudioRawFrame(TONE, RATE, 1)
            case InputDTMFFrame(button=KeypadEntry.ONE):
                yield InterruptionFrame()
            case InputDTMFFrame(button=KeypadEntry.POUND):
                yield EndFrame()


async def main(port, rest):
    app = web.Application()
    app.router.add_get("/", Bot(rest).serve)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    print("ready", flush=True)
    await asyncio.Event().wait()


asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
