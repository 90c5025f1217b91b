"""A ring of records of any size between one producer thread and one consumer thread: no lock, no system call.

A record is contiguous in memory, so that samples are resampled straight into it; where it would cross the end, a filler
takes the rest. ``head`` and ``tail`` count bytes and never wrap; only their low bits address the memory.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from codecs_ext.atomics cimport lc_load, lc_store

__all__ = ["Pipe"]


cdef bint ring_init(Ring *ring, uint64_t capacity) noexcept nogil:
    """``capacity`` in bytes, rounded up to a power of two. False without memory."""
    memset(ring, 0, sizeof(Ring))
    ring.capacity = 4096
    while ring.capacity < capacity:
        ring.capacity *= 2
    ring.data = <uint8_t *>malloc(ring.capacity)
    return ring.data != NULL


cdef void ring_free(Ring *ring) noexcept nogil:
    free(ring.data)
    ring.data = NULL


cdef Record *ring_reserve(Ring *ring, Kind kind, uint32_t slot, uint32_t size, uint64_t spare) noexcept nogil:
    """Producer: room for a header and ``size`` bytes, or NULL if fewer than ``spare`` bytes would be left.

    Valid until ``ring_commit``, before which nothing else may be reserved.
    """
    cdef uint64_t total = (sizeof(Record) + size + 7) & ~<uint64_t>7
    cdef uint64_t to_end = ring.capacity - (ring.head & (ring.capacity - 1))
    cdef uint64_t filler = to_end if to_end < total else 0
    cdef Record *record
    if ring.capacity - (ring.head - lc_load(&ring.tail)) < filler + total + spare:
        return NULL
    if filler:
        record = <Record *>(ring.data + (ring.head & (ring.capacity - 1)))
        record.size = <uint32_t>filler
        record.kind = SKIP
        lc_store(&ring.head, ring.head + filler)
    record = <Record *>(ring.data + (ring.head & (ring.capacity - 1)))
    record.size = <uint32_t>total
    record.kind = kind
    record.flags = 0
    record.slot = slot
    record.bytes = size
    ring.reserved = ring.head + total
    return record


cdef void ring_commit(Ring *ring) noexcept nogil:
    """Producer: hands the reserved record over."""
    lc_store(&ring.head, ring.reserved)


cdef bint ring_tell(Ring *ring, Kind kind, uint32_t slot, int64_t number, int64_t media_time,
                    int64_t stamp) noexcept nogil:
    """Producer: a record without bytes. False if the ring is full."""
    cdef Record *record = ring_reserve(ring, kind, slot, 0, 0)
    if record == NULL:
        return False
    record.number = number
    record.media_time = media_time
    record.stamp = stamp
    ring_commit(ring)
    return True


cdef Record *ring_peek(Ring *ring) noexcept nogil:
    """Consumer: the oldest record, or NULL. Its memory may be read until ``ring_release``."""
    cdef Record *record
    while ring.tail != lc_load(&ring.head):
        record = <Record *>(ring.data + (ring.tail & (ring.capacity - 1)))
        if record.kind != SKIP:
            return record
        ring_release(ring, record)
    return NULL


cdef void ring_release(Ring *ring, const Record *record) noexcept nogil:
    """Consumer: done with the oldest record."""
    lc_store(&ring.tail, ring.tail + record.size)


cdef class Pipe:
    """A ring that carries bytes, for tests and benchmarks."""

    cdef Ring ring

    def __cinit__(self, capacity: int) -> None:
        if not ring_init(&self.ring, capacity):
            raise MemoryError

    def __dealloc__(self) -> None:
        ring_free(&self.ring)

    def push(self, data: bytes) -> bool:
        """False if the ring is full."""
        cdef const uint8_t *source = data
        cdef Record *record = ring_reserve(&self.ring, AUDIO, 0, <uint32_t>len(data), 0)
        if record == NULL:
            return False
        memcpy(record + 1, source, len(data))
        ring_commit(&self.ring)
        return True

    def pop(self):
        """The oldest bytes, or None."""
        cdef Record *record = ring_peek(&self.ring)
        if record == NULL:
            return None
        data = (<const char *>(record + 1))[:record.bytes]
        ring_release(&self.ring, record)
        return data
