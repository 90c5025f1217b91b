from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t

from codecs_ext.counters cimport Counters
from codecs_ext.downlink cimport Downlink
from codecs_ext.g711 cimport Law
from codecs_ext.linux cimport sockaddr_storage, socklen_t
from codecs_ext.uplink cimport Uplink

cdef struct Connection:
    # What offer and answer agreed on, as the command carries it.
    sockaddr_storage remote
    socklen_t remote_size
    Law law
    int payload_type
    int event_payload_type      # -1: none
    int ptime_ms
    bint send
    bint receive

cdef struct Leg:
    int fd
    bint polled                 # in the shard's epoll set
    bint symmetric              # the first valid packet decides the source
    bint locked                 # it has: the socket is connected to ``remote``
    bint closing
    sockaddr_storage remote
    socklen_t remote_size
    sockaddr_storage agreed     # that offer and answer named
    Counters counters
    Uplink up
    Downlink down

cdef bint leg_address(const char *host, uint16_t port, Connection *connection) noexcept nogil
cdef bint leg_connect(Leg *leg, const Connection *connection, int64_t tick, int64_t now) noexcept nogil
cdef void leg_receive(Leg *leg, const uint8_t *data, int size, const sockaddr_storage *source, int64_t arrival,
                      int64_t now) noexcept nogil
cdef bint leg_send(Leg *leg, const uint8_t *data, int size) noexcept nogil
