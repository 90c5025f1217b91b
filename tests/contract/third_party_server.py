# ruff: noqa - by somebody who had read docs/plug-protocol.md and nothing else of ours; kept as it came
# fmt: off
"""A server for the Linecard plug protocol, version 1: stt says how many milliseconds it heard, llm repeats the user,
tts hums 50 ms per character, realtime answers each message of audio with itself. Run: python server.py PORT"""
import asyncio, json, re, struct, sys, time, types
from websockets import ConnectionClosed, serve
HEADER, NAMES = struct.Struct(">IIQIHH"), ("stream", "sequence", "timestamp", "request", "flags", "reserved")
HUM = {rate: (b"\0\x10" * (rate // 400) + b"\0\xf0" * (rate // 400)) * 10 for rate in (8000, 16000, 24000, 48000)}
ROLES = {"llm": {}} | dict.fromkeys(("stt", "tts", "realtime"), {"rates": list(HUM)})
HELLO = {"type": "hello", "protocol": 1, "server": {"name": "third", "version": "1"}, "roles": ROLES}

async def say(s, kind, **fields):
    await s.ws.send(json.dumps({"type": kind, "stream": s.id, **fields}))

async def send_audio(s):
    for request in list(s.jobs):  # oldest first
        while (left := s.jobs[request]) and s.credit > 1:
            position, part = (len(left.obj) - len(left)) // 2, left[:min(s.credit & -2, s.rate // 10)]  # at most 50 ms
            if s.role == "tts" and position == 0: await say(s, "started", request=request, elapsed_us=0)
            await s.ws.send(HEADER.pack(s.id, s.sequence % 2**32, position, request, 0, 0) + part)
            s.sequence, s.credit, s.jobs[request] = s.sequence + 1, s.credit - len(part), left[len(part):]
        if left or s.role == "stt": break  # until credit comes, or the caller has finished
        del s.jobs[request]
        await say(s, "done", request=request)

async def handle(ws, streams, m, audio):
    kind, request, start, s = m["type"], m.get("request"), time.monotonic_ns(), streams.get(m.get("stream"))
    if kind == "open":  # jobs: the requests under way, each with the audio that is still to be sent for it
        s = streams[m["stream"]] = types.SimpleNamespace(ws=ws, id=m["stream"], role=m["role"], rate=m.get("rate"),
                                                         credit=m["credit"], sequence=0, jobs={}, heard=0)
    for old in [r for r in s.jobs if kind in ("begin", "interrupted") or (kind, r) == ("cancel", request)] if s else []:
        del s.jobs[old]
        await say(s, "done", request=old, cancelled=True)
    match s and s.role, kind:
        case None, _: return  # it crossed the end of its stream
        case role, "open" if role not in ROLES:
            await say(streams.pop(s.id), "error", transient=False, code="unknown_role", message=f"no role {role}")
        case role, "open": await say(s, "opened", model={"name": f"third-{role}", "version": "1"}, credit=2**18)
        case _, "close" | "error": return await say(streams.pop(s.id), "closed")
        case _, "credit": s.credit += m["bytes"]
        case _, "mark": await say(s, "marked", mark=m["mark"])
        case "stt", "begin": s.jobs[request], s.heard = memoryview(b""), 0
        case "stt", "end" if s.jobs.pop(request, None) is not None:
            await say(s, "transcript", request=request, text=f"{s.heard * 500 // s.rate} milliseconds", final=True,
                      understood=True, elapsed_us=(time.monotonic_ns() - start) // 1000)
        case "llm", "generate":
            said = [""] + [x["text"] for x in m["messages"] if x["role"] == "user"]
            for n, word in enumerate(re.findall(r"\s*\S+", said[-1])):
                await say(s, "token", request=request, text=word,
                          elapsed_us=None if n else (time.monotonic_ns() - start) // 1000)
            s.jobs[request] = memoryview(b"")  # no audio: done
        case "tts", "speak": s.jobs[request] = memoryview(HUM[s.rate] * len(m["text"]))
        case "stt", _ if kind is bytes: s.heard += len(audio)
        case "realtime", _ if kind is bytes: s.jobs[m["sequence"]] = memoryview(audio)
    if kind is bytes: await say(s, "credit", bytes=len(audio))  # it is taken in at once
    await send_audio(s)

async def connection(ws):
    streams = {}
    await ws.send(json.dumps(HELLO))
    try:
        async for raw in ws:
            m = json.loads(raw) if isinstance(raw, str) else dict(zip(NAMES, HEADER.unpack_from(raw)), type=bytes)
            await handle(ws, streams, m, raw[HEADER.size:])
    except (ConnectionClosed, ValueError, KeyError, TypeError, struct.error):
        await ws.close(1008)

async def main(port):
    async with serve(connection, "127.0.0.1", port, subprotocols=["linecard.plug.v1"], max_size=2**18) as server:
        print("listening on", server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()
asyncio.run(main(int(sys.argv[1])))
