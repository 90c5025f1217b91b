from libc.stdint cimport int16_t, uint8_t

cdef enum Law:
    LAW_MU = 0      # PCMU
    LAW_A = 1       # PCMA

cdef void g711_decode(Law law, const uint8_t *encoded, int16_t *samples, int count) noexcept nogil
cdef void g711_encode(Law law, const int16_t *samples, uint8_t *encoded, int count) noexcept nogil
