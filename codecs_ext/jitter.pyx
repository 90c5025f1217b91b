"""A jitter buffer for human ears: packets in, samples out whenever they are asked for, as late as need be and no later.

A packet that is asked for before it came is concealed. So that this is rare, packets wait: as long as a percentile of the
lateness that was measured (``delay.pyx``). Where the wait is longer than that, a period of the speech is left out; where it is
shorter, one is said twice; in silence time just moves. A sender that stops, and whose packets then come in one burst, is heard
whole, a little later and then faster, until it has caught up.

Media time counts samples of the codec. ``now`` less the time at which a sample could have come first is its delay.
"""

from cython cimport cdivision
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memmove, memset

from codecs_ext.codec cimport CODEC_BYTES, CODEC_SAMPLES, Kernel, codec_state, codec_state_new
from codecs_ext.delay cimport delay_init, delay_packet, delay_restart
from codecs_ext.playout cimport Block
from codecs_ext.plc cimport plc_hear, plc_init, plc_make
from codecs_ext.stretch cimport stretch_lengthen, stretch_shorten
from codecs_ext.g711 import PCMU

__all__ = ["JitterBuffer"]

cdef enum:
    PAUSE_NS = 60_000_000       # between two periods left out or repeated: at most a quarter faster or slower
    HURRY_NS = 100_000_000      # of delay too much: then as fast as can be understood
    SLACK_NS = 1_000_000        # who shortens too early has to lengthen soon
    JUMP = 1 << 16              # of a timestamp that is no gap any more: 8 s at 8 kHz
    LEAP = 512                  # of a sequence number that is no loss any more


cdef void jitter_init(Jitter *jitter, const CodecTable *codec, void *coding, int64_t least, int64_t most,
                      double quantile) noexcept nogil:
    """``least`` and ``most`` bound the delay that is aimed at; ``quantile`` is the share of packets that it waits for."""
    memset(jitter, 0, sizeof(Jitter))
    jitter.codec = codec
    jitter.coding = coding
    jitter.least = least
    jitter.most = most
    delay_init(&jitter.delay, quantile)
    plc_init(&jitter.plc, codec.rate)


cdef void jitter_restart(Jitter *jitter) noexcept nogil:
    """Another source: what is held of the old one is forgotten, what was decoded is still played."""
    cdef int i
    for i in range(JITTER_SLOTS):
        jitter.slots[i].used = False
    jitter.held = 0
    jitter.started = jitter.playing = False
    delay_restart(&jitter.delay)


# --- time -------------------------------------------------------------------------------------------------------------


@cdivision(True)
cdef inline int64_t _first(const Jitter *jitter, int64_t at) noexcept nogil:
    """When the packet with the sample ``at`` can come at the earliest."""
    return jitter.delay.base + at * 1_000_000_000 / jitter.codec.rate


cdef inline int64_t _target(const Jitter *jitter) noexcept nogil:
    cdef int64_t target = jitter.delay.target
    return jitter.least if target < jitter.least else jitter.most if target > jitter.most else target


cdef int64_t jitter_delay(const Jitter *jitter, int64_t now) noexcept nogil:
    """Of the next sample to be played, against the packet that travelled fastest."""
    return now - _first(jitter, jitter.end - jitter.have) if jitter.playing else 0


# --- packets in -------------------------------------------------------------------------------------------------------


cdef void _drop_oldest(Jitter *jitter, int64_t sequence) noexcept nogil:
    """Makes room for ``sequence``: what is too old for the slots goes, and time with it."""
    cdef JitterPacket *packet
    while sequence - jitter.sequence >= JITTER_SLOTS:
        packet = &jitter.slots[jitter.sequence & (JITTER_SLOTS - 1)]
        if packet.used:
            jitter.end = packet.at + jitter.frame
            packet.used = False
            jitter.held -= 1
            jitter.counts.overflows += 1
        jitter.sequence += 1


cdef void _begin(Jitter *jitter, uint16_t sequence, uint32_t timestamp) noexcept nogil:
    jitter.started = True
    jitter.newest = jitter.sequence = <int64_t>sequence + 0x10000
    jitter.newest_time = timestamp      # in nanoseconds at 16 kHz that leaves room for 11 hours


@cdivision(True)
cdef bint jitter_put(Jitter *jitter, uint16_t sequence, uint32_t timestamp, const uint8_t *payload, int size,
                     int64_t arrival) noexcept nogil:
    """A packet, in any order. False if it came too late, twice, or is none of the codec's."""
    cdef int64_t extended, time, at
    cdef JitterPacket *packet
    if size <= 0 or size > jitter.codec.max_bytes or size > CODEC_BYTES:
        return False
    if jitter.started and (_far(<int16_t>(sequence - <uint16_t>jitter.newest), LEAP)
                           or _far(<int32_t>(timestamp - <uint32_t>jitter.newest_time), JUMP * (jitter.codec.clock // 8000))):
        jitter_restart(jitter)
    if not jitter.started:
        _begin(jitter, sequence, timestamp)
    extended = jitter.newest + <int16_t>(sequence - <uint16_t>jitter.newest)
    time = jitter.newest_time + <int32_t>(timestamp - <uint32_t>jitter.newest_time)
    if extended > jitter.newest:
        jitter.newest = extended
        jitter.newest_time = time
    at = time * jitter.codec.rate / jitter.codec.clock
    delay_packet(&jitter.delay, arrival - at * 1_000_000_000 / jitter.codec.rate, arrival)
    if extended < jitter.sequence and not jitter.playing and jitter.sequence - extended < JITTER_SLOTS // 2:
        jitter.sequence = extended          # the first ones overtook each other
    _drop_oldest(jitter, extended)
    packet = &jitter.slots[extended & (JITTER_SLOTS - 1)]
    if extended < jitter.sequence or packet.used:
        jitter.counts.late += 1
        return False
    packet.used = True
    packet.sequence = extended
    packet.at = at
    packet.size = size
    memcpy(packet.data, payload, size)
    jitter.held += 1
    return True


cdef inline bint _far(int difference, int limit) noexcept nogil:
    return difference > limit or difference < -limit


# --- decoding ---------------------------------------------------------------------------------------------------------


cdef inline JitterPacket *_next(Jitter *jitter) noexcept nogil:
    """The next packet, or NULL if it has not come."""
    cdef JitterPacket *packet = &jitter.slots[jitter.sequence & (JITTER_SLOTS - 1)]
    return packet if packet.used else NULL


cdef JitterPacket *_behind(Jitter *jitter) noexcept nogil:
    """The first packet that is there, behind those that are not. Called while some are held."""
    cdef int i
    cdef JitterPacket *packet
    for i in range(JITTER_SLOTS):
        packet = &jitter.slots[(jitter.sequence + i) & (JITTER_SLOTS - 1)]
        if packet.used:
            return packet
    return NULL


cdef void _decode(Jitter *jitter, JitterPacket *packet) noexcept nogil:
    """Appends it. There is always room: nothing is decoded while what is there suffices."""
    cdef int16_t *place = jitter.pcm + jitter.have
    cdef int count = jitter.codec.decode(jitter.coding, packet.data, packet.size, place)
    jitter.end = packet.at
    if count > 0:
        plc_hear(&jitter.plc, place, count)
        jitter.have += count
        jitter.end += count
        jitter.frame = count
    packet.used = False
    jitter.held -= 1
    jitter.sequence += 1


cdef void _make_up(Jitter *jitter, int count, const JitterPacket *following) noexcept nogil:
    """Appends what was lost; in-band FEC of the packet right behind helps the codecs that have it."""
    cdef int16_t *place = jitter.pcm + jitter.have
    cdef int grain = jitter.codec.rate // 400
    if jitter.codec.conceal != NULL and count % grain == 0:
        if following == NULL:
            jitter.codec.conceal(jitter.coding, NULL, 0, count, place)
        else:
            jitter.codec.conceal(jitter.coding, following.data, following.size, count, place)
    else:
        plc_make(&jitter.plc, place, count)
    jitter.have += count
    jitter.counts.concealed += count


cdef void _fill_gap(Jitter *jitter, int64_t at, int wanted, int64_t now) noexcept nogil:
    """Nothing was sent before ``at``: silence for as long as that packet is to wait, whatever its timestamp says."""
    cdef int64_t wait = _first(jitter, at) + _target(jitter) - now
    cdef int64_t count = wait * jitter.codec.rate // 1_000_000_000 - jitter.have
    if count <= 0:
        jitter.end = at
        return
    jitter.end = at - count
    if count > wanted:
        count = wanted
    memset(jitter.pcm + jitter.have, 0, count * sizeof(int16_t))
    jitter.have += <int>count
    jitter.end += count


@cdivision(True)
cdef void _conceal(Jitter *jitter, const JitterPacket *behind) noexcept nogil:
    """The first of those that are missing before ``behind``."""
    cdef int64_t missing = behind.sequence - jitter.sequence
    cdef int64_t piece = (behind.at - jitter.end) / missing
    if piece <= 0:              # nothing is missing in time
        jitter.sequence = behind.sequence
        return
    if piece > 3 * (jitter.codec.rate // 50):
        piece = 3 * (jitter.codec.rate // 50)
    if jitter.ahead >= piece:   # it was, before anybody knew
        jitter.ahead -= piece
    else:
        _make_up(jitter, <int>piece, behind if missing == 1 else NULL)
    jitter.end += piece
    jitter.sequence += 1


cdef void _append(Jitter *jitter, int wanted, int64_t now) noexcept nogil:
    """Something more of what comes next. Called often enough it appends: each packet counts once."""
    cdef JitterPacket *packet = _next(jitter)
    if packet != NULL:
        if packet.at > jitter.end and jitter.frame:
            _fill_gap(jitter, packet.at, wanted, now)
        if packet.at <= jitter.end or not jitter.frame:
            jitter.ahead = 0
            _decode(jitter, packet)
    elif jitter.held:
        _conceal(jitter, _behind(jitter))
    else:                       # all of them are late: they will be played when they come
        _make_up(jitter, wanted, NULL)
        jitter.ahead += wanted


# --- samples out ------------------------------------------------------------------------------------------------------


@cdivision(True)
cdef int _can_shorten(const Jitter *jitter, int count, int64_t now) noexcept nogil:
    """Samples that may be left out so that every packet needed for it has waited for its time."""
    cdef int64_t spare = now - _first(jitter, jitter.end) - _target(jitter) - SLACK_NS
    cdef int64_t frame = <int64_t>jitter.frame * 1_000_000_000 / jitter.codec.rate
    cdef int packets = 0
    if spare >= 0 and frame > 0:
        packets = <int>(spare / frame) + 1
    if packets > jitter.held:
        packets = jitter.held
    return jitter.have + packets * jitter.frame - count


cdef void _stretch(Jitter *jitter, int count, int64_t now) noexcept nogil:
    """Before ``count`` samples are taken: leaves a period out, or says one twice."""
    cdef int most = _can_shorten(jitter, count, now), changed
    cdef int64_t spare = now - _first(jitter, jitter.end) - _target(jitter)
    if now - jitter.stretched_at < PAUSE_NS and spare < HURRY_NS:
        return
    if most > 0:
        while jitter.have < count + most and _next(jitter) != NULL and jitter.have < CODEC_SAMPLES:
            _append(jitter, count, now)
        if most > jitter.have - count:
            most = jitter.have - count
        changed = stretch_shorten(jitter.pcm, jitter.have, most, jitter.codec.rate)
        jitter.have -= changed
        jitter.counts.shortened += changed
    elif jitter.have < count and spare < 0 and _next(jitter) != NULL:
        _append(jitter, count, now)
        changed = stretch_lengthen(jitter.pcm, jitter.have, jitter.codec.rate)
        jitter.have += changed
        jitter.counts.lengthened += changed
    else:
        return
    if changed:
        jitter.stretched_at = now


cdef bint _starts(Jitter *jitter, int64_t now) noexcept nogil:
    """The first packet has waited for as long as it should."""
    cdef JitterPacket *packet
    if not jitter.playing and jitter.held:
        packet = _behind(jitter)
        if now - _first(jitter, packet.at) >= _target(jitter):
            jitter.playing = True
            jitter.sequence = packet.sequence
            jitter.end = packet.at
            jitter.frame = 0
    return jitter.playing


cdef void jitter_take(Jitter *jitter, int16_t *samples, int count, int64_t now) noexcept nogil:
    """The next ``count`` samples, 60 ms at most: silence before the first packet, else whatever there is to be heard."""
    cdef int first = jitter.have if jitter.have < count else count
    if not _starts(jitter, now):
        memcpy(samples, jitter.pcm, first * sizeof(int16_t))
        memset(samples + first, 0, (count - first) * sizeof(int16_t))
        _shift(jitter, first)
        return
    if jitter.frame:
        _stretch(jitter, count, now)
    while jitter.have < count:
        _append(jitter, count - jitter.have, now)
    memcpy(samples, jitter.pcm, count * sizeof(int16_t))
    jitter.counts.played += count
    _shift(jitter, count)


cdef void _shift(Jitter *jitter, int count) noexcept nogil:
    jitter.have -= count
    memmove(jitter.pcm, jitter.pcm + count, jitter.have * sizeof(int16_t))


cdef class JitterBuffer:
    """The buffer of one stream alone, with packets and time handed in. Times in nanoseconds."""

    cdef Jitter *jitter
    cdef Kernel codec
    cdef Block *coding

    def __cinit__(self, Kernel codec not None = PCMU, *, least: int = 0, most: int = 400_000_000,
                  quantile: float = 0.99) -> None:
        self.codec = codec
        self.coding = codec_state_new(codec)
        self.jitter = <Jitter *>calloc(1, sizeof(Jitter))
        if self.jitter == NULL or (self.coding == NULL and codec.table.state_bytes):
            raise MemoryError
        jitter_init(self.jitter, codec.table, codec_state(self.coding), least, most, quantile)

    def __dealloc__(self) -> None:
        free(self.jitter)
        free(self.coding)

    @property
    def counts(self) -> dict[str, int]:
        """Samples and packets by name."""
        return self.jitter.counts

    @property
    def target(self) -> int:
        """The delay that is aimed at."""
        return _target(self.jitter)

    def delay(self, now: int) -> int:
        """Of the sample that is played next."""
        return jitter_delay(self.jitter, now)

    def put(self, sequence: int, timestamp: int, const uint8_t[::1] payload not None, arrival: int) -> bool:
        """A packet. False if it came too late, twice, or is none of the codec's."""
        return jitter_put(self.jitter, <uint16_t>sequence, <uint32_t>timestamp,
                          &payload[0] if payload.shape[0] else NULL, <int>payload.shape[0], arrival)

    def take(self, count: int, now: int) -> bytes:
        """The next ``count`` samples. Raises ``ValueError`` for none, or beyond 60 ms."""
        cdef int16_t[CODEC_SAMPLES] samples
        if not 0 < count <= self.codec.table.rate * 60 // 1000:
            raise ValueError(f"{count} samples are taken at a time: up to 60 ms")
        jitter_take(self.jitter, samples, count, now)
        return (<char *>samples)[:2 * count]
