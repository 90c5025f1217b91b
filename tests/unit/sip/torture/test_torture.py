"""What an endpoint makes of every message of RFC 4475 and RFC 5118.

``accepted`` is a call, a 200 to OPTIONS, or a response that was understood (and belongs to nothing here). A status is
the refusal that an endpoint like ours owes; 405 and 481 say that the message was read, because they come after every
check of syntax. ``dropped`` gets no answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest

from gateway.sdp import parse as parse_sdp
from gateway.sip.events import Invited, Refused
from gateway.sip.message import Message, Request, Response
from gateway.sip.parser import parse
from gateway.sip.values import split_list
from tests.unit.sip.torture.notation import messages
from tests.unit.sip.wire import Wire

RFC4475, RFC5118 = messages("rfc4475.txt"), messages("rfc5118.txt")
ALL: Final = {**RFC4475, **RFC5118}

EXPECTED: Final[dict[str, tuple[int | str, str]]] = {
    # RFC 4475 3.1.1: valid
    "wsinv": (481, "whitespace, folding, odd capitals; the To tag names no dialog of ours"),
    "intmeth": (501, "every character of a token is legal in a method, but nobody knows it"),
    "esc01": ("accepted", "escapes in the URI"),
    "escnull": (405, "%00 is legal; we are no registrar"),
    "esc02": (501, "a method is never unescaped"),
    "lwsdisp": ("accepted", "no space between display name and <"),
    "longreq": ("accepted", "long values, many Vias of every spelling"),
    "dblreq": (405, "octets after Content-Length are ignored on UDP; we are no registrar"),
    "semiuri": ("accepted", "; and @ in the user part"),
    "transports": ("accepted", "unknown transports below the topmost Via"),
    "mpart01": (405, "a multipart body, binary; MESSAGE is not served"),
    "unreason": ("accepted", "UTF-8 in the reason phrase"),
    "noreason": ("accepted", "an empty reason phrase"),
    # 3.1.2: invalid
    "badinv01": (400, "empty Via values"),
    "clerr": (400, "Content-Length beyond the datagram"),
    "ncl": (400, "negative Content-Length"),
    "scalar02": (400, "CSeq beyond 2**31"),
    "scalarlg": ("dropped", "CSeq beyond 2**31 in a response"),
    "quotbal": (400, "a quote that is never closed"),
    "ltgtruri": (400, "<> around the Request-URI"),
    "lwsruri": (400, "whitespace in the Request-URI"),
    "lwsstart": (400, "two spaces in the request line"),
    "trws": (400, "whitespace after the request line"),
    "escruri": (400, "headers in the Request-URI"),
    "baddate": ("accepted", "nobody reads Date here"),
    "regbadct": (405, "we are no registrar"),
    "badaspec": ("accepted", "blanks within <> are harmless"),
    "baddn": ("accepted", "a comma in an unquoted display name is harmless in From and To"),
    "badvers": (505, "only SIP/2.0"),
    "mismatch01": (400, "CSeq names another method"),
    "mismatch02": (400, "CSeq names another method; that nobody knows the method comes second"),
    "bigcode": ("dropped", "a status of ten digits"),
    # 3.2 to 3.4: transactions, application, backward compatibility
    "badbranch": ("accepted", "nothing after the magic cookie: matched as RFC 2543 has it"),
    "insuf": ("dropped", "no From, To, Call-ID: nothing that a response could copy"),
    "unkscm": (416, "an unknown scheme"),
    "novelsc": (416, "an unknown scheme"),
    "unksm2": (405, "unknown schemes in To, From and Contact; we are no registrar"),
    "bext01": (420, "Require of what nobody supports"),
    "invut": (415, "an unknown body"),
    "regaut01": (405, "an unknown Authorization scheme; we are no registrar"),
    "multi01": (400, "headers twice that must come once"),
    "mcl01": (400, "Content-Length twice"),
    "bcast": ("dropped", "a response with a Via below ours: not for us"),
    "zeromf": ("accepted", "Max-Forwards 0 is enough to reach us"),
    "cparam01": (405, "we are no registrar"),
    "cparam02": (405, "we are no registrar"),
    "regescrt": (405, "we are no registrar"),
    "sdp01": (406, "Accept has no type that we could answer with"),
    "inv2543": (400, "no Contact: RFC 3261 8.1.1.8 is held, so that the dialog has a target"),
    # RFC 5118
    "ipv6-good": (405, "an IPv6 reference; we are no registrar"),
    "ipv6-bad": (400, "IPv6 without brackets"),
    "port-ambiguous": (405, "5070 is part of the address; we are no registrar"),
    "port-unambiguous": (405, "5070 is the port; we are no registrar"),
    "via-received-param-with-delim": (481, "received in brackets; no such dialog"),
    "via-received-param-no-delim": ("accepted", "received without brackets"),
    "ipv6-in-sdp": ("accepted", "IPv6 in the description"),
    "mult-ip-in-header": (481, "IPv4 and IPv6 in one Via stack; no such dialog"),
    "mult-ip-in-sdp": ("accepted", "IPv4 and IPv6 in one description"),
    "ipv4-mapped-ipv6": ("accepted", "IPv4-mapped addresses"),
    "ipv6-correct-abnf-2-colons": ("accepted", "an IPv4 tail after two colons"),
    "ipv6-bug-abnf-3-colons": ("accepted", "three colons, which RFC 3261's grammar made some send"),
}


def test_the_table_is_complete() -> None:
    assert len(RFC4475) == 49
    assert len(RFC5118) == 12
    assert set(EXPECTED) == set(ALL)


@pytest.mark.parametrize("name", ALL)
def test_every_message_gets_what_it_deserves(name: str) -> None:
    expected, why = EXPECTED[name]
    wire = Wire()
    sent, told = wire.send(ALL[name]), wire.events()
    if expected == "accepted":
        answers = {"INVITE": [100], "OPTIONS": [200]}.get(ALL[name].split(b" ")[0].decode(), [])
        assert [message.status for message in sent if isinstance(message, Response)] == answers, why
        assert not [event for event in told if isinstance(event, Refused)], why
    elif expected == "dropped":
        assert sent == [], why
        assert [type(event) for event in told] == [Refused], why
    else:
        assert [message.status for message in sent if isinstance(message, Response)] == [expected], why
        assert [type(event) for event in told] == [Refused], why


@pytest.mark.parametrize("name", ALL)
def test_whatever_is_cut_off_raises_nothing(name: str) -> None:
    wire = Wire()
    for end in range(0, len(ALL[name]), 7):
        wire.send(ALL[name][:end])


def request(name: str) -> Request:
    message = parse(ALL[name])
    assert isinstance(message, Request)
    return message


READ: Final[dict[str, tuple[Callable[[Message], object], object]]] = {
    "wsinv": (lambda m: (m.to.tag, m.from_.display, m.cseq.number), ("1918181833n", 'J Rosenberg \\"', 9)),
    "intmeth": (lambda m: (m.to.display, m.from_.tag), ("BEL:\x07 NUL:\x00 DEL:\x7f", "_token~1'+`*%!-.")),
    "esc01": (lambda m: (m.to.uri.user_text, m.from_.uri.user_text), ("user", "I have spaces")),
    "escnull": (lambda m: m.to.uri.user_text, "null-%00-null"),
    "esc02": (lambda m: [one for one, _ in m.headers if "tact" in one.lower()], ["Contact", "C%6fntact", "Contact"]),
    "longreq": (lambda m: (len(m.all("Via")), m.to.uri.port, m.via.host), (34, 6000, "sip33.example.com")),
    "dblreq": (lambda m: m.body, b""),
    "transports": (lambda m: len(m.all("Via")), 5),
    "mpart01": (lambda m: len(m.body), 402),
    "unreason": (lambda m: m.reason, "= 2**3 * 5**2 но сто девяносто девять - простое"),  # type: ignore[attr-defined]
    "noreason": (lambda m: m.reason, ""),  # type: ignore[attr-defined]
    "badaspec": (lambda m: m.to.uri_text, "sip:t.watson@example.org"),
    "baddn": (lambda m: (m.from_.display, m.from_.tag), ("Bell, Alexander", "43")),
    "port-ambiguous": (lambda m: m.uri, "sip:[2001:db8::10:5070]"),  # type: ignore[attr-defined]
    "via-received-param-no-delim": (lambda m: m.via.parameters["received"], "2001:db8::9:255"),
    "via-received-param-with-delim": (lambda m: m.via.parameters["received"], "[2001:db8::9:255]"),
    "mult-ip-in-header": (lambda m: (m.via.sent_by, len(m.all("Via"))), (("[2001:db8::9:1]", 6050), 3)),
    "ipv4-mapped-ipv6": (lambda m: m.contact and m.contact.uri.address, ("::ffff:192.0.2.2", 5060)),
}


@pytest.mark.parametrize("name", READ)
def test_what_is_accepted_is_read_right(name: str) -> None:
    read, expected = READ[name]
    assert read(parse(ALL[name])) == expected


def test_the_user_part_ends_at_the_last_at() -> None:
    wire = Wire()
    wire.send(ALL["semiuri"].replace(b"OPTIONS", b"INVITE").replace(b"l: 0", b"m: <sip:a@10.0.0.2>\r\nl: 0"))
    (told,) = wire.events()
    assert isinstance(told, Invited)
    assert told.called == "user;par=u@example.net"


@pytest.mark.parametrize(
    ("name", "hosts"),
    [
        ("ipv6-in-sdp", ["2001:db8::20", "2001:db8::20"]),
        ("mult-ip-in-sdp", ["192.0.2.1", "2001:db8::1"]),
        ("ipv4-mapped-ipv6", ["::ffff:192.0.2.2", "::ffff:192.0.2.2"]),
    ],
)
def test_addresses_in_descriptions(name: str, hosts: list[str]) -> None:
    assert [media.host for media in parse_sdp(request(name).sdp or b"").media] == hosts


def test_a_response_takes_the_vias_back_unchanged() -> None:
    """RFC 3261 8.2.6.2, however they were written: 34 of them in ``longreq``, one a line."""
    (answer,) = Wire().send(ALL["longreq"])
    ours = [via for name, value in answer.headers if name == "Via" for via in split_list(value)]
    theirs = request("longreq").all("Via")
    assert ours[1:] == theirs[1:]
    assert ours[0].startswith(theirs[0])
