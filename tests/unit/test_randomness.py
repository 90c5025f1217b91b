from __future__ import annotations

import pytest

from gateway.randomness import RandomPool


@pytest.mark.parametrize("bits", [1, 7, 8, 31, 32, 63, 64, 128])
def test_every_bit_is_used_and_no_more(bits: int) -> None:
    pool = RandomPool()
    drawn = [pool.getrandbits(bits) for _ in range(2000)]
    assert max(drawn) < 1 << bits
    either = 0
    for number in drawn:
        either |= number
    assert either == (1 << bits) - 1


def test_nothing_is_given_out_twice_also_where_a_block_ends() -> None:
    pool = RandomPool()
    drawn = [pool.token_bytes(12) for _ in range(5000)]
    assert len(set(drawn)) == 5000
    assert all(len(one) == 12 for one in drawn)


def test_more_than_a_block_at_once() -> None:
    assert len(RandomPool().token_bytes(10_000)) == 10_000
