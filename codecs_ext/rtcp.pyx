"""RTCP compound packets (RFC 3550 6, RFC 3611): check them whole, read what concerns one receiver, write ours."""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy, memset

__all__ = ["build", "parse"]

cdef enum:
    SENDER_REPORT = 200
    RECEIVER_REPORT = 201
    DESCRIPTION = 202
    GOODBYE = 203
    EXTENDED = 207
    VOIP_METRICS = 7            # block type, RFC 3611 4.7
    REPORT_BLOCK = 24           # octets


cdef inline uint16_t _half(const uint8_t *data) noexcept nogil:
    return <uint16_t>((data[0] << 8) | data[1])


cdef inline uint32_t _word(const uint8_t *data) noexcept nogil:
    return (<uint32_t>data[0] << 24) | (<uint32_t>data[1] << 16) | (<uint32_t>data[2] << 8) | data[3]


cdef inline void _put_half(uint8_t *data, uint32_t value) noexcept nogil:
    data[0] = <uint8_t>(value >> 8)
    data[1] = <uint8_t>value


cdef inline void _put_word(uint8_t *data, uint32_t value) noexcept nogil:
    _put_half(data, value >> 16)
    _put_half(data + 2, value)


# --- read -------------------------------------------------------------------------------------------------------------


cdef bint _valid(const uint8_t *data, int size) noexcept nogil:
    """RFC 3550 A.2: begins with a report, every version is 2, padding only in the last, and the lengths add up."""
    cdef int at = 0, length
    if size < 8 or size & 3 or data[0] & 0x20 or (data[1] != SENDER_REPORT and data[1] != RECEIVER_REPORT):
        return False
    while at < size:
        length = 4 + 4 * _half(data + at + 2)
        if data[at] >> 6 != 2 or at + length > size:
            return False
        if data[at] & 0x20 and (at + length != size or data[size - 1] == 0 or data[size - 1] & 3
                                or data[size - 1] > length - 4):
            return False
        at += length
    return True


cdef void _read_block(const uint8_t *data, ReportBlock *block) noexcept nogil:
    cdef uint32_t lost = _word(data + 4) & 0xFFFFFF
    block.ssrc = _word(data)
    block.fraction = data[4]
    block.lost = <int32_t>lost - (0x1000000 if lost & 0x800000 else 0)
    block.highest = _word(data + 8)
    block.jitter = _word(data + 12)
    block.lsr = _word(data + 16)
    block.dlsr = _word(data + 20)


cdef bint _read_report(const uint8_t *data, int size, uint32_t receiver, Compound *out) noexcept nogil:
    """One SR or RR: the block about ``receiver``, if there is one."""
    cdef int count = data[0] & 31, at = 28 if data[1] == SENDER_REPORT else 8
    if size < at + count * REPORT_BLOCK:
        return False
    if data[1] == SENDER_REPORT and _word(data + 4) == out.sender:
        out.has_info = True
        out.info.ntp_high = _word(data + 8)
        out.info.ntp_low = _word(data + 12)
        out.info.timestamp = _word(data + 16)
        out.info.packets = _word(data + 20)
        out.info.octets = _word(data + 24)
    while count:
        if _word(data + at) == receiver and _word(data + 4) == out.sender:
            out.has_report = True
            _read_block(data + at, &out.report)
        at += REPORT_BLOCK
        count -= 1
    return True


cdef void _read_metrics(const uint8_t *data, VoipMetrics *metrics) noexcept nogil:
    metrics.ssrc = _word(data + 4)
    metrics.loss_rate = data[8]
    metrics.discard_rate = data[9]
    metrics.burst_density = data[10]
    metrics.gap_density = data[11]
    metrics.burst_ms = _half(data + 12)
    metrics.gap_ms = _half(data + 14)
    metrics.round_trip_ms = _half(data + 16)
    metrics.end_delay_ms = _half(data + 18)
    metrics.signal_level = data[20]
    metrics.noise_level = data[21]
    metrics.echo_loss = data[22]
    metrics.gmin = data[23]
    metrics.r_factor = data[24]
    metrics.external_r = data[25]
    metrics.mos_listening = data[26]
    metrics.mos_conversation = data[27]
    metrics.receiver = data[28]
    metrics.buffer_ms = _half(data + 30)
    metrics.buffer_maximum_ms = _half(data + 32)
    metrics.buffer_absolute_ms = _half(data + 34)


cdef bint _read_extended(const uint8_t *data, int size, uint32_t receiver, Compound *out) noexcept nogil:
    """The blocks of an XR packet (RFC 3611 3); types that mean nothing to us are passed over by their length."""
    cdef int at = 8, length
    if size < 8:
        return False
    while at < size:
        length = 4 + 4 * _half(data + at + 2)
        if at + length > size:
            return False
        if data[at] == VOIP_METRICS:
            if length != 36:
                return False
            if _word(data + at + 4) == receiver and _word(data + 4) == out.sender:
                out.has_metrics = True
                _read_metrics(data + at, &out.metrics)
        at += length
    return True


cdef bint _read_goodbye(const uint8_t *data, int size, Compound *out) noexcept nogil:
    cdef int i, count = data[0] & 31
    if size < 4 + 4 * count:
        return False
    for i in range(count):
        if _word(data + 4 + 4 * i) == out.sender:
            out.bye = True
    return True


cdef bint rtcp_parse(const uint8_t *data, int size, uint32_t receiver, Compound *out) noexcept nogil:
    """False for what is not a compound packet. Else what its sender says of itself and of the source ``receiver``."""
    cdef int at = 0, length
    cdef bint fits = True
    if not _valid(data, size):
        return False
    memset(out, 0, sizeof(Compound))
    if 4 + 4 * _half(data + 2) < 8:
        return False
    out.sender = _word(data + 4)
    while fits and at < size:
        length = 4 + 4 * _half(data + at + 2)
        if data[at] & 0x20:
            length -= data[size - 1]        # of the last one; what follows it is the end
            size = at + length
        if data[at + 1] == SENDER_REPORT or data[at + 1] == RECEIVER_REPORT:
            fits = _read_report(data + at, length, receiver, out)
        elif data[at + 1] == EXTENDED:
            fits = _read_extended(data + at, length, receiver, out)
        elif data[at + 1] == GOODBYE:
            fits = _read_goodbye(data + at, length, out)
        at += length
    return fits


# --- write ------------------------------------------------------------------------------------------------------------


cdef void _head(uint8_t *data, int count, int kind, int size, uint32_t sender) noexcept nogil:
    data[0] = <uint8_t>(0x80 | count)
    data[1] = <uint8_t>kind
    _put_half(data + 2, <uint32_t>(size // 4 - 1))
    _put_word(data + 4, sender)


cdef int rtcp_put_report(uint8_t *data, uint32_t sender, const SenderInfo *info,
                         const ReportBlock *block) noexcept nogil:
    """SR with ``info``, RR without; no block with NULL. Returns its size, as all of these do."""
    cdef int at = 8
    if info != NULL:
        _put_word(data + 8, info.ntp_high)
        _put_word(data + 12, info.ntp_low)
        _put_word(data + 16, info.timestamp)
        _put_word(data + 20, info.packets)
        _put_word(data + 24, info.octets)
        at = 28
    if block != NULL:
        _put_word(data + at, block.ssrc)
        _put_word(data + at + 4, (<uint32_t>block.fraction << 24) | (<uint32_t>block.lost & 0xFFFFFF))
        _put_word(data + at + 8, block.highest)
        _put_word(data + at + 12, block.jitter)
        _put_word(data + at + 16, block.lsr)
        _put_word(data + at + 20, block.dlsr)
        at += REPORT_BLOCK
    _head(data, block != NULL, RECEIVER_REPORT if info == NULL else SENDER_REPORT, at, sender)
    return at


cdef int rtcp_put_cname(uint8_t *data, uint32_t sender, const uint8_t *cname) noexcept nogil:
    """SDES with one chunk: the canonical name of ``CNAME_BYTES``, and a null octet that ends the items (6.5)."""
    cdef int size = 8 + 2 + CNAME_BYTES + 2
    _head(data, 1, DESCRIPTION, size, sender)
    data[8] = 1
    data[9] = CNAME_BYTES
    memcpy(data + 10, cname, CNAME_BYTES)
    data[10 + CNAME_BYTES] = data[11 + CNAME_BYTES] = 0
    return size


cdef int rtcp_put_metrics(uint8_t *data, uint32_t sender, const VoipMetrics *metrics) noexcept nogil:
    """XR with one block of VoIP metrics (RFC 3611 4.7)."""
    cdef uint8_t *block = data + 8
    _head(data, 0, EXTENDED, 44, sender)
    block[0] = VOIP_METRICS
    block[1] = 0
    _put_half(block + 2, 8)
    _put_word(block + 4, metrics.ssrc)
    block[8] = metrics.loss_rate
    block[9] = metrics.discard_rate
    block[10] = metrics.burst_density
    block[11] = metrics.gap_density
    _put_half(block + 12, metrics.burst_ms)
    _put_half(block + 14, metrics.gap_ms)
    _put_half(block + 16, metrics.round_trip_ms)
    _put_half(block + 18, metrics.end_delay_ms)
    block[20] = metrics.signal_level
    block[21] = metrics.noise_level
    block[22] = metrics.echo_loss
    block[23] = metrics.gmin
    block[24] = metrics.r_factor
    block[25] = metrics.external_r
    block[26] = metrics.mos_listening
    block[27] = metrics.mos_conversation
    block[28] = metrics.receiver
    block[29] = 0
    _put_half(block + 30, metrics.buffer_ms)
    _put_half(block + 32, metrics.buffer_maximum_ms)
    _put_half(block + 34, metrics.buffer_absolute_ms)
    return 44


cdef int rtcp_put_bye(uint8_t *data, uint32_t sender) noexcept nogil:
    _head(data, 1, GOODBYE, 8, sender)
    return 8


# --- for tests and tools ----------------------------------------------------------------------------------------------


def build(sender: int, cname: bytes, info=None, report=None, metrics=None, bye: bool = False) -> bytes:
    """A compound packet: SR with ``info``, else RR; SDES; XR; BYE. ``cname`` has 16 octets."""
    cdef uint8_t[RTCP_BYTES] data
    cdef SenderInfo sender_info
    cdef ReportBlock block
    cdef VoipMetrics voip
    cdef int size
    if len(cname) != CNAME_BYTES:
        raise ValueError(f"a canonical name has {CNAME_BYTES} octets")
    if info is not None:
        sender_info = info
    if report is not None:
        block = report
    size = rtcp_put_report(data, sender, &sender_info if info is not None else NULL,
                           &block if report is not None else NULL)
    size += rtcp_put_cname(data + size, sender, cname)
    if metrics is not None:
        voip = metrics
        size += rtcp_put_metrics(data + size, sender, &voip)
    if bye:
        size += rtcp_put_bye(data + size, sender)
    return (<char *>data)[:size]


def parse(const uint8_t[::1] data not None, receiver: int):
    """What a compound packet tells ``receiver``, by name, None for each part that it lacks. None if it is not valid."""
    cdef Compound out
    if data.shape[0] == 0 or data.shape[0] > 65535 or not rtcp_parse(&data[0], <int>data.shape[0], receiver, &out):
        return None
    return {"sender": out.sender, "info": out.info if out.has_info else None,
            "report": out.report if out.has_report else None,
            "metrics": out.metrics if out.has_metrics else None, "bye": bool(out.bye)}
