from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint64_t

from codecs_ext.linux cimport sockaddr_storage

cdef enum:
    LINE_BYTES = 544            # of a datagram that is held: G.711 of 60 ms, and what SRTP adds
    LINE_MOST = 512             # datagrams that are under way at a time

cdef struct LineOptions:
    # One direction, as ``gateway.media.contract.LineTerms`` says it.
    uint64_t seed
    double to_bad               # Gilbert-Elliott: from the good state, per packet
    double to_good
    double loss_good
    double loss_bad
    double reorder
    double duplicate
    int64_t delay_ns
    int64_t jitter_ns           # uniform
    int64_t reorder_ns
    const int32_t *trace        # microseconds of further delay, packet by packet; NULL: none
    int trace_count

cdef struct LineCounts:
    uint64_t packets
    uint64_t lost
    uint64_t reordered
    uint64_t duplicated
    uint64_t crowded            # found no room, and went on at once

cdef struct Held:
    int64_t due
    int size
    sockaddr_storage source     # of what was received
    uint8_t data[LINE_BYTES]

cdef struct Line:
    LineOptions options
    LineCounts counts
    uint64_t random
    bint bad
    int place                   # in the trace
    int64_t last                # due time of the packet before
    int capacity
    int count
    uint16_t order[LINE_MOST]   # the first ``count``: held, by due time; the rest: free
    Held held[1]                # ``capacity`` of them

cdef size_t line_bytes(int capacity) noexcept nogil
cdef void line_init(Line *line, const LineOptions *options, int capacity) noexcept nogil
cdef int line_judge(Line *line, int64_t now, int64_t *due) noexcept nogil
cdef bint line_hold(Line *line, const uint8_t *data, int size, const sockaddr_storage *source, int64_t due) noexcept nogil
cdef int64_t line_due(const Line *line) noexcept nogil
cdef Held *line_take(Line *line) noexcept nogil
