"""How long packets must wait so that few come too late: a percentile of what they were late by, which forgets.

Within the percentile the cheapest delay is taken: a line that stops for 200 ms once in a while is not made 200 ms longer for good.

A packet's lateness is its transit time less the shortest of the last seconds, so clocks that drift apart do not matter. The
histogram is never decayed as a whole: each packet weighs a little more than the one before it.
"""

from libc.stdint cimport INT64_MAX, int64_t
from libc.string cimport memset

__all__: list[str] = []

cdef enum:
    BIN_NS = 2_000_000
    WINDOW_NS = 2_000_000_000
    FIRST_BIN = 10              # 20 ms, until packets have told better

cdef float REMEMBERED = 0.998   # of each packet at the next one: 10 s of packets of 20 ms
cdef float PRICE_NS = 1.6e9     # of delay that hearing everything is worth: 16 ms for each percent that would be made up
cdef float HEAVIEST = 1e12


cdef void delay_init(Delay *delay, double quantile) noexcept nogil:
    memset(delay, 0, sizeof(Delay))
    delay.quantile = quantile
    delay.weight = 1.0
    delay.bins[FIRST_BIN] = delay.total = 1.0
    delay.target = <int64_t>FIRST_BIN * BIN_NS


cdef void delay_restart(Delay *delay) noexcept nogil:
    """Another sender, another clock, the same network."""
    delay.started = False


cdef void _base(Delay *delay, int64_t transit, int64_t now) noexcept nogil:
    if not delay.started:
        delay.started = True
        delay.minimum[0] = delay.minimum[1] = INT64_MAX
        delay.window_end = now + WINDOW_NS
    elif now >= delay.window_end:
        delay.minimum[0] = delay.minimum[1]
        delay.minimum[1] = INT64_MAX
        delay.window_end = now + WINDOW_NS
    if transit < delay.minimum[1]:
        delay.minimum[1] = transit
    delay.base = delay.minimum[0] if delay.minimum[0] < delay.minimum[1] else delay.minimum[1]


cdef void _lighten(Delay *delay) noexcept nogil:
    cdef int i
    delay.total = 0.0
    for i in range(DELAY_BINS):
        delay.bins[i] /= delay.weight
        delay.total += delay.bins[i]
    delay.weight = 1.0


cdef int64_t _choose(const Delay *delay) noexcept nogil:
    """The delay within the percentile that costs least: each millisecond, and what would still come too late."""
    cdef float sum = 0.0, cost, least = 1e18
    cdef int i, best = 0
    for i in range(DELAY_BINS):
        sum += delay.bins[i]
        cost = (i + 1) * BIN_NS + PRICE_NS * (1.0 - sum / delay.total)
        if cost < least:
            least = cost
            best = i
        if sum >= delay.total * delay.quantile:
            break
    return <int64_t>(best + 1) * BIN_NS


cdef void delay_packet(Delay *delay, int64_t transit, int64_t now) noexcept nogil:
    """A packet has come; ``transit`` is its arrival less its timestamp, from any origin, in nanoseconds."""
    cdef int64_t lateness
    _base(delay, transit, now)
    lateness = (transit - delay.base) // BIN_NS
    if lateness >= DELAY_BINS:
        lateness = DELAY_BINS - 1
    delay.weight /= REMEMBERED
    delay.bins[lateness] += delay.weight
    delay.total += delay.weight
    if delay.weight > HEAVIEST:
        _lighten(delay)
    delay.target = _choose(delay)
