from libc.stdint cimport int16_t, uint8_t, uint32_t

cdef enum:
    NOISE_ORDER = 10            # reflection coefficients that are used

cdef struct Noise:
    bint known                  # the sender has described its noise
    float amplitude             # of the excitation
    int order
    float coefficient[NOISE_ORDER]
    float backward[NOISE_ORDER + 1]
    uint32_t random

cdef void noise_describe(Noise *noise, const uint8_t *payload, int size) noexcept nogil
cdef void noise_level(Noise *noise, float level_db) noexcept nogil
cdef void noise_make(Noise *noise, int16_t *samples, int count) noexcept nogil
