"""The same within a call, where a message finds state: whatever comes, nothing is raised and nothing is left over."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import MisuseError
from gateway.sip.events import Ended, Referred, Reoffered
from gateway.sip.message import Message
from tests.fuzz.test_sip_input import NASTY, SDP
from tests.sim.scale import SCALE
from tests.unit.sip.wire import Wire, reply, request

MIXED = (
    b"--cut\r\nContent-Type: application/isup\r\nContent-Disposition: signal;handling=optional\r\n\r\n\x01\x02\r\n"
    b"--cut\r\nContent-Type: application/sdp\r\n\r\n" + SDP + b"\r\n--cut--\r\n"
)
CONTACT = "Contact: <sip:alice@10.0.0.2:5070>\r\n"


def in_dialog(to: str) -> list[bytes]:
    """What a peer may send within a call."""
    relay, mixed = "Content-Type: application/dtmf-relay\r\n", "Content-Type: multipart/mixed;boundary=cut\r\n"
    frag = "Content-Type: message/sipfrag;version=2.0\r\n"
    told = "Event: refer;id=1\r\nSubscription-State: active;expires=60\r\n"
    target = "Refer-To: <sip:desk@192.0.2.9?Replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2>\r\nReferred-By: <sip:a@b>\r\n"
    return [
        request("INFO", to=to, cseq="2", branch="i", body=b"Signal=5\r\nDuration=160\r\n", type=relay),
        request("REFER", to=to, cseq="3", branch="r", more=target, contact=CONTACT),
        request("NOTIFY", to=to, cseq="4", branch="n", more=told, body=b"SIP/2.0 180 Ringing\r\n", type=frag),
        request("UPDATE", to=to, cseq="5", branch="u", body=SDP, more="Session-Expires: 1800;refresher=uac\r\n"),
        request("INVITE", to=to, cseq="6", branch="v", body=MIXED, type=mixed),
        request(call_id="new", branch="w", body=SDP, more="Replaces: abc;to-tag=1;from-tag=9\r\nRequire: replaces\r\n"),
        request("BYE", to=to, cseq="7", branch="b", more='Reason: SIP;cause=200;text="done"\r\n'),
    ]


def responses(sent: list[Message]) -> list[bytes]:
    """What a peer may answer to our own requests."""
    answers: list[tuple[int, str, bytes]] = [
        (200, CONTACT, SDP), (202, CONTACT, b""), (302, CONTACT, b""), (491, "", b""), (500, "Retry-After: 1\r\n", b""),
        (422, "Min-SE: 100\r\n", b""), (481, "", b""), (200, CONTACT + "Session-Expires: 90;refresher=uas\r\n", b""),
    ]  # fmt: skip
    return [reply(one, status, more=more, body=body) for one in sent for status, more, body in answers]


def mangled(message: bytes, edits: list[tuple[int, bytes]]) -> bytes:
    for position, piece in edits:
        at = position % len(message)
        message = message[:at] + piece + message[at + position % 2 :]
    return message


def live_through(wire: Wire, messages: list[bytes]) -> None:
    """A user who takes whatever comes; at the end nothing is left of the call."""
    for message in messages:
        wire.send(message)
        for event in wire.events():
            if isinstance(event, Reoffered):
                wire.endpoint.answer(event.call, SDP, wire.now)
            elif isinstance(event, Referred):
                wire.endpoint.accept_refer(event.call, wire.now)
                wire.endpoint.refer_progress(event.call, 200, wire.now)
            elif isinstance(event, Ended) and event.message is not None:
                event.message.encode()
        for datagram in wire.endpoint.outgoing():
            head = datagram.data.partition(b"\r\n\r\n")[0]
            assert b"\r" not in head.replace(b"\r\n", b"")
    wire.endpoint.close(wire.now)
    wire.later(400)
    assert (wire.endpoint.calls, wire.endpoint.transactions, wire.endpoint.next_timer()) == (0, 0, None)


edits = st.lists(st.tuples(st.integers(0, 1 << 16), st.sampled_from(NASTY)), max_size=4)
picks = st.lists(st.tuples(st.integers(0, 100), edits), min_size=1, max_size=4)


def fuzz(act: Callable[[Wire], None], chosen: list[tuple[int, list[tuple[int, bytes]]]]) -> None:
    wire = Wire()
    to = wire.established().get("To") or ""
    act(wire)
    pool = in_dialog(to) + responses(wire.sent())
    live_through(wire, [mangled(pool[pick % len(pool)], changes) for pick, changes in chosen])


@settings(max_examples=100 * SCALE, deadline=None)
@given(picks)
def test_while_nothing_of_ours_is_under_way(chosen: list[tuple[int, list[tuple[int, bytes]]]]) -> None:
    fuzz(lambda wire: None, chosen)


@settings(max_examples=100 * SCALE, deadline=None)
@given(picks, st.sampled_from([b"v=0 ours", b""]))
def test_while_we_offer_and_transfer(chosen: list[tuple[int, list[tuple[int, bytes]]]], sdp: bytes) -> None:
    def act(wire: Wire) -> None:
        wire.endpoint.reoffer(1, sdp, wire.now)
        wire.endpoint.refer(1, "sip:desk@192.0.2.9", wire.now)
        wire.endpoint.send_digit(1, "5", wire.now)

    fuzz(act, chosen)


@settings(max_examples=100 * SCALE, deadline=None)
@given(st.text(max_size=30), st.text(max_size=60))
def test_whatever_a_user_hands_on_is_one_header_or_a_mistake(name: str, value: str) -> None:
    wire = Wire()
    wire.established()
    try:
        wire.endpoint.hang_up(1, wire.now, value, headers=[(name, value)])
    except MisuseError:
        return
    (datagram,) = wire.endpoint.outgoing()
    head = datagram.data.partition(b"\r\n\r\n")[0]
    assert head.count(b"\r\n") + 1 == len(head.splitlines())
    assert sum(line.lower().startswith(b"content-length:") for line in head.split(b"\r\n")) == 1
