"""Who was called first, and what the caller's application says."""

from __future__ import annotations

import pytest

from gateway.call.forwarding import diversions_of, user_to_user_of
from gateway.plugs.contract import Diversion, UserToUser
from gateway.sip.message import Header, Request
from tests.unit.call.inquiries import invite, trunk

GERMAN = trunk("carrier", numbers={"region": "DE"})


def asked(*headers: Header) -> Request:
    request = invite()
    return Request(request.method, request.uri, [*request.headers, *headers])


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ([], ()),
        (
            [("Diversion", "<sip:030991234@h;user=phone>;reason=user-busy;counter=1")],
            (Diversion("+4930991234", "user-busy"),),
        ),
        (
            [("Diversion", '"D" <tel:+4930991234>;reason=no-answer'), ("Diversion", "<sip:desk@h>;reason=time-of-day")],
            (Diversion("+4930991234", "no-answer"), Diversion("desk", "time-of-day")),
        ),
        ([("Diversion", "<sip:030991234@h>;privacy=full")], (Diversion("", "unknown", private=True),)),
        ([("Diversion", "<<broken"), ("Diversion", "no uri")], ()),
    ],
)  # fmt: skip
def test_diversion(headers: list[Header], found: tuple[Diversion, ...]) -> None:
    assert diversions_of(asked(*headers), GERMAN) == found


FIRST = "<sip:+4930991234@h?Reason=SIP%3Bcause%3D486>;index=1"


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        (
            [FIRST, "<sip:+4930995678@h;cause=408>;index=1.1;mp=1", "<sip:+493099@h>;index=1.1.1;rc=1.1"],
            (Diversion("+4930995678", "unknown"), Diversion("+4930991234", "no-answer")),
        ),
        ([FIRST, "<sip:mailbox@h>;index=2"], (Diversion("+4930991234", "user-busy"),)),
        (["<sip:+4930991234@h>;index=1", "<sip:+4930991234@next>;index=1.1"], ()),  # a hop is no diversion
        (
            ["<sip:+4930991234@h?Privacy=history&Reason=SIP%3Bcause%3D302>;index=1", "<sip:b@h>;index=1.1"],
            (Diversion("", "unconditional", private=True),),
        ),
        (["<sip:a@h?Reason=%3B%3B%22>;index=1", "<sip:b@h>"], ()),
        ([f"<sip:a@h?{'&'.join(['x=1'] * 40)}>;index=1", "<sip:b@h>"], ()),
    ],
)
def test_history(headers: list[str], found: tuple[Diversion, ...]) -> None:
    assert diversions_of(asked(*(("History-Info", one) for one in headers)), GERMAN) == found


def test_privacy_of_the_whole_message_hides_its_history() -> None:
    """RFC 7044 10.1.2."""
    history = [("History-Info", FIRST), ("History-Info", "<sip:b@h>;index=1.1;mp=1")]
    assert diversions_of(asked(("Privacy", "history"), *history), GERMAN) == (Diversion("", "user-busy", private=True),)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("56a390;encoding=hex;purpose=isdn-uui", UserToUser(b"\x56\xa3\x90", "hex", "isdn-uui")),
        ('"order 17";content=text', UserToUser(b"order 17", "", "", "text")),
        ("xyz;encoding=hex", UserToUser(b"xyz", "hex")),
        ('plain;"', UserToUser(b"plain")),
    ],
)
def test_user_to_user(value: str, found: UserToUser) -> None:
    assert user_to_user_of(asked(("User-to-User", value))) == (found,)
