from libc.stdint cimport int16_t

cdef enum:
    PLC_SPAN = 2340             # 48.75 ms at 48 kHz: three of the longest periods, an overlap
    PLC_BRIDGE = 1920           # samples of the longest loss that is filled from both sides: 120 ms at 16 kHz

cdef struct Concealer:
    int scale                   # samples per sample at 8 kHz
    int made                    # samples made up since the last real one
    int period                  # of the pitch when the loss began, in samples
    int overlap                 # a quarter of it
    int periods                 # that are repeated as a whole
    int most                    # that may be
    int place                   # of the next sample in them
    int old_place               # in one period fewer, while that fades out
    int fading                  # samples for which it still does
    float step                  # between the last real sample and what would have preceded the first one made up
    int next                    # place of the next sample in ``heard``
    int16_t heard[PLC_SPAN]     # what was handed up, real or made up, round and round
    int16_t last[PLC_SPAN]      # as it was when the loss began

cdef void plc_init(Concealer *plc, int rate) noexcept nogil
cdef void plc_hear(Concealer *plc, int16_t *samples, int count) noexcept nogil
cdef bint plc_bridge(Concealer *plc, int16_t *samples, int count, const int16_t *behind, int size) noexcept nogil
cdef void plc_make(Concealer *plc, int16_t *samples, int count) noexcept nogil
