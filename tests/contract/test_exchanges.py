"""Exchanges with providers, composed from their documentation, replayed through the dialects without a socket.

A file of ``tests/data/providers/<kind>/`` holds ``role``, ``options`` and ``steps``. A step either *receives* a message
(``receive``; an ``event`` beside it for a stream of events) and lists the ``events`` that it stands for, each by its
type and the fields that matter; or it *does* something (``do``: a verb and its arguments) and lists what is to be sent:
a JSON message as the keys that matter, or text as it is.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.providers.contract import NO_BRIEF, Message, Tool, ToolUse
from gateway.providers.dialect import LlmDialect, ServerEvent
from gateway.registry import PROVIDERS, load

DATA = Path(__file__).parents[1] / "data/providers"
FILES = sorted(DATA.glob("*/*.json"))


def dialect_of(kind: str, found: dict[str, Any]) -> Any:
    spec: Any = load(PROVIDERS, kind)
    options = spec.options.model_validate(found.get("options", {}))
    make = spec.create("replayed", options)._roles
    make = getattr(make, found["role"])
    match found["role"]:
        case "llm":
            return make(options)
        case "realtime":
            return make(options, found.get("rate", 8000), NO_BRIEF)
        case _:
            return make(options, found.get("rate", 8000), found.get("language", "en"))


def fits(wanted: Any, got: Any) -> bool:
    """Every key that is named is there and fits; everything else has to be equal."""
    if isinstance(wanted, dict):
        read = got.get if isinstance(got, dict) else (lambda key: getattr(got, key, None))
        return all(fits(value, read(key)) for key, value in wanted.items())
    if isinstance(wanted, list):
        got = list(got) if isinstance(got, (list, tuple)) else got
        return isinstance(got, list) and len(wanted) == len(got) and all(map(fits, wanted, got))
    if isinstance(got, bytes):
        return bool(wanted == got.decode("latin-1"))
    return bool(wanted == got)


def check_events(step: dict[str, Any], events: list[Any]) -> None:
    wanted = [next(iter(event.items())) if isinstance(event, dict) else (event, {}) for event in step["events"]]
    assert [type(event).__name__ for event in events] == [name for name, _ in wanted], (step, events)
    for (_, fields), event in zip(wanted, events, strict=True):
        assert fits(fields, event), (fields, event)


def do(dialect: Any, step: dict[str, Any]) -> None:
    verb, *arguments = step["do"]
    if verb == "opening":
        opening = dialect.opening()
        assert step.get("url", opening.url) == opening.url
        assert fits(step.get("headers", {}), dict(opening.headers))
        sent = list(opening.first)
    elif verb == "request":
        request = dialect.request([message(one) for one in arguments[0]], [Tool(**one) for one in arguments[1:]])
        assert step.get("url", request.url) == request.url
        assert fits(step.get("headers", {}), dict(request.headers))
        assert fits(step.get("body", {}), dict(request.body)), request.body
        return
    elif verb == "ask":
        sent = list(dialect.ask(arguments[0], [message(one) for one in arguments[1]], ()))
    else:
        sent = list(getattr(dialect, verb)(*arguments))
    wanted = step.get("send", [])
    assert len(wanted) == len(sent), sent
    for one, wire in zip(wanted, sent, strict=True):
        got = json.loads(wire) if isinstance(one, dict) else wire
        assert fits(one, got), (one, wire)


def message(found: dict[str, Any]) -> Message:
    uses = tuple(ToolUse(**use) for use in found.get("uses", ()))
    return Message(found["role"], found.get("text", ""), uses, found.get("call", ""))


@pytest.mark.parametrize("path", FILES, ids=[f"{path.parent.name}/{path.stem}" for path in FILES])
def test_an_exchange_is_understood(path: Path) -> None:
    found = json.loads(path.read_text())
    dialect = dialect_of(path.parent.name, found)
    for step in found["steps"]:
        if "do" in step:
            do(dialect, step)
            continue
        if step.get("receive") == "END":
            events = list(dialect.end())
        else:
            text = step["receive"] if isinstance(step["receive"], str) else json.dumps(step["receive"])
            streamed = isinstance(dialect, LlmDialect)
            wire = text.encode() if getattr(dialect, "framing", None) else text
            events = list(dialect.decode(ServerEvent(step.get("event", ""), text) if streamed else wire))
        check_events(step, events)


def test_every_kind_but_the_native_has_an_exchange() -> None:
    from gateway.registry import names

    assert {path.parent.name for path in FILES} >= set(names(PROVIDERS)) - {"native"}
