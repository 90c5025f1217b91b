"""Digits as telephone-events (RFC 4733 2.3 to 2.5), received.

All packets of one event carry the timestamp of its beginning, so the timestamp tells events apart and removes the
duplicates of the end packet. An event is told once: at its first end packet, or, when all of those were lost, as soon as
its packets cease or another event begins. The clock is that of the audio beside it (2.1).
"""

from cython cimport cdivision
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from libc.string cimport memset

__all__ = ["Digits"]

cdef int64_t CEASED_NS = 150_000_000    # senders update every 50 ms at the latest (2.5.1.2), so three are missing
cdef const char *NAMES = b"0123456789*#ABCD"


@cdivision(True)
cdef void dtmf_finish(DigitState *state, Digit *told) noexcept nogil:
    """Tells the event under way, if any, as ended."""
    told.name = 0
    if state.active:
        state.active = False
        told.name = NAMES[state.event]
        told.duration_ms = <int>((state.before + state.duration) / state.per_ms)
        told.arrival = state.arrival


cdef bint _continues(const DigitState *state, uint8_t event, uint32_t timestamp) noexcept nogil:
    """A further segment of an event that is longer than its duration field can say (2.5.1.3)."""
    return state.active and event == state.event and timestamp == <uint32_t>(state.timestamp + 0xFFFF)


cdef void _begin(DigitState *state, uint8_t event, uint32_t timestamp, Digit *ended) noexcept nogil:
    if _continues(state, event, timestamp):
        state.before += 0xFFFF
    else:
        dtmf_finish(state, ended)
        state.active = True
        state.before = 0
    state.seen = True
    state.event = event
    state.timestamp = timestamp
    state.duration = 0


cdef void dtmf_receive(DigitState *state, const uint8_t *payload, int size, uint32_t timestamp, int64_t arrival,
                       int64_t now, Digit *ended, Digit *told) noexcept nogil:
    """One packet. ``ended`` is an earlier event whose end was lost, ``told`` the one that this packet ends."""
    cdef uint32_t duration
    ended.name = told.name = 0
    if size < 4 or payload[0] > 15:     # events above 15 are tones and line signals, not digits
        return
    if not state.seen or timestamp != state.timestamp:
        if state.seen and <int32_t>(state.timestamp - timestamp) > 0:
            return                      # an older event's packet that was overtaken
        _begin(state, payload[0], timestamp, ended)
    if not state.active:
        return
    duration = (<uint32_t>payload[2] << 8) | payload[3]
    if duration >= state.duration:
        state.duration = duration
        state.arrival = arrival
    state.deadline = now + CEASED_NS
    if payload[1] & 0x80:
        dtmf_finish(state, told)


cdef tuple _shown(const Digit *digit):
    return chr(digit.name), digit.duration_ms, digit.arrival


cdef class Digits:
    """The receiver alone, on a clock of 8 kHz. Each method returns the digits told, as ``(digit, duration_ms, arrival)``."""

    cdef DigitState state

    def __cinit__(self) -> None:
        memset(&self.state, 0, sizeof(DigitState))
        self.state.per_ms = 8

    def receive(self, const uint8_t[::1] payload not None, timestamp: int, arrival: int):
        """One packet's payload."""
        cdef Digit ended, told
        cdef const uint8_t *start = &payload[0] if payload.shape[0] else NULL
        dtmf_receive(&self.state, start, <int>payload.shape[0], <uint32_t>(timestamp & 0xFFFFFFFF), arrival, arrival,
                     &ended, &told)
        return ([_shown(&ended)] if ended.name else []) + ([_shown(&told)] if told.name else [])

    def tick(self, now: int):
        """Time goes on: an event whose packets have ceased is over."""
        cdef Digit told
        told.name = 0
        if self.state.active and now >= self.state.deadline:
            dtmf_finish(&self.state, &told)
        return [_shown(&told)] if told.name else []
