"""What of a plug would be said in another language than its own: allowed, but seldom meant."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.config.blocks import attribute, find_spec
from gateway.config.model import Block, Config

__all__ = ["language_warnings"]

_SENTENCES = ("no_input_prompt", "no_input_goodbye", "not_understood")
"""Options of a pipeline whose defaults are English."""


def language_warnings(config: Config) -> Iterator[str]:
    """Voices that do not speak a plug's language, and sentences that were left in English."""
    for name, plug in config.plugs.items():
        language = _short(attribute(plug.options, "language") or "")
        if not language:
            continue
        yield from _voices(config, name, plug, language)
        left = [key for key in _SENTENCES if language != "en" and _is_default(plug, key)]
        if left:
            yield f"plugs.{name}: language is {language!r}, but {', '.join(left)} would be said in English; write them"


def _voices(config: Config, name: str, plug: Block, language: str) -> Iterator[str]:
    for key, role in find_spec("plugs", plug.kind).provider_roles.items():
        value = attribute(plug.options, key) if role == "tts" else None
        for provider in [value] if isinstance(value, str) else value or []:
            spoken = _short(attribute(config.providers[provider].options, "tts.voice_language") or "")
            if spoken and spoken != language:
                yield (
                    f"plugs.{name}.{key}: the voice of provider {provider!r} speaks {spoken!r}, and language is "
                    f"{language!r}; choose another voice"
                )


def _is_default(plug: Block, key: str) -> bool:
    field = type(plug.options).model_fields.get(key)
    return field is not None and bool(field.default) and getattr(plug.options, key) == field.default


def _short(language: str) -> str:
    return language.lower().partition("-")[0]
