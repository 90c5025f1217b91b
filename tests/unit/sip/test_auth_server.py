"""Digest as server: whom it believes, once (RFC 7616, RFC 8760). The client's half of the house is its peer."""

from __future__ import annotations

from contextlib import suppress
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import SipError
from gateway.sip.auth import Credentials, Login
from gateway.sip.auth_server import Verdict, Verifier
from gateway.sip.message import Request, Response
from gateway.units import SECOND, Nanos

URI = "sip:+4930@192.0.2.1"


class Peer:
    """Answers challenges, as our own client does."""

    def __init__(self, verifier: Verifier, user: str = "pbx", password: str = "secret") -> None:
        self.verifier = verifier
        numbers = count(1)
        self.login = Login(Credentials(user, password), lambda: f"cnonce{next(numbers)}")
        self.now = Nanos(SECOND)

    def challenge(self, *, stale: bool = False) -> None:
        headers = list(self.verifier.challenge(self.now, stale=stale))
        assert self.login.learn(Response(401, "Unauthorized", headers), Request("INVITE", URI, []))

    def signed(self, method: str = "INVITE") -> Request:
        return self.login.sign(Request(method, URI, []))

    def check(self, request: Request | None = None) -> Verdict:
        return self.verifier.check(request or self.signed(), self.now)


def verifier(**options: object) -> Verifier:
    return Verifier({"pbx": "secret", "we ird": 'p"\\x'}, key=b"k" * 32, **options)  # type: ignore[arg-type]


def header(request: Request) -> str:
    return request.get("Authorization") or ""


def changed(request: Request, old: str, new: str) -> Request:
    assert old in header(request)
    return Request(request.method, request.uri, [("Authorization", header(request).replace(old, new))])


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256", "SHA-512-256"])
def test_who_knows_the_password_is_believed(algorithm: str) -> None:
    peer = Peer(verifier(algorithms=(algorithm,)))
    assert peer.check() == Verdict()
    peer.challenge()
    assert f"algorithm={algorithm}" in header(peer.signed())
    assert peer.check() == Verdict("pbx", "")
    assert peer.check().user == "pbx"


def test_every_algorithm_is_offered_in_our_order() -> None:
    ours = ("SHA-512-256", "SHA-256", "MD5")
    headers = verifier(algorithms=ours).challenge(Nanos(0), stale=True)
    assert [name for name, _ in headers] == ["WWW-Authenticate"] * 3
    for algorithm, (_, value) in zip(ours, headers, strict=True):
        assert f'algorithm={algorithm}, qop="auth", stale=true' in value


@pytest.mark.parametrize(("user", "password"), [("pbx", "wrong"), ("nobody", "secret"), ("nobody", "\0"), ("", "\0")])
def test_unknown_users_and_wrong_passwords_are_told_the_same(user: str, password: str) -> None:
    peer = Peer(verifier(), user, password)
    peer.challenge()
    assert peer.check() == Verdict("", "wrong user or password")


def test_names_and_passwords_may_need_quoting() -> None:
    peer = Peer(verifier(), "we ird", 'p"\\x')
    peer.challenge()
    assert peer.check().user == "we ird"


def test_a_request_that_comes_twice_is_believed_once() -> None:
    peer = Peer(verifier())
    peer.challenge()
    request = peer.signed()
    assert peer.check(request).user == "pbx"
    again = peer.check(request)
    assert (again.user, again.stale) == ("", True)
    assert "replay" in again.why


def test_requests_may_overtake_each_other() -> None:
    peer = Peer(verifier())
    peer.challenge()
    requests = [peer.signed() for _ in range(70)]
    assert peer.check(requests[69]).user == "pbx"
    assert peer.check(requests[40]).user == "pbx"
    assert not peer.check(requests[40]).user
    assert not peer.check(requests[0]).user  # too long ago to tell


def test_an_old_nonce_is_stale_for_who_knows_the_password() -> None:
    peer = Peer(verifier(lifetime=Nanos(60 * SECOND)))
    peer.challenge()
    peer.now = Nanos(100 * SECOND)
    assert peer.check() == Verdict("", "a nonce that is too old", stale=True)
    peer.signed()
    peer.challenge(stale=True)
    assert peer.check().user == "pbx"
    stranger = Peer(peer.verifier, password="wrong")
    stranger.challenge()
    stranger.now = Nanos(100 * SECOND)
    assert not stranger.check().stale


def test_a_nonce_of_before_our_restart_is_stale() -> None:
    peer = Peer(Verifier({"pbx": "secret"}, key=b"another key"))
    peer.challenge()
    peer.verifier = verifier()
    assert peer.check() == Verdict("", "a nonce that is not ours", stale=True)


def test_what_is_remembered_is_bounded_and_what_is_forgotten_is_not_believed() -> None:
    peers = [Peer(verifier(max_nonces=16))]
    peers += [Peer(peers[0].verifier) for _ in range(30)]
    first: list[Request] = []
    for number, peer in enumerate(peers):
        peer.now = Nanos((number + 1) * SECOND)
        peer.challenge()
        first.append(peer.signed())
        assert peer.check(first[-1]).user == "pbx"
    replayed = peers[0].verifier.check(first[0], peers[-1].now)
    assert (replayed.user, replayed.stale) == ("", True)


def test_credentials_for_another_request_are_refused() -> None:
    peer = Peer(verifier())
    peer.challenge()
    stolen = Request("INVITE", "sip:+4931@192.0.2.1", [("Authorization", header(peer.signed()))])
    with pytest.raises(SipError, match=r"RFC 7616 3\.4\.6"):
        peer.check(stolen)
    assert not peer.check(Request("OPTIONS", URI, [("Authorization", header(peer.signed()))])).user
    with_parameter = Request("INVITE", URI + ";user=phone", [("Authorization", header(peer.signed()))])
    assert peer.check(with_parameter).user == "pbx"


def test_credentials_that_could_be_replayed_are_not_taken() -> None:
    peer = Peer(verifier())
    peer.challenge()
    assert "qop=auth" in peer.check(changed(peer.signed(), "qop=auth, ", "")).why
    assert "not offered" in peer.check(changed(peer.signed(), "SHA-256", "SHA-512-256")).why


@pytest.mark.parametrize("nc", ["1", "0000000g", "000000001", "-0000001"])
def test_a_malformed_count_is_refused(nc: str) -> None:
    peer = Peer(verifier())
    peer.challenge()
    with pytest.raises(SipError) as refused:
        peer.check(changed(peer.signed(), "nc=00000001", f"nc={nc}"))
    assert refused.value.status == 400


@given(st.text(max_size=200))
def test_hostile_credentials_raise_nothing_else(text: str) -> None:
    request = Request("INVITE", URI, [("Authorization", "Digest " + text)])
    with suppress(SipError):
        assert not verifier().check(request, Nanos(SECOND)).user


@given(st.sampled_from(["username", "nonce", "uri", "response", "cnonce", "nc", "realm"]), st.text(max_size=40))
def test_hostile_values_raise_nothing_else(name: str, value: str) -> None:
    given_ = {"username": "pbx", "realm": "linecard", "nonce": "0" * 52, "uri": URI, "response": "0" * 64,
              "cnonce": "c", "nc": "00000001", "qop": "auth", "algorithm": "SHA-256", name: value}  # fmt: skip
    text = ", ".join(f'{key}="{item}"' for key, item in given_.items())
    with suppress(SipError):
        verdict = verifier().check(Request("INVITE", URI, [("Authorization", "Digest " + text)]), Nanos(SECOND))
        assert not verdict.user
