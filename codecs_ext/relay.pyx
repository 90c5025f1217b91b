"""Packets of one leg as those of another: the payload as it is, in the sequence, the time and under the name of the stream that
the far end knows already.

The offsets hold as long as the source does, so that loss, order and timing of the packets are the far end's to see. Another
source, or one that begins anew, is joined to what was sent before.
"""

from libc.stdint cimport int16_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy

from codecs_ext.rtp cimport RTP_HEADER, RtpPacket, rtp_header

__all__: list[str] = []

cdef enum:
    JUMP = 3000                 # sequence numbers that are no loss any more (MAX_DROPOUT of RFC 3550 A.1)
    EVENT_BYTES = 4


cdef bint _begins(const Bridge *bridge, const Downlink *out, const RtpPacket *packet) noexcept nogil:
    cdef int ahead
    if not bridge.have_source or packet.ssrc != bridge.ssrc:
        return True
    ahead = <int16_t>(packet.sequence + bridge.sequence_offset - out.sequence)
    return ahead > JUMP or ahead < -JUMP


cdef int relay_packet(Bridge *bridge, Downlink *out, int payload_type, const RtpPacket *packet,
                      uint8_t *datagram) noexcept nogil:
    """The datagram that goes on, and its length. What was in front of the payload, but for the marker, stays here."""
    cdef bint begins = _begins(bridge, out, packet)
    cdef uint16_t sequence
    cdef uint32_t timestamp
    if begins:
        bridge.have_source = True
        bridge.ssrc = packet.ssrc
        bridge.sequence_offset = <uint16_t>(out.sequence - packet.sequence)
        bridge.timestamp_offset = out.timestamp - packet.timestamp
    sequence = <uint16_t>(packet.sequence + bridge.sequence_offset)
    timestamp = packet.timestamp + bridge.timestamp_offset
    rtp_header(datagram, <uint8_t>payload_type, packet.marker or begins, sequence, timestamp, out.ssrc)
    memcpy(datagram + RTP_HEADER, packet.payload, packet.size)
    if <int16_t>(sequence - out.sequence) >= 0:
        out.sequence = <uint16_t>(sequence + 1)
        out.timestamp = timestamp + <uint32_t>out.step
    return RTP_HEADER + packet.size


cdef int relay_event(Bridge *bridge, Downlink *out, int payload_type, int clock, const RtpPacket *packet,
                     uint8_t *datagram) noexcept nogil:
    """An event (RFC 4733) between packets of transcoded audio: its duration in the clock that the far end knows, of which
    ``clock`` is the one that it came in. 0 if it is none."""
    cdef bint begins = not bridge.event_known or packet.timestamp != bridge.event_heard
    cdef int duration
    if packet.size < EVENT_BYTES:
        return 0
    if begins:
        bridge.event_known = True
        bridge.event_heard = packet.timestamp
        bridge.event_sent = out.timestamp
    rtp_header(datagram, <uint8_t>payload_type, begins, out.sequence, bridge.event_sent, out.ssrc)
    out.sequence += 1
    duration = packet.payload[2] << 8 | packet.payload[3]
    duration = <int>(<long long>duration * out.codec.clock // clock)
    if duration > 0xFFFF:       # RFC 4733 2.5.1.3 would begin another segment; no finger stays that long
        duration = 0xFFFF
    datagram[RTP_HEADER] = packet.payload[0]
    datagram[RTP_HEADER + 1] = packet.payload[1]
    datagram[RTP_HEADER + 2] = <uint8_t>(duration >> 8)
    datagram[RTP_HEADER + 3] = <uint8_t>(duration & 0xFF)
    return RTP_HEADER + EVENT_BYTES
