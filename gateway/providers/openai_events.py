"""The events of OpenAI's Realtime API, which Azure, xAI and Inworld speak too, each with a session block of its own.

The older names of the events (before general availability) are taken for the newer ones.
"""

from __future__ import annotations

import json
from binascii import a2b_base64
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Final

from gateway.audio import ALAW_8K, PCM_24K, ULAW_8K, AudioFormat, Encoding
from gateway.providers.contract import Brief, Interrupted, ModelInfo, Said, Tool, ToolUse
from gateway.providers.dialect import (
    Done,
    Envelope,
    Fault,
    Heard,
    Life,
    Model,
    Ready,
    RealtimeDialect,
    RealtimeEvent,
    Reply,
    Resumable,
    Sound,
    Spent,
    Use,
    Wire,
)
from gateway.providers.options import dumps
from gateway.units import SECOND, Nanos

__all__ = ["APPEND", "FORMATS", "RealtimeEvents", "ga_format", "realtime_fault", "tools_block"]

APPEND: Final = Envelope(b'{"type":"input_audio_buffer.append","audio":"', b'"}', base64=True)
FORMATS: Final[Mapping[str, AudioFormat]] = {"mulaw": ULAW_8K, "alaw": ALAW_8K, "pcm": PCM_24K}

_ALIASES: Final = {
    "response.audio.delta": "response.output_audio.delta",
    "response.audio_transcript.delta": "response.output_audio_transcript.delta",
    "response.audio_transcript.done": "response.output_audio_transcript.done",
}
_BENIGN: Final = {
    "response_cancel_not_active",
    "conversation_already_has_active_response",
    "item_truncate_invalid_item_id",
    "input_audio_buffer_commit_empty",
    "item_retrieve_invalid_item_id",
}
_BENIGN_TEXTS: Final = ("no active response", "already has an active response", "truncat")
_FATAL: Final = {
    "insufficient_quota": False,
    "credit_balance_exhausted": False,
    "invalid_api_key": False,
    "account_deactivated": False,
    "billing_hard_limit_reached": False,
    "forbidden": False,
    "model_not_found": False,
    "server_error": True,
    "rate_limit_exceeded": True,
    "session_expired": True,
}
"""Errors that end the session, and whether another attempt may help; others are the request's own affair."""
_REMEMBERED: Final = 60
"""Items of the conversation that a new session is told."""


class RealtimeEvents(RealtimeDialect):
    """Subclasses say where, and what the session block is."""

    life = Life(greeted=True, flows=True, longest=Nanos(55 * 60 * SECOND))
    envelope = APPEND
    truncates: ClassVar[bool] = True
    """It takes ``conversation.item.truncate``."""

    def __init__(self, brief: Brief, model: str, audio: AudioFormat) -> None:
        self.brief = brief
        self.model = ModelInfo(model, "")
        self.hears = self.speaks = audio
        self._ready = False
        self._response = ""
        self._void = ""  # the response that was interrupted
        self._item = ""
        self._generated = 0  # bytes of the item
        self._history: list[tuple[str, str]] = []
        self._known: list[tuple[str, str]] = []

    def session(self) -> dict[str, Any]:
        """The block of ``session.update``."""
        raise NotImplementedError

    # --- verbs --------------------------------------------------------------------------------------------------------

    def resume(self, handle: str) -> bool:
        """No session can be taken up again; a new one is told what was said."""
        self._known = [(role, text) for role, text in json.loads(handle)]
        return True

    def interrupted(self, played_ms: int) -> Iterable[Wire]:
        """Truncating removes what was not heard from the model's own memory; there is nothing to remove if all was."""
        generated = self._generated * 1000 // self.speaks.bytes_per_second
        if not self.truncates or not self._item or played_ms >= generated:
            return ()
        item, self._item = self._item, ""
        event = {"type": "conversation.item.truncate", "item_id": item, "content_index": 0, "audio_end_ms": played_ms}
        return (dumps(event),)

    def tool_result(self, call: str, text: str) -> Iterable[Wire]:
        item = {"type": "function_call_output", "call_id": call, "output": text}
        return (dumps({"type": "conversation.item.create", "item": item}), '{"type":"response.create"}')

    # --- events -------------------------------------------------------------------------------------------------------

    def decode(self, message: Wire) -> Iterator[RealtimeEvent]:
        found = json.loads(message)
        kind = _ALIASES.get(found["type"], found["type"])
        match kind.partition(".")[0]:
            case "session":
                yield from self._on_session(kind, found)
            case "response":
                yield from self._on_response(kind, found)
            case "error":
                fault = realtime_fault(found["error"])
                if fault is not None:
                    yield fault
            case _:
                yield from self._on_input(kind, found)

    def _on_session(self, kind: str, found: dict[str, Any]) -> Iterator[RealtimeEvent]:
        if name := (found.get("session") or {}).get("model"):
            self.model = ModelInfo(name, "")
            yield Model(self.model)
        if kind == "session.created":
            yield Reply(dumps({"type": "session.update", "session": self.session()}))
        elif kind == "session.updated" and not self._ready:
            self._ready = True
            yield Ready()
            yield from (Reply(wire) for wire in self._introduction())

    def _introduction(self) -> Iterator[Wire]:
        for role, text in self._known:
            content = [{"type": "input_text" if role == "user" else "output_text", "text": text}]
            yield dumps(
                {"type": "conversation.item.create", "item": {"type": "message", "role": role, "content": content}}
            )
        if self.brief.greeting and not self._known:
            instructions = f"Say exactly this, and nothing else: {self.brief.greeting}"
            yield dumps({"type": "response.create", "response": {"instructions": instructions}})

    def _on_input(self, kind: str, found: dict[str, Any]) -> Iterator[RealtimeEvent]:
        match kind:
            case "input_audio_buffer.speech_started":
                self._void = self._response
                yield Interrupted()
            case "conversation.item.input_audio_transcription.completed":
                text = found.get("transcript") or ""
                yield Heard(text, final=True)
                yield from self._remember("user", text)

    def _on_response(self, kind: str, found: dict[str, Any]) -> Iterator[RealtimeEvent]:
        if found.get("response_id") and found["response_id"] == self._void:
            return
        match kind:
            case "response.created":
                self._response = found["response"]["id"]
            case "response.output_audio.delta":
                yield Sound(self._delta(found))
            case "response.output_audio_transcript.delta":
                yield Said(found["delta"], final=False)
            case "response.output_audio_transcript.done":
                yield Said(found["transcript"], final=True)
                yield from self._remember("assistant", found["transcript"])
            case "response.function_call_arguments.done":
                yield Use(ToolUse(found["call_id"], found.get("name", ""), found["arguments"] or "{}"))
            case "response.done":
                yield from self._on_done(found)

    def _delta(self, found: dict[str, Any]) -> bytes:
        audio = a2b_base64(found["delta"])
        item = found.get("item_id") or self._item
        if item != self._item:
            self._item, self._generated = item, 0
        self._generated += len(audio)
        return audio

    def _on_done(self, found: dict[str, Any]) -> Iterator[RealtimeEvent]:
        response = found.get("response") or {}
        usage = response.get("usage") or found.get("usage")
        if usage:
            yield _spent(usage)
        self._response = ""
        if response.get("status") == "failed":
            error = (response.get("status_details") or {}).get("error") or {}
            code = error.get("code") or error.get("type") or "failed"
            yield Fault(f"response {code}: {error.get('message', '')}", _FATAL.get(code, True), "rate_limit" in code)
        elif response.get("status") != "cancelled":
            yield Done()

    def _remember(self, role: str, text: str) -> Iterator[RealtimeEvent]:
        if text:
            self._history = [*self._history, (role, text)][-_REMEMBERED:]
            yield Resumable(dumps_list([*self._known, *self._history][-_REMEMBERED:]))


def dumps_list(history: list[tuple[str, str]]) -> str:
    return json.dumps(history, ensure_ascii=False)


def realtime_fault(error: dict[str, Any]) -> Fault | None:
    """None: the error is benign, or of one event of ours, and the session goes on."""
    code, kind = error.get("code") or "", error.get("type") or ""
    text = str(error.get("message") or "")
    if code in _BENIGN or any(benign in text.lower() for benign in _BENIGN_TEXTS):
        return None
    fatal = _FATAL.get(code, _FATAL.get(kind))
    if fatal is None and not (kind == "invalid_request_error" and code):
        fatal = "rate limit" in text.lower() or kind == "server_error" or not kind
    if fatal is None:
        fatal = False
    return Fault(f"{code or kind}: {text}", fatal, busy="rate_limit" in code or "rate limit" in text.lower())


def ga_format(audio: AudioFormat) -> dict[str, Any]:
    """A format as the newer API names it."""
    match audio.encoding:
        case Encoding.ULAW:
            return {"type": "audio/pcmu"}
        case Encoding.ALAW:
            return {"type": "audio/pcma"}
        case _:
            return {"type": "audio/pcm", "rate": audio.rate}


def tools_block(tools: Iterable[Tool]) -> list[dict[str, Any]]:
    return [
        {"type": "function", "name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
        for tool in tools
    ]


def _spent(usage: dict[str, Any]) -> Spent:
    cached = (usage.get("input_token_details") or {}).get("cached_tokens") or 0
    return Spent(
        input_tokens=usage.get("input_tokens") or 0,
        cached_tokens=cached,
        output_tokens=usage.get("output_tokens") or 0,
    )
