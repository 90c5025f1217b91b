"""How a conversation takes its turns: the part of a plug's YAML block that the machines in this room obey."""

from __future__ import annotations

from pydantic import Field

from gateway.options import Duration, Options

__all__ = ["Greeting", "TurnOptions"]


class Greeting(Options):
    """What the agent says first."""

    text: str
    """The words."""
    interruptible: bool = True
    """False: the caller cannot break into it (an announcement that the law asks for)."""


class TurnOptions(Options):
    """Who has the floor, and when it changes hands."""

    hangover: Duration = Field(default="500ms", validate_default=True)
    """Silence after the caller's last speech packet that ends a turn. Shorter answers sooner and cuts people off. Below
    `media.vad.release` it has no further effect: until then silence is not known to be one."""
    longest_turn: Duration = Field(default="60s", validate_default=True)
    """Speech without a pause is taken as ended after this: a machine at the far end, or noise that passes for it."""
    barge_in: bool = True
    """May the caller interrupt the agent?"""
    barge_in_confirm: Duration = Field(default="120ms", validate_default=True)
    """Speech of the caller must last this long before the agent stops; shorter sounds are coughs."""
    uninterruptible: list[str] = Field(default_factory=list)
    """Phrases that must be heard, like `this call is recorded`: an answer that holds one cannot be interrupted any
    more."""
    no_input_after: Duration = Field(default="8s", validate_default=True)
    """Silence of the caller after an answer until the agent asks again."""
    no_input_prompt: str = "Are you still there?"
    """What it says then."""
    no_input_limit: int = Field(default=2, ge=0)
    """How often it asks before it says goodbye."""
    no_input_goodbye: str = "I can't hear you, so I will hang up now. Goodbye."
    """What it says then, before it hangs up."""
    not_understood: str = "Sorry, I did not get that. Could you say it again?"
    """Said when there was speech that the STT could not put into words."""
