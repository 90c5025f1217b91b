"""REFER, NOTIFY and Replaces, both roles (RFC 3515, 3891, 3892, 4488)."""

from __future__ import annotations

import pytest

from gateway.errors import MisuseError
from gateway.sip.events import Ended, Invited, Referred, Transferred, Transferring
from gateway.sip.message import Message, Request
from tests.unit.sip.wire import SDP, Wire, reply, request, statuses


def up(**options: object) -> tuple[Wire, str]:
    wire = Wire(**options)
    return wire, wire.established().get("To") or ""


def notify(to: str, body: str, cseq: int, state: str = "active;expires=60", event: str = "refer") -> bytes:
    more = f"Event: {event}\r\nSubscription-State: {state}\r\n"
    kind = "Content-Type: message/sipfrag;version=2.0\r\n" if body else ""
    return request(
        "NOTIFY", to=to, cseq=str(cseq), branch=f"n{cseq}", more=more, body=body.encode(), type=kind,
        contact="Contact: <sip:alice@10.0.0.2:5070>\r\n",
    )  # fmt: skip


def refer(to: str, *refer_to: str, more: str = "", cseq: str = "2") -> bytes:
    lines = "".join(f"Refer-To: {one}\r\n" for one in refer_to)
    contact = "Contact: <sip:alice@10.0.0.2:5070>\r\n"
    return request("REFER", to=to, cseq=cseq, branch=f"r{cseq}", more=lines + more, contact=contact)


def sent_refer(wire: Wire, target: str = "sip:desk@192.0.2.9", **options: object) -> Request:
    wire.endpoint.refer(1, target, wire.now, **options)  # type: ignore[arg-type]
    (sent,) = wire.sent()
    assert isinstance(sent, Request)
    return sent


class TestWeTransfer:
    def test_its_progress_is_told_up_to_the_end(self) -> None:
        wire, to = up()
        by = ("Referred-By", "<sip:pizza@10.0.0.1>")
        asked = sent_refer(wire, headers=[by, ("X-Reason", "sales")])
        assert (asked.method, asked.get("Refer-To")) == ("REFER", "<sip:desk@192.0.2.9>")
        assert (asked.get("Referred-By"), asked.get("X-Reason")) == (by[1], "sales")
        assert asked.contact is not None
        wire.send(reply(asked, 202))
        assert statuses(wire.send(notify(to, "SIP/2.0 100 Trying\r\n", 2))) == [200]
        wire.send(notify(to, "SIP/2.0 180 Ringing\r\n", 3))
        wire.send(notify(to, "SIP/2.0 200 OK\r\n", 4, "terminated;reason=noresource"))
        assert wire.events() == [
            Transferring(1, 202, "Whatever"), Transferring(1, 100, "Trying"), Transferring(1, 180, "Ringing"),
            Transferred(1, 200, "OK"),
        ]  # fmt: skip
        assert statuses(wire.send(notify(to, "SIP/2.0 200 OK\r\n", 5))) == [481]
        assert statuses(wire.send(request("OPTIONS", to=to, cseq="6", branch="o"))) == [200]

    def test_a_notify_may_come_before_the_202(self) -> None:
        wire, to = up()
        asked = sent_refer(wire)
        assert statuses(wire.send(notify(to, "SIP/2.0 486 Busy Here\r\n", 2, "terminated"))) == [200]
        wire.send(reply(asked, 202))
        assert wire.events() == [Transferred(1, 486, "Busy Here")]

    @pytest.mark.parametrize("status", [403, 405, 481, 603])
    def test_a_refused_one_leaves_the_call_as_it_is(self, status: int) -> None:
        wire, to = up()
        wire.send(reply(sent_refer(wire), status))
        assert wire.events() == [Transferred(1, status, "Whatever")]
        assert statuses(wire.send(request("OPTIONS", to=to, cseq="2", branch="o"))) == [200]

    def test_nobody_answers_or_tells(self) -> None:
        wire, _ = up(transfer_limit="60s", session_expires=None)
        sent_refer(wire)
        wire.later(32.5)
        assert wire.events() == [Transferred(1, 408, "no answer to REFER")]
        wire.send(reply(sent_refer(wire), 202))
        wire.later(61)
        assert wire.events()[-1] == Transferred(1, None, "no final NOTIFY within sip.transfer_limit")
        assert wire.endpoint.next_timer() is None

    def test_without_a_subscription_it_ends_with_the_answer(self) -> None:
        wire, _ = up()
        asked = sent_refer(wire, watch=False)
        assert asked.get("Refer-Sub") == "false"
        assert "norefersub" in asked.all("Supported")
        wire.send(reply(asked, 202, more="Refer-Sub: false\r\n"))
        assert [type(event) for event in wire.events()] == [Transferred]

    def test_one_at_a_time(self) -> None:
        wire, _ = up()
        sent_refer(wire)
        wire.endpoint.refer(1, "sip:other@192.0.2.9", wire.now)
        assert wire.sent() == []
        assert wire.events() == [Transferred(1, 491, "another transfer is under way")]

    def test_a_call_that_rings_cannot_be_transferred(self) -> None:
        wire = Wire()
        wire.invite()
        wire.events()
        wire.endpoint.refer(1, "sip:desk@192.0.2.9", wire.now)
        assert wire.sent() == []
        assert wire.events() == [Transferred(1, None, "the call is not answered yet")]

    def test_to_a_call_that_exists(self) -> None:
        """RFC 5589 7: the far end of the second call is asked to replace the dialog that it has with us."""
        wire, _ = up()
        wire.endpoint.invite("sip:bob@10.0.0.2:5070", SDP, wire.now, caller="alice")
        (invite,) = wire.sent()
        wire.send(reply(invite, 200, tag="b/7", more="Contact: <sip:bob@10.0.0.2:5070>\r\n", body=SDP))
        asked = sent_refer(wire, "", replacing=2)
        ours = invite.from_.tag
        call_id = invite.call_id.replace("@", "%40")
        where = f"{call_id}%3Bto-tag%3Db%2F7%3Bfrom-tag%3D{ours}"
        assert asked.get("Refer-To") == f"<sip:bob@10.0.0.2:5070?Replaces={where}>"

    @pytest.mark.parametrize("target", ["desk", "sip:a b@192.0.2.1", "sip:a@192.0.2.1>\r\nX-Evil: 1"])
    def test_what_is_no_uri_is_our_mistake(self, target: str) -> None:
        wire, _ = up()
        with pytest.raises(MisuseError):
            wire.endpoint.refer(1, target, wire.now)

    def test_other_events_are_refused(self) -> None:
        wire, to = up()
        assert statuses(wire.send(notify(to, "", 2, event="presence"))) == [489]
        assert statuses(wire.send(notify(to, "", 3))) == [481]


class TestWeAreAsked:
    def test_accepted_and_reported_on(self) -> None:
        wire, to = up()
        assert wire.send(refer(to, "<sip:desk@192.0.2.9>", more="Referred-By: <sip:alice@10.0.0.2>\r\n")) == []
        (told,) = wire.events()
        assert isinstance(told, Referred)
        assert (told.target, told.replaces, told.referred_by) == ("sip:desk@192.0.2.9", None, "<sip:alice@10.0.0.2>")
        wire.endpoint.accept_refer(1, wire.now)
        accepted, trying = wire.sent()
        assert statuses([accepted, trying]) == [202, "NOTIFY"]
        assert (trying.get("Event"), trying.get("Subscription-State")) == ("refer;id=2", "active;expires=180")
        assert (trying.get("Content-Type"), trying.body) == ("message/sipfrag;version=2.0", b"SIP/2.0 100 Trying\r\n")
        wire.endpoint.refer_progress(1, 200, wire.now)
        (done,) = wire.sent()
        assert (done.get("Subscription-State"), done.body) == ("terminated;reason=noresource", b"SIP/2.0 200 OK\r\n")
        wire.endpoint.refer_progress(1, 200, wire.now)
        assert wire.sent() == []

    def test_refused(self) -> None:
        wire, to = up()
        wire.send(refer(to, "<sip:desk@192.0.2.9>"))
        wire.endpoint.refuse_refer(1, 603, "not here", wire.now)
        (answer,) = wire.sent()
        assert (statuses([answer]), answer.get("Warning")) == ([603], '399 10.0.0.1 "not here"')

    def test_without_a_subscription(self) -> None:
        wire, to = up()
        wire.send(refer(to, "<sip:desk@192.0.2.9>", more="Refer-Sub: false\r\nRequire: norefersub\r\n"))
        wire.endpoint.accept_refer(1, wire.now)
        (accepted,) = wire.sent()
        assert (statuses([accepted]), accepted.get("Refer-Sub")) == ([202], "false")
        wire.endpoint.refer_progress(1, 200, wire.now)
        assert wire.sent() == []

    @pytest.mark.parametrize(
        ("targets", "status"),
        [
            ((), 400),
            (("<sip:a@192.0.2.1>", "<sip:b@192.0.2.1>"), 400),
            (("<not a uri>",), 400),
            (("<sip:a@192.0.2.1;method=BYE>",), 403),
        ],
    )
    def test_what_cannot_be_followed(self, targets: tuple[str, ...], status: int) -> None:
        wire, to = up()
        assert statuses(wire.send(refer(to, *targets))) == [status]

    def test_a_second_one_while_the_first_is_open(self) -> None:
        wire, to = up()
        wire.send(refer(to, "<sip:desk@192.0.2.9>"))
        assert statuses(wire.send(refer(to, "<sip:desk@192.0.2.9>", cseq="3"))) == [491]

    def test_the_headers_within_the_uri_are_read(self) -> None:
        wire, to = up()
        wire.send(refer(to, "<sip:desk@192.0.2.9?Replaces=ab%40c%3Bto-tag%3D1%3Bfrom-tag%3D2&X-A=b%0D%0AEvil:%201>"))
        (told,) = wire.events()
        assert isinstance(told, Referred)
        assert (told.target, told.replaces) == ("sip:desk@192.0.2.9", "ab@c;to-tag=1;from-tag=2")

    def test_an_end_of_the_call_answers_it(self) -> None:
        wire, to = up()
        wire.send(refer(to, "<sip:desk@192.0.2.9>"))
        assert statuses(wire.send(request("BYE", to=to, cseq="3", branch="b"))) == [200, 487]


class TestReplaces:
    def replacing(self, wire: Wire, to: str, **changes: str) -> list[Message]:
        tag = to.rpartition("tag=")[2]
        more = changes.pop("more", f"Replaces: abc;to-tag={tag};from-tag=9\r\n")
        return wire.invite(call_id="second", branch="second", more=more, **changes)

    def test_the_new_call_takes_the_place_of_the_old(self) -> None:
        wire, to = up()
        self.replacing(wire, to)
        (told,) = wire.events()
        assert isinstance(told, Invited)
        assert (told.call, told.replaces) == (2, 1)
        wire.endpoint.answer(2, SDP, wire.now)
        ok, bye = wire.sent()
        assert statuses([ok, bye]) == [200, "BYE"]
        assert bye.call_id == "abc"
        assert wire.events() == [Ended(1, "local", None, "replaced")]

    def test_a_refused_one_leaves_the_old_as_it_is(self) -> None:
        wire, to = up()
        self.replacing(wire, to)
        wire.endpoint.reject(2, 603, "no", wire.now)
        assert statuses(wire.sent()) == [603]
        assert statuses(wire.send(request("OPTIONS", to=to, cseq="2", branch="o"))) == [200]

    @pytest.mark.parametrize(
        ("more", "status"),
        [
            ("Replaces: abc;to-tag=unknown;from-tag=9\r\n", 481),
            ("Replaces: abc;to-tag={tag};from-tag=other\r\n", 481),
            ("Replaces: abc;to-tag={tag};from-tag=9;early-only\r\n", 486),
            ("Replaces: abc;to-tag={tag};from-tag=9\r\nReplaces: x;to-tag=1;from-tag=2\r\n", 400),
            ("Replaces: abc;to-tag={tag};from-tag=9\r\nJoin: x;to-tag=1;from-tag=2\r\n", 400),
            ("Replaces: abc;to-tag={tag}\r\n", 400),
        ],
    )
    def test_what_cannot_be_replaced(self, more: str, status: int) -> None:
        wire, to = up()
        tag = to.rpartition("tag=")[2]
        assert statuses(self.replacing(wire, to, more=more.format(tag=tag))) == [status]

    def test_a_call_that_we_place_may_be_replaced_while_it_rings(self) -> None:
        wire = Wire()
        wire.endpoint.invite("sip:bob@10.0.0.2:5070", SDP, wire.now, caller="alice")
        (invite,) = wire.sent()
        more = "Contact: <sip:bob@10.0.0.2>\r\nRequire: 100rel\r\nRSeq: 1\r\n"
        wire.send(reply(invite, 183, more=more, body=SDP))
        place = f"Replaces: {invite.call_id};to-tag={invite.from_.tag};from-tag=7;early-only\r\n"
        assert statuses(wire.invite(call_id="second", branch="second", more=f"Require: replaces\r\n{place}")) == [100]
        wire.endpoint.answer(2, SDP, wire.now)
        assert statuses(wire.sent()) == [200, "CANCEL"]

    def test_a_call_that_rings_here_may_not(self) -> None:
        wire = Wire()
        wire.invite()
        wire.endpoint.ring(1, wire.now)
        (ringing,) = wire.sent()
        assert statuses(self.replacing(wire, ringing.get("To") or "")) == [481]
