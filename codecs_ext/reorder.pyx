"""The order of packets: extended sequence numbers, a small window for those that overtook, and the counts of the rest.

A packet in order costs one comparison and is not copied. Behind a gap packets wait in the window until the gap is filled
or given up. Jumps follow RFC 3550 A.1: one packet far away is dropped, a second in sequence with it moves the stream there.

How long a gap is waited for follows the line: as long as overtaken packets have been late, and less with each gap that
nothing fills, so that a line that loses but does not reorder is not delayed at every loss.
"""

from libc.stdint cimport int16_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

__all__ = ["Window"]

cdef enum:
    MAX_DROPOUT = 3000          # RFC 3550 A.1
    MAX_MISORDER = 100

cdef int64_t SLACK_NS = 2_000_000       # beside a quarter more than was seen


cdef void reorder_init(Reorder *state, int64_t longest, int64_t least) noexcept nogil:
    """The window begins at its longest: what is not known is waited for."""
    state.longest = state.window = longest
    state.least = least if least < longest else longest
    state.opened = 0
    reorder_reset(state)


cdef void reorder_reset(Reorder *state) noexcept nogil:
    """Forgets everything; the next packet starts a sequence."""
    cdef int i
    state.started = False
    state.expected = state.deadline = 0
    state.recent = 0
    state.restart = -1
    state.held = 0
    for i in range(REORDER_SLOTS):
        state.slots[i].used = False


cdef void _learn_late(Reorder *state, int64_t lateness) noexcept nogil:
    """A packet came so long after one behind it. What no window could have waited for says nothing."""
    cdef int64_t wanted = lateness + lateness // 4 + SLACK_NS
    if lateness <= state.longest and wanted > state.window:
        state.window = wanted if wanted < state.longest else state.longest


cdef inline void _learn_lost(Reorder *state) noexcept nogil:
    state.window -= (state.window - state.least) >> 3


cdef inline void _advance(Reorder *state, bint came) noexcept nogil:
    state.expected += 1
    state.recent = (state.recent << 1) | came


cdef inline HeldPacket *_slot(Reorder *state, int64_t sequence) noexcept nogil:
    return &state.slots[sequence & (REORDER_SLOTS - 1)]


cdef Verdict _behind(Reorder *state, int64_t distance, int64_t now, Counters *counters) noexcept nogil:
    """``distance`` before the expected packet: seen already, or its place was given up (then it was counted lost)."""
    if distance <= 64:
        if state.recent >> (distance - 1) & 1:
            counters.duplicate += 1
            return DROPPED
        state.recent |= <uint64_t>1 << (distance - 1)
        _learn_late(state, now - state.opened)
        if counters.lost > 0:
            counters.lost -= 1
    counters.late += 1
    return DROPPED


cdef Verdict _jumped(Reorder *state, uint16_t sequence, Counters *counters) noexcept nogil:
    if state.restart == sequence:
        reorder_reset(state)
        state.started = True
        state.expected = sequence
        _advance(state, True)
        return RESTARTED
    state.restart = <uint16_t>(sequence + 1)
    counters.late += 1
    return DROPPED


cdef void _open_gap(Reorder *state, int64_t now) noexcept nogil:
    state.opened = now
    state.deadline = now + state.window


cdef Verdict _hold(Reorder *state, int64_t extended, uint32_t timestamp, uint8_t payload_type, const uint8_t *payload,
                   int size, int64_t arrival, int64_t now, Counters *counters) noexcept nogil:
    cdef HeldPacket *slot = _slot(state, extended)
    if slot.used:
        counters.duplicate += 1
        return DROPPED
    slot.used = True
    slot.sequence = extended
    slot.arrival = arrival
    slot.timestamp = timestamp
    slot.payload_type = payload_type
    slot.size = size
    memcpy(slot.data, payload, size)
    if state.held == 0:
        _open_gap(state, now)
    state.held += 1
    return HELD


cdef Verdict reorder_put(Reorder *state, uint16_t sequence, uint32_t timestamp, uint8_t payload_type,
                         const uint8_t *payload, int size, int64_t arrival, int64_t now,
                         Counters *counters) noexcept nogil:
    """One packet of at most ``REORDER_BYTES``.

    A packet that lies beyond the window answers ``BEYOND`` and is not taken: make room (``reorder_skip`` and ``reorder_next``, or
    ``reorder_skip_to`` if nothing is held), then offer it again.
    """
    cdef int64_t ahead
    if not state.started:
        state.started = True
        state.expected = sequence
    ahead = <int16_t>(sequence - <uint16_t>(state.expected & 0xFFFF))
    if ahead == 0:
        if state.held:
            _learn_late(state, now - state.opened)
        state.restart = -1
        _advance(state, True)
        return IN_ORDER
    if ahead < 0:
        return _behind(state, -ahead, now, counters) if ahead >= -MAX_MISORDER else _jumped(state, sequence, counters)
    if ahead > MAX_DROPOUT:
        return _jumped(state, sequence, counters)
    if ahead >= REORDER_SLOTS:
        return BEYOND
    return _hold(state, state.expected + ahead, timestamp, payload_type, payload, size, arrival, now, counters)


cdef HeldPacket *reorder_next(Reorder *state) noexcept nogil:
    """The held packet that is in order now, taken out (its data stays until the next put), or NULL."""
    cdef HeldPacket *slot = _slot(state, state.expected)
    if state.held == 0 or not slot.used or slot.sequence != state.expected:
        return NULL
    slot.used = False
    state.held -= 1
    _advance(state, True)
    return slot


cdef int reorder_skip(Reorder *state, Counters *counters) noexcept nogil:
    """Gives up what is missing before the first held packet; returns how many, each counted lost."""
    cdef int missing = 0
    while state.held > 0 and not _slot(state, state.expected).used:
        missing += 1
        _advance(state, False)
    counters.lost += missing
    if missing:
        _learn_lost(state)
    return missing


cdef void reorder_reopen(Reorder *state, int64_t now) noexcept nogil:
    """After ``reorder_next`` was asked until it had nothing: a gap that is left is given a window of its own."""
    if state.held:
        _open_gap(state, now)


cdef int reorder_skip_to(Reorder *state, uint16_t sequence, Counters *counters) noexcept nogil:
    """Gives up everything before ``sequence``, which lies ahead, with nothing held: it is the next one expected."""
    cdef int missing = <int16_t>(sequence - <uint16_t>(state.expected & 0xFFFF))
    counters.lost += missing
    state.expected += missing
    state.recent = state.recent << missing if missing < 64 else 0
    return missing


cdef class Window:
    """The window alone, fed with numbers: what a receiver would handle, in order.

    ``put`` and ``give_up`` return the extended sequence numbers that are handled, in the order of handling.
    """

    cdef Reorder state
    cdef Counters counters

    def __cinit__(self, longest_ns: int = 40_000_000, least_ns: int = 10_000_000) -> None:
        memset(&self.counters, 0, sizeof(Counters))
        reorder_init(&self.state, longest_ns, least_ns)

    @property
    def window_ns(self) -> int:
        """How long a gap would be waited for now."""
        return self.state.window

    @property
    def deadline(self) -> int:
        """When the gap is to be given up; None if there is none."""
        return self.state.deadline if self.state.held else None

    @property
    def held(self) -> int:
        """Packets that wait behind a gap."""
        return self.state.held

    @property
    def counts(self) -> tuple[int, int, int]:
        """Packets lost, late and duplicate."""
        return self.counters.lost, self.counters.late, self.counters.duplicate

    cdef list _drain(self):
        cdef HeldPacket *packet = reorder_next(&self.state)
        out = []
        while packet != NULL:
            out.append(packet.sequence)
            packet = reorder_next(&self.state)
        return out

    def put(self, sequence: int, now: int = 0):
        """One packet. Extended numbers start with the first packet's own."""
        cdef uint8_t payload = 0
        cdef Verdict verdict = reorder_put(&self.state, sequence, 0, 0, &payload, 1, now, now, &self.counters)
        cdef list out = []
        while verdict == BEYOND:
            if self.state.held:
                out += self.give_up(now)
            else:
                reorder_skip_to(&self.state, sequence, &self.counters)
            verdict = reorder_put(&self.state, sequence, 0, 0, &payload, 1, now, now, &self.counters)
        if verdict == IN_ORDER or verdict == RESTARTED:
            out.append(self.state.expected - 1)
            out += self._drain()
            reorder_reopen(&self.state, now)
        return out

    def give_up(self, now: int = 0):
        """The time for the missing packet is over."""
        reorder_skip(&self.state, &self.counters)
        out = self._drain()
        reorder_reopen(&self.state, now)
        return out
