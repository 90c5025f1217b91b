"""Delay that stays behind in a queue, and how much of it may be left out.

Somebody speaks through us at the pace of speech: an echo, an interpreter, a model that answers as it hears. If their audio
stops once for 60 ms, because a machine was busy, the caller hears a hole; then all of it comes, and every word after it is
60 ms late, for the rest of the call. Each such moment adds to it, and nothing takes it away.

What is queued in vain shows by standing: over a whole window the queue neither grew nor shrank, and never fell below so
much (a *standing queue*, as CoDel has it, RFC 8289 3). Speech that comes in bursts, ahead of its time, shrinks meanwhile; it is left
as it is. And no more is left out than holes have put in, so that what a sender keeps ahead on purpose stays.

A queue whose slack is needed again within ``CALM`` has been emptied too early: then the next window is twice as long.
"""

from libc.stdint cimport int64_t

__all__: list[str] = []

cdef enum:
    TICK = 40                   # samples of 5 ms at 8 kHz
    FIRST = 100                 # 500 ms
    LONGEST = 6400              # 32 s
    CALM = 2000                 # 10 s
    LEAST = 40                  # that are worth it
    SLOWLY = 4                  # packets from one period left out to the next
    QUICKLY = 2                 # where much is queued
    MUCH = 480                  # 60 ms


cdef void backlog_init(Backlog *backlog, bint enabled) noexcept nogil:
    backlog.enabled = enabled
    backlog.owed = backlog.excess = 0
    backlog.first = -1
    backlog.window = FIRST
    backlog.left_out = -CALM
    backlog.packets = 0


cdef void backlog_begin(Backlog *backlog) noexcept nogil:
    """Another utterance: what the last one owed is forgotten."""
    backlog.owed = backlog.excess = 0
    backlog.first = -1


cdef void backlog_underrun(Backlog *backlog, int64_t tick, int64_t gap) noexcept nogil:
    """The utterance goes on at ``tick``, after a hole of ``gap`` ticks."""
    backlog.owed += gap * TICK
    backlog.excess = 0
    backlog.first = -1
    if tick - backlog.left_out >= CALM:
        backlog.window = FIRST
    elif backlog.window < LONGEST:
        backlog.window *= 2


cdef void backlog_packet(Backlog *backlog, int64_t tick, int64_t queued, int64_t samples) noexcept nogil:
    """A packet of so many samples was taken at ``tick``, and so much is still queued."""
    backlog.packets += 1
    if not backlog.enabled or backlog.owed < LEAST or backlog.excess > 0:
        return
    if backlog.first < 0 or queued < LEAST:
        backlog.first = backlog.lowest = queued
        backlog.since = tick
        return
    if queued < backlog.lowest:
        backlog.lowest = queued
    if tick - backlog.since < backlog.window:
        return
    if -samples <= queued - backlog.first <= samples:
        backlog.excess = backlog.lowest if backlog.lowest < backlog.owed else backlog.owed
    backlog.first = -1


cdef int backlog_wanted(Backlog *backlog, int rate) noexcept nogil:
    """Samples at ``rate`` that the next packet may leave out; 0: none, or not yet."""
    if backlog.excess <= 0 or backlog.packets < (QUICKLY if backlog.excess > MUCH else SLOWLY):
        return 0
    return <int>(backlog.excess * (rate // 8000))


cdef void backlog_taken(Backlog *backlog, int64_t tick, int count, int rate) noexcept nogil:
    """``count`` samples were left out; 0: there was no place for it."""
    cdef int64_t samples = count // (rate // 8000)
    backlog.excess -= samples
    backlog.owed -= samples
    backlog.packets = 0
    if count == 0:
        return
    backlog.left_out = tick
    if backlog.excess < LEAST:
        backlog.excess = 0
        backlog.first = -1
