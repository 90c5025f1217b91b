from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t, uint8_t

from codecs_ext.codec cimport CODEC_BYTES
from codecs_ext.counters cimport Counters

cdef enum:
    REORDER_SLOTS = 8
    REORDER_BYTES = CODEC_BYTES

cdef enum Verdict:
    IN_ORDER                    # handle it now, then call reorder_next until it returns NULL
    HELD                        # copied; a packet before it is missing
    DROPPED                     # duplicate, late or implausible: counted
    BEYOND                      # not taken: further ahead than the window reaches
    RESTARTED                   # handle it now: the sequence begins anew with it

cdef struct HeldPacket:
    bint used
    int64_t sequence            # extended
    int64_t arrival
    uint32_t timestamp
    uint8_t payload_type
    int size
    uint8_t data[REORDER_BYTES]

cdef struct Reorder:
    bint started
    int64_t expected            # extended sequence number of the next packet
    uint64_t recent             # bit n: packet (expected - 1 - n) came in time
    int64_t restart             # sequence number that would confirm a jump (RFC 3550 A.1), or -1
    int held
    int64_t opened              # when the gap was found, that is open or was given up last
    int64_t deadline            # when it is given up; meaningful while held > 0
    int64_t longest             # bounds of the window, in nanoseconds
    int64_t least
    int64_t window              # as the overtaking that was seen suggests
    HeldPacket slots[REORDER_SLOTS]

cdef void reorder_init(Reorder *state, int64_t longest, int64_t least) noexcept nogil
cdef void reorder_reset(Reorder *state) noexcept nogil
cdef Verdict reorder_put(Reorder *state, uint16_t sequence, uint32_t timestamp, uint8_t payload_type,
                         const uint8_t *payload, int size, int64_t arrival, int64_t now,
                         Counters *counters) noexcept nogil
cdef HeldPacket *reorder_next(Reorder *state) noexcept nogil
cdef int reorder_skip(Reorder *state, Counters *counters) noexcept nogil
cdef void reorder_reopen(Reorder *state, int64_t now) noexcept nogil
cdef int reorder_skip_to(Reorder *state, uint16_t sequence, Counters *counters) noexcept nogil
