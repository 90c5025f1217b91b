"""One RTP session: where its packets come from and go to, and the state of both directions.

The source of a leg is locked by the first valid packet (symmetric RTP, RFC 4961), and the socket is then connected to it:
the kernel refuses everybody else, and sends 1.6 us faster. Until then each packet's source is looked at.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t
from libc.string cimport memcmp, memset

from codecs_ext.downlink cimport downlink_connect
from codecs_ext.linux cimport (
    AF_INET,
    AF_INET6,
    AF_UNSPEC,
    ECONNREFUSED,
    MSG_DONTWAIT,
    MSG_NOSIGNAL,
    connect,
    errno,
    htons,
    inet_pton,
    send,
    sendto,
    sockaddr,
    sockaddr_in,
    sockaddr_in6,
    sockaddr_storage,
    socklen_t,
)
from codecs_ext.uplink cimport uplink_connect, uplink_new_source, uplink_receive

__all__: list[str] = []


cdef bint leg_address(const char *host, uint16_t port, Connection *connection) noexcept nogil:
    """False if ``host`` is neither an IPv4 nor an IPv6 address."""
    cdef sockaddr_in *four = <sockaddr_in *>&connection.remote
    cdef sockaddr_in6 *six = <sockaddr_in6 *>&connection.remote
    memset(&connection.remote, 0, sizeof(sockaddr_storage))
    if inet_pton(AF_INET, host, &four.sin_addr) == 1:
        four.sin_family = <uint16_t>AF_INET
        four.sin_port = htons(port)
        connection.remote_size = sizeof(sockaddr_in)
        return True
    if inet_pton(AF_INET6, host, &six.sin6_addr) == 1:
        six.sin6_family = <uint16_t>AF_INET6
        six.sin6_port = htons(port)
        connection.remote_size = sizeof(sockaddr_in6)
        return True
    return False


cdef bint _same(const sockaddr_storage *one, const sockaddr_storage *other) noexcept nogil:
    """Address and port; an IPv6 flow label or scope does not matter."""
    cdef const sockaddr_in *four_one = <const sockaddr_in *>one
    cdef const sockaddr_in *four_other = <const sockaddr_in *>other
    cdef const sockaddr_in6 *six_one = <const sockaddr_in6 *>one
    cdef const sockaddr_in6 *six_other = <const sockaddr_in6 *>other
    if one.ss_family != other.ss_family:
        return False
    if one.ss_family == AF_INET:
        return four_one.sin_port == four_other.sin_port and four_one.sin_addr.s_addr == four_other.sin_addr.s_addr
    return (six_one.sin6_port == six_other.sin6_port
            and memcmp(&six_one.sin6_addr, &six_other.sin6_addr, sizeof(six_one.sin6_addr)) == 0)


cdef void _lock(Leg *leg, const sockaddr_storage *source) noexcept nogil:
    leg.remote = source[0]
    leg.locked = True
    # Should the kernel refuse (no route back), the check of each packet's source still holds.
    connect(leg.fd, <const sockaddr *>&leg.remote, leg.remote_size)


cdef void _unlock(Leg *leg) noexcept nogil:
    cdef sockaddr nobody
    memset(&nobody, 0, sizeof(nobody))
    nobody.sa_family = <uint16_t>AF_UNSPEC
    connect(leg.fd, &nobody, sizeof(nobody))
    leg.locked = False


cdef bint leg_connect(Leg *leg, const Connection *connection, int64_t tick, int64_t now) noexcept nogil:
    """Starts or changes the leg. True if it did not know a remote address before."""
    cdef bint first = leg.remote_size == 0
    if first or not _same(&leg.agreed, &connection.remote):
        if leg.locked:
            _unlock(leg)
        leg.agreed = connection.remote
        leg.remote = connection.remote
        leg.remote_size = connection.remote_size
        uplink_new_source(&leg.up)
    uplink_connect(&leg.up, connection.law, connection.payload_type, connection.event_payload_type, connection.receive,
                   now)
    downlink_connect(&leg.down, connection.law, <uint8_t>connection.payload_type, connection.ptime_ms, connection.send,
                     tick)
    return first


cdef void leg_receive(Leg *leg, const uint8_t *data, int size, const sockaddr_storage *source, int64_t arrival,
                      int64_t now) noexcept nogil:
    """One datagram. A source that differs from SDP is taken for a NAT only while none is locked."""
    if (leg.locked or not leg.symmetric) and not _same(source, &leg.remote):
        leg.counters.refused += 1
        return
    if uplink_receive(&leg.up, data, size, arrival, now) and not leg.locked:
        _lock(leg, source)


cdef bint leg_send(Leg *leg, const uint8_t *data, int size) noexcept nogil:
    """One datagram to the far end. An earlier ICMP refusal is reported by the next call and means nothing for this one."""
    cdef int attempt
    cdef ssize_t done = -1
    for attempt in range(2):
        if leg.locked:
            done = send(leg.fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL)
        else:
            done = sendto(leg.fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL, <const sockaddr *>&leg.remote,
                          leg.remote_size)
        if done >= 0 or errno != ECONNREFUSED:
            break
    if done >= 0:
        leg.counters.sent += 1
    return done >= 0
