from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t

cdef struct Dump:
    bint six
    uint8_t host[16]            # ours
    uint16_t port               # in network order
    uint16_t control_port
    uint8_t *data               # blocks that nobody has taken yet
    int64_t size
    int64_t room
    uint32_t lost

cdef void dump_packet(Dump *dump, const uint8_t *data, int size, const uint8_t *remote, int64_t time,
                      int flags) noexcept nogil

cdef class Trace:
    cdef Dump dump
