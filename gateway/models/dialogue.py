"""A scripted dialogue in the place of a language model: a pure function from the history to the next answer.

It fills a form: what the caller says is matched against the patterns of the intents, slots are remembered, what is
still missing is asked for, and the whole is confirmed. Nothing is kept between requests: the state is worked out anew
from the messages, as a language model does, so a history that a barge-in has cut needs no special case. One rule
matters there: a "yes" counts only if the question before it was heard, at least in part.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Final

import yaml
from pydantic import Field, ValidationError

from gateway.errors import ConfigError
from gateway.models import pattern
from gateway.options import Options

__all__ = ["Answer", "Dialogue", "Script", "load"]

_WORD: Final = re.compile(r"[a-z0-9]+(?:['-][a-z0-9]+)*")


class Question(Options):
    """One slot of the form."""

    slot: str
    ask: str


class Script(Options):
    """A dialogue's YAML file."""

    name: str
    version: str = "1"
    language: str = "en"
    slots: dict[str, dict[str, list[str]]] = Field(default_factory=dict)
    intents: dict[str, list[str]]
    form: list[Question] = Field(default_factory=list)
    confirm: str | None = None
    confirmed: str = "Thank you. Goodbye."
    rejected: str = "Let us start again."
    answers: dict[str, str]
    hang_up: list[str] = Field(default_factory=list)
    examples: list[str] = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the agent says next."""

    text: str
    hang_up: bool = False


@dataclass(slots=True)
class _State:
    filled: dict[str, str] = field(default_factory=dict)
    confirming: bool = False
    last: Answer = field(default_factory=lambda: Answer(""))


class Dialogue:
    """A script, ready to answer. Raises ``ConfigError`` with every problem of the script at once."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.slots: dict[str, dict[str, pattern.Item]] = {
            name: {value: pattern.Alternatives(tuple(map(pattern.parse, spoken))) for value, spoken in values.items()}
            for name, values in script.slots.items()
        }
        self.intents = {name: list(map(pattern.parse, texts)) for name, texts in script.intents.items()}
        _check(script, self.intents)

    def answer(self, messages: Sequence[tuple[str, str]]) -> Answer:
        """The answer to a history of (role, text). An empty history is greeted."""
        state = _State(last=Answer(self.script.answers.get("greeting", "")))
        heard_agent = True
        for role, text in messages:
            if role == "user":
                # Two turns of the caller without a word of ours between: the question was not heard.
                state.confirming = state.confirming and heard_agent
                state.last = self._reply(state, text)
                heard_agent = False
            elif role == "assistant" and text.strip():
                heard_agent = True
        return state.last

    def understand(self, text: str) -> tuple[str, Mapping[str, str]]:
        """The intent and slots of a sentence: by the first pattern that covers it, else by the slots in it."""
        said = _WORD.findall(text.lower().replace("’", "'"))
        for intent, patterns in self.intents.items():
            for item in patterns:
                found = pattern.match(item, said, self.slots)
                if found is not None:
                    return intent, found
        spotted = self._spot(said)
        return ("spotted", spotted) if spotted else ("fallback", {})

    def covers(self, text: str) -> bool:
        """Whether the whole sentence is one that the patterns foresee."""
        return self.understand(text)[0] not in {"spotted", "fallback"}

    # --- inside -------------------------------------------------------------------------------------------------------

    def _spot(self, said: list[str]) -> dict[str, str]:
        """A recogniser that knows more words than the grammar says them in other ways; slots are what matters."""
        found: dict[str, str] = {}
        for name in self.slots:
            for at in range(len(said)):
                for end in range(min(len(said), at + 4), at, -1):
                    values = pattern.match(pattern.Slot(name), said[at:end], self.slots)
                    if values:
                        found |= values
                        break
        return found

    def _reply(self, state: _State, text: str) -> Answer:
        intent, slots = self.understand(text)
        if slots:
            state.filled |= slots
            state.confirming = False
            return self._onward(state)
        if state.confirming and intent == "agree":
            return Answer(self.script.confirmed.format_map(state.filled), hang_up=True)
        if state.confirming and intent == "disagree":
            state.filled.clear()
            return self._onward(state, self.script.rejected)
        if intent in self.script.hang_up:
            return Answer(self.script.answers[intent], hang_up=True)
        if intent == "repeat" and state.last.text:
            return state.last
        return self._onward(state, self.script.answers.get(intent, ""))

    def _onward(self, state: _State, first: str = "") -> Answer:
        """``first``, then the next question."""
        return Answer(f"{first} {self._question(state)}".strip())

    def _question(self, state: _State) -> str:
        for question in self.script.form:
            if question.slot not in state.filled:
                return question.ask
        if self.script.confirm is None:
            return ""
        state.confirming = True
        return self.script.confirm.format_map(state.filled)


def _check(script: Script, intents: Mapping[str, Sequence[pattern.Item]]) -> None:
    problems = []
    for intent, items in intents.items():
        unknown = sorted(_slots_of(items) - set(script.slots))
        problems += [f"{script.name}: intent {intent!r} names the unknown slot <{slot}>" for slot in unknown]
    problems += [
        f"{script.name}: the form asks for the unknown slot {q.slot!r}"
        for q in script.form
        if q.slot not in script.slots
    ]
    problems += [
        f"{script.name}: hang_up names {name!r}, which has no answer"
        for name in script.hang_up
        if name not in script.answers
    ]
    known = dict.fromkeys(script.slots, "")
    for key in ("confirm", "confirmed"):
        try:
            (getattr(script, key) or "").format_map(known)
        except (KeyError, ValueError, IndexError) as error:
            problems.append(f"{script.name}: {key} cannot be filled in: {error!r}")
    if "fallback" not in script.answers:
        problems.append(f"{script.name}: answers has no 'fallback', said when nothing was understood")
    if problems:
        raise ConfigError(problems)


def _slots_of(items: Sequence[pattern.Item]) -> set[str]:
    found: set[str] = set()
    for item in items:
        match item:
            case pattern.Slot(name):
                found.add(name)
            case pattern.Optional(inner):
                found |= _slots_of([inner])
            case pattern.Sequence(parts) | pattern.Alternatives(parts):
                found |= _slots_of(parts)
            case pattern.Word():
                pass
    return found


def load(path: Path | None = None) -> Dialogue:
    """A dialogue from a file, or the pizza order taker. Raises ``ConfigError``."""
    source = Path(str(files("gateway.models") / "pizza.yaml")) if path is None else path
    try:
        return Dialogue(Script.model_validate(yaml.safe_load(source.read_text())))
    except OSError as error:
        raise ConfigError([f"{source}: {error.strerror}"]) from error
    except yaml.YAMLError as error:
        raise ConfigError([f"{source}: {error}"]) from error
    except ValidationError as error:
        lines = [f"{source}: {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise ConfigError(lines) from error
