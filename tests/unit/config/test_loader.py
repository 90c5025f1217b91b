from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.config import Config, load
from gateway.errors import ConfigError
from gateway.units import SECOND
from tests.unit.config.conftest import AcmeOptions

Problems = Callable[..., list[str]]
Good = Callable[..., Config]

PROVIDER = "providers: {acme: {kind: acme, url: x}}\n"


def test_an_empty_file_is_all_defaults(good: Good) -> None:
    config = good("")
    assert [str(one) for one in config.sip.listen] == ["udp://127.0.0.1:5060"]
    assert config.media.rtp_timeout == 30 * SECOND
    assert config.routes == []


def test_an_empty_section_is_its_default(good: Good) -> None:
    assert good("trunks:\nsip:\nproviders:\n") == good("")


def test_blocks_carry_their_kind_and_options(good: Good) -> None:
    config = good(PROVIDER + "plugs: {p: {kind: agent, stt: acme}}\nroutes: [{to: p, plug: p}]\n")
    assert config.providers["acme"].kind == "acme"
    options = config.providers["acme"].options
    assert isinstance(options, AcmeOptions)
    assert options.url == "x"
    assert config.plugs["p"].options.stt == "acme"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sipp: {}", "1: unknown key 'sipp'; did you mean 'sip'?"),
        ("sip: {lisen: x}", "1: unknown key 'lisen' in sip; did you mean 'listen'?"),
        ("log:\n  colour: x", "2: unknown key 'colour' in log; known: format, level, redact"),
        ("log: {level: loud}", "1: log.level: 'loud' is not possible; write one of"),
        ("log: {redact: 5}", "1: log.redact: '5' must be true or false"),
        ("log: 5", "1: log: '5' must be a block of keys"),
        ("- a", "1: the file must be blocks of keys"),
        ("media: {shards: many}", "1: media.shards: 'many' is not a number"),
        ("media: {shards: 1.5}", "1: media.shards: '1.5' must be a whole number"),
        ("media: {shards: 0}", "1: media.shards: '0' is refused: be greater than or equal to 1"),
        ("media: {rtp_timeout: 30}", "1: media.rtp_timeout: 30 is not a duration; write a number and a unit"),
        ("media: {ports: 20000}", "1: media.ports: 20000 is not a range of ports"),
        ("media: {ports: 30000-20000}", "1: media.ports: '30000-20000': ports run from"),
        ("media: {ports: 20001-20001}", "1: media.ports:"),
        (
            "\nmedia:\n  ports: 5000-6000",
            "3: media.ports: 5000-6000 holds the SIP port 5060; choose a range without it",
        ),
        ("sip: {listen: 'udq://127.0.0.1'}", "1: sip.listen: transport 'udq' is not there; did you mean 'udp'?"),
        ("sip: {listen: []}", "1: sip.listen: an empty list listens nowhere"),
        ("sip: {listen: [udp://127.0.0.1, udp://127.0.0.1:5060]}", "1: sip.listen: an address is there twice"),
        ("sip:\n  listen:\n  - udp://127.0.0.1\n  - 7", "2: sip.listen: 7 is not an address to listen on"),
        ("sip: {listen: 'udp://localhost:5060'}", "1: sip.listen: 'localhost' is a name"),
        ("sip: {listen: 'udp://127.0.0.1:99999'}", "1: sip.listen: '127.0.0.1:99999' is not an address"),
        ("sip: {listen: 5060}", "1: sip.listen: 5060 is not an address to listen on"),
        ("sip: {advertise: 'a b'}", "1: sip.advertise: 'a b' is not an address"),
        ("routes: [{to: 100, plug: e}]\nplugs: {e: {kind: echo}}", "1: routes[1].to: must be text; write it in quotes"),
        ("routes:\n- {to: '1'}", "2: routes[1]: key 'plug' is missing; add it"),
        ("routes: {to: '1'}", "1: routes: must be a list"),
        (
            "trunks: [{name: a, from: [127.0.0.1/8]}]",
            "1: trunks[1].from[1]: '127.0.0.1/8' has bits set behind its mask",
        ),
        ("trunks: [{name: a, from: [x]}]", "1: trunks[1].from[1]: 'x' is not an address range"),
        ("providers: {a: {kind: acm, url: x}}", "1: providers.a: kind 'acm' is not registered; did you mean 'acme'?"),
        ("providers: {a: {url: x}}", "1: providers.a: key 'kind' is missing; write one of acme"),
        ("providers: {a: 5}", "1: providers.a: must be a block with at least the key 'kind'"),
        ("providers: [a]", "1: providers: must be a block of named blocks"),
        ("providers: {a: {kind: acme}}", "1: providers.a: key 'url' is missing; add it"),
        ("providers: {a: {kind: acme, ulr: x}}", "1: providers.a: key 'url' is missing"),
        (
            "providers: {a: {kind: broken}}",
            "1: providers.a: kind 'broken' is registered but cannot be loaded: No module",
        ),
        ("providers: {a: {kind: strange}}", "1: providers.a: kind 'strange' is registered with a object"),
    ],
)
def test_one_mistake_is_told_with_its_line_and_remedy(problems: Problems, text: str, expected: str) -> None:
    assert problems(text)[0].startswith(expected)


def test_all_problems_come_at_once_in_the_order_of_lines(problems: Problems) -> None:
    told = problems(
        "log: {level: loud}\n"
        "media: {adress: 1.2.3.4}\n"
        "plugs:\n"
        "  p: {kind: agent, stt: '${NOWHERE}'}\n"
        "  q: {kind: agent, stt: nobody, colour: red}\n"
        "routes: [{to: x, plug: z}]\n"
        "routes: []\n"
    )
    assert [problem.partition(":")[0] for problem in told] == ["1", "2", "4", "4", "5", "5", "6", "7"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            PROVIDER + "plugs: {p: {kind: agent, stt: acne}}",
            "2: plugs.p.stt: there is no provider 'acne'; did you mean 'acme'?",
        ),
        ("plugs: {p: {kind: agent, stt: x}}", "1: plugs.p.stt: there is no provider 'x'"),
        (
            PROVIDER + "plugs: {p: {kind: agent, stt: acme, spare: [acme, y]}}",
            "2: plugs.p.spare: there is no provider 'y'",
        ),
        (
            "providers: {a: {kind: acme, url: x}, e: {kind: ear, url: x}}\nplugs: {p: {kind: agent, stt: e, tts: e}}",
            "2: plugs.p.tts: provider 'e' has no role 'tts'; able to be tts: a",
        ),
        (PROVIDER + "routes: [{to: a, plug: b}]", "2: routes[1].plug: there is no plug 'b'"),
        (
            "trunks:\n- {name: a, from: [10.0.0.0/8]}\n- {name: a, from: [10.0.0.0/8]}",
            "3: trunks[2].name: name 'a' is taken by the trunk in line 2",
        ),
    ],
)
def test_references_must_lead_somewhere(problems: Problems, text: str, expected: str) -> None:
    assert problems(text)[0].startswith(expected)


def test_a_default_that_names_a_provider_is_checked(problems: Problems) -> None:
    told = problems("providers: {mine: {kind: acme, url: x}}\nplugs: {p: {kind: agent, stt: mine}}")
    assert told[0].startswith("2: plugs.p.tts: there is no provider 'acme'")


def test_a_wrong_provider_does_not_also_make_its_users_wrong(problems: Problems) -> None:
    told = problems("providers: {acme: {kind: acme}}\nplugs: {p: {kind: agent, stt: acme}}")
    assert told == ["1: providers.acme: key 'url' is missing; add it"]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read: No such file"):
        load(tmp_path / "none.yaml")


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "binary.yaml").write_bytes(b"a: \xff\xfe")
    with pytest.raises(ConfigError, match="is not UTF-8"):
        load(tmp_path / "binary.yaml")


def test_problems_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "my.yaml"
    path.write_text("\nlog: 5\n")
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert caught.value.problems[0].startswith(f"{path}:2: log")
