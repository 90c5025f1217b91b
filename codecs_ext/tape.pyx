"""What recordings and captures take from the packet path: copies into a ring, which another thread empties.

The packet path waits for nobody: where the ring is full, a recording loses samples, which are counted, and the call loses
nothing. Whoever reads puts the copies together (``codecs_ext/stereo.pyx``, ``codecs_ext/trace.pyx``).
"""

from cython cimport cdivision
from libc.math cimport M_PI, sin
from libc.stdint cimport int16_t, int64_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy

from codecs_ext.linux cimport sockaddr_storage
from codecs_ext.ring cimport Kind, Record, ring_commit, ring_reserve, ring_tell

__all__: list[str] = []


cdef enum:
    BEEP_MS = 200
    BEEP_HZ = 1400              # the customary tone of recorded lines (47 CFR 64.501: 1260 to 1540 Hz)
    BEEP_PEAK = 1640            # 26 dB below full scale


cdef void tape_order(Tape *tape, const TapeOrder *order, int64_t now) noexcept nogil:
    """From the next packet on. What was paused and is not any more, or the other way, is told in its place."""
    cdef bint before = tape.order.paused, known = tape.order.voice and tape.order.name == order.name
    tape.order = order[0]
    if not known:
        tape.beeping[0] = tape.beeping[1] = False
    if order.voice and known and before != order.paused or order.voice and not known and order.paused:
        if not ring_tell(tape.ring, <Kind>(TAPED_PAUSE if order.paused else TAPED_RESUME), order.name, 0, 0, now):
            tape.lost += 1


cdef void tape_samples(Tape *tape, TapeKind kind, const int16_t *samples, int count, int rate, int clock,
                       uint32_t timestamp, int64_t stamp, bint made_up) noexcept nogil:
    """Samples of one direction, of the RTP time ``timestamp``; NULL is silence."""
    cdef uint32_t octets = 0 if samples == NULL else 2 * <uint32_t>count
    cdef Record *record
    cdef TapedSamples *head
    if tape.order.paused:
        return
    record = ring_reserve(tape.ring, <Kind>kind, tape.order.name, <uint32_t>sizeof(TapedSamples) + octets, 0)
    if record == NULL:
        tape.lost += 1
        return
    record.stamp = stamp
    head = <TapedSamples *>(record + 1)
    head.timestamp = timestamp
    head.rate = rate
    head.clock = clock
    head.count = count
    head.made_up = made_up
    if octets:
        memcpy(head + 1, samples, octets)
    ring_commit(tape.ring)


@cdivision(True)
cdef bint tape_beep(Tape *tape, bint agent, int16_t *samples, int count, int rate, int clock,
                    uint32_t timestamp) noexcept nogil:
    """Mixes the beep into a packet, if it falls into one, by the count of RTP time. True if it does."""
    cdef uint32_t since
    cdef int64_t first, begins, sample, i
    cdef int value
    if tape.order.paused:
        return False
    if not tape.beeping[agent]:
        tape.beeping[agent] = True
        tape.first[agent] = timestamp
    since = timestamp - tape.first[agent]
    first = <int64_t>since * rate / clock
    begins = first - first % (<int64_t>tape.order.beep_ms * rate / 1000)
    if first - begins >= BEEP_MS * rate / 1000:
        return False
    for i in range(count):
        sample = first + i - begins
        if sample < BEEP_MS * rate / 1000:
            value = samples[i] + <int>(BEEP_PEAK * sin(2 * M_PI * BEEP_HZ * sample / rate))
            samples[i] = <int16_t>(32767 if value > 32767 else -32768 if value < -32768 else value)
    return True


cdef void tape_packet(Tape *tape, const uint8_t *data, int size, const sockaddr_storage *remote, int64_t stamp,
                      int flags) noexcept nogil:
    """One datagram, encrypted if it is so on the wire."""
    cdef Record *record = ring_reserve(tape.ring, <Kind>TAPED_PACKET, tape.order.name,
                                       <uint32_t>sizeof(TapedPacket) + <uint32_t>size, 0)
    cdef TapedPacket *head
    if record == NULL:
        tape.lost += 1
        return
    record.stamp = stamp
    record.flags = <uint16_t>flags
    head = <TapedPacket *>(record + 1)
    head.size = <uint16_t>size
    memcpy(head.address, remote, sizeof(head.address))
    memcpy(head + 1, data, size)
    ring_commit(tape.ring)
