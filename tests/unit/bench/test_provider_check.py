"""``linecard providers``: the list, and a round trip with a provider that is played."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from gateway.bench import provider_check
from gateway.errors import ConfigError
from gateway.plugs.wav import Clip
from gateway.registry import PROVIDERS, load
from tests.played.cast import CAST, Part
from tests.played.stage import Fault, staged


def part(kind: str, role: str) -> Part:
    return next(one for one in CAST if (one.kind, one.role) == (kind, role))


def config(one: Part, at: str) -> Any:
    spec: Any = load(PROVIDERS, one.kind)
    block = {"api_key": "key", "base_url": one.base_url.format(at=at), **one.block}
    options = spec.options.model_validate(block)
    return SimpleNamespace(providers={"mine": SimpleNamespace(kind=one.kind, options=options)})


@pytest.fixture(autouse=True)
def short_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider_check, "apology", lambda: Clip(b"\x40\x1f" * 3200, 8000))


def test_every_kind_is_listed_with_what_proves_it() -> None:
    text = "\n".join(provider_check.listing())
    assert "deepgram             stt, tts                 played; live: not yet" in text
    assert "stt.model" in text
    assert "needed. " in text


@pytest.mark.parametrize(
    ("kind", "role", "stages", "told"),
    [
        ("anthropic", "llm", ["first token", "complete"], "said 'You said: Hello, this is a test."),
        ("xai", "tts", ["connect", "first audio", "complete"], "ulaw at 8000 Hz"),
        ("inworld", "stt", ["connect", "final"], "heard '"),
        ("gemini-live", "realtime", ["connect", "first audio"], "said 'good morning'"),
    ],
)
async def test_a_round_trip_tells_each_stage(
    kind: str, role: str, stages: list[str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider_check, "_ROLES", (role,))  # the stage plays one
    one, lines = part(kind, role), list[str]()
    async with staged(one.script) as (_, at):
        await provider_check.check("mine", config(one, at), lines.append)
    (line,) = [line for line in lines if line.startswith(role)]
    assert " ok " in line
    assert all(f"{stage}" in line for stage in stages)
    assert told in line


async def test_a_failure_is_told_with_its_kind() -> None:
    one, lines = part("anthropic", "llm"), list[str]()
    async with staged(one.script, Fault.WRONG_KEY) as (_, at):
        assert not await provider_check.check("mine", config(one, at), lines.append)
    assert "failed (permanent)" in lines[0]
    assert "401" in lines[0]


async def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEEPGRAM_API_KEY", raising=False)
    with pytest.raises(ConfigError, match="DEEPGRAM_API_KEY"):
        await provider_check.check("deepgram", None, print)
    with pytest.raises(ConfigError, match="deepgram"):
        await provider_check.check("deepgran", None, print)
