"""Azure's OpenAI: the Realtime API and Chat Completions of a resource of one's own, and Voice Live."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import Field

from gateway.audio import AudioFormat, Encoding
from gateway.options import Secret
from gateway.providers.contract import Brief
from gateway.providers.dialect import Opening
from gateway.providers.openai import RealtimeRole
from gateway.providers.openai_chat import ChatDialect, ChatLlm
from gateway.providers.openai_events import FORMATS, RealtimeEvents, ga_format, tools_block
from gateway.providers.options import RoleOptions, VendorOptions, address, merged, secret, web_socket
from gateway.providers.sessions.vendor import adapter

__all__ = ["SPEC", "VOICE_LIVE", "AzureOpenAiOptions", "AzureRealtime", "VoiceLive", "VoiceLiveOptions"]

_FLAT: Final = {Encoding.PCM: "pcm16", Encoding.ULAW: "g711_ulaw", Encoding.ALAW: "g711_alaw"}


class AzureOpenAiOptions(VendorOptions):
    """A provider of kind ``azure-openai``."""

    api_key: Secret
    """Of the resource, sent as ``api-key``."""
    base_url: str
    """``https://<resource>.openai.azure.com/openai/v1``."""
    llm: ChatLlm = Field(default_factory=ChatLlm)
    realtime: RealtimeRole = Field(default_factory=RealtimeRole)


class AzureRealtime(RealtimeEvents):
    """As at OpenAI; the model is the name of a deployment."""

    def __init__(self, options: AzureOpenAiOptions, rate: int, brief: Brief) -> None:
        super().__init__(brief, options.realtime.model, FORMATS[options.realtime.audio])
        self._options = options

    def opening(self) -> Opening:
        options, role = self._options, self._options.realtime
        url = address(web_socket(options.base_url), "/realtime", {"model": role.model}, role.query)
        return Opening(url, {"api-key": secret(options.api_key), **options.headers})

    def session(self) -> dict[str, Any]:
        role = self._options.realtime
        transcription = {"model": role.transcription} if role.transcription else None
        body = {
            "type": "realtime",
            "instructions": self.brief.prompt,
            "output_modalities": ["audio"],
            "audio": {
                "input": {
                    "format": ga_format(self.hears),
                    "transcription": transcription,
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


class VoiceLiveRole(RoleOptions):
    """Voice Live."""

    model: str = "gpt-realtime"
    """``gpt-realtime``, ``gpt-4.1``, ``phi4-mm-realtime``, ..."""
    voice: str = "en-US-Ava:DragonHDLatestNeural"
    """A voice of Azure's, or one of OpenAI's (``alloy``)."""
    audio: Literal["mulaw", "alaw", "pcm"] = "mulaw"
    """Both ways; ``pcm`` is 24 kHz."""
    turn_detection: str = "azure_semantic_vad"
    """How it finds the end of the caller's turn."""
    api_version: str = "2026-07-15"
    """Of the API."""


class VoiceLiveOptions(VendorOptions):
    """A provider of kind ``azure-voice-live``."""

    api_key: Secret
    """Of the resource, sent as ``api-key``."""
    base_url: str
    """``https://<resource>.services.ai.azure.com``."""
    realtime: VoiceLiveRole = Field(default_factory=VoiceLiveRole)


class VoiceLive(RealtimeEvents):
    """The older, flat form of the session block."""

    def __init__(self, options: VoiceLiveOptions, rate: int, brief: Brief) -> None:
        super().__init__(brief, options.realtime.model, FORMATS[options.realtime.audio])
        self._options = options

    def opening(self) -> Opening:
        options, role = self._options, self._options.realtime
        query = {"api-version": role.api_version, "model": role.model}
        url = address(web_socket(options.base_url), "/voice-live/realtime", query, role.query)
        return Opening(url, {"api-key": secret(options.api_key), **options.headers})

    def session(self) -> dict[str, Any]:
        role = self._options.realtime
        voice: Any = {"type": "azure-standard", "name": role.voice} if "-" in role.voice else role.voice
        body: dict[str, Any] = {
            "modalities": ["text", "audio"],
            "instructions": self.brief.prompt,
            "voice": voice,
            **_flat(self.hears),
            "input_audio_transcription": {"model": "azure-speech"},
            "turn_detection": {"type": role.turn_detection, "create_response": True, "interrupt_response": True},
            "tools": tools_block(self.brief.tools),
        }
        return merged(body, role.extra)


def _flat(audio: AudioFormat) -> dict[str, Any]:
    name = _FLAT[audio.encoding]
    return {"input_audio_format": name, "output_audio_format": name, "input_audio_sampling_rate": audio.rate}


def _llm(options: AzureOpenAiOptions) -> ChatDialect:
    key = {"api-key": secret(options.api_key)}
    keyed = options.model_copy(update={"headers": {**key, **options.headers}})
    return ChatDialect(keyed, options.llm)


SPEC: Final = adapter("azure-openai", AzureOpenAiOptions, llm=_llm, realtime=AzureRealtime)
VOICE_LIVE: Final = adapter("azure-voice-live", VoiceLiveOptions, realtime=VoiceLive)
