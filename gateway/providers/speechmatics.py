"""Speechmatics: real-time speech to text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from pydantic import Field

from gateway.audio import PCM_16K, ULAW_8K, Encoding
from gateway.options import Secret
from gateway.providers.contract import ModelInfo, Word
from gateway.providers.dialect import (
    Fault,
    Flushed,
    Heard,
    Life,
    Model,
    Opening,
    Ready,
    SttDialect,
    SttEvent,
    TurnEvent,
    Wire,
)
from gateway.providers.options import RoleOptions, VendorOptions, address, dumps, merged, secret, web_socket
from gateway.providers.sessions.vendor import adapter
from gateway.units import SECOND, Nanos, from_seconds

__all__ = ["SPEC", "SpeechmaticsOptions", "SpeechmaticsStt"]

_ENCODINGS: Final = {Encoding.PCM: "pcm_s16le", Encoding.ULAW: "mulaw"}
_TRANSIENT: Final = {
    "quota_exceeded",
    "timelimit_exceeded",
    "job_error",
    "internal_error",
    "buffer_error",
    "idle_timeout",
}
_TRANSIENT_CLOSES: Final = {1008, 4005, 4006, 4013}
"""1008 is a session that reached its limit."""
_PERMANENT_CLOSES: Final = {4001, 4003, 4004}
_PAUSE: Final = Nanos(5 * SECOND)
"""As the documentation asks for before another attempt."""


class SpeechmaticsRole(RoleOptions):
    """Speech to text at Speechmatics."""

    model: str = "enhanced"
    """``standard``, ``enhanced`` or ``melia-1``."""
    language: str | None = None
    """As Speechmatics names it; None takes the plug's, without its region."""
    max_delay: float = Field(default=1.0, ge=0.7, le=4.0)
    """Seconds within which a word becomes final; the end of a turn asks for the rest at once."""
    end_of_utterance: float = Field(default=0.0, ge=0.0, le=2.0)
    """Seconds of silence after which the service takes a turn as ended; 0 leaves that to the gateway."""
    keyterms: tuple[str, ...] = ()
    """Names and terms to listen for."""


class SpeechmaticsOptions(VendorOptions):
    """A provider of kind ``speechmatics``."""

    api_key: Secret
    """From portal.speechmatics.com."""
    base_url: str = "https://eu.rt.speechmatics.com"
    """Where the API is; ``https://us.rt.speechmatics.com`` is in America."""
    stt: SpeechmaticsRole = Field(default_factory=SpeechmaticsRole)


class SpeechmaticsStt(SttDialect):
    """Segments as they become final; the gateway asks for the rest (``ForceEndOfUtterance``)."""

    life = Life(greeted=True, frame_ms=40)

    def __init__(self, options: SpeechmaticsOptions, rate: int, language: str) -> None:
        self._options = options
        self._language = options.stt.language or language.partition("-")[0]
        self.hears = ULAW_8K if rate == 8000 else PCM_16K
        self.model = ModelInfo(options.stt.model, "")
        self._frames = 0

    def opening(self) -> Opening:
        options, stt = self._options, self._options.stt
        headers = {"Authorization": f"Bearer {secret(options.api_key)}", **options.headers}
        url = address(web_socket(options.base_url), "/v2/", {}, stt.query)
        return Opening(url, headers, (dumps(merged(self._start(), stt.extra)),))

    def end(self) -> Iterable[Wire]:
        return ('{"message":"ForceEndOfUtterance"}',)

    def close(self) -> Iterable[Wire]:
        return (dumps({"message": "EndOfStream", "last_seq_no": self._frames}),)

    def closed(self, code: int | None, reason: str) -> Fault | None:
        if code in _TRANSIENT_CLOSES:
            return Fault(f"closed: {code} {reason}", True, code == 4005, _PAUSE if code in {4005, 4013} else None)
        return Fault(f"closed: {code} {reason}", transient=False) if code in _PERMANENT_CLOSES else None

    def decode(self, message: Wire) -> Iterator[SttEvent]:
        found = json.loads(message)
        match found.get("message"):
            case "RecognitionStarted":
                yield Ready()
                yield Model(ModelInfo(self.model.name, str(found.get("orchestrator_version") or "")))
            case "AudioAdded":
                self._frames = found["seq_no"]
            case "AddPartialTranscript":
                yield Heard(found["metadata"]["transcript"])
            case "AddTranscript":
                yield _final(found)
            case "EndOfUtterance":
                own = self._options.stt.end_of_utterance and not found.get("forced")
                yield TurnEvent("ended") if own else Flushed()
            case "Error":
                kind = found.get("type", "")
                busy = kind == "quota_exceeded"
                text = f"{kind}: {found.get('reason', '')}"
                yield Fault(text, kind in _TRANSIENT, busy, _PAUSE if busy else None)

    def _start(self) -> dict[str, Any]:
        stt = self._options.stt
        config: dict[str, Any] = {
            "language": self._language,
            "model": stt.model,
            "enable_partials": True,
            "max_delay": stt.max_delay,
        }
        if stt.keyterms:
            config["additional_vocab"] = [{"content": term} for term in stt.keyterms]
        if stt.end_of_utterance:
            config["conversation_config"] = {"end_of_utterance_silence_trigger": stt.end_of_utterance}
        sent = {"type": "raw", "encoding": _ENCODINGS[self.hears.encoding], "sample_rate": self.hears.rate}
        return {"message": "StartRecognition", "audio_format": sent, "transcription_config": config}


def _final(found: dict[str, Any]) -> Heard:
    best = [(one, one["alternatives"][0]) for one in found.get("results", ()) if one.get("alternatives")]
    words = [(one, said) for one, said in best if one["type"] == "word"]
    return Heard(
        found["metadata"]["transcript"],
        final=True,
        confidence=min((said["confidence"] for _, said in words if "confidence" in said), default=None),
        language=words[0][1].get("language", "") if words else "",
        words=tuple(
            Word(said["content"], from_seconds(one["start_time"]), from_seconds(one["end_time"])) for one, said in words
        ),
    )


SPEC: Final = adapter("speechmatics", SpeechmaticsOptions, stt=SpeechmaticsStt)
