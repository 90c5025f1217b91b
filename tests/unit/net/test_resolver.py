from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

import pytest

from gateway.errors import RemoteError
from gateway.net.resolver import Resolver, resolve
from gateway.sip.flow import Hop
from tests.unit.net.nameserver import NameServer, nameserver

ZONE = {
    ("example.org", "NAPTR"): [
        '20 10 "s" "SIP+D2U" "" _sip._udp.example.org.',
        '10 10 "s" "SIPS+D2T" "" _sips._tcp.example.org.',
        '10 20 "s" "SIP+D2T" "" _sip._tcp.far.example.org.',
        '5 10 "u" "E2U+sip" "!^.*$!sip:a@b!" .',
        '5 10 "s" "SIP+D2X" "" _sip._x.example.org.',
    ],
    ("example.org", "A"): ["192.0.2.1"],
    ("_sip._udp.example.org", "SRV"): ["20 0 5070 b.example.org.", "10 0 5080 a.example.org."],
    ("_sips._tcp.example.org", "SRV"): ["10 0 5061 a.example.org."],
    ("_sip._tcp.far.example.org", "SRV"): ["10 0 5090 b.example.org."],
    ("a.example.org", "A"): ["192.0.2.10"],
    ("two.example", "A"): ["192.0.2.61", "192.0.2.62"],
    ("b.example.org", "A"): ["192.0.2.20"],
    ("b.example.org", "AAAA"): ["2001:db8::20"],
    ("plain.example", "A"): ["192.0.2.30"],
    ("srv.example", "A"): ["192.0.2.40"],
    ("_sip._tcp.srv.example", "SRV"): ["0 0 5060 b.example.org."],
    ("closed.example", "A"): ["192.0.2.50"],
    ("_sip._udp.closed.example", "SRV"): ["0 0 0 ."],
}


def asking(server: NameServer, **more: object) -> Resolver:
    return Resolver(nameservers=["127.0.0.1"], port=server.port, **more)  # type: ignore[arg-type]


async def located(target: str, transports: Sequence[str]) -> tuple[list[str], Counter[str]]:
    """Servers as text, and how often each type was asked for."""
    async with nameserver(ZONE) as server:
        found = await asking(server).locate(target, transports)
        return [f"{one.transport}:{one.address[0]}:{one.address[1]}" for one in found], Counter(
            kind for _, kind in server.asked
        )


@pytest.mark.parametrize(
    ("target", "transports", "expected", "asked"),
    [
        # RFC 3263 4.1: a number asks nothing; transport and port are as written, or the defaults.
        ("sip:1@192.0.2.9", ["udp", "tcp"], ["udp:192.0.2.9:5060"], {}),
        ("sip:1@192.0.2.9:5070;transport=tcp", ["udp"], ["tcp:192.0.2.9:5070"], {}),
        ("sip:1@192.0.2.9;transport=tls", ["udp"], ["tls:192.0.2.9:5061"], {}),
        ("sip:1@[2001:db8::1]", ["udp"], ["udp:2001:db8::1:5060"], {}),
        # A port asks for the address only.
        ("sip:1@example.org:5099", ["tcp"], ["tcp:192.0.2.1:5099"], {"A": 1}),
        # A transport skips NAPTR.
        (
            "sip:1@example.org;transport=UDP",
            ["tcp"],
            ["udp:192.0.2.10:5080", "udp:192.0.2.20:5070"],
            {"SRV": 1, "A": 2},
        ),
        # NAPTR: what we do not speak is passed over, order before preference.
        (
            "sip:1@example.org",
            ["udp", "tcp", "tls"],
            [
                "tls:192.0.2.10:5061", "tcp:192.0.2.20:5090", "udp:192.0.2.10:5080", "udp:192.0.2.20:5070",
            ],
            {"NAPTR": 1, "SRV": 3, "A": 2},  # a and b are remembered
        ),
        ("sip:1@example.org", ["tcp"], ["tcp:192.0.2.20:5090"], {"NAPTR": 1, "SRV": 1, "A": 1}),
        # Without NAPTR every transport that we speak is asked for.
        ("sip:1@srv.example.", ["udp", "tcp"], ["tcp:192.0.2.20:5060"], {"NAPTR": 1, "SRV": 2, "A": 1}),
        # Without SRV the address is the domain's, the port the default.
        ("sip:1@plain.example", ["udp"], ["udp:192.0.2.30:5060"], {"NAPTR": 1, "SRV": 1, "A": 1}),
        ("sip:1@plain.example", ["tls"], ["tls:192.0.2.30:5061"], {"NAPTR": 1, "SRV": 1, "A": 1}),
        ("sip:1@plain.example;transport=tls", ["udp"], ["tls:192.0.2.30:5061"], {"SRV": 1, "A": 1}),
    ],
)  # fmt: skip
async def test_where_a_request_goes(
    target: str, transports: list[str], expected: list[str], asked: dict[str, int]
) -> None:
    assert await located(target, transports) == (expected, asked)


async def test_ipv6_where_we_speak_it() -> None:
    async with nameserver(ZONE) as server:
        found = await asking(server).locate("sip:1@b.example.org:5060", ipv6=True)
    assert [one.address[0] for one in found] == ["192.0.2.20", "2001:db8::20"]


async def test_answers_are_kept_for_their_ttl() -> None:
    async with nameserver(ZONE) as server:
        resolver = asking(server)
        first = await resolver.locate("sip:1@example.org")
        count = len(server.asked)
        assert await resolver.locate("sip:2@example.org") == first
        assert len(server.asked) == count
        server.ttl = 0
        await resolver.locate("sip:1@plain.example:5060")
        await resolver.locate("sip:1@plain.example:5060")
        assert server.asked[count:] == [("plain.example", "A")] * 2


async def test_one_priority_shares_its_load_by_weight() -> None:
    zone = {
        ("_sip._udp.w.example", "SRV"): ["1 30 1 a.w.example.", "1 10 2 b.w.example.", "1 0 3 c.w.example."],
        **{(f"{name}.w.example", "A"): ["192.0.2.1"] for name in "abc"},
    }
    async with nameserver(zone) as server:
        resolver = asking(server, draw=random.Random(4))
        tries = [await resolver.locate("sip:w.example;transport=udp") for _ in range(1000)]
    assert all(sorted(one.address[1] for one in servers) == [1, 2, 3] for servers in tries)
    first = Counter(servers[0].address[1] for servers in tries)
    assert 660 < first[1] < 800
    assert 190 < first[2] < 310
    assert first[3] < 50


async def test_a_silent_or_broken_name_server_costs_a_bounded_time() -> None:
    async with nameserver(ZONE) as server:
        server.silent = {"NAPTR", "SRV"}
        found = await asking(server, patience=0.05).locate("sip:1@example.org")
        assert found == [Hop("udp", ("192.0.2.1", 5060))]
        server.broken = True
        with pytest.raises(RemoteError, match="has no address"):
            await asking(server, patience=0.05).locate("sip:1@nowhere.invalid:5060")


async def test_a_zone_that_lists_hundreds_is_read_in_part() -> None:
    zone = {
        ("_sip._udp.many.example", "SRV"): [f"{n} 0 {n} h.many.example." for n in range(1, 30)],
        ("h.many.example", "A"): ["192.0.2.1"],
    }
    async with nameserver(zone) as server:
        assert len(await asking(server).locate("sip:many.example;transport=udp")) == 20


async def test_a_service_that_is_decidedly_not_offered() -> None:
    with pytest.raises(RemoteError, match=r"'closed\.example' does not offer SIP by udp"):
        await located("sip:closed.example", ["udp"])


async def test_a_host_with_several_addresses() -> None:
    found, _ = await located("sip:two.example:5060", ["udp"])
    assert set(found) == {"udp:192.0.2.61:5060", "udp:192.0.2.62:5060"}


@pytest.mark.parametrize(
    "target", ["nonsense", "sip:", "sip:x@[::", "tel:+49301234", "sips:example.org", "sip:nowhere.invalid:5060"]
)
async def test_what_cannot_be_located(target: str) -> None:
    async with nameserver({}) as server:
        with pytest.raises(RemoteError):
            await asking(server).locate(target)


@pytest.mark.parametrize("name", ["a" * 64 + ".example", "a..b.example", ".".join(["a" * 60] * 5)])
async def test_names_that_dns_cannot_carry(name: str) -> None:
    async with nameserver({}) as server:
        with pytest.raises(RemoteError):
            await asking(server).locate(f"sip:{name}")
        assert server.asked == []


async def test_this_machine_is_no_question_for_dns() -> None:
    assert await resolve("sip:x@localhost") == ("127.0.0.1", 5060)
    assert await resolve("sip:x@localhost:5070;transport=tcp") == ("127.0.0.1", 5070)


async def test_the_address_of_a_host_in_a_session_description() -> None:
    async with nameserver(ZONE) as server:
        resolver = asking(server)
        assert await resolver.address("b.example.org.", ipv6=False) == "192.0.2.20"
        assert await resolver.address("b.example.org", ipv6=True) == "2001:db8::20"
        with pytest.raises(RemoteError, match=r"a\.example\.org has no address for IPv6"):
            await resolver.address("a.example.org", ipv6=True)
