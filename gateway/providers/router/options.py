"""What a provider's block and a plug's block say about failing over. Provider-neutral: every kind has these keys."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveInt

from gateway.options import Duration, Options

__all__ = ["BreakerOptions", "FailoverOptions", "PriceOptions", "Roles", "ShadowOptions", "UpstreamOptions"]

Role = Literal["stt", "llm", "tts", "realtime"]
Roles = str | list[str]


class BreakerOptions(Options):
    """When a provider is left alone, and for how long."""

    failures: int = Field(default=3, ge=1)
    """So many failures within the window, and at least as many as successes, open the breaker: no call asks this
    provider any more."""
    window: Duration = Field(default="10s", validate_default=True)
    """How long an outcome counts."""
    pause: Duration = Field(default="1s", validate_default=True)
    """First pause until the gateway probes it with a request of its own; doubles, with jitter, while probes fail."""
    longest_pause: Duration = Field(default="15s", validate_default=True)
    """The pause does not grow beyond this, unless the provider asked for more (Retry-After)."""


class PriceOptions(Options):
    """What a provider charges, in whatever currency you write all of them in."""

    audio_minute: float = Field(default=0.0, ge=0)
    """A minute of audio heard (stt) or of session (realtime)."""
    characters_1k: float = Field(default=0.0, ge=0)
    """A thousand characters to be spoken (tts)."""
    input_tokens_1m: float = Field(default=0.0, ge=0)
    """A million tokens read by the model."""
    cached_tokens_1m: float | None = Field(default=None, ge=0)
    """A million of those that it found in its cache; none: like other input."""
    output_tokens_1m: float = Field(default=0.0, ge=0)
    """A million tokens written by the model."""


class UpstreamOptions(Options):
    """Keys that every provider's block may have, whatever its kind."""

    concurrency: dict[Role, PositiveInt] | PositiveInt | None = None
    """How much may be under way at once: sessions (stt, realtime) or requests (llm, tts). A number for every role, or a
    block of roles. None: what the provider bears; in both cases a 429 lowers it for a while."""
    queue: Duration = Field(default="300ms", validate_default=True)
    """How long a request waits for its turn before the next provider is asked."""
    breaker: BreakerOptions = BreakerOptions()
    """When no call asks it any more."""
    prices: PriceOptions = PriceOptions()
    """What it charges; counted per turn and per call."""

    def limit(self, role: Role) -> int | None:
        """The configured concurrency of a role."""
        return self.concurrency.get(role) if isinstance(self.concurrency, dict) else self.concurrency


class ShadowOptions(Options):
    """Providers that hear and answer along on live calls and are never played; what they said and how long they took
    stands beside the first's in the turn record."""

    stt: str | None = None
    """Transcribes the same turns."""
    llm: str | None = None
    """Answers the same messages."""
    tts: str | None = None
    """Speaks the same sentences; of its audio only the time is kept."""


class FailoverOptions(Options):
    """When a plug gives up on a provider and asks the next one. Each limit is the longest: with enough recent answers
    of that provider, twice their 99th percentile is the limit, `fastest` at least. A provider without another behind it
    is waited for as long as its own limits say."""

    connect: Duration = Field(default="2s", validate_default=True)
    """To open a session."""
    stt: Duration = Field(default="2s", validate_default=True)
    """From the end of a turn to its final transcript."""
    llm: Duration = Field(default="4s", validate_default=True)
    """To the first token of an answer."""
    tts: Duration = Field(default="1500ms", validate_default=True)
    """To the first audio of a sentence."""
    realtime: Duration = Field(default="6s", validate_default=True)
    """From the caller's last speech to the first audio of a speech-to-speech model."""
    stall: Duration = Field(default="1s", validate_default=True)
    """From one token, or one burst of audio, to the next."""
    fastest: Duration = Field(default="400ms", validate_default=True)
    """No limit becomes shorter than this by itself."""
    attempts: int = Field(default=2, ge=1, le=5)
    """How often one provider is asked for the same thing, if it failed for a reason that may pass."""
    patience: Duration = Field(default="5s", validate_default=True)
    """All attempts together; after it the caller hears `on_failure`."""
    replay: Duration = Field(default="30s", validate_default=True)
    """How much of a turn's audio is kept for the next STT."""
    standby: bool = False
    """Open a session with every provider of the list while the phone rings, so that failing over needs no
    connection."""
    continue_prompt: str = (
        "You were cut off after these words, and the caller has heard them. Go on exactly where they end. "
        "Do not repeat them."
    )
    """What the next LLM is told when the one before it failed in the middle of an answer that is being spoken."""
