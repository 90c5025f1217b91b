"""Control messages: what is encoded is decoded, and whatever else a peer sends is a RemoteError."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import RemoteError
from gateway.wire import messages

DOCS = Path(__file__).parents[3] / "docs"
SCHEMA = json.loads((DOCS / "plug-protocol.schema.json").read_text())
EXAMPLES = re.findall(
    r"(?:S→C|C→S|`)\s*(\{\"type\".*?\})(?:`|\s{2,}|\n)", (DOCS / "plug-protocol.md").read_text(), re.DOTALL
)


def test_round_trip() -> None:
    text = messages.encode("token", stream=2, request=5, text="Größe", elapsed_us=None)
    assert messages.decode(text) == {"type": "token", "stream": 2, "request": 5, "text": "Größe"}


def test_the_document_has_examples() -> None:
    assert len(EXAMPLES) > 20


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_of_the_document_fit_decoder_and_schema(example: str) -> None:
    message = json.loads(example)
    jsonschema.validate(message, SCHEMA)
    assert messages.decode(example) == message


BAD: list[Any] = [
    "",
    "[]",
    "{}",
    '{"type":1}',
    "{" * 100_000,
    '{"type":"later","any":["\\udfff"]}',
    '{"type":"token","stream":1,"request":1}',
    '{"type":"token","stream":"1","request":1,"text":"x"}',
    '{"type":"token","stream":true,"request":1,"text":"x"}',
    '{"type":"token","stream":-1,"request":1,"text":"x"}',
    '{"type":"token","stream":4294967296,"request":1,"text":"x"}',
    '{"type":"credit","stream":1,"bytes":1e99}',
    '{"type":"credit","stream":1,"bytes":9223372036854775808}',
    '{"type":"opened","stream":1,"model":"x","credit":1}',
    '{"type":"error","stream":1,"transient":"yes","code":"x","message":"y"}',
]


@pytest.mark.parametrize("text", BAD, ids=range(len(BAD)))
def test_nonsense_is_a_remote_error(text: str) -> None:
    with pytest.raises(RemoteError):
        messages.decode(text)


@pytest.mark.parametrize("text", BAD[6:], ids=range(len(BAD) - 6))
def test_the_schema_refuses_what_the_decoder_refuses(text: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(json.loads(text), SCHEMA)


HALF = r'{"type":"speak","stream":1,"request":1,"text":"a\ud800"}'


@pytest.mark.parametrize("text", [HALF, HALF.replace("ud800", "uDC00"), HALF.replace(r"\ud800", "\ud800")])
def test_half_a_character_is_a_remote_error(text: str) -> None:
    with pytest.raises(RemoteError, match="surrogate"):
        messages.decode(text)


def test_two_halves_are_a_character() -> None:
    assert messages.decode(HALF.replace(r"\ud800", r"\ud83c\udf55"))["text"] == "a🍕"


def test_unknown_types_and_fields_pass() -> None:
    assert messages.decode('{"type":"later","stream":"any"}')["type"] == "later"
    assert messages.decode('{"type":"close","stream":1,"why":{}}')["why"] == {}


@given(
    st.text()
    | st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)).map(
        json.dumps
    )
)
def test_anything_at_all_is_a_message_or_a_remote_error(text: str) -> None:
    with contextlib.suppress(RemoteError):
        assert isinstance(messages.decode(text), dict)


def test_media_time_is_exact_at_every_rate() -> None:
    assert [messages.from_clock(160, rate) for rate in messages.RATES] == [160, 320, 480, 960]
