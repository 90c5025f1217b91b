"""Whatever a provider sends, its dialect raises nothing but what a session expects of it, and its events hold what they
promise: texts are text, times are numbers. Each message of every exchange is spoilt in one place at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import is_dataclass
from functools import cache
from typing import Any, get_type_hints

import pytest

from gateway import registry
from gateway.plugs.bots.dialect import BotCall, BotDialect
from gateway.plugs.contract import PlugSpec
from gateway.providers.dialect import LlmDialect, ServerEvent
from gateway.providers.sessions.reading import READ_ERRORS, sound
from tests.contract.test_exchanges import FILES, dialect_of, do
from tests.unit.plugs.bots import WORDS

PLAIN = (str, bytes, int, float)
MORE = {
    "audiocodes": [
        '{"type":"session.accepted","mediaFormat":"raw/mulaw"}',
        '{"type":"playStream.start","streamId":"1","mediaFormat":"raw/mulaw"}',
        '{"type":"activities","activities":[{"type":"event","name":"hangup"}]}',
    ],
    "genesys": [
        '{"version":"2","type":"opened","id":"1","seq":1,"clientseq":1,"parameters":{"media":[{"type":"audio"}]}}'
    ],
    "jambonz": ['{"type":"playAudio","data":{"audioContent":"AAAA","audioContentType":"raw","sampleRate":8000}}'],
    "vonage": ['{"action":"notify","payload":{"name":"m1"}}'],
}
"""What bots of these kinds say besides."""
SPOILT: tuple[Any, ...] = (None, True, -1, 1.5, float("inf"), "x", "", [], [None], {}, {"a": 1}, ["x"], 10**400)


def spoilt(value: Any) -> Iterator[Any]:
    """The value with one part of it, or itself, replaced or left out."""
    yield from SPOILT
    if isinstance(value, dict):
        for key in value:
            yield {name: part for name, part in value.items() if name != key}
            for worse in spoilt(value[key]):
                yield {**value, key: worse}
    elif isinstance(value, list):
        for index, part in enumerate(value):
            for worse in spoilt(part):
                yield [*value[:index], worse, *value[index + 1 :]]


def texts(received: Any) -> Iterator[str]:
    """What may come instead of this message."""
    if isinstance(received, str):
        for cut in range(0, len(received), 7):
            yield received[:cut]
    else:
        whole = json.dumps(received)
        for cut in range(0, len(whole), 11):
            yield whole[:cut]
        for worse in spoilt(received):
            yield json.dumps(worse)
    yield "[" * 100_000


@cache
def hints_of(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def check(event: Any) -> None:
    """Every field has the type that its class writes down, as far as that is plain."""
    if not is_dataclass(event):
        return
    for name, hint in hints_of(type(event)).items():
        value = getattr(event, name)
        if hint in PLAIN:
            wanted = (int, float) if hint in {int, float} else hint
            assert isinstance(value, wanted), (event, name)
        check(value)
        if isinstance(value, tuple):
            for part in value:
                check(part)


@pytest.mark.parametrize("path", FILES, ids=[f"{path.parent.name}/{path.stem}" for path in FILES])
def test_no_message_does_more_than_break_its_connection(path: Any) -> None:
    found = json.loads(path.read_text())
    steps = found["steps"]
    for number, step in enumerate(steps):
        if "receive" not in step or step["receive"] == "END":
            continue
        for text in texts(step["receive"]):
            dialect = dialect_of(path.parent.name, found)
            for earlier in steps[:number]:
                if "do" in earlier:
                    do(dialect, earlier)
                elif earlier["receive"] != "END":
                    list(dialect.decode(wires(dialect, earlier, earlier["receive"])[0]))
            for wire in wires(dialect, step, text):
                try:
                    events = sound(dialect.decode(wire))
                except READ_ERRORS:
                    continue
                for event in events:
                    check(event)


def wires(dialect: Any, step: dict[str, Any], received: Any) -> list[Any]:
    """How it would come: as a text and as a binary message, where there are both."""
    text = received if isinstance(received, str) else json.dumps(received)
    if isinstance(dialect, LlmDialect):
        return [ServerEvent(step.get("event", ""), text)]
    return [text.encode()] if dialect.framing is not None else [text, text.encode()]


def bot_dialect(kind: str) -> BotDialect:
    spec = registry.load("linecard.plugs", kind)
    assert isinstance(spec, PlugSpec)
    options = spec.options(url="ws://127.0.0.1:9/", **WORDS[kind].options)
    made: Any = spec.create(options)
    dialect: BotDialect = made._make(options, BotCall("1@test", "alice", "pizza", "c" * 32, "5" * 32))
    dialect.opening()
    return dialect


@pytest.mark.parametrize("kind", WORDS)
def test_no_message_of_a_bot_does_more_than_break_its_connection(kind: str) -> None:
    words = WORDS[kind]
    told = [words.play(bytes(320)), words.clear, words.mark, *MORE.get(kind, ())]
    for message in told:
        if not isinstance(message, str):
            continue
        for text in texts(json.loads(message)):
            try:
                events = sound(bot_dialect(kind).decode(text))
            except READ_ERRORS:
                continue
            for event in events:
                check(event)
