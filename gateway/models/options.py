"""What can be set of the embedded models; ``linecard models`` fills it in."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from gateway.options import Duration, Options

__all__ = ["ModelsOptions"]


class ModelsOptions(Options):
    """The embedded models' process."""

    host: str = "127.0.0.1"
    port: int = Field(default=8765, ge=0, le=65535)
    """0 takes any free port; the ready line tells which."""
    dialogue: Path | None = None
    """The dialogue's YAML file; without it the pizza order taker that comes with the package."""
    token: str | None = None
    """If set, gateways must send it as ``Authorization: Bearer``."""
    stt_threads: int = Field(default=2, ge=1, le=64)
    """Threads that decode speech; as many as there are cores to spare."""
    stt_decoders: int = Field(default=4, ge=1, le=256)
    """Decoders that each thread makes at the start; more are made when more callers speak at once."""
    stt_turns: int = Field(default=128, ge=1, le=4096)
    """Turns that may be decoded at once; one more is answered with a transient error."""
    voice: str = "en-us"
    """espeak-ng's voice, with a variant if wanted: ``en-us+f3``."""
    speed: int = Field(default=165, ge=80, le=450)
    """Words per minute."""
    pitch: int = Field(default=50, ge=0, le=99)
    cache_bytes: int = Field(default=32 * 1024 * 1024, ge=0)
    """Synthesised sentences kept for the next time."""
    token_delay: Duration = Field(default="0ms", validate_default=True)
    """Pause before each token of the dialogue's text: how a slower language model feels."""
    streams: int = Field(default=1024, ge=1)
    """Streams that one connection may hold open."""
    nice: int = Field(default=5, ge=0, le=19)
    """Lowers the process's priority, so that models on the gateway's machine never starve its calls."""
