"""The recogniser's grammar and dictionary, generated from a dialogue: it can hear what the dialogue can understand."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.errors import ConfigError
from gateway.models import pattern
from gateway.models.dialogue import Dialogue
from gateway.models.sphinx import pronunciations

__all__ = ["Grammar", "generate"]


@dataclass(frozen=True, slots=True)
class Grammar:
    """``jsgf`` and the words it needs, in the dictionary's format."""

    jsgf: str
    dictionary: str


def generate(dialogue: Dialogue) -> Grammar:
    """Raises ``ConfigError`` that lists the words for which the model knows no sound."""
    items = [item for items in dialogue.intents.values() for item in items]
    items += [spoken for values in dialogue.slots.values() for spoken in values.values()]
    wanted = pattern.words(items)
    sounds = pronunciations(wanted)
    if missing := sorted(wanted - set(sounds)):
        raise ConfigError(
            [
                f"{dialogue.script.name}: the recogniser cannot pronounce {word!r}; spell it with words it knows"
                for word in missing
            ]
        )
    return Grammar(_jsgf(dialogue), _dictionary(sounds))


def _jsgf(dialogue: Dialogue) -> str:
    lines = ["#JSGF V1.0;", f"grammar {dialogue.script.name};"]
    lines.append(f"public <turn> = {' | '.join(f'<intent_{name}>' for name in dialogue.intents)};")
    for name, items in dialogue.intents.items():
        lines.append(f"<intent_{name}> = {' | '.join(pattern.jsgf(item) for item in items)};")
    for slot, values in dialogue.slots.items():
        lines.append(f"<{slot}> = {' | '.join(pattern.jsgf(spoken) for spoken in values.values())};")
    return "\n".join(lines) + "\n"


def _dictionary(sounds: dict[str, list[str]]) -> str:
    lines = []
    for word, variants in sorted(sounds.items()):
        for number, phones in enumerate(variants, 1):
            lines.append(f"{word if number == 1 else f'{word}({number})'} {phones}\n")
    return "".join(lines)
