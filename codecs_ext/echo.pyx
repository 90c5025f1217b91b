"""What a leg hears, back into its own queue: the number ``echo``.

The queue's blocks come from a pool of the shard, last in, first out, so that a block is taken while the cache still has it.
"""

from libc.stdint cimport int16_t, int64_t
from libc.string cimport memcpy, memset

from codecs_ext.downlink cimport downlink_play
from codecs_ext.playout cimport POOL_SAMPLES, Block, block_take

__all__: list[str] = []


cdef bint _queue(Echo *echo, const int16_t *samples, int count, int rate) noexcept nogil:
    """NULL is silence. False if the pool is empty."""
    cdef Block *block = block_take(echo.pool)
    if block == NULL:
        echo.down.counters.overflows += 1
        return False
    block.rate = rate
    block.count = count
    if samples == NULL:
        memset(block.samples, 0, count * sizeof(int16_t))
    else:
        memcpy(block.samples, samples, count * sizeof(int16_t))
    downlink_play(echo.down, block, echo.tick[0] + 1)      # this tick's packets have left
    return True


cdef void echo_hear(Echo *echo, const int16_t *samples, int count, int rate) noexcept nogil:
    """20 ms of silence go before the first frame: slack, so that a packet which comes a little late leaves no hole."""
    cdef int step
    if not echo.primed:
        echo.primed = _queue(echo, NULL, rate // 50 if rate // 50 < POOL_SAMPLES else POOL_SAMPLES, rate)
    while count > 0:
        step = count if count < POOL_SAMPLES else POOL_SAMPLES
        if not _queue(echo, samples, step, rate):
            return
        samples += step
        count -= step
