"""Whose packets are heard, and who is sent to."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from codecs_ext.source import Latch

MS = 1_000_000
NAMED, OTHER_PORT, NAT, ATTACKER = (1, 4000), (1, 4002), (2, 9000), (66, 6666)


def agreed(**options: int | str) -> Latch:
    latch = Latch(**options)  # type: ignore[arg-type]
    latch.agree(NAMED, 0)
    return latch


def stream(latch: Latch, address: tuple[int, int], count: int, start: int = 0, now: int = 0) -> list[bool]:
    return [latch.packet(address, start + n, now + n * 20 * MS) for n in range(count)]


def test_the_address_of_sdp_is_heard_at_once_and_settled():
    latch = agreed()
    assert latch.packet(NAMED, 7, 0)
    assert latch.settled
    assert stream(latch, ATTACKER, 100) == [False] * 100


def test_a_caller_behind_nat_shows_three_packets_in_sequence():
    latch = agreed()
    assert stream(latch, NAT, 4) == [False, False, True, True]
    assert latch.remote == NAT
    assert not latch.settled
    assert latch.packet(NAT, 60, 1200 * MS)
    assert latch.settled


def test_the_sequence_may_wrap_and_must_not_jump_or_change_its_source():
    latch = agreed()
    assert [latch.packet(NAT, number, 0) for number in (65535, 0, 1)] == [False, False, True]
    latch = agreed()
    assert not any(latch.packet(NAT, number, 0) for number in (1, 2, 4, 5, 7, 8))
    assert not any(latch.packet(NAT, number, 0, ssrc=number // 2) for number in range(20, 30))


def test_a_packet_that_was_authenticated_is_enough():
    latch = agreed()
    assert latch.packet(NAT, 5, 0, proven=True)
    assert latch.remote == NAT


def test_the_better_source_replaces_the_worse_while_it_is_not_settled():
    latch = agreed()
    stream(latch, ATTACKER, 10)
    assert latch.remote == ATTACKER
    assert stream(latch, OTHER_PORT, 3, now=200 * MS) == [False, False, True]
    assert latch.remote == OTHER_PORT
    assert not any(stream(latch, ATTACKER, 20, 10, now=300 * MS))
    assert latch.packet(NAMED, 0, 700 * MS)
    assert (latch.remote, latch.settled) == (NAMED, True)


def test_what_may_be_learned_is_configured():
    assert not any(stream(agreed(learn="never"), OTHER_PORT, 10))
    assert not any(stream(agreed(learn="port"), NAT, 10))
    assert any(stream(agreed(learn="port"), OTHER_PORT, 10))


def test_a_flood_of_others_does_not_keep_a_caller_out():
    latch, noise = agreed(), random.Random(1)
    for number in range(3):
        for _ in range(2):
            latch.packet((noise.randint(70, 250), 5000), noise.randint(0, 65535), number * 20 * MS)
        heard = latch.packet(NAT, number, number * 20 * MS)
    assert heard


def test_an_unchanged_offer_opens_the_source_only_if_the_old_one_stays_silent():
    latch = agreed()
    stream(latch, NAMED, 10)
    latch.agree(NAMED, 1000 * MS)
    assert not latch.settled
    assert not any(stream(latch, ATTACKER, 49, now=1000 * MS))  # 960 ms
    assert latch.packet(NAMED, 11, 1990 * MS)
    assert latch.settled
    latch.agree(NAMED, 3000 * MS)
    assert stream(latch, NAT, 3, now=4000 * MS) == [False, False, True]  # its NAT has given it another port, say


def test_a_new_place_is_sent_to_while_the_old_source_is_heard_a_little_longer():
    latch = agreed()
    stream(latch, NAMED, 3)
    latch.agree((3, 5000), 1000 * MS)
    assert latch.remote == (3, 5000)
    assert all(stream(latch, NAMED, 10, 3, now=1000 * MS))
    assert latch.remote == (3, 5000)
    assert latch.packet((3, 5000), 0, 1300 * MS)
    assert latch.settled
    assert not latch.packet(NAMED, 13, 1320 * MS)


def test_silence_opens_the_source_where_that_is_configured():
    latch = agreed(silence_ns=500 * MS)
    latch.packet(NAMED, 0, 0)
    latch.tick(499 * MS)
    assert latch.settled
    latch.tick(500 * MS)
    assert not latch.settled
    assert stream(latch, NAT, 3, now=600 * MS) == [False, False, True]


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from([NAMED, OTHER_PORT, NAT, ATTACKER]), st.integers(0, 3)), max_size=60))
def test_whatever_comes_the_address_of_sdp_is_heard_unless_another_was_settled(packets):
    latch, now = agreed(), 0
    for address, number in packets:
        now += 5 * MS
        settled = latch.settled and latch.remote != NAMED
        heard = latch.packet(address, number, now)
        if address == NAMED:
            assert heard != settled
        if latch.settled:
            assert heard == (address == latch.remote)
