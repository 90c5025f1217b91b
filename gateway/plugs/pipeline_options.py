"""The YAML block of a pipeline."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator

from gateway.options import Options
from gateway.plugs.roles import RoleOptions
from gateway.plugs.wav import WavFile
from gateway.turns.options import Greeting, TurnOptions

__all__ = ["FailureOptions", "PipelineOptions"]


class FailureOptions(Options):
    """What happens when nobody of a role's list can serve a call."""

    play: WavFile | None = None
    """A WAV file (16-bit mono) that the caller hears then; none plays the built-in sentence."""
    then: Literal["hang_up", "continue"] = "hang_up"
    """``continue`` listens on, and connects to the models again."""


def _greeting(value: object) -> object:
    return {"text": value} if isinstance(value, str) else value


class PipelineOptions(TurnOptions, RoleOptions):
    """A plug of kind ``pipeline``."""

    prompt: str = ""
    """The system prompt for the LLM."""
    greeting: Annotated[Greeting | None, BeforeValidator(_greeting, json_schema_input_type=Greeting | str | None)] = (
        None
    )
    """What the agent says first: a text, or a block with ``text`` and ``interruptible``. None lets the caller begin."""
    on_failure: FailureOptions = FailureOptions()
