"""A bad line: what happens to the datagrams of one direction of a leg, for callers that measure others.

For each datagram, in this order: is it lost (Gilbert-Elliott), how long is it under way (a delay, and jitter that is
uniform or read from a recorded trace, which lets none overtake another), is it held back so that others do overtake it,
does it come twice. Every datagram takes the same draws from the generator, whatever becomes of it: the same seed does
the same to the same packets.
"""

from libc.stdint cimport INT64_MAX, int32_t, int64_t, uint8_t, uint16_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memmove, memset

from codecs_ext.linux cimport sockaddr_storage

__all__ = ["LineModel"]


cdef size_t line_bytes(int capacity) noexcept nogil:
    return sizeof(Line) + (capacity - 1) * sizeof(Held)


cdef void line_init(Line *line, const LineOptions *options, int capacity) noexcept nogil:
    """``capacity`` is at most ``LINE_MOST``."""
    cdef int i
    memset(line, 0, sizeof(Line))
    line.options = options[0]
    line.random = options.seed
    line.capacity = capacity
    for i in range(capacity):
        line.order[i] = <uint16_t>i
    if options.trace_count > 0:
        line.place = <int>(_draw(line) * options.trace_count)


cdef double _draw(Line *line) noexcept nogil:
    """Between 0 and 1 (SplitMix64, Steele and others 2014)."""
    cdef uint64_t z
    line.random += <uint64_t>0x9E3779B97F4A7C15
    z = line.random
    z = (z ^ (z >> 30)) * <uint64_t>0xBF58476D1CE4E5B9
    z = (z ^ (z >> 27)) * <uint64_t>0x94D049BB133111EB
    z ^= z >> 31
    return <double>(z >> 11) * (1.0 / 9007199254740992.0)


cdef int64_t _jitter(Line *line, double drawn) noexcept nogil:
    cdef int64_t late = <int64_t>(drawn * <double>line.options.jitter_ns)
    if line.options.trace_count > 0:
        late += <int64_t>line.options.trace[line.place] * 1000
        line.place += 1
        if line.place == line.options.trace_count:
            line.place = 0
    return late


cdef int line_judge(Line *line, int64_t now, int64_t *due) noexcept nogil:
    """How often the next datagram comes (0: it is lost), and when."""
    cdef double turn = _draw(line), lose = _draw(line), jitter = _draw(line)
    cdef double reorder = _draw(line), twice = _draw(line)
    line.counts.packets += 1
    due[0] = now + line.options.delay_ns + _jitter(line, jitter)
    if due[0] < line.last:
        due[0] = line.last
    line.last = due[0]
    line.bad = turn >= line.options.to_good if line.bad else turn < line.options.to_bad
    if lose < (line.options.loss_bad if line.bad else line.options.loss_good):
        line.counts.lost += 1
        return 0
    if reorder < line.options.reorder:
        line.counts.reordered += 1
        due[0] += line.options.reorder_ns
    if twice < line.options.duplicate:
        line.counts.duplicated += 1
        return 2
    return 1


cdef bint line_hold(Line *line, const uint8_t *data, int size, const sockaddr_storage *source, int64_t due) noexcept nogil:
    """Keeps a copy until it is due. False if there is no room for it."""
    cdef int at = line.count
    cdef uint16_t slot
    cdef Held *held
    if line.count == line.capacity or size > LINE_BYTES:
        line.counts.crowded += 1
        return False
    slot = line.order[line.count]
    held = &line.held[slot]
    held.due = due
    held.size = size
    if source != NULL:
        held.source = source[0]
    memcpy(held.data, data, size)
    while at > 0 and line.held[line.order[at - 1]].due > due:
        at -= 1
    memmove(&line.order[at + 1], &line.order[at], (line.count - at) * sizeof(uint16_t))
    line.order[at] = slot
    line.count += 1
    return True


cdef int64_t line_due(const Line *line) noexcept nogil:
    """When the next one is."""
    return line.held[line.order[0]].due if line.count else INT64_MAX


cdef Held *line_take(Line *line) noexcept nogil:
    """The one that is due first; it may be read until the next call of ``line_hold``."""
    cdef uint16_t slot = line.order[0]
    line.count -= 1
    memmove(&line.order[0], &line.order[1], line.count * sizeof(uint16_t))
    line.order[line.count] = slot
    return &line.held[slot]


cdef class LineModel:
    """One direction alone, with datagrams and time handed in."""

    cdef Line *line
    cdef bytes trace

    def __cinit__(self, *, seed: int = 0, to_bad: float = 0.0, to_good: float = 1.0, loss_good: float = 0.0,
                  loss_bad: float = 1.0, reorder: float = 0.0, duplicate: float = 0.0, delay_ns: int = 0,
                  jitter_ns: int = 0, reorder_ns: int = 0, trace: bytes = b"", capacity: int = 64) -> None:
        cdef LineOptions options
        cdef const char *delays = trace
        if not 0 < capacity <= LINE_MOST or len(trace) % 4:
            raise ValueError(f"{capacity} datagrams, and a trace of {len(trace)} octets")
        self.trace = trace
        options = LineOptions(seed, to_bad, to_good, loss_good, loss_bad, reorder, duplicate, delay_ns, jitter_ns,
                              reorder_ns, <const int32_t *>delays, <int>(len(trace) // 4))
        self.line = <Line *>calloc(1, line_bytes(capacity))
        if self.line == NULL:
            raise MemoryError
        line_init(self.line, &options, capacity)

    def __dealloc__(self) -> None:
        free(self.line)

    @property
    def counts(self) -> dict[str, int]:
        """What was done so far."""
        return self.line.counts

    def put(self, const uint8_t[::1] data not None, now: int) -> int:
        """A datagram comes; how often it will come out."""
        cdef int64_t due = 0
        cdef int copies = line_judge(self.line, now, &due), i
        for i in range(copies):
            line_hold(self.line, &data[0], <int>data.shape[0], NULL, due)
        return copies

    def take(self, now: int):
        """``(due, datagram)`` of all that are due."""
        cdef Held *held
        found = []
        while line_due(self.line) <= now:
            held = line_take(self.line)
            found.append((held.due, (<char *>held.data)[:held.size]))
        return found
