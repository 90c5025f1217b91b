from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.config import Config
from gateway.config.addresses import advertised, endpoint_options, rtp_pairs, warnings
from gateway.config.sip_block import parse_host_port
from gateway.config.summary import describe
from gateway.errors import ConfigError

Good = Callable[..., Config]


def test_what_is_listened_on_is_told(good: Good) -> None:
    told = advertised(good("sip: {listen: 'udp://127.0.0.2:5070'}\nmedia: {address: 127.0.0.3}"))
    assert (told.contact, told.media_host) == ("127.0.0.2:5070", "127.0.0.3")


@pytest.mark.parametrize(
    ("advertise", "contact"),
    [
        ("203.0.113.7", "203.0.113.7:5060"),
        ("203.0.113.7:5080", "203.0.113.7:5080"),
        ("sip.example.org", "sip.example.org:5060"),
        ("'[2001:db8::1]:5080'", "[2001:db8::1]:5080"),
        ("'[2001:db8::1]'", "[2001:db8::1]:5060"),
    ],
)
def test_an_advertised_address_wins(good: Good, advertise: str, contact: str) -> None:
    assert advertised(good(f"sip: {{listen: 'udp://0.0.0.0', advertise: {advertise}}}")).contact == contact


def test_several_listeners_and_the_first_one_is_told(good: Good) -> None:
    config = good("sip: {listen: [tcp://127.0.0.2, 'udp://127.0.0.2:5070']}")
    assert advertised(config).contact == "127.0.0.2:5060"
    assert "listens on       tcp://127.0.0.2:5060\n  listens on       udp://127.0.0.2:5070" in describe(config)


def test_media_advertise_wins(good: Good) -> None:
    assert advertised(good("media: {address: 0.0.0.0, advertise: 203.0.113.7}")).media_host == "203.0.113.7"


def test_every_address_becomes_the_one_that_leads_out(good: Good, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.socket.connect", lambda self, target: self.bind(("127.0.0.9", 0)))
    told = advertised(good("sip: {listen: 'udp://0.0.0.0:5060'}\nmedia: {address: 0.0.0.0}"))
    assert (told.sip_host, told.media_host) == ("127.0.0.9", "127.0.0.9")


def test_the_endpoint_is_never_told_to_advertise_every_address(good: Good, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.socket.connect", lambda self, target: self.bind(("127.0.0.9", 0)))
    assert endpoint_options(good("sip: {listen: 'udp://0.0.0.0:0'}")).advertise == "127.0.0.9"
    assert endpoint_options(good("sip: {listen: 'udp://127.0.0.1:0'}")).advertise is None
    assert endpoint_options(good("sip: {listen: 'udp://0.0.0.0:0', advertise: a.example}")).advertise == "a.example"
    assert endpoint_options(good("sip: {listen: [udp://127.0.0.1, tcp://0.0.0.0]}")).advertise == "127.0.0.9"


def test_every_address_on_a_machine_without_a_route(good: Good, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(self: object, target: object) -> None:
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr("socket.socket.connect", unreachable)
    with pytest.raises(ConfigError, match=r"set sip\.advertise"):
        advertised(good("sip: {listen: 'udp://0.0.0.0'}"))


@pytest.mark.parametrize("text", ["", "a b", "1.2.3.4:99999", "::1", "[::1", "a:b", "udp://x"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="is not an address"):
        parse_host_port(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "no routes"),
        ("", "no trunks"),
        ("sip: {listen: 'udp://192.0.2.1'}", "one is loopback"),
        ("media: {ports: 20000-20009}", "room for 5 calls, and limits.concurrent_calls allows 500"),
        (
            "plugs: {e: {kind: echo}}\nroutes: [{to: '*', plug: e}, {to: a, plug: e}]",
            "routes[2] ('a') is never reached",
        ),
    ],
)
def test_what_is_seldom_meant_is_a_warning(good: Good, text: str, expected: str) -> None:
    assert any(expected in warning for warning in warnings(good(text)))


def test_the_summary_shows_addresses_and_no_secret(good: Good) -> None:
    text = describe(
        good(
            "providers: {acme: {kind: acme, url: x, token: s3cret}}\n"
            "plugs: {p: {kind: agent, stt: acme}}\n"
            "trunks: [{name: t, from: [10.0.0.0/8]}]\n"
            "routes: [{to: '1', plug: p}]\n"
        )
    )
    for expected in (
        "127.0.0.1:5060",
        "20000-29999",
        "room for 5000 calls",
        "acme (acme: stt, tts)",
        "p (agent on acme)",
    ):
        assert expected in text
    assert "warning" not in text
    assert "s3cret" not in text


@pytest.mark.parametrize(
    ("low", "high", "pairs"), [(20000, 29999, 5000), (20001, 20003, 1), (20001, 20002, 0), (2000, 2001, 1)]
)
def test_a_call_takes_an_even_port_and_the_next(low: int, high: int, pairs: int) -> None:
    assert rtp_pairs(low, high) == pairs
