"""The YAML block of a pipeline."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, ValidationInfo, model_validator

from gateway.options import Duration, Options
from gateway.plugs.roles import RoleOptions
from gateway.plugs.wav import WavFile
from gateway.turns.options import Greeting, TurnOptions

__all__ = ["BridgeOptions", "FailureOptions", "PipelineOptions"]


class FailureOptions(Options):
    """What happens when nobody of a role's list can serve a call."""

    say: str | dict[str, str] | None = None
    """A sentence that the caller hears then, or one for each language; synthesised at start and played without any
    model. None: a built-in one in the plug's language (cs, da, de, en, es, fr, it, nl, pl, pt, sv)."""
    play: WavFile | None = None
    """A WAV file (16-bit mono) instead, or until the sentence was made; none plays the built-in sentence."""
    then: Literal["hang_up", "continue", "transfer"] = "hang_up"
    """``continue`` listens on, and asks the providers again; ``transfer`` refers the caller to ``transfer_to``."""
    transfer_to: str | None = None
    """A SIP or tel URI. If the transfer fails, the call is hung up."""

    @model_validator(mode="after")
    def _somewhere_to_go(self) -> Self:
        if self.then == "transfer" and not self.transfer_to:
            raise ValueError("then: transfer needs transfer_to; write the SIP or tel URI that the caller is sent to")
        return self


class BridgeOptions(Options):
    """What the caller hears while another provider is asked."""

    say: str = ""
    """A short phrase like `One moment, please.`; synthesised at start."""
    play: WavFile | None = None
    """A WAV file (16-bit mono) instead."""
    after: Duration = Field(default="700ms", validate_default=True)
    """It is played if the caller has heard nothing for so long after the failure. It is played to its end."""


def _prompt(value: object, info: ValidationInfo) -> object:
    """``{file: path}`` to the file's text; ``config/`` hands in who reads it."""
    read_file = (info.context or {}).get("read_file")
    if read_file is None or not isinstance(value, dict) or set(value) != {"file"} or not isinstance(value["file"], str):
        return value
    try:
        return read_file(value["file"])
    except ValueError as error:
        raise ValueError(str(error).replace("secret file", "prompt file")) from None


def _greeting(value: object) -> object:
    return {"text": value} if isinstance(value, str) else value


class PipelineOptions(TurnOptions, RoleOptions):
    """A plug of kind ``pipeline``."""

    prompt: Annotated[str, BeforeValidator(_prompt, json_schema_input_type=str | dict[str, str])] = ""
    """The system prompt for the LLM: a text, or `{file: path}`."""
    greeting: Annotated[Greeting | None, BeforeValidator(_greeting, json_schema_input_type=Greeting | str | None)] = (
        None
    )
    """What the agent says first: a text, or a block with ``text`` and ``interruptible``. None lets the caller begin."""
    ahead: bool = True
    """Synthesise what is always said in the same words (greeting, prompts, `on_failure`, `bridge`) at start, and play
    it from there: it is heard at once, costs nothing more and needs no model."""
    bridge: BridgeOptions | None = None
    """Covers the gap while another provider is asked; none is silence."""
    on_failure: FailureOptions = FailureOptions()
    """When nobody is left to ask."""
