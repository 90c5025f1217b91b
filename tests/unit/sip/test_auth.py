"""Digest authentication as client (RFC 3261 22, RFC 7616, RFC 8760), seen by the server that challenges."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import SipError
from gateway.sip.auth import Challenge, Credentials, Login, challenges, digest, read_digest
from gateway.sip.events import Answered, Ended, Pinged
from gateway.sip.message import Message, Request, Response
from tests.unit.sip.wire import SDP, Wire, reply, statuses

ALICE = Credentials("alice", "secret")
CONTACT = "Contact: <sip:desk@10.0.0.2:5070>\r\n"


def challenge(nonce: str = "n1", *, realm: str = "trunk", proxy: bool = True, rest: str = ', qop="auth"') -> str:
    return f'{"Proxy" if proxy else "WWW"}-Authenticate: Digest realm="{realm}", nonce="{nonce}"{rest}\r\n'


def placed(wire: Wire, credentials: Credentials | None = ALICE) -> Request:
    wire.endpoint.invite("sip:bob@10.0.0.2:5070", SDP, wire.now, caller="alice", credentials=credentials)
    (invite,) = wire.sent()
    assert isinstance(invite, Request)
    return invite


def answers(message: Message, header: str = "Proxy-Authorization") -> list[dict[str, str]]:
    return [read_digest(value) for name, value in message.headers if name == header]


def is_right(message: Message, realm: str = "trunk", password: str = "secret") -> bool:
    """What a server does: it computes the response itself."""
    assert isinstance(message, Request)
    (given_,) = [one for header in ("Proxy-Authorization", "Authorization") for one in answers(message, header)
                 if one["realm"] == realm]  # fmt: skip
    expected = digest(
        Challenge("", realm, given_["nonce"], given_.get("algorithm", ""), None, given_.get("qop", "")),
        Credentials(given_["username"], password), message, given_.get("cnonce", ""), given_.get("nc", ""),
    )  # fmt: skip
    return given_["response"] == expected and given_["uri"] == message.uri


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_example_of_rfc_7616(algorithm: str, response: str) -> None:
    nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
    asked = Challenge("Authorization", "http-auth@example.org", nonce, algorithm, None, "auth")
    cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    get = Request("GET", "/dir/index.html", [])
    assert digest(asked, Credentials("Mufasa", "Circle of Life"), get, cnonce, "00000001") == response


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256", "SHA-512-256", "md5-sess"])
@pytest.mark.parametrize(("status", "proxy"), [(407, True), (401, False)])
def test_a_challenged_invite_goes_again_with_credentials(algorithm: str, status: int, proxy: bool) -> None:
    """RFC 3261 22.1: same Call-ID, From and To, CSeq + 1, another branch."""
    wire = Wire()
    first = placed(wire)
    asked = challenge(proxy=proxy, rest=f', algorithm={algorithm}, qop="auth,auth-int", opaque="x\\"y"')
    ack, second = wire.send(reply(first, status, more=asked))
    assert statuses([ack, second]) == ["ACK", "INVITE"]
    assert answers(first) == []
    assert is_right(second)
    (given_,) = answers(second, "Proxy-Authorization" if proxy else "Authorization")
    assert (given_["nc"], given_["qop"], given_["opaque"], given_["algorithm"]) == (
        "00000001", "auth", 'x\\"y', algorithm,
    )  # fmt: skip
    assert len(given_["response"]) == (32 if "md5" in algorithm.lower() else 64)
    assert second.cseq.number == 2
    assert second.via.branch != first.via.branch
    for name in ("Call-ID", "From", "To", "Contact"):
        assert second.get(name) == first.get(name)
    assert second.body == first.body
    (ok,) = wire.send(reply(second, 200, body=b"answer", more=CONTACT))
    assert ok.get("CSeq") == "2 ACK"
    assert wire.events() == [Answered(1, b"answer")]


def test_the_ack_of_the_200_carries_the_credentials_of_the_invite() -> None:
    wire = Wire()
    _, second = wire.send(reply(placed(wire), 407, more=challenge()))
    (ack,) = wire.send(reply(second, 200, more=CONTACT))
    assert answers(ack) == answers(second)


def test_a_wrong_password_costs_one_retry() -> None:
    wire = Wire()
    _, second = wire.send(reply(placed(wire), 407, more=challenge("n1")))
    assert statuses(wire.send(reply(second, 407, more=challenge("n2")))) == ["ACK"]
    assert wire.events() == [Ended(1, "remote", 407, "Whatever")]


def test_a_stale_nonce_is_replaced_and_the_counter_starts_again() -> None:
    wire = Wire()
    _, second = wire.send(reply(placed(wire), 407, more=challenge("n1")))
    _, third = wire.send(reply(second, 407, more=challenge("n2", rest=', qop="auth", stale=TRUE')))
    assert is_right(third)
    assert [(one["nonce"], one["nc"]) for one in answers(third)] == [("n2", "00000001")]


def test_a_nonce_is_answered_once_even_if_it_is_called_stale() -> None:
    wire = Wire()
    _, second = wire.send(reply(placed(wire), 407, more=challenge("n1")))
    assert statuses(wire.send(reply(second, 407, more=challenge("n1", rest=", stale=true")))) == ["ACK"]


def test_a_server_that_finds_every_nonce_stale_is_not_followed_for_ever() -> None:
    wire = Wire()
    invite, tries = placed(wire), 1
    while len(sent := wire.send(reply(invite, 407, more=challenge(f"n{tries}", rest=", stale=true")))) == 2:
        invite, tries = sent[1], tries + 1  # type: ignore[assignment]
    assert tries == 5
    assert wire.events() == [Ended(1, "remote", 407, "Whatever")]


def test_a_proxy_and_the_server_behind_it_both_challenge() -> None:
    wire = Wire()
    _, second = wire.send(reply(placed(wire), 407, more=challenge("n1")))
    _, third = wire.send(reply(second, 401, more=challenge("m1", realm="pbx", proxy=False)))
    assert is_right(third, "trunk")
    assert is_right(third, "pbx")
    assert answers(third)[0]["nc"] == "00000002"


def test_both_challenges_of_one_response_are_answered() -> None:
    """RFC 3261 22.3: a forking proxy collects them."""
    wire = Wire()
    both = challenge("n1") + challenge("m1", realm="pbx", proxy=False)
    _, second = wire.send(reply(placed(wire), 401, more=both))
    assert is_right(second, "trunk")
    assert is_right(second, "pbx")


def test_the_first_algorithm_that_is_known_is_taken() -> None:
    """RFC 8760 2.4: the server's order is its preference."""
    wire = Wire()
    several = (
        challenge("a", rest=", algorithm=SHA3-1024") + challenge("b", rest=", algorithm=SHA-256")
        + challenge("c", rest=", algorithm=MD5")
    )  # fmt: skip
    _, second = wire.send(reply(placed(wire), 407, more=several))
    assert [(one["nonce"], one["algorithm"]) for one in answers(second)] == [("b", "SHA-256")]


def test_a_server_without_qop_gets_the_old_digest() -> None:
    wire = Wire()
    _, second = wire.send(reply(placed(wire), 401, more=challenge(proxy=False, rest="")))
    assert is_right(second)
    assert not {"qop", "nc", "cnonce", "algorithm"} & answers(second, "Authorization")[0].keys()


@pytest.mark.parametrize(
    "more",
    [
        "", "Proxy-Authenticate: Basic realm=x\r\n", challenge(rest=", algorithm=AKAv1-MD5"),
        challenge(rest=', qop="conf"'), 'Proxy-Authenticate: Digest realm="x"\r\n',
        'Proxy-Authenticate: Digest realm="x", nonce="\r\n', challenge(rest=", nonce=twice"),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_ends_the_call(more: str) -> None:
    wire = Wire()
    assert statuses(wire.send(reply(placed(wire), 407, more=more))) == ["ACK"]
    assert wire.events() == [Ended(1, "remote", 407, "Whatever")]


def test_without_credentials_or_for_another_realm_nothing_is_told() -> None:
    for credentials in (None, Credentials("alice", "secret", "elsewhere")):
        wire = Wire()
        assert statuses(wire.send(reply(placed(wire, credentials), 407, more=challenge()))) == ["ACK"]


def test_a_call_given_up_is_not_tried_again() -> None:
    wire = Wire()
    first = placed(wire)
    wire.endpoint.hang_up(1, wire.now)
    assert statuses(wire.send(reply(first, 407, more=challenge()))) == ["ACK"]
    assert wire.endpoint.calls == 0


def answered(wire: Wire, contact: str = CONTACT) -> None:
    _, second = wire.send(reply(placed(wire), 407, more=challenge()))
    wire.send(reply(second, 200, more=contact))
    wire.events()


def test_bye_is_signed_with_the_nonce_that_is_known() -> None:
    wire = Wire()
    answered(wire)
    wire.endpoint.hang_up(1, wire.now)
    (bye,) = wire.sent()
    assert is_right(bye)
    assert [(one["nonce"], one["nc"]) for one in answers(bye)] == [("n1", "00000002")]
    (again,) = wire.send(reply(bye, 407, more=challenge("n9")))
    assert (again.cseq.number, is_right(again)) == (bye.cseq.number + 1, True)
    wire.send(reply(again, 200))
    assert wire.endpoint.calls == 0


def test_a_challenge_of_the_far_end_is_not_answered() -> None:
    """The digest leak: whoever is called asks for credentials within the dialog, to guess the password from them."""
    wire = Wire()
    answered(wire)
    wire.endpoint.hang_up(1, wire.now)
    (bye,) = wire.sent()
    assert wire.send(reply(bye, 401, more=challenge("evil", realm="phish", proxy=False))) == []
    assert wire.endpoint.calls == 0


def test_credentials_go_nowhere_else_than_the_invite_went() -> None:
    wire = Wire()
    answered(wire, "Contact: <sip:desk@10.6.6.6>\r\n")
    wire.endpoint.hang_up(1, wire.now)
    (bye,) = wire.sent()
    assert answers(bye) == []
    assert wire.send(reply(bye, 407, more=challenge("evil"))) == []


def test_who_calls_us_gets_no_credentials() -> None:
    wire = Wire()
    wire.established()
    wire.endpoint.hang_up(1, wire.now)
    (bye,) = wire.sent()
    assert wire.send(reply(bye, 401, more=challenge(proxy=False))) == []


def test_options_ping_with_credentials() -> None:
    wire = Wire()
    wire.endpoint.options_ping("sip:10.0.0.2", wire.now, credentials=ALICE)
    (first,) = wire.sent()
    (second,) = wire.send(reply(first, 401, more=challenge(proxy=False)))
    assert (second.cseq.number, second.call_id, is_right(second)) == (2, first.call_id, True)
    wire.send(reply(second, 200))
    assert wire.events() == [Pinged("sip:10.0.0.2", 200)]
    wire.endpoint.options_ping("sip:10.0.0.2", wire.now)
    assert wire.send(reply(wire.sent()[0], 401, more=challenge(proxy=False))) == []
    assert wire.events() == [Pinged("sip:10.0.0.2", 401)]


def test_the_password_is_not_printed() -> None:
    assert "secret" not in repr(ALICE)


def test_an_odd_user_name_cannot_break_the_header() -> None:
    login = Login(Credentials('a"\r\nX: y', "p"), lambda: "c")
    sent = Request("OPTIONS", "sip:x", [])
    asked = Response(401, "", [("WWW-Authenticate", 'Digest realm="r", nonce="n"')])
    assert login.learn(asked, sent)
    assert login.sign(sent).get("Authorization").startswith('Digest username="a\\"??X: y", ')  # type: ignore[union-attr]


@given(st.text(alphabet='Digest ="\\,realmnoceqpauth-it\x00é', max_size=80))
def test_any_challenge_is_read_or_refused(text: str) -> None:
    challenges(Response(401, "", [("WWW-Authenticate", "Digest " + text)]))
    with suppress(SipError):
        read_digest(text)
