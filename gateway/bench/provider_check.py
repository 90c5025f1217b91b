"""``linecard providers``: what can be named as a kind, and one live round trip with the user's own key."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Final

from pydantic import ValidationError

from gateway import registry
from gateway.config import Config
from gateway.config.blocks import find_spec
from gateway.errors import ConfigError, ProviderError
from gateway.options import Options
from gateway.plugs.wav import apology
from gateway.providers.contract import (
    Brief,
    Failed,
    Generated,
    Message,
    Provider,
    ProviderSpec,
    Said,
    Speech,
    SpeechDone,
    Token,
    Transcript,
)
from gateway.units import Samples

__all__ = ["check", "listing"]

_LIMIT: Final = 20.0
"""Seconds that a role gets in all."""
_FRAME: Final = 0.02
_PCM_WIDTH: Final = 2
_SENTENCE: Final = "Hello, this is a test. Can you hear me?"
_ROLES: Final = ("stt", "llm", "tts", "realtime")


# --- the list ---------------------------------------------------------------------------------------------------------


def listing() -> Iterator[str]:
    """A line per kind: roles, proof, and the keys of its block, the needed ones first."""
    for kind in registry.names(registry.PROVIDERS):
        spec = find_spec("providers", kind)
        roles = ", ".join(role for role in _ROLES if role in spec.roles)
        yield f"{kind:20} {roles:24} {_proof(spec)}"
        for key, what in _keys(spec.options):
            yield f"    {key:28} {what}"


def _proof(spec: ProviderSpec) -> str:
    """Our own are all played: a test holds that. Live is what somebody has seen, and when."""
    played = "played" if spec.options.__module__.startswith("gateway.") else "not played by us"
    live = ", ".join(f"{role} live {when}" for role, when in spec.live.items()) or "live: not yet"
    return f"{played}; {live}"


def _keys(options: type[Options], prefix: str = "") -> Iterator[tuple[str, str]]:
    fields = sorted(options.model_fields.items(), key=lambda item: not item[1].is_required())
    for name, field in fields:
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, Options):
            yield from _keys(inner, f"{prefix}{name}.")
        elif name not in {"query", "extra", "headers"} and not name.endswith(("_timeout", "_interval")):
            needed = "needed. " if field.is_required() else ""
            yield f"{prefix}{name}", needed + " ".join((field.description or "").replace("``", "").split())


# --- the round trip ---------------------------------------------------------------------------------------------------


async def check(name: str, config: Config | None, tell: Callable[[str], None]) -> bool:
    """One round trip in every role of a provider: a block of the configuration, or a kind whose key is in the
    environment (``<KIND>_API_KEY``). Every stage is told with its time. True: all of them worked."""
    provider, spec = _provider(name, config)
    await provider.start()
    good = True
    try:
        for role in _ROLES:
            if role in spec.roles:
                good &= await _role(provider, role, tell)
    finally:
        await provider.close()
    return good


def _provider(name: str, config: Config | None) -> tuple[Provider, ProviderSpec]:
    if config is not None and name in config.providers:
        block = config.providers[name]
        spec = find_spec("providers", block.kind)
        return spec.create(name, block.options), spec
    try:
        spec = find_spec("providers", name)
    except ValueError as error:
        raise ConfigError([f"{name}: neither a provider of the configuration nor a kind: {error}"]) from None
    variable = f"{name.upper().replace('-', '_')}_API_KEY"
    values = {"api_key": os.environ[variable]} if variable in os.environ else {}
    try:
        return spec.create(name, spec.options.model_validate(values)), spec
    except ValidationError as error:
        wanted = ", ".join(".".join(map(str, one["loc"])) for one in error.errors())
        text = f"{name}: needs {wanted}; set {variable}, or write a block under providers and give its name"
        raise ConfigError([text]) from None


async def _role(provider: Provider, role: str, tell: Callable[[str], None]) -> bool:
    stages = _Stages()
    trips: Mapping[str, Callable[[Provider, _Stages], Awaitable[str]]] = {
        "stt": _stt,
        "llm": _llm,
        "tts": _tts,
        "realtime": _realtime,
    }
    try:
        async with asyncio.timeout(_LIMIT):
            told = await trips[role](provider, stages)
    except (ProviderError, TimeoutError) as error:
        text = str(error) or f"nothing within {_LIMIT:.0f} s"
        kind = "" if not isinstance(error, ProviderError) else " (transient)" if error.transient else " (permanent)"
        tell(f"{role:9} failed{kind}: {text}   {stages}")
        return False
    tell(f"{role:9} ok   {stages}   {told}")
    return True


class _Stages:
    """Milliseconds of each stage, and a listener that raises what failed."""

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._stages: dict[str, float] = {}
        self.results: asyncio.Queue[Any] = asyncio.Queue()

    def begin(self) -> None:
        self._since = time.monotonic()

    def mark(self, name: str) -> None:
        self._stages.setdefault(name, (time.monotonic() - self._since) * 1000)

    async def next(self) -> Any:
        result = await self.results.get()
        if isinstance(result, Failed):
            raise result.error
        return result

    def __str__(self) -> str:
        return "  ".join(f"{name} {milliseconds:.0f} ms" for name, milliseconds in self._stages.items())


async def _stt(provider: Provider, stages: _Stages) -> str:
    rate = provider.listening_rate("stt")
    session = await provider.open_stt(stages.results.put_nowait, rate=8000, language="en")
    stages.mark("connect")
    try:
        session.begin_turn(1, Samples(0))
        await _say(session, 8000)
        stages.begin()
        session.end_turn(1, Samples(0))
        while True:
            match await stages.next():
                case Transcript(text=text, final=True):
                    stages.mark("final")
                    return f"heard {text!r} (hears best at {rate} Hz; {_model(session)})"
                case _:
                    continue
    finally:
        session.close()


async def _llm(provider: Provider, stages: _Stages) -> str:
    session = await provider.open_llm(stages.results.put_nowait)
    stages.begin()
    said = ""
    try:
        session.generate(1, [Message("system", "You are on the telephone. Be brief."), Message("user", _SENTENCE)])
        while True:
            match await stages.next():
                case Token(text=text):
                    stages.mark("first token")
                    said += text
                case Generated():
                    stages.mark("complete")
                    return f"said {said!r} ({_model(session)})"
    finally:
        session.close()


async def _tts(provider: Provider, stages: _Stages) -> str:
    session = await provider.open_tts(stages.results.put_nowait, rate=8000, language="en")
    stages.mark("connect")
    seconds, form = 0.0, ""
    try:
        stages.begin()
        session.speak(1, _SENTENCE)
        while True:
            match await stages.next():
                case Speech() as speech:
                    stages.mark("first audio")
                    seconds += speech.samples / speech.rate
                    form = f"{speech.encoding} at {speech.rate} Hz"
                case SpeechDone():
                    stages.mark("complete")
                    return f"spoke {seconds:.1f} s, {form} ({_model(session)})"
    finally:
        session.close()


async def _realtime(provider: Provider, stages: _Stages) -> str:
    brief = Brief("You are on the telephone. Be brief.", language="en")
    session = await provider.open_realtime(stages.results.put_nowait, rate=8000, brief=brief)
    stages.mark("connect")
    said = ""
    try:
        await _say(session, 8000)
        stages.begin()
        silence = asyncio.create_task(_silence(session))
        try:
            while True:
                match await stages.next():
                    case Said(text, final):
                        said = text if final else said + text
                    case Speech():
                        stages.mark("first audio after the caller's last word")
                        return f"said {said!r} ({_model(session)})"
        finally:
            silence.cancel()
            await asyncio.gather(silence, return_exceptions=True)
    finally:
        session.close()


async def _say(session: Any, rate: int) -> None:
    """Speaks the recorded sentence, in real time, as a caller does."""
    clip = apology()
    pcm = clip.pcm if clip.rate == rate else _decimated(clip.pcm, clip.rate // rate)
    size = round(rate * _FRAME) * _PCM_WIDTH
    for number, start in enumerate(range(0, len(pcm) - size, size)):
        session.audio(pcm[start : start + size], Samples(160 * number), 1)
        await asyncio.sleep(_FRAME)


async def _silence(session: Any) -> None:
    frame = bytes(round(8000 * _FRAME) * _PCM_WIDTH)
    while True:
        session.audio(frame, Samples(0), 0)
        await asyncio.sleep(_FRAME)


def _decimated(pcm: bytes, factor: int) -> bytes:
    """Every n-th sample: good enough for a recording of speech that is to be understood once."""
    samples = memoryview(pcm).cast("h")
    return bytes(memoryview(samples[::factor].tobytes()))


def _model(session: Any) -> str:
    return f"{session.model.name} {session.model.version}".strip()
