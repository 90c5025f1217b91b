from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t

from codecs_ext.rtcp cimport ReportBlock, VoipMetrics

cdef enum:
    GMIN = 16                   # packets received in a row that end a burst (RFC 3611 4.7.2, its recommended value)

cdef struct Reception:
    # RFC 3550 A.1 and A.3, of one source
    bint started
    uint16_t highest
    uint32_t cycles
    uint32_t base
    int restart                 # sequence number that would confirm a restart; -1: none
    int64_t received
    int64_t expected_before     # at the last report
    int64_t received_before
    # RFC 3611 4.7.2, of the whole leg
    uint64_t gone_before        # packets lost or late, as counted so far
    int64_t run                 # packets received since the last one that is gone
    int64_t open_gone           # of the burst that may be under way
    int64_t open_span
    int64_t burst_gone
    int64_t burst_span
    int64_t bursts
    int64_t gap_gone
    int64_t gap_span
    int64_t gone
    int64_t holes               # runs of consecutive packets that are gone

cdef void reception_reset(Reception *state) noexcept nogil
cdef void reception_packet(Reception *state, uint16_t sequence) noexcept nogil
cdef void reception_handled(Reception *state, uint64_t gone) noexcept nogil
cdef void reception_report(Reception *state, ReportBlock *block) noexcept nogil
cdef void reception_bursts(const Reception *state, double packet_ms, VoipMetrics *metrics) noexcept nogil
cdef double reception_burst_ratio(const Reception *state) noexcept nogil
