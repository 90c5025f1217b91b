"""Digits (RFC 4733): each is told once, whatever is lost, doubled or overtaken."""

from __future__ import annotations

import struct

import pytest

from codecs_ext.dtmf import Digits

MS = 1_000_000


def payload(event: int, duration: int, *, end: bool = False) -> bytes:
    return struct.pack(">BBH", event, (0x80 if end else 0) | 10, duration)


@pytest.mark.parametrize(("event", "digit"), list(enumerate("0123456789*#ABCD")))
def test_a_digit_is_told_at_its_first_end_packet_and_only_then(event, digit):
    digits = Digits()
    told = [digits.receive(payload(event, 160 * n), 4000, n) for n in range(1, 5)]
    told += [digits.receive(payload(event, 800, end=True), 4000, 5 + n) for n in range(3)]
    assert told == [[], [], [], [], [(digit, 100, 5)], [], []]
    assert digits.tick(10**12) == []


def test_the_same_digit_twice_is_two_digits():
    digits = Digits()
    first = digits.receive(payload(5, 800, end=True), 1000, 1)
    second = digits.receive(payload(5, 800, end=True), 3000, 2)
    assert first == [("5", 100, 1)]
    assert second == [("5", 100, 2)]


def test_lost_end_packets_end_the_digit_when_its_packets_cease():
    digits = Digits()
    digits.receive(payload(1, 160), 1000, 0)
    digits.receive(payload(1, 480), 1000, 40 * MS)
    assert digits.tick(189 * MS) == []
    assert digits.tick(190 * MS) == [("1", 60, 40 * MS)]
    assert digits.receive(payload(1, 800, end=True), 1000, 200 * MS) == []


def test_lost_end_packets_end_the_digit_when_the_next_one_begins():
    digits = Digits()
    digits.receive(payload(1, 480), 1000, 1)
    assert digits.receive(payload(2, 160), 2000, 2) == [("1", 60, 1)]
    assert digits.receive(payload(2, 800, end=True), 2000, 3) == [("2", 100, 3)]


def test_a_lone_end_packet_is_a_digit():
    assert Digits().receive(payload(11, 400, end=True), 1000, 9) == [("#", 50, 9)]


def test_an_overtaken_packet_of_an_older_digit_is_nothing():
    digits = Digits()
    digits.receive(payload(1, 800, end=True), 1000, 1)
    digits.receive(payload(2, 160), 3000, 2)
    assert digits.receive(payload(1, 800, end=True), 1000, 3) == []
    assert digits.receive(payload(2, 800, end=True), 3000, 4) == [("2", 100, 4)]


def test_timestamps_wrap_around():
    digits = Digits()
    digits.receive(payload(1, 800, end=True), 2**32 - 500, 1)
    assert digits.receive(payload(1, 800, end=True), 700, 2) == [("1", 100, 2)]


def test_a_digit_longer_than_its_duration_field_is_one_digit():
    digits = Digits()
    digits.receive(payload(3, 0xFFFF), 1000, 1)
    assert digits.receive(payload(3, 800), 1000 + 0xFFFF, 2) == []
    assert digits.receive(payload(3, 1600, end=True), 1000 + 0xFFFF, 3) == [("3", (0xFFFF + 1600) // 8, 3)]


@pytest.mark.parametrize("garbage", [b"", b"\x01", b"\x01\x80\x01", payload(16, 800, end=True), payload(255, 1)])
def test_short_payloads_and_other_events_are_nothing(garbage):
    digits = Digits()
    assert digits.receive(garbage, 1000, 1) == []
    assert digits.tick(10**12) == []
