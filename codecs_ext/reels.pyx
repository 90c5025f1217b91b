"""The other end of the tape: sorts what the media threads have copied to the recordings and captures that want it."""

from libc.stdint cimport int16_t, int64_t, uint8_t, uint64_t
from libc.stdlib cimport calloc, free

from codecs_ext.atomics cimport lc_load
from codecs_ext.linux cimport CLOCK_MONOTONIC, CLOCK_REALTIME, nanoseconds
from codecs_ext.ring cimport Record, Ring, ring_peek, ring_release
from codecs_ext.stereo cimport Stereo, Track, track_pause, track_put, track_resume
from codecs_ext.tape cimport (
    TAPED_AGENT,
    TAPED_CALLER,
    TAPED_PACKET,
    TAPED_PAUSE,
    TAPED_RESUME,
    TapedPacket,
    TapedSamples,
)
from codecs_ext.trace cimport Dump, Trace, dump_packet

__all__ = ["Reels", "TapeEnd"]


cdef class TapeEnd:
    """Where one media thread's tape is read; made by ``PlaneShard.tape_end``. One thread at a time reads."""

    def mark(self) -> int:
        """How far it is written."""
        return lc_load(&self.ring.head)


cdef void _samples(Track *track, const Record *record, int side) noexcept nogil:
    cdef const TapedSamples *head = <const TapedSamples *>(record + 1)
    track_put(track, side, <const int16_t *>(head + 1) if record.bytes > sizeof(TapedSamples) else NULL, head.count,
              head.rate, head.clock, head.timestamp, record.stamp, head.made_up)


cdef void _voice(Track *track, const Record *record) noexcept nogil:
    if record.kind == <int>TAPED_CALLER:
        _samples(track, record, 0)
    elif record.kind == <int>TAPED_AGENT:
        _samples(track, record, 1)
    elif record.kind == <int>TAPED_PAUSE:
        track_pause(track, record.stamp)
    elif record.kind == <int>TAPED_RESUME:
        track_resume(track, record.stamp)


cdef class Reels:
    """Recordings and captures by the name that their legs were given, below ``limit``.

    One thread calls everything here; nothing of it holds the GIL while it sorts.
    """

    def __cinit__(self, limit: int) -> None:
        self.tracks = <Track **>calloc(limit, sizeof(Track *))
        self.dumps = <Dump **>calloc(limit, sizeof(Dump *))
        if self.tracks == NULL or self.dumps == NULL:
            raise MemoryError
        self.kept = [None] * limit
        self.limit = limit

    def __dealloc__(self) -> None:
        free(self.tracks)
        free(self.dumps)

    def put_on(self, name: int, Stereo stereo, Trace trace) -> None:
        """What comes under that name goes there from now on; either may be None."""
        if not 0 <= name < self.limit:
            raise IndexError(name)
        self.tracks[name] = NULL if stereo is None else &stereo.track
        self.dumps[name] = NULL if trace is None else &trace.dump
        self.kept[name] = (stereo, trace)

    def take_off(self, name: int) -> None:
        """What still comes under that name is dropped."""
        self.put_on(name, None, None)
        self.kept[name] = None

    def read(self, TapeEnd end not None, mark: int) -> int:
        """Sorts everything up to ``mark``, and returns how many records that were."""
        cdef uint64_t limit = mark
        cdef int64_t real = nanoseconds(CLOCK_REALTIME) - nanoseconds(CLOCK_MONOTONIC)
        cdef Ring *ring = end.ring
        cdef Record *record
        cdef int count = 0
        with nogil:
            while ring.tail < limit:
                record = ring_peek(ring)
                if record == NULL:
                    break
                self._sort(record, real)
                ring_release(ring, record)
                count += 1
        return count

    cdef void _sort(self, const Record *record, int64_t real) noexcept nogil:
        cdef const TapedPacket *packet
        if record.slot >= <unsigned int>self.limit:
            return
        if record.kind != <int>TAPED_PACKET:
            if self.tracks[record.slot] != NULL:
                _voice(self.tracks[record.slot], record)
        elif self.dumps[record.slot] != NULL:
            packet = <const TapedPacket *>(record + 1)
            dump_packet(self.dumps[record.slot], <const uint8_t *>(packet + 1), packet.size, packet.address,
                        record.stamp + real, record.flags)
