"""Lists of providers, their common keys, and what a pipeline says of them that cannot be right."""

from __future__ import annotations

import pytest

from gateway.config.loader import loads
from gateway.errors import ConfigError

PROVIDERS = (
    'providers: {one: {kind: native, url: "ws://127.0.0.1:1/"}, two: {kind: native, url: "ws://127.0.0.1:2/"}}\n'
)
PLUG = "plugs: {{p: {{kind: pipeline, stt: {stt}, llm: one, tts: [one, two]{more}}}}}\nroutes: [{{to: p, plug: p}}]\n"


@pytest.mark.parametrize(
    ("stt", "more", "told"),
    [
        ("[one, twoo]", "", "plugs.p.stt: there is no provider 'twoo'; did you mean 'two'?"),
        ("[]", "", "plugs.p.stt: names no provider"),
        ("[one, one]", "", "plugs.p.stt: names a provider twice"),
        ("one", ", shadow: {llm: tow}", "plugs.p.shadow.llm: there is no provider 'tow'; did you mean 'two'?"),
        ("one", ", prompt: {file: nowhere.txt}", "prompt file nowhere.txt cannot be read"),
        ("one", ", on_failure: {then: transfer}", "then: transfer needs transfer_to"),
        ("one", ", failover: {patence: 3s}", "did you mean 'patience'?"),
    ],
)
def test_what_cannot_be_right_is_one_clear_line(stt: str, more: str, told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        loads(PROVIDERS + PLUG.format(stt=stt, more=more), {})
    [problem] = refused.value.problems
    assert told in problem


def test_keys_that_every_provider_has_stand_beside_its_own() -> None:
    more = ", concurrency: {tts: 3}, prices: {characters_1k: 2}"
    text = PROVIDERS.replace('"}, two', f'"{more}}}, two')
    options = loads(text + PLUG.format(stt="one", more=""), {}).providers["one"].options
    assert options.limit("tts") == 3  # type: ignore[attr-defined]
    assert options.prices.characters_1k == 2  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match="did you mean 'concurrency'"):
        loads(text.replace("concurrency", "concurency"), {})
