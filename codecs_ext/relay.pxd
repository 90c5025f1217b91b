from libc.stdint cimport uint8_t

from codecs_ext.bridge cimport Bridge
from codecs_ext.downlink cimport Downlink
from codecs_ext.rtp cimport RtpPacket

cdef int relay_packet(Bridge *bridge, Downlink *out, int payload_type, const RtpPacket *packet,
                      uint8_t *datagram) noexcept nogil
cdef int relay_event(Bridge *bridge, Downlink *out, int payload_type, int clock, const RtpPacket *packet,
                     uint8_t *datagram) noexcept nogil
