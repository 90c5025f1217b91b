"""RTCP of one leg (RFC 3550 6): when to report, what to say, and what the far end says of us.

Times are monotonic nanoseconds; the NTP time that we tell is that clock with an offset taken once, when the leg is
connected. It cannot jump then, and a round trip is right however the wall clock is set meanwhile.
"""

from libc.stdint cimport INT64_MAX, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from codecs_ext.counters cimport Counters
from codecs_ext.downlink cimport TICK_MS, Downlink
from codecs_ext.emodel cimport BARE, NO_R, emodel_mos, emodel_r
from codecs_ext.reception cimport reception_burst_ratio, reception_bursts, reception_report
from codecs_ext.rtcp cimport (
    CNAME_BYTES,
    Compound,
    ReportBlock,
    SenderInfo,
    VoipMetrics,
    rtcp_parse,
    rtcp_put_bye,
    rtcp_put_cname,
    rtcp_put_metrics,
    rtcp_put_report,
)
from codecs_ext.uplink cimport Uplink

__all__: list[str] = []

cdef int64_t NEVER = INT64_MAX
cdef int64_t SECOND = 1_000_000_000
cdef int64_t NTP_EPOCH = 2_208_988_800      # seconds from 1900 to 1970
cdef double OCTETS_PER_NS = 500.0 / 1e9     # 5% of G.711 with its headers, 80 kbit/s (RFC 3550 6.2)

cdef enum:
    LOWER_LAYERS = 28           # IPv4 and UDP count to the size of a packet (RFC 3550 6.2)
    FIRST_SIZE = 100            # assumed before the first packet


cdef void control_init(Control *control, uint32_t ssrc, const uint8_t *cname, int64_t interval,
                       uint64_t seed) noexcept nogil:
    memset(control, 0, sizeof(Control))
    control.ssrc = ssrc
    memcpy(control.cname, cname, CNAME_BYTES)
    control.interval = interval
    control.random = seed | 1
    control.due = NEVER
    control.size = FIRST_SIZE
    control.counts.round_trip_ns = -1
    control.counts.burst_ratio = 1.0


# --- when -------------------------------------------------------------------------------------------------------------


cdef double _chance(Control *control) noexcept nogil:
    """Uniform in 0 to 1 (xorshift64); reports must not fall into step, no more than that."""
    control.random ^= control.random << 13
    control.random ^= control.random >> 7
    control.random ^= control.random << 17
    return <double>(control.random >> 11) / 9007199254740992.0


cdef int64_t _interval(Control *control) noexcept nogil:
    """RFC 3550 6.3.1: two members share the RTCP bandwidth, the minimum is halved for the first report, and the
    division makes up for what timer reconsideration adds."""
    cdef int members = 2 if control.counts.reports_received else 1
    cdef double span = control.size * members / OCTETS_PER_NS
    cdef double least = <double>control.interval * (0.5 if control.initial else 1.0)
    return <int64_t>((span if span > least else least) * (0.5 + _chance(control)) / 1.21828)


cdef void control_connect(Control *control, bint metrics, int64_t now, int64_t real_offset) noexcept nogil:
    """``real_offset``: CLOCK_MONOTONIC less CLOCK_REALTIME."""
    control.metrics = metrics
    if control.enabled or control.interval == 0:
        return
    control.enabled = control.initial = True
    control.clock = NTP_EPOCH * SECOND - real_offset
    control.last = now
    control.due = now + _interval(control)


cdef void _measure(Control *control, int size) noexcept nogil:
    control.size += (size + LOWER_LAYERS - control.size) / 16.0


# --- what we hear -----------------------------------------------------------------------------------------------------


cdef uint64_t _ntp(const Control *control, int64_t now) noexcept nogil:
    """64 bits: seconds since 1900, which wrap in 2036, and their binary fraction."""
    cdef int64_t time = now + control.clock
    return (<uint64_t>(time // SECOND) << 32) | ((<uint64_t>(time % SECOND) << 32) // <uint64_t>SECOND)


cdef void _round_trip(Control *control, const ReportBlock *block, int64_t arrival) noexcept nogil:
    """RFC 3550 6.4.1: arrival less LSR less DLSR, in units of 1/65536 s. Only an LSR that we did send counts."""
    cdef int i
    cdef int32_t trip
    if block.lsr == 0:
        return
    for i in range(TOLD):
        if control.told[i] == block.lsr:
            trip = <int32_t>(<uint32_t>(_ntp(control, arrival) >> 16) - block.lsr - block.dlsr)
            # A far end that rounds its delay up makes a short trip negative by some units; more is nonsense.
            if -656 < trip < 65536 * 60:
                control.counts.round_trip_ns = <int64_t>trip * SECOND // 65536 if trip > 0 else 0
            return


cdef bint control_receive(Control *control, const Uplink *up, const Counters *counters, const uint8_t *data, int size,
                          int64_t arrival) noexcept nogil:
    """One datagram. False, and counted, unless it is from the source that we hear, or speaks of ours."""
    cdef Compound said
    cdef bint known
    if not control.enabled or not rtcp_parse(data, size, control.ssrc, &said):
        control.counts.reports_refused += 1
        return False
    known = up.have_ssrc and said.sender == up.ssrc
    if not known and not said.has_report and not said.has_metrics:
        control.counts.reports_refused += 1
        return False
    control.counts.reports_received += 1
    _measure(control, size)
    if said.has_info:
        control.heard_ssrc = said.sender
        control.heard_lsr = (said.info.ntp_high << 16) | (said.info.ntp_low >> 16)
        control.heard_at = arrival
    if said.has_report:
        control.counts.far_reported = True
        control.counts.far_lost = said.report.lost
        control.counts.far_fraction = said.report.fraction
        control.counts.far_jitter = said.report.jitter
        control.counts.far_of = counters.sent
        _round_trip(control, &said.report, arrival)
    if said.has_metrics:
        control.counts.far_metrics = True
        control.counts.far_r = said.metrics.r_factor
        control.counts.far_mos = said.metrics.mos_conversation
        control.counts.far_delay_ms = said.metrics.end_delay_ms
    return True


# --- what we say ------------------------------------------------------------------------------------------------------


cdef void _sender_info(Control *control, const Downlink *down, const Counters *counters, int64_t packet_at, int64_t now,
                       SenderInfo *info) noexcept nogil:
    """The RTP timestamp is that of the same instant as the NTP time, extrapolated from the next packet (6.4.1)."""
    cdef uint64_t ntp = _ntp(control, now)
    info.ntp_high = <uint32_t>(ntp >> 32)
    info.ntp_low = <uint32_t>ntp
    info.timestamp = down.timestamp - <uint32_t>((packet_at - now) // 1000 * down.codec.clock // 1_000_000)
    info.packets = <uint32_t>counters.sent
    info.octets = <uint32_t>counters.octets
    control.told[control.told_next] = <uint32_t>(ntp >> 16)
    control.told_next = (control.told_next + 1) % TOLD


cdef void _block(Control *control, Uplink *up, const Counters *counters, int64_t now,
                 ReportBlock *block) noexcept nogil:
    memset(block, 0, sizeof(ReportBlock))
    block.ssrc = up.ssrc
    reception_report(&up.reception, block)
    block.jitter = <uint32_t>counters.jitter
    if control.heard_at and control.heard_ssrc == up.ssrc:
        block.lsr = control.heard_lsr
        block.dlsr = <uint32_t>((now - control.heard_at) * 65536 // SECOND)


cdef int _share(double part, double whole) noexcept nogil:
    """256ths, for the 8-bit rates of RFC 3611."""
    return <int>(part / whole * 256.0) if 0 < part < whole else 255 if part else 0


cdef void _metrics(const Control *control, const Uplink *up, const Counters *counters, double packet_ms,
                   VoipMetrics *metrics) noexcept nogil:
    """Of what we hear. 127 is "not available" for levels and ratings (RFC 3611 4.7.4, 4.7.5)."""
    cdef double expected = <double>(counters.received + counters.lost)
    cdef double loss = (counters.lost + counters.late) / expected if expected > 0 else 0.0
    cdef double trip_ms = control.counts.round_trip_ns / 1e6 if control.counts.round_trip_ns > 0 else 0.0
    cdef double r = emodel_r(loss, control.counts.burst_ratio, BARE, trip_ms / 2 + packet_ms)
    memset(metrics, 0, sizeof(VoipMetrics))
    metrics.ssrc = up.ssrc
    metrics.loss_rate = <uint8_t>_share(counters.lost, expected)
    metrics.discard_rate = <uint8_t>_share(counters.late, expected)
    reception_bursts(&up.reception, packet_ms, metrics)
    metrics.round_trip_ms = <uint16_t>(trip_ms if trip_ms < 65535 else 65535)
    metrics.end_delay_ms = <uint16_t>packet_ms
    metrics.signal_level = metrics.noise_level = metrics.echo_loss = metrics.external_r = NO_R
    metrics.r_factor = <uint8_t>(r + 0.5)
    metrics.mos_conversation = <uint8_t>(emodel_mos(r) * 10 + 0.5)
    metrics.mos_listening = <uint8_t>(emodel_mos(emodel_r(loss, control.counts.burst_ratio, BARE, 0.0)) * 10 + 0.5)
    metrics.receiver = 0x20         # concealment unspecified, buffer not adaptive: it only closes gaps
    metrics.buffer_maximum_ms = metrics.buffer_absolute_ms = <uint16_t>(up.options.window_ns // 1_000_000)


cdef int _compound(Control *control, Uplink *up, const Downlink *down, const Counters *counters, int64_t packet_at,
                   int64_t now, bint bye, uint8_t *data) noexcept nogil:
    """SR if we have sent since the report before the last (6.4), else RR; a block if we have heard since the last."""
    cdef SenderInfo info
    cdef ReportBlock block
    cdef VoipMetrics metrics
    cdef bint heard = up.have_ssrc and counters.received != control.received
    cdef bint spoke = counters.sent != control.sent[0]
    cdef int size
    control.counts.burst_ratio = reception_burst_ratio(&up.reception)
    if spoke:
        _sender_info(control, down, counters, packet_at, now, &info)
    if heard:
        _block(control, up, counters, now, &block)
    size = rtcp_put_report(data, control.ssrc, &info if spoke else NULL, &block if heard else NULL)
    size += rtcp_put_cname(data + size, control.ssrc, control.cname)
    if heard and control.metrics:
        _metrics(control, up, counters, down.period * TICK_MS, &metrics)
        size += rtcp_put_metrics(data + size, control.ssrc, &metrics)
    if bye:
        size += rtcp_put_bye(data + size, control.ssrc)
    control.sent[0] = control.sent[1]
    control.sent[1] = counters.sent
    control.received = counters.received
    return size


cdef int control_timer(Control *control, Uplink *up, const Downlink *down, const Counters *counters, int64_t packet_at,
                       int64_t now, uint8_t *data) noexcept nogil:
    """The report that is due, and its size; 0 if there is none after all (timer reconsideration, 6.3.6).

    ``packet_at`` is when the downlink's next packet leaves, ``now`` if none does.
    """
    cdef int size
    cdef int64_t again = control.last + _interval(control)
    if again > now:
        control.due = again
        return 0
    size = _compound(control, up, down, counters, packet_at, now, False, data)
    _measure(control, size)
    control.initial = False
    control.last = now
    control.due = now + _interval(control)
    return size


cdef int control_goodbye(Control *control, Uplink *up, const Downlink *down, const Counters *counters,
                         int64_t packet_at, int64_t now, uint8_t *data) noexcept nogil:
    """The last report with BYE, at once: there are less than 50 of us. 0 if we never said a word (6.3.7)."""
    cdef bint silent = counters.sent == 0 and control.counts.reports_sent == 0
    control.counts.burst_ratio = reception_burst_ratio(&up.reception)
    control.due = NEVER
    if not control.enabled or silent:
        return 0
    control.enabled = False
    return _compound(control, up, down, counters, packet_at, now, True, data)
