"""OpenAI: Realtime, transcription over it, Responses or Chat Completions, and speech over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Literal

from pydantic import Field

from gateway.audio import PCM_24K
from gateway.options import Secret
from gateway.providers.contract import Brief, ModelInfo
from gateway.providers.dialect import (
    Fault,
    HttpReply,
    HttpRequest,
    HttpTtsDialect,
    LlmDialect,
    Model,
    Opening,
)
from gateway.providers.openai_chat import ChatDialect, ChatLlm
from gateway.providers.openai_events import FORMATS, RealtimeEvents, ga_format, tools_block
from gateway.providers.openai_responses import ResponsesDialect
from gateway.providers.openai_transcription import TranscriptionDialect, TranscriptionStt
from gateway.providers.options import RoleOptions, VendorOptions, address, merged, secret, web_socket
from gateway.providers.sessions.vendor import adapter

__all__ = ["SPEC", "OpenAiOptions", "OpenAiRealtime", "OpenAiSpeech", "RealtimeRole"]


class OpenAiLlm(ChatLlm):
    """A language model at OpenAI."""

    api: Literal["responses", "chat"] = "responses"
    """Which of its two interfaces is used."""
    effort: str | None = None
    """Of reasoning models: ``minimal``, ``low``, ...; None leaves it to the model."""


class OpenAiTts(RoleOptions):
    """Speech at OpenAI, sentence by sentence."""

    model: str = "gpt-4o-mini-tts"
    """A dated one does not change by itself; no version is reported."""
    voice: str = "marin"
    """Name of the voice."""
    instructions: str | None = None
    """How it should sound."""


class RealtimeRole(RoleOptions):
    """A realtime model of OpenAI's kind."""

    model: str = "gpt-realtime-2"
    """As the provider names it."""
    voice: str = "marin"
    """Name of the voice."""
    audio: Literal["mulaw", "alaw", "pcm"] = "mulaw"
    """Both ways; ``pcm`` is 24 kHz, for wideband calls."""
    transcription: str | None = "gpt-4o-mini-transcribe"
    """Model that writes down what the caller says; None for none."""
    turn_detection: Literal["server_vad", "semantic_vad"] = "semantic_vad"
    """How it finds the end of the caller's turn."""


class OpenAiOptions(VendorOptions):
    """A provider of kind ``openai``."""

    api_key: Secret
    """From platform.openai.com."""
    base_url: str = "https://api.openai.com/v1"
    """Where the API is; regional ones and gateways have others."""
    stt: TranscriptionStt = Field(default_factory=TranscriptionStt)
    llm: OpenAiLlm = Field(default_factory=OpenAiLlm)
    tts: OpenAiTts = Field(default_factory=OpenAiTts)
    realtime: RealtimeRole = Field(default_factory=RealtimeRole)


def bearer(options: Any) -> dict[str, str]:
    """``options`` has ``api_key`` and ``headers``, whoever's block it is."""
    return {"Authorization": f"Bearer {secret(options.api_key)}", **options.headers}


class OpenAiRealtime(RealtimeEvents):
    """A session ends after an hour at most; a new one is told what was said."""

    def __init__(self, options: OpenAiOptions, rate: int, brief: Brief) -> None:
        super().__init__(brief, options.realtime.model, FORMATS[options.realtime.audio])
        self._options = options

    def opening(self) -> Opening:
        options = self._options
        query = {"model": options.realtime.model}
        return Opening(
            address(web_socket(options.base_url), "/realtime", query, options.realtime.query), bearer(options)
        )

    def session(self) -> dict[str, Any]:
        role = self._options.realtime
        transcription = {
            "model": role.transcription,
            **({"language": _short(self.brief.language)} if self.brief.language else {}),
        }
        body = {
            "type": "realtime",
            "instructions": self.brief.prompt,
            "output_modalities": ["audio"],
            "audio": {
                "input": {
                    "format": ga_format(self.hears),
                    "transcription": transcription if role.transcription else None,
                    "turn_detection": {
                        "type": role.turn_detection,
                        "create_response": True,
                        "interrupt_response": True,
                    },
                },
                "output": {"format": ga_format(self.speaks), "voice": role.voice},
            },
            "tools": tools_block(self.brief.tools),
        }
        return merged(body, role.extra)


class OpenAiSpeech(HttpTtsDialect):
    """Raw PCM at 24 kHz, as it is made."""

    speaks = PCM_24K

    def __init__(self, options: OpenAiOptions, rate: int, language: str) -> None:
        self._options = options
        self.model = ModelInfo(options.tts.model, "")

    def request(self, text: str) -> HttpRequest:
        options, tts = self._options, self._options.tts
        body = {"model": tts.model, "input": text, "voice": tts.voice, "response_format": "pcm"}
        if tts.instructions:
            body["instructions"] = tts.instructions
        url = address(options.base_url, "/audio/speech", {}, tts.query)
        return HttpRequest(url, {"Content-Type": "application/json", **bearer(options)}, merged(body, tts.extra))

    def head(self, reply: HttpReply) -> Iterator[Fault | Model]:
        """Servers that imitate the interface may not know the format, and send a file."""
        kind = reply.headers.get("content-type", "")
        if not kind.startswith(("audio/pcm", "application/octet-stream", "audio/l16")):
            yield Fault(f"asked for raw PCM, got {kind or 'no type'}", transient=False)


def _short(language: str) -> str:
    return language.partition("-")[0]


def _llm(options: OpenAiOptions) -> LlmDialect:
    return ChatDialect(options, options.llm) if options.llm.api == "chat" else ResponsesDialect(options, options.llm)


SPEC: Final = adapter(
    "openai", OpenAiOptions, stt=TranscriptionDialect, llm=_llm, tts=OpenAiSpeech, realtime=OpenAiRealtime
)
