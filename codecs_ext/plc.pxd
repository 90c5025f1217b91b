from libc.stdint cimport int16_t

cdef enum:
    PLC_PERIOD = 160            # 20 ms at 8 kHz

cdef struct Concealer:
    int made                    # samples made up since the last real one
    int16_t last[PLC_PERIOD]    # the end of the last real audio

cdef void plc_init(Concealer *plc, int rate) noexcept nogil
cdef void plc_hear(Concealer *plc, const int16_t *samples, int count) noexcept nogil
cdef void plc_make(Concealer *plc, int16_t *samples, int count) noexcept nogil
