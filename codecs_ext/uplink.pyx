"""From the caller's packets to samples and events, without playout delay.

Order is by sequence number, time by timestamp. A packet in order is decoded and handed up at once. What is handed up is
contiguous, and media time is its count: a hole in the timestamps is filled before the packet behind it, with concealment
where packets were lost, and with silence or comfort noise where the sender just sent nothing. When no packet comes at all
for ``stall_ns``, silence is handed up in real time, so that detectors of silence work with senders that stop talking by
stopping to send; if the packets were only delayed they are still taken, all of them: nothing that the caller said is
dropped.

Another synchronisation source takes over with its second packet in sequence (RFC 3550 A.1), of which the first is kept
meanwhile; single packets of others, between those of the source that is heard, are refused.
"""

from cython cimport cdivision
from libc.math cimport fabs
from libc.stdint cimport INT64_MAX, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

from codecs_ext.codec cimport CODEC_SAMPLES, CodecTable, Kernel, codec_state, codec_state_new
from codecs_ext.counters cimport Counters
from codecs_ext.dtmf cimport Digit, dtmf_finish, dtmf_receive
from codecs_ext.events cimport events_list
from codecs_ext.frames cimport frames_lost, frames_made_up, frames_real, frames_set_codec, frames_tell, frames_unsent
from codecs_ext.noise cimport noise_describe
from codecs_ext.playout cimport Block
from codecs_ext.reception cimport reception_handled, reception_packet, reception_reset
from codecs_ext.reorder cimport (
    BEYOND,
    DROPPED,
    HELD,
    RESTARTED,
    HeldPacket,
    Verdict,
    reorder_init,
    reorder_next,
    reorder_put,
    reorder_reopen,
    reorder_reset,
    reorder_skip,
    reorder_skip_to,
)
from codecs_ext.ring cimport DIGIT, RTP_TIMEOUT, Ring, ring_free, ring_init
from codecs_ext.rtp cimport RtpPacket, rtp_parse
from codecs_ext.vad cimport vad_init
from codecs_ext.g711 import PCMU

__all__ = ["Receiver"]

cdef int64_t NEVER = INT64_MAX
cdef int64_t FRAME_NS = 20_000_000


cdef void uplink_init(Uplink *up, const UplinkOptions *options, Ring *ring, uint32_t slot,
                      Counters *counters) noexcept nogil:
    """Of memory that is zero."""
    up.options = options[0]
    up.frames.ring = ring
    up.frames.spare = ring.capacity // 4
    up.frames.slot = slot
    up.frames.counters = counters
    up.frames.rate = options.rate
    up.counters = counters
    up.payload_type = up.event_payload_type = -1
    up.fill_at = up.timeout_at = NEVER
    reorder_init(&up.reorder, options.window_ns, options.window_least_ns)
    vad_init(&up.frames.vad, options.vad_threshold_db, options.vad_min_level_db, options.vad_attack,
             options.vad_release)


cdef void _change_codec(Uplink *up, const CodecTable *codec) noexcept nogil:
    """Media time goes on; what was held of the old codec cannot be decoded any more."""
    up.codec = codec
    up.counters.clock = codec.clock
    up.counters.jitter = 0.0
    up.packet_samples = codec.rate // 50
    reorder_reset(&up.reorder)
    uplink_new_source(up)
    frames_set_codec(&up.frames, codec)


cdef void uplink_connect(Uplink *up, const CodecTable *codec, void *coding, int payload_type, int event_payload_type,
                         bint send, bint receive, int64_t now) noexcept nogil:
    if codec != up.codec:
        _change_codec(up, codec)
    up.coding = coding
    up.payload_type = payload_type
    up.event_payload_type = event_payload_type
    up.patience_ns = up.options.timeout_ns if send and receive else up.options.hold_timeout_ns
    if not receive:
        up.fill_at = NEVER
    up.enabled = receive
    uplink_alive(up, now)       # an offer is a sign of life, and a hold that ends with it may have been long


cdef void uplink_new_source(Uplink *up) noexcept nogil:
    """The next packet is the first of another sender."""
    up.have_ssrc = False
    up.doubted = False


cdef void uplink_alive(Uplink *up, int64_t now) noexcept nogil:
    """A packet or a report has come from the far end, or an offer."""
    up.timeout_at = now + up.patience_ns if up.patience_ns else NEVER


# --- a packet whose turn it is ----------------------------------------------------------------------------------------


@cdivision(True)
cdef void _conceal(Uplink *up, int count, const uint8_t *payload, int size, const int16_t *behind, int heard,
                   int64_t now) noexcept nogil:
    """``count`` samples that were lost before ``payload``, made up by the codec itself where it can; where it cannot,
    ``behind`` is what it holds."""
    cdef int16_t[CODEC_SAMPLES] made
    cdef int step, frame = up.codec.rate // 50, grain = up.codec.rate // 400
    if up.codec.conceal == NULL:
        frames_lost(&up.frames, count, behind, heard, now)
        return
    if count % grain:
        frames_lost(&up.frames, count % grain, NULL, 0, now)
        count -= count % grain
    while count > 0:
        # The packet behind a loss tells of the last of it: up to three frames of 20 ms in one packet (RFC 6716 2.1.7).
        step = count if count <= 3 * frame else frame
        up.codec.conceal(up.coding, payload if step == count else NULL, size, step, made)
        frames_made_up(&up.frames, made, step, now)
        count -= step


@cdivision(True)
cdef void _fill(Uplink *up, int count, int lost, const uint8_t *payload, int size, const int16_t *behind, int heard,
                int64_t now) noexcept nogil:
    """``count`` samples of the codec before ``payload``, of which the last ``lost`` packets held some."""
    cdef int64_t gone = <int64_t>lost * up.packet_samples
    if gone > count:
        gone = count
    frames_unsent(&up.frames, count - <int>gone, now)
    _conceal(up, <int>gone, payload, size, behind, heard, now)


@cdivision(True)
cdef void _audio(Uplink *up, const uint8_t *payload, int size, uint32_t timestamp, int64_t arrival, int lost, bint late,
                 int64_t now) noexcept nogil:
    cdef int16_t[CODEC_SAMPLES] samples
    cdef int64_t gap
    cdef int count = 0
    if up.muted:
        up.fill_at = NEVER
        up.frames.next_timestamp = timestamp + <uint32_t>(up.packet_samples * up.codec.clock / up.codec.rate)
        return
    if not up.started:
        up.started = True
        up.frames.next_timestamp = timestamp
    gap = <int32_t>(timestamp - up.frames.next_timestamp)
    if up.codec.conceal == NULL:        # what fills a gap then leads to what comes behind it
        count = up.codec.decode(up.coding, payload, size, samples)
    if 0 < gap and gap * 8000 <= <int64_t>up.options.max_gap * up.codec.clock:
        _fill(up, <int>(gap * up.codec.rate / up.codec.clock), lost, payload, size, samples, count, now)
    # Behind a larger gap media time goes on as if there was none; a negative one means that silence was handed up while
    # this packet was on its way.
    up.frames.next_timestamp = timestamp
    if up.codec.conceal != NULL:
        count = up.codec.decode(up.coding, payload, size, samples)
    if count > 0:
        up.packet_samples = count
        up.frames.noise.known = False       # the sender describes each of its silences
        frames_real(&up.frames, samples, count, arrival, late or gap < 0)


cdef void _tell_digit(Uplink *up, const Digit *digit) noexcept nogil:
    if digit.name:
        frames_tell(&up.frames, DIGIT, digit.name, digit.duration_ms, digit.arrival)


cdef void _handle(Uplink *up, int payload_type, const uint8_t *payload, int size, uint32_t timestamp, int64_t arrival,
                  int lost, bint late, int64_t now) noexcept nogil:
    """One packet whose turn it is. ``lost``: how many right before it are missing; ``late``: it waited for them."""
    cdef Digit ended, told
    reception_handled(&up.reception, up.counters.lost + up.counters.late)
    if payload_type == up.payload_type:
        up.fill_at = now + up.options.stall_ns if up.options.stall_ns else NEVER
        if size:
            _audio(up, payload, size, timestamp, arrival, lost, late, now)
        return
    # No audio will come for a while: digits replace it (RFC 4733 2.5.1.1), comfort noise announces silence (RFC 3389).
    if up.started and up.options.stall_ns and up.fill_at > now + FRAME_NS:
        up.fill_at = now + FRAME_NS
    if payload_type == up.event_payload_type:
        dtmf_receive(&up.digits, payload, size, timestamp, arrival, now, &ended, &told)
        _tell_digit(up, &ended)
        _tell_digit(up, &told)
    else:
        noise_describe(&up.frames.noise, payload, size)


cdef void _drain(Uplink *up, int lost, int64_t now) noexcept nogil:
    """Held packets that are in order now. ``lost``: so many before the first of them were given up."""
    cdef HeldPacket *held = reorder_next(&up.reorder)
    while held != NULL:
        _handle(up, held.payload_type, held.data, held.size, held.timestamp, held.arrival, lost, True, now)
        lost = 0
        held = reorder_next(&up.reorder)
    reorder_reopen(&up.reorder, now)


cdef void _give_up(Uplink *up, int64_t now) noexcept nogil:
    _drain(up, reorder_skip(&up.reorder, up.counters), now)


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
    up.frames.next_timestamp = timestamp


cdef int _make_room(Uplink *up, uint16_t sequence, int64_t now) noexcept nogil:
    """A packet beyond the window: gaps before it are given up at once. Returns how many are missing right before it."""
    if up.reorder.held:
        _give_up(up, now)
        return 0
    return reorder_skip_to(&up.reorder, sequence, up.counters)


cdef void _take(Uplink *up, const RtpPacket *packet, int64_t arrival, int64_t now) noexcept nogil:
    cdef Verdict verdict = BEYOND
    cdef int lost = 0
    reception_packet(&up.reception, packet.sequence)
    if packet.payload_type == up.payload_type:
        _measure_jitter(up, packet.timestamp, arrival)
    while verdict == BEYOND:
        verdict = reorder_put(&up.reorder, packet.sequence, packet.timestamp, packet.payload_type, packet.payload,
                              packet.size, arrival, now, up.counters)
        if verdict == BEYOND:
            lost = _make_room(up, packet.sequence, now)
    if verdict == DROPPED or verdict == HELD:
        return
    if verdict == RESTARTED:
        up.have_transit = False
        up.frames.next_timestamp = packet.timestamp
    _handle(up, packet.payload_type, packet.payload, packet.size, packet.timestamp, arrival, lost, False, now)
    if up.reorder.held:
        _drain(up, 0, now)


cdef void _doubt(Uplink *up, const RtpPacket *packet, int64_t arrival) noexcept nogil:
    """Keeps the first packet of another source."""
    up.doubted = True
    up.doubt_packet = packet[0]
    up.doubt_packet.payload = up.doubt_payload
    up.doubt_arrival = arrival
    memcpy(up.doubt_payload, packet.payload, packet.size)


cdef bint _is_source(Uplink *up, const RtpPacket *packet, int64_t arrival, int64_t now) noexcept nogil:
    """True for a packet of the source that is heard, the first one or one that has just taken over."""
    cdef RtpPacket *first = &up.doubt_packet
    if not up.have_ssrc:
        _begin_source(up, packet.ssrc, packet.timestamp, now)
    if packet.ssrc == up.ssrc:
        up.counters.refused += up.doubted       # one packet among ours: an injection, or what was left of another source
        up.doubted = False
        return True
    if up.doubted and packet.ssrc == first.ssrc and packet.sequence == <uint16_t>(first.sequence + 1):
        up.doubted = False
        _begin_source(up, packet.ssrc, first.timestamp, now)
        _take(up, first, up.doubt_arrival, now)
        return True
    up.counters.refused += up.doubted
    _doubt(up, packet, arrival)
    return False


cdef bint uplink_fits(const Uplink *up, const uint8_t *data, int size, RtpPacket *packet) noexcept nogil:
    """Whether a datagram is a packet of this stream: RTP, of a payload type that was agreed on, and of a length that it
    may have. Fills in ``packet``, which points into it."""
    if up.codec == NULL or not rtp_parse(data, size, packet) or packet.size > up.codec.max_bytes:
        return False
    return (packet.payload_type == up.payload_type or packet.payload_type == up.event_payload_type
            or packet.payload_type == COMFORT_NOISE)


cdef void uplink_take(Uplink *up, const RtpPacket *packet, int64_t arrival, int64_t now) noexcept nogil:
    """A packet that fits, from an accepted source."""
    up.counters.received += 1
    uplink_alive(up, now)
    if up.enabled and _is_source(up, packet, arrival, now):
        _take(up, packet, arrival, now)


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
        frames_unsent(&up.frames, up.codec.rate // 50, now)
        up.fill_at += FRAME_NS
        if up.fill_at < now - FRAME_NS * 10:        # the thread was stopped for long: no flood of silence
            up.fill_at = now + FRAME_NS
    if now >= up.timeout_at:
        up.timeout_at = up.fill_at = NEVER
        frames_tell(&up.frames, RTP_TIMEOUT, 0, 0, now)
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
                  window_ns: int = 40_000_000, window_least_ns: int = 10_000_000, stall_ns: int = 200_000_000,
                  timeout_ns: int = 30_000_000_000, hold_timeout_ns: int = 0, max_gap: int = 8000, attack: int = 2, release: int = 20, now: int = 0) -> None:
        cdef UplinkOptions options = UplinkOptions(rate, window_ns, window_least_ns, stall_ns, timeout_ns,
                                                   hold_timeout_ns, max_gap, 10.0, -48.0, attack, release)
        memset(&self.counters, 0, sizeof(Counters))
        if not ring_init(&self.ring, 1 << 22):
            raise MemoryError
        uplink_init(&self.up, &options, &self.ring, 0, &self.counters)
        self.codec = codec
        self.coding = codec_state_new(codec)
        uplink_connect(&self.up, codec.table, codec_state(self.coding), payload_type, event_payload_type, True,
                       True, now)

    def __dealloc__(self) -> None:
        ring_free(&self.ring)
        free(self.coding)

    @property
    def counts(self) -> dict[str, float]:
        """All counters by name; ``jitter`` in RTP clock units."""
        return self.counters

    @property
    def window_ns(self) -> int:
        """How long a gap would be waited for now."""
        return self.up.reorder.window

    @property
    def wake(self) -> int:
        """When ``tick`` has something to do."""
        return uplink_wake(&self.up)

    def receive(self, const uint8_t[::1] data not None, arrival: int) -> bool:
        """One datagram. False if it was refused."""
        cdef RtpPacket packet
        if not uplink_fits(&self.up, &data[0] if data.shape[0] else NULL, <int>data.shape[0], &packet):
            self.counters.refused += 1
            return False
        uplink_take(&self.up, &packet, arrival, arrival)
        return True

    def report(self, now: int) -> None:
        """An RTCP report of the far end."""
        uplink_alive(&self.up, now)

    def hold(self, now: int) -> None:
        """An offer that wants no more media of ours."""
        uplink_connect(&self.up, self.codec.table, codec_state(self.coding), self.up.payload_type,
                       self.up.event_payload_type, False, True, now)

    def tick(self, now: int) -> None:
        """Does what is due."""
        uplink_timer(&self.up, now)

    def take(self):
        """What was handed up."""
        return events_list(&self.ring)
