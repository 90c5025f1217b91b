from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from time import thread_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import SipError
from gateway.sip.parser import parse
from gateway.sip.uri import host_port, parse_uri
from gateway.sip.values import parse_address, parse_cseq, parse_parameters, parse_via, plain, quote, split_list


@pytest.mark.parametrize(
    ("text", "display", "uri", "tag"),
    [
        ("<sip:a@b>;tag=1", "", "sip:a@b", "1"),
        ("sip:a@b;tag=1", "", "sip:a@b", "1"),
        ('"A, <B> \\"C\\"" <sip:a@b;tag=inside> ; TAG = 1', 'A, <B> "C"', "sip:a@b;tag=inside", "1"),
        ("Alice Smith <sip:a@b>", "Alice Smith", "sip:a@b", ""),
        ('""<tel:+1-555>;tag="quo;ted"', "", "tel:+1-555", "quo;ted"),
    ],
)
def test_addresses(text: str, display: str, uri: str, tag: str) -> None:
    address = parse_address(text)
    assert (address.display, address.uri_text, address.tag) == (display, uri, tag)
    assert address.uri.scheme in ("sip", "tel")


@pytest.mark.parametrize("text", ['"open <sip:a@b>', "<sip:a@b", "sip:a@b>", '"A" sip:a@b', "<sip:a@b> tag=1"])
def test_malformed_addresses(text: str) -> None:
    with pytest.raises(SipError):
        parse_address(text)


def test_uris() -> None:
    uri = parse_uri(
        "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d@Example.com:5070;lr;X=y?h=1"
    )
    assert (uri.host, uri.port, uri.parameter("lr"), uri.parameter("x"), uri.parameter("h")) == (
        "Example.com",
        5070,
        "",
        "y",
        None,
    )
    assert uri.user.startswith("1_unusual.URI~")
    assert parse_uri("sip:[2001:db8::1]:5061").address == ("2001:db8::1", 5061)
    assert parse_uri("sip:[2001:db8::1]").address == ("2001:db8::1", 5060)
    assert parse_uri("TEL:+1-555;phone-context=x").user == "+1-555"
    assert parse_uri("sip:sip%3Auser%40x%00@h").user_text == "sip:user@x%00"


@pytest.mark.parametrize(
    "text", ["", "sip", "sip:", "1sip:a@b", "sip:a@b c", "sip:a@b:0", "sip:a@b:70000", "sip:a@[::1", "sip:a@b:x"]
)
def test_malformed_uris(text: str) -> None:
    with pytest.raises(SipError):
        parse_uri(text)


def test_host_and_port() -> None:
    assert host_port(" h : 5060 ") == ("h", 5060)
    with pytest.raises(SipError):
        host_port("h:" + "9" * 5000)


def test_vias() -> None:
    via = parse_via("SIP  / 2.0\t/ UDP   Host.example.com : 5070 ; Branch = z9hG4bK1; rport;ttl=1")
    assert (via.transport, via.sent_by, via.branch) == ("UDP", ("host.example.com", 5070), "z9hG4bK1")
    assert via.parameters["rport"] == ""
    for wrong in ("", "SIP/2.0/UDP", "SIP/2.0 host", "HTTP/2.0/UDP host"):
        with pytest.raises(SipError):
            parse_via(wrong)


def test_sequence_numbers() -> None:
    assert parse_cseq(" 0009\t INVITE").number == 9
    assert parse_cseq("2147483647 X").number == (1 << 31) - 1
    for wrong in ("", "1", "x INVITE", "-1 BYE", "2147483648 X", "9" * 9999 + " X", "١ X"):
        with pytest.raises(SipError):
            parse_cseq(wrong)


def test_lists() -> None:
    assert split_list("a, b ,c") == ["a", "b", "c"]
    assert split_list('"A, B" <sip:a@b;x=1,2>, <sip:c@d,e>') == ['"A, B" <sip:a@b;x=1,2>', "<sip:c@d,e>"]


def test_parameters() -> None:
    assert parse_parameters(' ; A = "x;\\"y" ; b;c=d') == {"a": 'x;"y', "b": "", "c": "d"}
    for wrong in ("a=1", "; =1", ';a="open'):
        with pytest.raises(SipError):
            parse_parameters(wrong)


@given(st.text(max_size=40))
def test_a_quoted_string_reads_back(text: str) -> None:
    assert parse_parameters(f"; text={quote(text)}") == {"text": plain(text)}


def growth(parse: Callable[[str], object], text: Callable[[int], str]) -> float:
    """How much more CPU time eight times the input takes, the cheapest of several tries."""

    def quickest(size: int) -> float:
        value, times = text(size), []
        for _ in range(20):
            began = thread_time()
            with suppress(SipError):
                parse(value)
            times.append(thread_time() - began)
        return min(times)

    return quickest(32_000) / quickest(4_000)


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (parse_address, lambda size: "\x0b" * size + "x"),
        (parse_address, lambda size: "\xa0" * size + '"' + "\xa0" * size),
        (parse_address, lambda size: '"' + '\\"' * size),
        (split_list, lambda size: ',"' + '\\"' * size),
        (split_list, lambda size: "," + "<" * size),
        (split_list, lambda size: "<>," * size),
        (parse_parameters, lambda size: ';a="' + '\\"' * size),
        (parse_parameters, lambda size: "; a = b" * size + " " * size + "x"),
        (lambda text: parse(text.encode()), lambda size: "OPTIONS sip:a SIP/2.0\r\n x" + " " * size + "x\r\n\r\n"),
        (lambda text: parse(text.encode()), lambda size: "OPTIONS sip:a SIP/2.0\r\n x" + " \r\n" * size + "x\r\n\r\n"),
    ],
)
def test_eight_times_the_length_takes_about_eight_times_as_long(
    parse: Callable[[str], object], text: Callable[[int], str]
) -> None:
    """One datagram must not hold up every call: a quadratic pattern would need sixty-four times as long."""
    assert growth(parse, text) < 30


def test_what_is_never_closed_takes_the_rest() -> None:
    assert split_list('a, "b, c') == ["a", '"b, c']
    assert split_list('a, "b, c\\') == ["a", '"b, c\\']
    assert split_list("a, <b, c") == ["a", "<b, c"]
