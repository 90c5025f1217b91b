"""The order of packets: extended sequence numbers, a small window for those that overtook, and the counts of the rest.

A packet in order costs one comparison and is not copied. Behind a gap packets wait in the window until the gap is filled
or given up. Jumps follow RFC 3550 A.1: one packet far away is dropped, a second in sequence with it moves the stream there.
"""

from libc.stdint cimport int16_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

__all__ = ["Window"]

cdef enum:
    MAX_DROPOUT = 3000          # RFC 3550 A.1
    MAX_MISORDER = 100


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


cdef inline void _advance(Reorder *state, bint came) noexcept nogil:
    state.expected += 1
    state.recent = (state.recent << 1) | came


cdef inline HeldPacket *_slot(Reorder *state, int64_t sequence) noexcept nogil:
    return &state.slots[sequence & (REORDER_SLOTS - 1)]


cdef Verdict _behind(Reorder *state, int64_t distance, Counters *counters) noexcept nogil:
    """``distance`` before the expected packet: seen already, or its place was given up (then it was counted lost)."""
    if distance <= 64:
        if state.recent >> (distance - 1) & 1:
            counters.duplicate += 1
            return DROPPED
        state.recent |= <uint64_t>1 << (distance - 1)
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


cdef Verdict _hold(Reorder *state, int64_t extended, uint32_t timestamp, uint8_t payload_type, const uint8_t *payload,
                   int size, int64_t arrival, int64_t deadline, Counters *counters) noexcept nogil:
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
        state.deadline = deadline
    state.held += 1
    return HELD


cdef Verdict reorder_put(Reorder *state, uint16_t sequence, uint32_t timestamp, uint8_t payload_type,
                         const uint8_t *payload, int size, int64_t arrival, int64_t deadline,
                         Counters *counters) noexcept nogil:
    """One packet of at most ``REORDER_BYTES``. ``deadline`` is how long a gap that it reveals may stay open.

    A packet that lies beyond the window answers ``BEYOND`` and is not taken: make room (``reorder_skip`` and ``reorder_next``, or
    ``reorder_skip_to`` if nothing is held), then offer it again.
    """
    cdef int64_t ahead
    if not state.started:
        state.started = True
        state.expected = sequence
    ahead = <int16_t>(sequence - <uint16_t>(state.expected & 0xFFFF))
    if ahead == 0:
        state.restart = -1
        _advance(state, True)
        return IN_ORDER
    if ahead < 0:
        return _behind(state, -ahead, counters) if ahead >= -MAX_MISORDER else _jumped(state, sequence, counters)
    if ahead > MAX_DROPOUT:
        return _jumped(state, sequence, counters)
    if ahead >= REORDER_SLOTS:
        return BEYOND
    return _hold(state, state.expected + ahead, timestamp, payload_type, payload, size, arrival, deadline, counters)


cdef HeldPacket *reorder_next(Reorder *state) noexcept nogil:
    """The held packet that is in order now, taken out (its data stays until the next put), or NULL."""
    cdef HeldPacket *slot = _slot(state, state.expected)
    if state.held == 0 or not slot.used or slot.sequence != state.expected:
        return NULL
    slot.used = False
    state.held -= 1
    _advance(state, True)
    return slot


cdef void reorder_skip(Reorder *state, Counters *counters) noexcept nogil:
    """Gives up what is missing before the first held packet. Each missing packet is counted lost."""
    while state.held > 0 and not _slot(state, state.expected).used:
        counters.lost += 1
        _advance(state, False)


cdef void reorder_skip_to(Reorder *state, uint16_t sequence, Counters *counters) noexcept nogil:
    """Gives up everything before ``sequence``, which lies ahead, with nothing held: it is the next one expected."""
    cdef int64_t missing = <int16_t>(sequence - <uint16_t>(state.expected & 0xFFFF))
    counters.lost += missing
    state.expected += missing
    state.recent = state.recent << missing if missing < 64 else 0


cdef class Window:
    """The window alone, fed with numbers: what a receiver would handle, in order.

    ``put`` and ``give_up`` return the extended sequence numbers that are handled, in the order of handling.
    """

    cdef Reorder state
    cdef Counters counters

    def __cinit__(self) -> None:
        memset(&self.counters, 0, sizeof(Counters))
        reorder_reset(&self.state)

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

    def put(self, sequence: int):
        """One packet. Extended numbers start with the first packet's own."""
        cdef uint8_t payload = 0
        cdef Verdict verdict = reorder_put(&self.state, sequence, 0, 0, &payload, 1, 0, 0, &self.counters)
        cdef list out = []
        while verdict == BEYOND:
            if self.state.held:
                out += self.give_up()
            else:
                reorder_skip_to(&self.state, sequence, &self.counters)
            verdict = reorder_put(&self.state, sequence, 0, 0, &payload, 1, 0, 0, &self.counters)
        if verdict == IN_ORDER or verdict == RESTARTED:
            out.append(self.state.expected - 1)
            out += self._drain()
        return out

    def give_up(self):
        """The time for the missing packet is over."""
        reorder_skip(&self.state, &self.counters)
        return self._drain()
