"""The adapter in docs/adapters.md is complete: it is taken from the page and spoken to."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from gateway.providers.contract import ProviderSpec
from gateway.providers.dialect import Flushed, Heard, Ready

PAGE = Path(__file__).parents[2] / "docs/adapters.md"


@pytest.fixture
def acme() -> Iterator[Any]:
    source = re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert source is not None
    module = ModuleType("acme_adapter")
    sys.modules["acme_adapter"] = module  # pydantic looks annotations up there
    exec(compile(source[1], str(PAGE), "exec"), module.__dict__)
    yield module
    del sys.modules["acme_adapter"]


def test_the_adapter_on_the_page_works(acme: Any) -> None:
    assert isinstance(acme.SPEC, ProviderSpec)
    assert acme.SPEC.roles == {"stt"}
    options = acme.AcmeOptions.model_validate({"api_key": "k", "stt": {"query": {"beta": True}}})
    dialect = acme.AcmeDialect(options, 8000, "de")
    opening = dialect.opening()
    assert opening.url == "wss://api.acme.example/v1/listen?model=ear-2&format=mulaw&language=de&beta=true"
    assert opening.headers == {"Authorization": "Bearer k"}
    assert isinstance(next(iter(dialect.decode('{"type":"started","model":"ear","version":"2"}'))), Ready)
    assert list(dialect.decode('{"type":"text","text":"hi","final":true}')) == [Heard("hi", final=True)]
    assert list(dialect.decode(json.dumps({"type": "finalized"}))) == [Flushed()]
    assert list(dialect.decode('{"type":"news"}')) == []
