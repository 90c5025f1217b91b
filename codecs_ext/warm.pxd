"""What the next leg needs, asked of memory while this one is worked on.

Hundreds of legs take turns every 20 ms, so none of them is in the cache when its turn comes, and its first fields cost more
than all that is computed with them.
"""

from codecs_ext.leg cimport Leg
from codecs_ext.playout cimport Block

cdef extern from *:
    """
    /* Every cache line from `place` on that the `size` bytes touch. */
    static inline void lc_warm(const void *place, unsigned size) {
        const char *line = (const char *)((unsigned long)place & ~63ul), *end = (const char *)place + size;
        for (; line < end; line += 64) __builtin_prefetch(line, 1, 3);
    }
    """
    void lc_warm(const void *place, unsigned size) noexcept nogil

cdef enum:
    PCM = 320                   # 20 ms at 8 kHz


cdef inline void warm_to_receive(const Leg *leg) noexcept nogil:
    """Before a packet is read, checked, decoded and handed up."""
    if leg == NULL:
        return
    lc_warm(leg, 64)
    lc_warm(&leg.source.remote, 16)
    lc_warm(&leg.source.size, 64)
    lc_warm(&leg.counters, sizeof(leg.counters))
    lc_warm(&leg.control.due, 8)
    lc_warm(&leg.tape.order, sizeof(leg.tape.order))
    lc_warm(&leg.bridge.peer, 8)
    lc_warm(&leg.up.enabled, 64)
    lc_warm(&leg.up.started, 128)
    lc_warm(&leg.up.fill_at, 16)
    lc_warm(&leg.up.reorder, 64)
    lc_warm(&leg.up.digits.active, 8)
    lc_warm(&leg.up.frames, 128)
    lc_warm(&leg.up.frames.vad, 128)
    lc_warm(&leg.up.frames.vad.events_count, 4)
    lc_warm(&leg.up.frames.plc, 64)
    lc_warm(leg.up.frames.plc.heard + leg.up.frames.plc.next, PCM)
    lc_warm(&leg.up.frames.resampler, 96)
    lc_warm(&leg.up.frames.echo, 32)


cdef inline void warm_to_send(const Leg *leg) noexcept nogil:
    """Before a packet is taken from the queue, encoded and sent."""
    lc_warm(leg, 64)
    lc_warm(&leg.tape.order, sizeof(leg.tape.order))
    lc_warm(&leg.counters, 32)
    lc_warm(&leg.down, 256)
    lc_warm(leg.down.packet, PCM)
    lc_warm(&leg.down.said, 8)
    lc_warm(&leg.down.apart, 128)
    lc_warm(&leg.down.queue, 160)
    lc_warm(&leg.down.dial.first, 8)
    lc_warm(&leg.down.backdrop, 8)
    lc_warm(&leg.down.backdrop.gain, 8)


cdef inline void warm_queue(const Leg *leg) noexcept nogil:
    """Then, what is queued: the pointer to it has come by now."""
    cdef const Block *block = leg.down.queue.first
    if block != NULL:
        lc_warm(block, 64)
        lc_warm(block.samples + block.taken, 2 * PCM)
