"""Digits that are sent: as telephone-events (RFC 4733), or as tones where those were not agreed on.

One packet of each packet time is asked for. An event's packets carry the timestamp of its beginning and a duration that
grows; the first has the marker; the last has the end bit and is sent three times in all. A tone that is longer than the
duration field can say is sent as segments (2.5.1.3). The end packets and the silence behind them are the gap.
"""

from cython cimport cdivision
from libc.math cimport M_PI, floor, sin
from libc.stdint cimport int16_t, int64_t, uint8_t, uint32_t
from libc.string cimport memset

from codecs_ext.playout cimport Block, block_new, block_return

__all__: list[str] = []

cdef enum:
    VOLUME = 10                 # -dBm0: what telephones send
    END = 0x80
    LONGEST_EVENT = 0xFFFF
    REPEATS = 2                 # of the end packet

cdef const char *NAMES = b"0123456789*#ABCD"

# ITU-T Q.23; the high group is sent 2 dB louder (Q.24, twist), both together at -6 dB of full scale.
cdef double[16] LOW = [941, 697, 697, 697, 770, 770, 770, 852, 852, 852, 941, 941, 697, 770, 852, 941]
cdef double[16] HIGH = [1336, 1209, 1336, 1477, 1209, 1336, 1477, 1209, 1336, 1477, 1209, 1477, 1633, 1633, 1633, 1633]
cdef double LOW_LEVEL = 0.22 * 32767
cdef double HIGH_LEVEL = 0.28 * 32767


cdef int _event(char digit) noexcept nogil:
    """-1 for what is no digit."""
    cdef int event
    for event in range(16):
        if NAMES[event] == digit:
            return event
    return -1


cdef Block *dial_order(const char *digits, int count, int tone_ms, int gap_ms, int64_t number) noexcept nogil:
    """An order, or NULL without memory or for what are no digits. Not called on the plane's thread."""
    cdef Block *order = block_new(0, 2 + count, number)
    cdef int i, event
    if order == NULL:
        return NULL
    order.samples[0] = <int16_t>tone_ms
    order.samples[1] = <int16_t>gap_ms
    order.taken = 2
    for i in range(count):
        event = _event(digits[i])
        if event < 0:
            order.count = 0
            return order
        order.samples[2 + i] = <int16_t>event
    return order


cdef void dial_push(Dial *dial, Block *order) noexcept nogil:
    if dial.first == NULL:
        dial.first = order
    else:
        dial.last.next = order
    dial.last = order


cdef void dial_clear(Dial *dial, Block **freed) noexcept nogil:
    cdef Block *order = dial.first
    while order != NULL:
        dial.first = order.next
        block_return(freed, order)
        order = dial.first
    dial.last = NULL
    dial.state = NOTHING


cdef void _begin(Dial *dial, Block *order, uint32_t timestamp, int clock) noexcept nogil:
    dial.event = <uint8_t>order.samples[order.taken]
    order.taken += 1
    dial.state = TONE
    dial.marker = True
    dial.timestamp = timestamp
    dial.duration = 0
    dial.tone = <int64_t>order.samples[0] * clock // 1000
    dial.gap = <int64_t>order.samples[1] * clock // 1000
    dial.repeats = REPEATS
    dial.low = dial.high = 0.0


cdef Dialling dial_next(Dial *dial, uint32_t timestamp, int clock, Block **done) noexcept nogil:
    """What the packet at ``timestamp`` holds. ``done`` is an order that has just ended, for the caller to give back."""
    cdef Block *order
    done[0] = NULL
    if dial.state == ENDING and dial.repeats == 0:
        dial.state = GAP
    if dial.state == GAP and dial.gap <= 0:
        dial.state = NOTHING
    if dial.state != NOTHING or dial.first == NULL:
        return dial.state
    order = dial.first
    if order.taken >= order.count:
        dial.first = order.next
        if dial.first == NULL:
            dial.last = NULL
        done[0] = order
        order = dial.first
    if order != NULL:
        _begin(dial, order, timestamp, clock)
    return dial.state


cdef void dial_event(Dial *dial, int step, uint8_t *payload) noexcept nogil:
    """The payload of the next packet of the event, during ``step`` units of the clock; ``timestamp`` is its own."""
    if dial.state == TONE:
        if dial.duration + step > LONGEST_EVENT and dial.tone > LONGEST_EVENT:
            dial.timestamp += LONGEST_EVENT
            dial.duration -= LONGEST_EVENT
            dial.tone -= LONGEST_EVENT
        dial.duration += step
        if dial.duration >= dial.tone:
            dial.duration = dial.tone
            dial.state = ENDING
    else:
        dial.repeats -= 1
        dial.gap -= step
    payload[0] = dial.event
    payload[1] = VOLUME | (END if dial.state == ENDING else 0)
    payload[2] = <uint8_t>(dial.duration >> 8)
    payload[3] = <uint8_t>dial.duration


cdef void dial_pause(Dial *dial, int step) noexcept nogil:
    """A packet of silence has gone by."""
    dial.gap -= step


@cdivision(True)
cdef void dial_tone(Dial *dial, int step, int16_t *samples, int count, int rate) noexcept nogil:
    """The next samples of the digit, as a tone."""
    cdef int i, sounding = count
    if (dial.tone - dial.duration) * count / step < count:
        sounding = <int>((dial.tone - dial.duration) * count / step)
    for i in range(sounding):
        samples[i] = <int16_t>(LOW_LEVEL * sin(2 * M_PI * dial.low) + HIGH_LEVEL * sin(2 * M_PI * dial.high))
        dial.low += LOW[dial.event] / rate
        dial.high += HIGH[dial.event] / rate
    dial.low -= floor(dial.low)
    dial.high -= floor(dial.high)
    memset(samples + sounding, 0, (count - sounding) * sizeof(int16_t))
    dial.duration += step
    if dial.duration >= dial.tone:
        dial.gap -= dial.duration - dial.tone
        dial.state = GAP
