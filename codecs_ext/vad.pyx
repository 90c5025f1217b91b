"""Energy voice activity detection with a noise floor that follows the line.

The level of each 10 ms block (its mean taken out, since A/D converters have an offset) is compared with the floor plus a
threshold. The floor falls fast and rises slowly, and even slower during speech: it must not climb up a sentence, but a
loud fan that is switched on must not be speech for ever.
"""

from libc.math cimport log10
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t

__all__ = ["Detector"]

cdef double QUIET_DB = -66.0            # first guess; the idle code of G.711 is quieter still
cdef double FULL_SCALE = 32768.0 * 32768.0
cdef double FALL = 0.25                 # share of the difference, per block
cdef double RISE_DB = 0.06              # dB per block between utterances: 6 dB/s
cdef double RISE_TALKING_DB = 0.01      # 1 dB/s
cdef double HYSTERESIS_DB = 3.0


cdef void vad_init(Vad *vad, double threshold_db, double min_level_db, int attack, int release) noexcept nogil:
    vad.threshold_db = threshold_db
    vad.min_level_db = min_level_db
    vad.attack = attack if attack > 1 else 1
    vad.release = release if release > 1 else 1
    vad.floor_db = QUIET_DB
    vad.talking = False
    vad.run = vad.filled = vad.events_count = 0
    vad.total = vad.squares = 0
    vad.first_media = vad.first_arrival = vad.last_media = vad.last_arrival = 0


cdef inline void _sum(Vad *vad, const int16_t *samples, int count) noexcept nogil:
    """At most a block, so that 32 bits hold the sum."""
    cdef int i
    cdef int32_t total = 0
    cdef int64_t squares = 0
    for i in range(count):
        total += samples[i]
        squares += <int32_t>samples[i] * samples[i]
    vad.total += total
    vad.squares += squares
    vad.filled += count


cdef double _level(Vad *vad) noexcept nogil:
    cdef double mean = vad.total / <double>VAD_BLOCK
    cdef double power = vad.squares / <double>VAD_BLOCK - mean * mean
    vad.filled = 0
    vad.total = vad.squares = 0
    return 10.0 * log10((power if power > 0.01 else 0.01) / FULL_SCALE)


cdef void _learn(Vad *vad, double level) noexcept nogil:
    if level < vad.floor_db:
        vad.floor_db += FALL * (level - vad.floor_db)
        if vad.floor_db < QUIET_DB:
            vad.floor_db = QUIET_DB
    else:
        vad.floor_db += RISE_TALKING_DB if vad.talking else RISE_DB


cdef void _tell(Vad *vad, bint started, int64_t media_time, int64_t arrival) noexcept nogil:
    cdef VadEvent *event
    if vad.events_count < VAD_EVENTS:
        event = &vad.events[vad.events_count]
        event.started = started
        event.media_time = media_time
        event.arrival = arrival
        vad.events_count += 1


cdef bint _block(Vad *vad, int64_t media_time, int64_t end, int64_t arrival, bint learn) noexcept nogil:
    """One full block, that began at ``media_time``, in a packet that ends at ``end``. True if it is loud."""
    cdef double level = _level(vad)
    cdef double threshold = vad.floor_db + vad.threshold_db
    if threshold < vad.min_level_db:
        threshold = vad.min_level_db
    if vad.talking:
        threshold -= HYSTERESIS_DB
    cdef bint loud = level > threshold
    if learn:
        _learn(vad, level)
        if loud:
            vad.last_media = end
            vad.last_arrival = arrival
    if loud == vad.talking:
        vad.run = 0
        return loud
    if vad.run == 0 and loud:
        vad.first_media = media_time
        vad.first_arrival = arrival
    vad.run += 1
    if vad.run >= (vad.release if vad.talking else vad.attack):
        vad.talking = loud
        vad.run = 0
        if loud:
            _tell(vad, True, vad.first_media, vad.first_arrival)
        else:
            _tell(vad, False, vad.last_media, vad.last_arrival)
    return loud


cdef bint vad_run(Vad *vad, const int16_t *samples, int count, int64_t media_time, int64_t arrival,
                  bint learn) noexcept nogil:
    """One packet of 8 kHz samples that begins at ``media_time``. True if a block that ends in it is loud.

    What began or ended stands in ``events`` afterwards. ``learn`` is false for samples that were made up: they move time
    on, but neither the floor nor the last packet of speech.
    """
    cdef int place = 0, step
    cdef bint loud = False
    vad.events_count = 0
    while place < count:
        step = VAD_BLOCK - vad.filled
        if step > count - place:
            step = count - place
        _sum(vad, samples + place, step)
        place += step
        if vad.filled == VAD_BLOCK:
            loud |= _block(vad, media_time + place - VAD_BLOCK, media_time + count, arrival, learn)
    return loud


cdef class Detector:
    """The detector alone, for 8 kHz audio. Attack and release in blocks of 10 ms, levels in dB of full scale."""

    cdef Vad vad

    def __init__(self, threshold_db: float = 10.0, min_level_db: float = -48.0, attack: int = 2,
                 release: int = 20) -> None:
        vad_init(&self.vad, threshold_db, min_level_db, attack, release)

    @property
    def floor_db(self) -> float:
        """The noise floor as learned so far."""
        return self.vad.floor_db

    def process(self, const uint8_t[::1] pcm not None, media_time: int, arrival: int, learn: bool = True):
        """``(loud, events)`` of one packet, each event ``(started, media_time, arrival)``."""
        cdef bint loud
        cdef int i
        if pcm.shape[0] == 0 or pcm.shape[0] & 1:
            raise ValueError("16-bit samples need an even number of bytes, and at least one sample")
        loud = vad_run(&self.vad, <const int16_t *>&pcm[0], <int>(pcm.shape[0] >> 1), media_time, arrival, learn)
        return bool(loud), [
            (bool(self.vad.events[i].started), self.vad.events[i].media_time, self.vad.events[i].arrival)
            for i in range(self.vad.events_count)
        ]
