"""From the caller's packets to samples and events, without playout delay.

Order is by sequence number, time by timestamp. A packet in order is decoded and handed up at once. What is handed up is
contiguous, and media time is its count: a hole in the timestamps is filled before the packet behind it, with concealment
where packets were lost and with silence where the sender just sent nothing. When no packet comes at all for ``stall_ns``,
silence is handed up in real time, so that detectors of silence work with senders that stop talking by stopping to send;
if the packets were only delayed they are still taken, all of them: nothing that the caller said is dropped.
"""

from cython cimport cdivision
from libc.math cimport fabs
from libc.stdint cimport INT64_MAX, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memset

from codecs_ext.codec cimport CODEC_SAMPLES, CodecTable, Kernel, codec_state, codec_state_new
from codecs_ext.counters cimport Counters
from codecs_ext.dtmf cimport Digit, dtmf_finish, dtmf_receive
from codecs_ext.events cimport events_list
from codecs_ext.plc cimport plc_hear, plc_init, plc_make
from codecs_ext.playout cimport Block
from codecs_ext.reception cimport reception_handled, reception_packet, reception_reset
from codecs_ext.reorder cimport (
    BEYOND,
    DROPPED,
    HELD,
    RESTARTED,
    HeldPacket,
    Verdict,
    reorder_next,
    reorder_put,
    reorder_reset,
    reorder_skip,
    reorder_skip_to,
)
from codecs_ext.resample cimport resample_init, resample_run
from codecs_ext.ring cimport (
    AUDIO,
    DIGIT,
    RTP_TIMEOUT,
    SPEECH_ENDED,
    SPEECH_STARTED,
    Kind,
    Record,
    Ring,
    ring_commit,
    ring_free,
    ring_init,
    ring_reserve,
    ring_tell,
)
from codecs_ext.rtp cimport RtpPacket, rtp_parse
from codecs_ext.vad cimport VadEvent, vad_init, vad_run
from codecs_ext.g711 import PCMU

__all__ = ["Receiver"]

cdef int64_t NEVER = INT64_MAX
cdef int64_t FRAME_NS = 20_000_000

cdef enum:
    FRAME_MAX = 960             # samples of 20 ms at 48 kHz: what is made up at a time
    NARROW_MAX = 2880           # of a packet at 16 kHz or more, at 8 kHz
    FLAG_SPEECH = 1             # gateway.media.contract.FrameFlags
    FLAG_CONCEALED = 2


cdef void uplink_init(Uplink *up, const UplinkOptions *options, Ring *ring, uint32_t slot,
                      Counters *counters) noexcept nogil:
    memset(up, 0, sizeof(Uplink))
    up.options = options[0]
    up.ring = ring
    up.spare = ring.capacity // 4
    up.slot = slot
    up.counters = counters
    up.payload_type = up.event_payload_type = -1
    up.fill_at = up.timeout_at = NEVER
    reorder_reset(&up.reorder)
    vad_init(&up.vad, options.vad_threshold_db, options.vad_min_level_db, options.vad_attack, options.vad_release)


cdef void _change_codec(Uplink *up, const CodecTable *codec) noexcept nogil:
    """Media time goes on; what was held of the old codec cannot be decoded any more."""
    up.codec = codec
    up.rest = 0
    up.counters.clock = codec.clock
    up.counters.jitter = 0.0
    reorder_reset(&up.reorder)
    uplink_new_source(up)
    plc_init(&up.plc, codec.rate)
    resample_init(&up.resampler, codec.rate, up.options.rate)
    resample_init(&up.narrow, codec.rate, 8000)


cdef void uplink_connect(Uplink *up, const CodecTable *codec, void *coding, int payload_type, int event_payload_type,
                         bint receive, int64_t now) noexcept nogil:
    if codec != up.codec:
        _change_codec(up, codec)
    up.coding = coding
    up.payload_type = payload_type
    up.event_payload_type = event_payload_type
    if receive:
        _rearm(up, now)     # an offer is a sign of life, and a hold that ends with it may have been long
    else:
        up.fill_at = up.timeout_at = NEVER
    up.enabled = receive


cdef void uplink_new_source(Uplink *up) noexcept nogil:
    """The next packet is the first of another sender."""
    up.have_ssrc = False


cdef inline void _rearm(Uplink *up, int64_t now) noexcept nogil:
    """A packet has come, or the leg was connected anew."""
    up.timeout_at = now + up.options.timeout_ns if up.options.timeout_ns else NEVER


# --- what is handed up ------------------------------------------------------------------------------------------------


cdef void _tell(Uplink *up, int kind, int64_t number, int64_t media_time, int64_t stamp) noexcept nogil:
    if not ring_tell(up.ring, <Kind>kind, up.slot, number, media_time, stamp):
        up.counters.overflows += 1


cdef bint _detect(Uplink *up, const int16_t *samples, int count, int64_t arrival, bint made_up) noexcept nogil:
    """What the detector, which listens at 8 kHz, says of them."""
    cdef int16_t[NARROW_MAX + 1] narrow
    if up.codec.rate == 8000:
        return vad_run(&up.vad, samples, count, up.media_time, arrival, not made_up)
    count = resample_run(&up.narrow, samples, count, narrow)
    return vad_run(&up.vad, narrow, count, up.media_time, arrival, not made_up)


@cdivision(True)
cdef void _pass(Uplink *up, int count) noexcept nogil:
    """Time goes on by ``count`` samples of the codec."""
    cdef int64_t scaled = <int64_t>count * 8000 + up.rest
    up.media_time += scaled / up.codec.rate
    up.rest = <int>(scaled % up.codec.rate)
    up.next_timestamp += <uint32_t>(<int64_t>count * up.codec.clock / up.codec.rate)


@cdivision(True)
cdef void _hand_up(Uplink *up, const int16_t *samples, int count, int64_t arrival, bint made_up) noexcept nogil:
    """Samples of the codec, the next ones in media time."""
    cdef bint loud = _detect(up, samples, count, arrival, made_up)
    cdef uint32_t room = <uint32_t>(count * up.options.rate / up.codec.rate + 1) * 2
    cdef Record *record
    cdef int i
    for i in range(up.vad.events_count):
        if up.vad.events[i].started:
            _tell(up, SPEECH_STARTED, 0, up.vad.events[i].media_time, up.vad.events[i].arrival)
    record = ring_reserve(up.ring, AUDIO, up.slot, room, up.spare)
    if record == NULL:
        up.counters.overflows += 1
    else:
        record.bytes = 2 * resample_run(&up.resampler, samples, count, <int16_t *>(record + 1))
        record.flags = (FLAG_SPEECH if loud else 0) | (FLAG_CONCEALED if made_up else 0)
        record.media_time = up.media_time
        record.stamp = arrival
        ring_commit(up.ring)
    _pass(up, count)
    for i in range(up.vad.events_count):
        if not up.vad.events[i].started:
            _tell(up, SPEECH_ENDED, 0, up.vad.events[i].media_time, up.vad.events[i].arrival)


cdef void _fill(Uplink *up, int count, bint lost, int64_t now) noexcept nogil:
    """``count`` samples that did not come: concealed if they were lost, silent if they were never sent."""
    cdef int16_t[FRAME_MAX] made
    cdef int step, frame = up.codec.rate // 50
    while count > 0:
        step = count if count < frame else frame
        if lost:
            plc_make(&up.plc, made, step)
            up.counters.concealed += 1
        else:
            memset(made, 0, sizeof(made))
        _hand_up(up, made, step, now, True)
        count -= step


@cdivision(True)
cdef void _conceal(Uplink *up, int count, const uint8_t *payload, int size, int64_t now) noexcept nogil:
    """``count`` samples that were lost before ``payload``, made up by the codec itself where it can."""
    cdef int16_t[CODEC_SAMPLES] made
    cdef int step, done, frame = up.codec.rate // 50, grain = up.codec.rate // 400
    if up.codec.conceal == NULL:
        _fill(up, count, True, now)
        return
    if count % grain:
        _fill(up, count % grain, True, now)
        count -= count % grain
    while count > 0:
        # The packet behind a loss tells of the last of it: up to three frames of 20 ms in one packet (RFC 6716 2.1.7).
        step = count if count <= 3 * frame else frame
        up.codec.conceal(up.coding, payload if step == count else NULL, size, step, made)
        done = 0
        while done < step:
            _hand_up(up, made + done, frame if step - done > frame else step - done, now, True)
            up.counters.concealed += 1
            done += frame
        count -= step


@cdivision(True)
cdef void _audio(Uplink *up, const uint8_t *payload, int size, uint32_t timestamp, int64_t arrival, bint lost,
                 int64_t now) noexcept nogil:
    cdef int16_t[CODEC_SAMPLES] samples
    cdef int64_t gap
    cdef int count
    if not up.started:
        up.started = True
        up.next_timestamp = timestamp
    gap = <int32_t>(timestamp - up.next_timestamp)
    if 0 < gap and gap * 8000 <= <int64_t>up.options.max_gap * up.codec.clock:
        count = <int>(gap * up.codec.rate / up.codec.clock)
        if lost:
            _conceal(up, count, payload, size, now)
        else:
            _fill(up, count, False, now)
    # Behind a larger gap media time goes on as if there was none; a negative one means that silence was handed up while
    # this packet was on its way.
    up.next_timestamp = timestamp
    count = up.codec.decode(up.coding, payload, size, samples)
    if count > 0:
        plc_hear(&up.plc, samples, count)
        _hand_up(up, samples, count, arrival, False)


cdef void _tell_digit(Uplink *up, const Digit *digit) noexcept nogil:
    if digit.name:
        _tell(up, DIGIT, digit.name, digit.duration_ms, digit.arrival)


cdef void _handle(Uplink *up, int payload_type, const uint8_t *payload, int size, uint32_t timestamp, int64_t arrival,
                  bint lost, int64_t now) noexcept nogil:
    """One packet whose turn it is. ``lost``: packets before it are missing."""
    cdef Digit ended, told
    reception_handled(&up.reception, up.counters.lost + up.counters.late)
    if payload_type == up.payload_type:
        up.fill_at = now + up.options.stall_ns if up.options.stall_ns else NEVER
        if size:
            _audio(up, payload, size, timestamp, arrival, lost, now)
        return
    # No audio will come for a while: digits replace it (RFC 4733 2.5.1.1), comfort noise announces silence (RFC 3389).
    if up.started and up.options.stall_ns and up.fill_at > now + FRAME_NS:
        up.fill_at = now + FRAME_NS
    if payload_type == up.event_payload_type:
        dtmf_receive(&up.digits, payload, size, timestamp, arrival, now, &ended, &told)
        _tell_digit(up, &ended)
        _tell_digit(up, &told)


cdef void _drain(Uplink *up, bint lost, int64_t now) noexcept nogil:
    """Held packets that are in order now. ``lost``: those before the first of them were given up."""
    cdef HeldPacket *held = reorder_next(&up.reorder)
    while held != NULL:
        _handle(up, held.payload_type, held.data, held.size, held.timestamp, held.arrival, lost, now)
        lost = False
        held = reorder_next(&up.reorder)
    if up.reorder.held:         # another gap behind: it has been open since its own first packet came
        up.reorder.deadline = now + up.options.window_ns


cdef void _give_up(Uplink *up, int64_t now) noexcept nogil:
    reorder_skip(&up.reorder, up.counters)
    _drain(up, True, now)


# --- what comes in ----------------------------------------------------------------------------------------------------


cdef void _measure_jitter(Uplink *up, uint32_t timestamp, int64_t arrival) noexcept nogil:
    """RFC 3550 6.4.1 and A.8, in units of the RTP clock."""
    cdef uint32_t transit = <uint32_t>(arrival // 1000 * up.codec.clock // 1_000_000) - timestamp
    if up.have_transit:
        up.counters.jitter += (fabs(<double><int32_t>(transit - up.transit)) - up.counters.jitter) / 16.0
    up.have_transit = True
    up.transit = transit


cdef void _begin_source(Uplink *up, uint32_t ssrc, uint32_t timestamp, int64_t now) noexcept nogil:
    """A first or another synchronisation source: a new sequence, while media time goes on (RFC 3550 8.2)."""
    cdef Digit told
    if up.reorder.held:
        _give_up(up, now)
    dtmf_finish(&up.digits, &told)
    _tell_digit(up, &told)
    memset(&up.digits, 0, sizeof(up.digits))
    up.digits.per_ms = <uint32_t>up.codec.clock // 1000
    reorder_reset(&up.reorder)
    reception_reset(&up.reception)
    up.have_ssrc = True
    up.ssrc = ssrc
    up.have_transit = False
    up.next_timestamp = timestamp


cdef void _make_room(Uplink *up, uint16_t sequence, int64_t now) noexcept nogil:
    """A packet beyond the window: gaps before it are given up at once."""
    if up.reorder.held:
        _give_up(up, now)
    else:
        reorder_skip_to(&up.reorder, sequence, up.counters)


cdef void _take(Uplink *up, const RtpPacket *packet, int64_t arrival, int64_t now) noexcept nogil:
    cdef Verdict verdict = BEYOND
    cdef bint lost = False
    while verdict == BEYOND:
        verdict = reorder_put(&up.reorder, packet.sequence, packet.timestamp, packet.payload_type, packet.payload,
                              packet.size, arrival, now + up.options.window_ns, up.counters)
        if verdict == BEYOND:
            _make_room(up, packet.sequence, now)
            lost = True
    if verdict == DROPPED or verdict == HELD:
        return
    if verdict == RESTARTED:
        up.have_transit = False
        up.next_timestamp = packet.timestamp
    _handle(up, packet.payload_type, packet.payload, packet.size, packet.timestamp, arrival, lost, now)
    if up.reorder.held:
        _drain(up, False, now)


cdef bint uplink_receive(Uplink *up, const uint8_t *data, int size, int64_t arrival, int64_t now) noexcept nogil:
    """One datagram from an accepted source. False, and counted, if it is not a packet of this stream."""
    cdef RtpPacket packet
    if up.codec == NULL or not rtp_parse(data, size, &packet) or packet.size > up.codec.max_bytes:
        up.counters.refused += 1
        return False
    if (packet.payload_type != up.payload_type and packet.payload_type != up.event_payload_type
            and packet.payload_type != COMFORT_NOISE):
        up.counters.refused += 1
        return False
    up.counters.received += 1
    if not up.enabled:
        return True
    _rearm(up, now)
    if not up.have_ssrc or packet.ssrc != up.ssrc:
        _begin_source(up, packet.ssrc, packet.timestamp, now)
    reception_packet(&up.reception, packet.sequence)
    if packet.payload_type == up.payload_type:
        _measure_jitter(up, packet.timestamp, arrival)
    _take(up, &packet, arrival, now)
    return True


# --- time -------------------------------------------------------------------------------------------------------------


cdef int64_t uplink_wake(const Uplink *up) noexcept nogil:
    """When ``uplink_timer`` wants to be called next."""
    cdef int64_t wake = up.fill_at if up.fill_at < up.timeout_at else up.timeout_at
    if up.reorder.held and up.reorder.deadline < wake:
        wake = up.reorder.deadline
    if up.digits.active and up.digits.deadline < wake:
        wake = up.digits.deadline
    return wake


cdef int64_t uplink_timer(Uplink *up, int64_t now) noexcept nogil:
    """Does what is due and returns the next ``uplink_wake``."""
    cdef Digit told
    if up.reorder.held and now >= up.reorder.deadline:
        _give_up(up, now)
    if up.digits.active and now >= up.digits.deadline:
        dtmf_finish(&up.digits, &told)
        _tell_digit(up, &told)
    if now >= up.fill_at:
        _fill(up, up.codec.rate // 50, False, now)
        up.fill_at += FRAME_NS
        if up.fill_at < now - FRAME_NS * 10:        # the thread was stopped for long: no flood of silence
            up.fill_at = now + FRAME_NS
    if now >= up.timeout_at:
        up.timeout_at = up.fill_at = NEVER
        _tell(up, RTP_TIMEOUT, 0, 0, now)
    return uplink_wake(up)


cdef class Receiver:
    """The uplink of one leg alone, with datagrams and time handed in. Times in nanoseconds.

    ``take`` returns what was handed up since: ``(name, number, media_time, stamp, flags, pcm)``.
    """

    cdef Uplink up
    cdef Ring ring
    cdef Counters counters
    cdef Kernel codec
    cdef Block *coding

    def __cinit__(self, Kernel codec not None = PCMU, *, rate: int = 8000, payload_type: int = 0,
                  event_payload_type: int = 101,
                  window_ns: int = 40_000_000, stall_ns: int = 200_000_000, timeout_ns: int = 30_000_000_000,
                  max_gap: int = 8000, attack: int = 2, release: int = 20, now: int = 0) -> None:
        cdef UplinkOptions options = UplinkOptions(rate, window_ns, stall_ns, timeout_ns, max_gap, 10.0, -48.0, attack,
                                                   release)
        memset(&self.counters, 0, sizeof(Counters))
        if not ring_init(&self.ring, 1 << 22):
            raise MemoryError
        uplink_init(&self.up, &options, &self.ring, 0, &self.counters)
        self.codec = codec
        self.coding = codec_state_new(codec)
        uplink_connect(&self.up, codec.table, codec_state(self.coding), payload_type, event_payload_type, True, now)

    def __dealloc__(self) -> None:
        ring_free(&self.ring)
        free(self.coding)

    @property
    def counts(self) -> dict[str, float]:
        """All counters by name; ``jitter`` in RTP clock units."""
        return self.counters

    @property
    def wake(self) -> int:
        """When ``tick`` has something to do."""
        return uplink_wake(&self.up)

    def receive(self, const uint8_t[::1] data not None, arrival: int) -> bool:
        """One datagram. False if it was refused."""
        return uplink_receive(&self.up, &data[0] if data.shape[0] else NULL, <int>data.shape[0], arrival, arrival)

    def tick(self, now: int) -> None:
        """Does what is due."""
        uplink_timer(&self.up, now)

    def take(self):
        """What was handed up."""
        return events_list(&self.ring)
