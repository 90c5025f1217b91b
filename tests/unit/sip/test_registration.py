"""Registration as client (RFC 3261 10.2), seen by the registrar, with time simulated."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from gateway.errors import MisuseError
from gateway.sip.events import Registered, RegistrationFailed
from gateway.sip.message import Request
from gateway.sip.options import RegistrationOptions
from tests.unit.sip.wire import Wire, reply, statuses

CONTACT = "Contact: <sip:alice@10.0.0.1:5060>"


def account(**changes: Any) -> RegistrationOptions:
    return RegistrationOptions(
        **{"registrar": "sip:10.0.0.2:5070", "user": "alice", "password": "secret", "keep_alive": None} | changes
    )


def registering(wire: Wire, **changes: Any) -> Request:
    wire.endpoint.register(account(**changes), wire.now)
    (first,) = wire.sent()
    assert isinstance(first, Request)
    return first


def refused(wire: Wire, first: Request, status: int, more: str = "") -> RegistrationFailed:
    assert wire.send(reply(first, status, more=more)) == []
    (failed,) = wire.events()
    assert isinstance(failed, RegistrationFailed)
    assert failed.status == status
    return failed


def test_the_request() -> None:
    first = registering(Wire())
    assert (first.method, first.uri) == ("REGISTER", "sip:10.0.0.2:5070")
    assert first.to.uri_text == first.from_.uri_text == "sip:alice@10.0.0.2:5070"
    assert (first.get("CSeq"), first.get("Expires"), first.get("Supported")) == ("1 REGISTER", "3600", "path")
    assert first.contact is not None
    assert first.contact.uri_text == "sip:alice@10.0.0.1:5060"
    assert first.to.tag == ""


def test_it_is_renewed_before_it_expires_with_the_same_identity() -> None:
    """RFC 3261 10.2: same Call-ID, CSeq + 1."""
    wire = Wire()
    first = registering(wire)
    routes = "Service-Route: <sip:10.0.0.8;lr>, <sip:10.0.0.9;lr>\r\n"
    wire.send(reply(first, 200, more=f"{CONTACT};expires=600\r\n{routes}"))
    assert wire.events() == [Registered(1, 600, ("<sip:10.0.0.8;lr>", "<sip:10.0.0.9;lr>"))]
    assert wire.later(529) == []
    (second,) = wire.later(1)
    assert (second.call_id, second.from_.tag) == (first.call_id, first.from_.tag)
    assert second.get("CSeq") == "2 REGISTER"


@pytest.mark.parametrize(
    ("more", "expires", "renewed_after"),
    [
        (f"{CONTACT};expires=100\r\n", 100, 50),
        ("Contact: <sip:alice@10.9.9.9>;expires=9, <sip:alice@10.0.0.1:5060>;expires=300\r\n", 300, 230),
        (f"{CONTACT}\r\nExpires: 300\r\n", 300, 230),
        ("Contact: <sip:alice@rewritten.example>;expires=300\r\n", 300, 230),
        ("Expires: 300\r\n", 300, 230),
        ("", 3600, 3240),
        ("Expires: soon\r\n", 3600, 3240),
        (f"{CONTACT};expires=1\r\n", 1, 1),
    ],
)
def test_how_long_the_registrar_remembers(more: str, expires: int, renewed_after: int) -> None:
    wire = Wire()
    wire.send(reply(registering(wire), 200, more=more))
    assert wire.events() == [Registered(1, expires, ())]
    assert "REGISTER" not in statuses(wire.later(renewed_after - 0.5))
    assert statuses(wire.later(0.5)) == ["REGISTER"]


@pytest.mark.parametrize("more", [f"{CONTACT};expires=0\r\n", "Contact: <sip:bob@10.0.0.7>, <sip:eve@10.0.0.8>\r\n"])
def test_a_200_that_does_not_keep_our_contact_is_a_failure(more: str) -> None:
    wire = Wire()
    assert not refused(wire, registering(wire), 200, more).still_bound


def test_with_a_password_and_the_nonce_is_kept() -> None:
    wire = Wire()
    asked = 'WWW-Authenticate: Digest realm="r", nonce="n", algorithm=SHA-256, qop="auth"\r\n'
    (second,) = wire.send(reply(registering(wire), 401, more=asked))
    assert (second.get("CSeq"), 'nonce="n"' in (second.get("Authorization") or "")) == ("2 REGISTER", True)
    wire.send(reply(second, 200, more=f"{CONTACT};expires=600\r\n"))
    (third,) = wire.later(530)
    assert "nc=00000002" in (third.get("Authorization") or "")


@pytest.mark.parametrize("status", [401, 403, 404])
def test_what_only_the_operator_can_mend_is_not_asked_often(status: int) -> None:
    wire = Wire()
    failed = refused(wire, registering(wire, password=None), status)
    assert (failed.retry_in_s, failed.still_bound) == (1800, False)
    assert wire.later(1799) == []
    assert statuses(wire.later(1)) == ["REGISTER"]


def test_the_registrar_asks_for_a_longer_interval() -> None:
    wire = Wire()
    (second,) = wire.send(reply(registering(wire), 423, more="Min-Expires: 7200\r\n"))
    assert (second.get("Expires"), second.get("CSeq")) == ("7200", "2 REGISTER")
    assert refused(wire, second, 423, "Min-Expires: 7201\r\n").retry_in_s >= 15  # once at once, then with a pause


def test_retry_after_is_obeyed() -> None:
    wire = Wire()
    assert refused(wire, registering(wire), 503, "Retry-After: 300 (busy);duration=5\r\n").retry_in_s == 300


def test_the_pause_doubles_up_to_its_limit_and_starts_again_after_a_success() -> None:
    """RFC 5626 4.5: 50 to 100 % of it, at random."""
    wire = Wire()
    last = registering(wire, retry="30s", retry_max="10m")
    for upper in (30, 60, 120, 240, 480, 600, 600):
        failed = refused(wire, last, 500)
        assert upper // 2 <= failed.retry_in_s <= upper
        (last,) = wire.later(failed.retry_in_s)  # type: ignore[assignment]
    wire.send(reply(last, 200, more="Expires: 60\r\n"))
    wire.events()
    (last,) = wire.later(30)  # type: ignore[assignment]
    again = refused(wire, last, 500)
    assert again.retry_in_s <= 30
    assert again.still_bound


def test_silence_is_a_failure_after_64_t1() -> None:
    wire = Wire()
    registering(wire)
    wire.later(32)
    (failed,) = wire.events()
    assert isinstance(failed, RegistrationFailed)
    assert (failed.status, failed.reason) == (None, "no answer")


def test_closing_leaves_the_registrar() -> None:
    wire = Wire()
    wire.send(reply(registering(wire), 200, more="Expires: 600\r\n"))
    wire.endpoint.close(wire.now)
    (farewell,) = wire.sent()
    assert (farewell.get("Expires"), farewell.get("CSeq")) == ("0", "2 REGISTER")
    assert not wire.endpoint.settled
    wire.send(reply(farewell, 200))
    assert wire.endpoint.settled
    wire.later(100)
    assert (wire.endpoint.transactions, wire.endpoint.next_timer()) == (0, None)


def test_closing_before_the_first_answer_asks_for_nothing() -> None:
    wire = Wire()
    first = registering(wire)
    wire.endpoint.close(wire.now)
    assert wire.sent() == []
    assert wire.endpoint.settled
    wire.send(reply(first, 200))
    wire.later(100)
    assert wire.endpoint.next_timer() is None


def test_a_registrar_by_name_needs_its_address() -> None:
    wire = Wire()
    with pytest.raises(MisuseError):
        wire.endpoint.register(account(registrar="sip:sip.example.net"), wire.now)
    wire.endpoint.register(account(registrar="sip:sip.example.net"), wire.now, remote=("10.0.0.2", 5070))
    (first,) = wire.sent()
    assert isinstance(first, Request)
    assert (first.uri, first.to.uri_text) == ("sip:sip.example.net", "sip:alice@sip.example.net")


@pytest.mark.parametrize(
    "changes",
    [
        {"registrar": "example.net"},
        {"registrar": "sip:alice@example.net"},
        {"registrar": "tel:+49"},
        {"user": "al ice"},
        {"user": "a>\r\nX: y"},
        {"expires": "5s"},
        {"retry": "0s"},
    ],
)
def test_an_account_that_cannot_be_used(changes: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        account(**changes)
