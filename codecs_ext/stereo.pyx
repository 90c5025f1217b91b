"""Two directions of a call on one time line: the caller left, the agent right.

A sample lies where its RTP timestamp says, relative to the packet that its channel is anchored by, so that what came late
lies where it was said, and what did not come is silence of its length. An anchor is moved only where the clocks have come
apart: when the far end begins a new stream, jumps, or drifts (after 10 s the earliest of its packets must not have been
later than 40 ms or earlier than 10 ms).

The last second can still change; what is older is written. A packet's samples end when it came, and begin when it left, so
that the space between the two channels is the gap on the wire.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from cython cimport cdivision
from libc.stdint cimport INT64_MAX, int16_t, int32_t, int64_t, uint8_t, uint32_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memset

from codecs_ext.codec cimport CODEC_SAMPLES
from codecs_ext.resample cimport resample_init, resample_rate_known, resample_run

__all__ = ["AGENT", "CALLER", "Stereo"]

CALLER = 0
AGENT = 1

cdef enum:
    WINDOW_MS = 2000
    HOLD_MS = 1000              # how late a packet may come and still be in its place
    AHEAD_MS = 200              # no packet comes that much before its time: it is of another stream
    LATE_MS = 40                # drift that is made up for
    EARLY_MS = 10
    FIRST_PERIOD = 50           # frames after which drift is looked at
    PERIOD = 500
    ROOM = 1 << 12              # pairs that memory is taken for at a time
    WIDEST = 6 * CODEC_SAMPLES + 1


@cdivision(True)
cdef inline int64_t _samples(const Track *track, int64_t span) noexcept nogil:
    """Of a span in nanoseconds, which is days at most."""
    return span // 1000 * track.rate // 1_000_000


cdef inline int64_t _ms(const Track *track, int span) noexcept nogil:
    return <int64_t>span * track.rate // 1000


cdef void _make_room(Track *track, int64_t count) noexcept nogil:
    cdef int64_t room = track.ready_room
    cdef int16_t *grown
    while room < track.ready_count + count:
        room += ROOM
    if room > track.ready_room:
        grown = <int16_t *>realloc(track.ready, 4 * room)
        if grown != NULL:
            track.ready = grown
            track.ready_room = room


cdef void _advance(Track *track, int64_t position) noexcept nogil:
    """What lies before ``position`` is ready to be written."""
    cdef int64_t piece, start
    if position <= track.base:
        return
    _make_room(track, position - track.base)
    while track.base < position:
        start = track.base % track.window
        piece = track.window - start if track.window - start < position - track.base else position - track.base
        if track.ready_count + piece <= track.ready_room:
            memcpy(track.ready + 2 * track.ready_count, track.samples + 2 * start, 4 * piece)
            track.ready_count += piece
        else:                       # no memory: time goes on without these samples
            track.misplaced += <uint32_t>piece
        memset(track.samples + 2 * start, 0, 4 * piece)
        track.base += piece


@cdivision(True)
cdef int64_t _place(Track *track, Channel *channel, int64_t expected, int clock, uint32_t timestamp,
                    bint made_up) noexcept nogil:
    """Where the samples of an RTP time begin. ``expected``: where they would if they had come without delay."""
    cdef int64_t position = 0, late = INT64_MAX
    if channel.anchored:
        position = channel.position + <int64_t><int32_t>(timestamp - channel.timestamp) * track.rate / clock
        late = expected - position
    if late > _ms(track, HOLD_MS) or late < -_ms(track, AHEAD_MS):
        channel.anchored = True
        channel.frames = 0
        channel.period = FIRST_PERIOD
        position, late = expected, 0
    if channel.frames == 0 or late < channel.slack:
        channel.slack = late
    channel.frames += not made_up
    if channel.frames >= channel.period:
        channel.frames = 0
        channel.period = PERIOD
        if channel.slack > _ms(track, LATE_MS) or channel.slack < -_ms(track, EARLY_MS):
            position += channel.slack
    channel.position = position
    channel.timestamp = timestamp
    return position


cdef void _write(Track *track, int side, const int16_t *samples, int count, int64_t position) noexcept nogil:
    cdef int i
    cdef int64_t at
    if position < track.base:
        i = <int>(track.base - position) if track.base - position < count else count
        if track.base:              # before the first sample nothing is lost
            track.misplaced += <uint32_t>i
        samples += i
        count -= i
        position += i
    if position + count > track.base + track.window:
        _advance(track, position + count - track.window)
    at = position % track.window
    for i in range(count):
        track.samples[2 * at + side] = samples[i]
        at += 1
        if at == track.window:
            at = 0


@cdivision(True)
cdef void track_put(Track *track, int side, const int16_t *samples, int count, int rate, int clock, uint32_t timestamp,
                    int64_t stamp, bint made_up) noexcept nogil:
    """Samples of one side, at most CODEC_SAMPLES; NULL is silence. ``stamp``: when their packet came or left."""
    cdef Channel *channel = &track.channels[side]
    cdef int16_t[WIDEST] scaled
    cdef int64_t expected = _samples(track, stamp - track.origin), position
    if side == 0:
        expected -= <int64_t>count * track.rate / rate
    if track.paused_at or count > CODEC_SAMPLES:
        return
    if rate != channel.rate:
        channel.rate = rate
        resample_init(&channel.resampler, rate, track.rate)
    position = _place(track, channel, expected, clock, timestamp, made_up)
    if position > expected + track.window:
        return
    if samples != NULL:
        _write(track, side, scaled, resample_run(&channel.resampler, samples, count, scaled), position)
    _advance(track, expected - _ms(track, HOLD_MS))


cdef void track_pause(Track *track, int64_t stamp) noexcept nogil:
    track.paused_at = stamp
    if track.cut:
        _advance(track, _samples(track, stamp - track.origin))


cdef void track_resume(Track *track, int64_t stamp) noexcept nogil:
    if track.paused_at and track.cut:
        track.origin += stamp - track.paused_at
    track.channels[0].anchored = track.channels[1].anchored = False
    track.paused_at = 0


cdef class Stereo:
    """One recording. ``origin_ns`` is the time of its first sample, on the clock of the stamps; with ``cut`` a pause
    leaves no gap, if not, it is silence. Raises ``ValueError`` for a rate that the resampler does not know."""

    def __cinit__(self, rate: int, origin_ns: int, *, cut: bool = False) -> None:
        if not resample_rate_known(rate):
            raise ValueError(f"{rate} Hz is no rate of a recording")
        memset(&self.track, 0, sizeof(Track))
        self.track.rate = rate
        self.track.cut = cut
        self.track.origin = origin_ns
        self.track.window = rate * WINDOW_MS // 1000
        self.track.samples = <int16_t *>malloc(4 * self.track.window)
        if self.track.samples == NULL:
            raise MemoryError
        memset(self.track.samples, 0, 4 * self.track.window)

    def __dealloc__(self) -> None:
        free(self.track.samples)
        free(self.track.ready)

    @property
    def misplaced(self) -> int:
        """Samples that came too late to be written in their place."""
        return self.track.misplaced

    def put(self, side: int, const uint8_t[::1] pcm not None, rate: int, clock: int, timestamp: int, stamp: int) -> None:
        """One packet's samples, ``CALLER`` or ``AGENT``, as the reader of the tape puts them in."""
        if side not in (CALLER, AGENT) or not resample_rate_known(rate) or not 0 < pcm.shape[0] // 2 <= CODEC_SAMPLES:
            raise ValueError(f"no packet: {pcm.shape[0]} bytes at {rate} Hz, side {side}")
        track_put(&self.track, side, <const int16_t *>&pcm[0], <int>(pcm.shape[0] // 2), rate, clock,
                  <uint32_t>(timestamp & 0xFFFFFFFF), stamp, False)

    def pause(self, stamp: int) -> None:
        """From here on nothing is kept."""
        track_pause(&self.track, stamp)

    def resume(self, stamp: int) -> None:
        """From here on everything is."""
        track_resume(&self.track, stamp)

    def take(self, now: int) -> bytes:
        """What cannot change any more at ``now``: 16-bit pairs, left and right."""
        cdef Track *track = &self.track
        if not track.paused_at or not track.cut:
            _advance(track, _samples(track, now - track.origin) - _ms(track, HOLD_MS))
        out = PyBytes_FromStringAndSize(<const char *>track.ready, 4 * track.ready_count)
        track.ready_count = 0
        return out

    def finish(self, now: int) -> bytes:
        """The rest, up to ``now``."""
        if not self.track.paused_at or not self.track.cut:
            _advance(&self.track, _samples(&self.track, now - self.track.origin))
        return self.take(now)
