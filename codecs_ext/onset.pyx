"""When does sound begin and end in what is heard? An energy detector with hindsight, to the sample.

It shares nothing with the voice activity detector (``vad.pyx``): who measures a gateway must not measure it with the
gateway's own ear. Blocks of 2.5 ms are judged by their energy. A beginning is told when the sound has lasted for some
blocks and an end when it has been quiet for many, but both are dated to the sample that crossed the threshold, so
neither wait shows in a measurement.

An edge has two times. ``packet`` is the arrival of the packet that held it: what a protocol analyser sees. ``at`` adds
its place inside the packet: what a listener without any playout delay hears.
"""

from libc.stdint cimport int16_t, int64_t
from libc.string cimport memset

__all__ = ["OnsetDetector"]

cdef double FLOOR_RISE = 1.002          # a quiet block: the floor follows upwards by 3.5 dB a second, downwards at once
cdef double FLOOR_LEAST = 0.01          # of the least that could matter: from where it rises
cdef enum:
    CLICK_BLOCKS = 4                    # of silence: longer than between two pulses of the lowest pitch


cdef void onset_init(Onset *onset, const OnsetOptions *options, int rate) noexcept nogil:
    """Begins anew; at another rate media time is counted in that."""
    memset(onset, 0, sizeof(Onset))
    onset.options = options[0]
    onset.rate = rate if options.block_us > 0 else 0
    onset.block = rate * options.block_us // 1_000_000


cdef inline double _threshold(const Onset *onset) noexcept nogil:
    cdef double over = onset.floor * onset.options.margin
    return over if over > onset.options.threshold else onset.options.threshold


cdef void _follow(Onset *onset, double mean) noexcept nogil:
    """The background, as a quiet block tells it."""
    cdef double least
    if onset.options.margin <= 0:
        return
    least = onset.options.threshold / onset.options.margin * FLOOR_LEAST
    if mean < onset.floor:
        onset.floor = mean
        return
    if onset.floor < least:
        onset.floor = least
    onset.floor *= FLOOR_RISE
    if onset.floor > mean:
        onset.floor = mean


cdef void _place(const Onset *onset, Edge *edge, int offset, int64_t media_time, int64_t packet) noexcept nogil:
    edge.packet = packet
    edge.at = packet + <int64_t>offset * 1_000_000_000 // onset.rate
    edge.media_time = media_time + offset


cdef void _found(Onset *onset, const Edge *edge, bint started) noexcept nogil:
    if onset.count < ONSET_EDGES:
        onset.edges[onset.count] = edge[0]
        onset.edges[onset.count].started = started
        onset.edges[onset.count].sound = 0 if started else onset.blocks * onset.options.block_us * 1000
        onset.count += 1


cdef void _end(Onset *onset) noexcept nogil:
    onset.speaking = False
    onset.loud = 0
    _found(onset, &onset.last, False)


cdef void _loud(Onset *onset, const int16_t *samples, int offset, int size, double least, int64_t media_time,
                int64_t packet, bint real) noexcept nogil:
    """A block with sound: its first and last sample that are louder than a block has to be on average."""
    cdef int i = 0
    if not onset.loud and not onset.speaking:
        while i < size - 1 and <double>samples[offset + i] * samples[offset + i] <= least:
            i += 1
        _place(onset, &onset.first, offset + i, media_time, packet)
        onset.blocks = 0
    i = size - 1
    while i > 0 and <double>samples[offset + i] * samples[offset + i] <= least:
        i -= 1
    _place(onset, &onset.last, offset + i + 1, media_time, packet)
    onset.quiet = 0
    onset.blocks += real                # what was made up for lost packets was not heard
    onset.loud += not onset.speaking
    if not onset.speaking and onset.loud >= onset.options.confirm:
        onset.speaking = True
        _found(onset, &onset.first, True)


cdef void _quiet(Onset *onset, double mean) noexcept nogil:
    _follow(onset, mean)
    onset.quiet += 1
    if onset.speaking:
        if onset.quiet >= onset.options.release:
            _end(onset)
    elif onset.quiet >= CLICK_BLOCKS:   # it was a click if nothing follows
        onset.loud = 0


cdef void onset_hear(Onset *onset, const int16_t *samples, int count, int64_t media_time, int64_t packet, bint real) noexcept nogil:
    """The next samples; what became certain with them stands in ``edges``. Not ``real``: made up."""
    cdef int offset = 0, size, i
    cdef int64_t energy
    cdef double mean, least
    onset.count = 0
    while offset < count:
        size = onset.block if count - offset > onset.block else count - offset
        energy = 0
        for i in range(size):
            energy += <int64_t>samples[offset + i] * samples[offset + i]
        mean = <double>energy / size
        least = _threshold(onset)
        if mean > least:
            _loud(onset, samples, offset, size, least, media_time, packet, real)
        else:
            _quiet(onset, mean)
        offset += size


cdef void onset_finish(Onset *onset) noexcept nogil:
    """The stream is over: the end of what was still going on."""
    onset.count = 0
    if onset.speaking:
        _end(onset)


cdef class OnsetDetector:
    """One detector, with frames handed in. Edges are (started, packet, at, media_time, sound)."""

    cdef Onset onset

    def __cinit__(self, rate: int, *, threshold: float, margin: float, block_us: int, confirm: int, release: int) -> None:
        cdef OnsetOptions options = OnsetOptions(threshold, margin, block_us, confirm, release, True)
        if rate <= 0 or not 0 < block_us <= 20_000 or rate * block_us < 1_000_000:
            raise ValueError(f"blocks of {block_us} us at {rate} Hz cannot be judged")
        onset_init(&self.onset, &options, rate)

    @property
    def speaking(self) -> bool:
        """A beginning was told, and its end was not yet."""
        return self.onset.speaking

    @property
    def threshold(self) -> float:
        """Mean square of a sample that counts as sound, now."""
        return _threshold(&self.onset)

    def hear(self, pcm: bytes, media_time: int, packet: int, real: bool = True):
        """16-bit samples, the next ones; at most 20 ms at a time, or edges may be lost."""
        cdef const char *samples = pcm
        onset_hear(&self.onset, <const int16_t *>samples, <int>(len(pcm) // 2), media_time, packet, real)
        return self._edges()

    def finish(self):
        """The stream is over, or pauses."""
        onset_finish(&self.onset)
        return self._edges()

    cdef list _edges(self):
        cdef int i
        return [(bool(self.onset.edges[i].started), self.onset.edges[i].packet, self.onset.edges[i].at,
                 self.onset.edges[i].media_time, self.onset.edges[i].sound) for i in range(self.onset.count)]
