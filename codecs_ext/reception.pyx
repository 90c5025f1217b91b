"""What a receiver reports of a stream: loss as RFC 3550 A.3 counts it, bursts and gaps as RFC 3611 4.7.2 defines them.

Loss is counted twice in the plane, on purpose: here by the rule that every RTCP receiver uses, from the highest sequence
number and the packets that came, and in ``Counters`` by what was really given up, late packets apart.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memset

from codecs_ext.rtcp cimport ReportBlock, VoipMetrics

__all__ = ["Statistics"]

cdef enum:
    MAX_DROPOUT = 3000          # RFC 3550 A.1
    MAX_MISORDER = 100


cdef void _begin(Reception *state, uint16_t sequence) noexcept nogil:
    state.started = True
    state.highest = sequence
    state.base = sequence
    state.cycles = 0
    state.restart = -1
    state.received = state.received_before = state.expected_before = 0


cdef void reception_reset(Reception *state) noexcept nogil:
    """Another source: its first packet begins its count. Bursts go on, they are the listener's."""
    state.started = False


cdef void reception_packet(Reception *state, uint16_t sequence) noexcept nogil:
    """One valid packet of the source, duplicates too (RFC 3550 A.1, without the probation)."""
    cdef uint16_t ahead
    if not state.started:
        _begin(state, sequence)
    ahead = <uint16_t>(sequence - state.highest)
    if ahead < MAX_DROPOUT:
        if sequence < state.highest:
            state.cycles += 65536
        state.highest = sequence
    elif ahead <= 65536 - MAX_MISORDER:
        if state.restart != sequence:
            state.restart = <uint16_t>(sequence + 1)
            return
        _begin(state, sequence)
    state.received += 1


cdef int64_t _expected(const Reception *state) noexcept nogil:
    return <int64_t>state.cycles + state.highest - state.base + 1 if state.started else 0


cdef void reception_report(Reception *state, ReportBlock *block) noexcept nogil:
    """Fills in what was lost and the highest sequence number (RFC 3550 6.4.1, A.3); the interval ends here."""
    cdef int64_t expected = _expected(state)
    cdef int64_t lost = expected - state.received
    cdef int64_t interval = expected - state.expected_before
    cdef int64_t interval_lost = interval - (state.received - state.received_before)
    block.lost = <int>(0x7FFFFF if lost > 0x7FFFFF else -0x800000 if lost < -0x800000 else lost)
    block.fraction = 0
    if interval > 0 and interval_lost > 0:
        block.fraction = <uint8_t>(255 if interval_lost >= interval else (interval_lost << 8) // interval)
    block.highest = state.cycles + state.highest if state.started else 0
    state.expected_before = expected
    state.received_before = state.received


# --- bursts and gaps --------------------------------------------------------------------------------------------------


cdef void _close(Reception *state) noexcept nogil:
    """What was under way has ended: a burst, or a loss alone, which belongs to the gap around it (RFC 3611 4.7.2)."""
    if state.open_gone > 1:
        state.bursts += 1
        state.burst_gone += state.open_gone
        state.burst_span += state.open_span
    else:
        state.gap_gone += state.open_gone
        state.gap_span += state.open_span
    state.open_gone = state.open_span = 0


cdef void _gone(Reception *state) noexcept nogil:
    state.gone += 1
    if state.run or state.gone == 1:
        state.holes += 1
    if state.open_gone == 0 or state.run >= GMIN:
        _close(state)
        state.gap_span += state.run
        state.open_span = 1
    else:
        state.open_span += state.run + 1
    state.open_gone += 1
    state.run = 0


cdef void reception_handled(Reception *state, uint64_t gone) noexcept nogil:
    """One packet was handled in its turn. ``gone``: how many have been lost or discarded on this leg so far."""
    cdef uint64_t missing = gone - state.gone_before
    state.gone_before = gone
    if missing > MAX_DROPOUT:       # no stream loses so many at once: it was interrupted
        missing = MAX_DROPOUT
    while missing:
        _gone(state)
        missing -= 1
    state.run += 1


cdef inline int _clamp(double value, int limit) noexcept nogil:
    return limit if value > limit else <int>(value + 0.5) if value > 0 else 0


cdef void reception_bursts(const Reception *state, double packet_ms, VoipMetrics *metrics) noexcept nogil:
    """Fills in densities and mean durations. What is under way counts as if it ended now."""
    cdef Reception final = state[0]
    _close(&final)
    final.gap_span += final.run
    metrics.gmin = GMIN
    metrics.burst_density = <uint8_t>_clamp(256.0 * final.burst_gone / final.burst_span if final.burst_span else 0, 255)
    metrics.gap_density = <uint8_t>_clamp(256.0 * final.gap_gone / final.gap_span if final.gap_span else 0, 255)
    metrics.burst_ms = <uint16_t>_clamp(final.burst_span * packet_ms / final.bursts if final.bursts else 0, 65535)
    metrics.gap_ms = <uint16_t>_clamp(final.gap_span * packet_ms / (final.bursts + 1), 65535)


cdef double reception_burst_ratio(const Reception *state) noexcept nogil:
    """BurstR of G.107 7.5: the mean length of a hole over that of random loss of the same rate."""
    cdef double span = state.gap_span + state.burst_span + state.open_span + state.run
    if state.holes == 0 or span <= state.gone:
        return 1.0
    return <double>state.gone / state.holes * (1.0 - state.gone / span)


cdef class Statistics:
    """The statistics alone, fed with numbers."""

    cdef Reception state

    def __cinit__(self) -> None:
        memset(&self.state, 0, sizeof(Reception))

    @property
    def burst_ratio(self) -> float:
        """BurstR of the E-model."""
        return reception_burst_ratio(&self.state)

    def packet(self, sequence: int) -> None:
        """A packet has come."""
        reception_packet(&self.state, <uint16_t>(sequence & 0xFFFF))

    def handled(self, gone: int) -> None:
        """A packet was handled in its turn, ``gone`` having been lost or discarded so far."""
        reception_handled(&self.state, gone)

    def report(self):
        """The loss fields of a report block."""
        cdef ReportBlock block
        memset(&block, 0, sizeof(block))
        reception_report(&self.state, &block)
        return {"fraction": block.fraction, "lost": block.lost, "highest": block.highest}

    def bursts(self, packet_ms: float):
        """The burst and gap fields of VoIP metrics."""
        cdef VoipMetrics metrics
        memset(&metrics, 0, sizeof(metrics))
        reception_bursts(&self.state, packet_ms, &metrics)
        return {"burst_density": metrics.burst_density, "gap_density": metrics.gap_density,
                "burst_ms": metrics.burst_ms, "gap_ms": metrics.gap_ms}
