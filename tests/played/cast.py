"""Who plays whom. A new adapter inherits the whole contract suite by its line here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.played import (
    anthropic,
    assemblyai,
    azure,
    cartesia,
    conversation_relay,
    deepgram,
    deepgram_agent,
    elevenlabs,
    gemini,
    gemini_live,
    hume,
    inworld,
    openai,
    openai_chat,
    retell,
    rime,
    sherpa_onnx,
    soniox,
    speechmatics,
    ultravox,
    vapi,
    vosk,
    wyoming,
    xai,
)
from tests.played.stage import Script

__all__ = ["CAST", "Part"]


@dataclass(frozen=True, slots=True)
class Part:
    """A provider in one role. ``{at}`` in ``base_url`` becomes the stage's host and port."""

    kind: str
    role: str
    script: type[Script]
    block: Mapping[str, Any] = field(default_factory=dict)
    """What its YAML block needs beside the base URL, the key and short limits."""
    base_url: str = "http://{at}"
    name: str = ""
    bot: bool = False
    """A bot in text: it has an address instead of a key, remembers by itself, and counts nothing."""
    interrupts: bool = True
    """A realtime model that says when the caller broke in."""
    refuses: bool = True
    """It knows keys, and has words for refusing a connection."""

    @property
    def id(self) -> str:
        return f"{self.kind}-{self.name or self.role}"


CAST = [
    Part("anthropic", "llm", anthropic.Messages),
    Part("assemblyai", "stt", assemblyai.Streaming),
    Part("assemblyai", "tts", assemblyai.Voice),
    Part("azure-openai", "llm", azure.AzureChat, {"llm": {"model": "acme-llm"}}, "http://{at}/openai/v1"),
    Part("azure-openai", "realtime", azure.AzureRealtimeScript, base_url="http://{at}/openai/v1"),
    Part("azure-speech", "stt", azure.SpeechToText, {"stt": {"language": "en-US"}}),
    Part("azure-speech", "tts", azure.TextToSpeech),
    Part("azure-voice-live", "realtime", azure.VoiceLiveScript),
    Part("cartesia", "stt", cartesia.Ink, name="ink"),
    Part("cartesia", "stt", cartesia.InkManual, {"stt": {"model": "ink-whisper"}}, name="ink-manual"),
    Part("cartesia", "tts", cartesia.Sonic),
    Part("conversation-relay", "llm", conversation_relay.Relay, base_url="ws://{at}/relay", bot=True),
    Part("deepgram", "stt", deepgram.Nova, name="nova"),
    Part("deepgram", "stt", deepgram.Flux, {"stt": {"model": "flux-general-en"}}, name="flux"),
    Part("deepgram", "tts", deepgram.Aura, name="aura"),
    Part("deepgram", "tts", deepgram.FluxVoice, {"tts": {"model": "flux-haley-en"}}, name="flux-voice"),
    Part("deepgram-agent", "realtime", deepgram_agent.Converse),
    Part("elevenlabs", "stt", elevenlabs.ScribeScript),
    Part("elevenlabs", "tts", elevenlabs.MultiContext),
    Part("elevenlabs", "realtime", elevenlabs.ConvAi, {"realtime": {"agent": "a1"}}),
    Part("gemini", "llm", gemini.StreamGenerate, base_url="http://{at}/v1beta"),
    Part("gemini-live", "realtime", gemini_live.Live),
    Part("hume", "realtime", hume.Chat),
    Part("inworld", "stt", inworld.Transcribe),
    Part("inworld", "tts", inworld.Bidirectional),
    Part("inworld", "realtime", inworld.Cascade),
    Part("openai", "stt", openai.Transcription, base_url="http://{at}/v1"),
    Part("openai", "llm", openai.Responses, base_url="http://{at}/v1", name="responses"),
    Part("openai", "llm", openai_chat.Chat, {"llm": {"api": "chat"}}, "http://{at}/v1", name="chat"),
    Part("openai", "tts", openai.SpeechHttp, base_url="http://{at}/v1"),
    Part("openai", "realtime", openai.Realtime, base_url="http://{at}/v1"),
    Part("openai-compatible", "llm", openai_chat.Chat, {"llm": {"model": "acme-llm"}}, "http://{at}/v1"),
    Part("openai-live", "realtime", openai.Live, base_url="http://{at}/v1", interrupts=False),
    Part("rime", "tts", rime.Ws3),
    Part("sherpa-onnx", "stt", sherpa_onnx.OnlineServer, base_url="ws://{at}"),
    Part("retell-llm", "llm", retell.CustomLlm, base_url="ws://{at}/llm-websocket", bot=True),
    Part("soniox", "stt", soniox.Transcribe),
    Part("soniox", "tts", soniox.Voice),
    Part("speechmatics", "stt", speechmatics.RealTime),
    Part("ultravox", "realtime", ultravox.Calls),
    Part("vapi", "realtime", vapi.Transport, {"realtime": {"assistant": "a1"}}),
    Part("vosk", "stt", vosk.AsrServer, base_url="ws://{at}"),
    Part("wyoming", "stt", wyoming.Stt, base_url="tcp://{at}", refuses=False),
    Part("wyoming", "tts", wyoming.Tts, base_url="tcp://{at}", refuses=False),
    Part("xai", "stt", xai.Listen, base_url="http://{at}/v1"),
    Part("xai", "llm", openai_chat.Chat, base_url="http://{at}/v1"),
    Part("xai", "tts", xai.Speak, base_url="http://{at}/v1"),
    Part("xai", "realtime", xai.GrokVoice, base_url="http://{at}/v1"),
]
