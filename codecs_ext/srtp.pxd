from libc.stdint cimport uint8_t, uint32_t

cdef enum:
    SRTP_TRAILER = 32           # octets that protection adds at most: a tag of 16, and SRTCP's index of 4

ctypedef void *Session          # one direction; NULL is none

cdef Session srtp_open(int profile, const uint8_t *key, bint inbound, uint32_t ssrc) noexcept nogil
cdef void srtp_close(Session session) noexcept nogil
cdef int srtp_protect(Session session, uint8_t *packet, int size, bint control) noexcept nogil
cdef int srtp_unprotect(Session session, uint8_t *packet, int size, bint control) noexcept nogil
