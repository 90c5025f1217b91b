from libc.stdint cimport int16_t, int64_t, uint8_t, uint16_t, uint32_t

from codecs_ext.playout cimport Block

cdef enum:
    EVENT_BYTES = 4
    DIGITS_MAX = 64             # of one order

cdef enum Dialling:
    NOTHING
    TONE
    ENDING                      # the end packet is repeated (RFC 4733 2.5.1.4)
    GAP

cdef struct Dial:
    Block *first                # orders: tone and gap in ms, then events; its number is told when it is done, -1: not
    Block *last
    Dialling state
    uint8_t event
    bint marker                 # the next packet is the first of its event
    uint32_t timestamp          # of the event, or its segment
    int64_t duration            # of it so far, in clock units
    int64_t tone                # of it in all
    int64_t gap                 # that is left, counted from the end of the tone
    int repeats
    double low                  # phases, in turns
    double high

cdef Block *dial_order(const char *digits, int count, int tone_ms, int gap_ms, int64_t number) noexcept nogil
cdef void dial_push(Dial *dial, Block *order) noexcept nogil
cdef Dialling dial_next(Dial *dial, uint32_t timestamp, int clock, Block **done) noexcept nogil
cdef void dial_event(Dial *dial, int step, uint8_t *payload) noexcept nogil
cdef void dial_tone(Dial *dial, int step, int16_t *samples, int count, int rate) noexcept nogil
cdef void dial_pause(Dial *dial, int step) noexcept nogil
cdef void dial_clear(Dial *dial, Block **freed) noexcept nogil
