from libc.stdint cimport int64_t, uint8_t, uint32_t

cdef struct Digit:
    char name                   # 0: none
    int duration_ms
    int64_t arrival

cdef struct DigitState:
    uint32_t per_ms             # of the clock that timestamps and durations count
    bint active                 # an event is under way and has not been told
    bint seen                   # timestamp holds that of the last event
    uint8_t event
    uint32_t timestamp          # of its (latest) segment
    uint32_t duration           # of that segment
    uint32_t before             # of the segments before it
    int64_t arrival             # of its latest packet
    int64_t deadline

cdef void dtmf_receive(DigitState *state, const uint8_t *payload, int size, uint32_t timestamp, int64_t arrival,
                       int64_t now, Digit *ended, Digit *told) noexcept nogil
cdef void dtmf_finish(DigitState *state, Digit *told) noexcept nogil
