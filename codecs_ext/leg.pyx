"""One RTP session: where its packets come from and go to, and the state of both directions.

Whose packets are heard is for ``source.pyx`` to say. Once that is settled, the socket is connected to the source: the kernel
refuses everybody else, and sends 1.6 us faster.
"""

from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy, memset

from codecs_ext.bridge cimport Bridge, BridgeOrder, bridge_put
from codecs_ext.codec cimport codec_state
from codecs_ext.control cimport control_connect, control_receive
from codecs_ext.downlink cimport PACKET_BYTES, PLAYING, downlink_close, downlink_connect
from codecs_ext.line cimport Held, Line, line_due, line_hold, line_judge, line_take
from codecs_ext.linux cimport (
    AF_INET,
    AF_INET6,
    AF_UNSPEC,
    ECONNREFUSED,
    CLOCK_MONOTONIC,
    MSG_DONTWAIT,
    MSG_NOSIGNAL,
    connect,
    errno,
    htons,
    inet_pton,
    nanoseconds,
    send,
    sendto,
    sockaddr,
    sockaddr_in,
    sockaddr_in6,
    sockaddr_storage,
    socklen_t,
)
from codecs_ext.patch cimport PARTING
from codecs_ext.playout cimport Block, block_return
from codecs_ext.relay cimport relay_event, relay_packet
from codecs_ext.resample cimport resample_init
from codecs_ext.ring cimport HANDSHAKE, Record, Ring, ring_commit, ring_reserve
from codecs_ext.rtp cimport RTP_HEADER, RtpPacket
from codecs_ext.source cimport (
    KNOWN,
    LEARN_NEVER,
    REFUSED,
    Judgement,
    same_address,
    same_host,
    source_agree,
    source_heard,
    source_is_new,
    source_judge,
    source_timer,
    source_try,
    source_wake,
)
from codecs_ext.srtp cimport SRTP_TRAILER, srtp_close, srtp_protect, srtp_unprotect
from codecs_ext.tape cimport PACKET_CONTROL, PACKET_OUT, tape_packet
from codecs_ext.uplink cimport (
    COMFORT_NOISE,
    uplink_alive,
    uplink_connect,
    uplink_fits,
    uplink_new_source,
    uplink_take,
    uplink_timer,
    uplink_wake,
)

__all__: list[str] = []

cdef enum:
    RECORD_HEADER = 13          # of DTLS (RFC 6347 4.1)
    HANDED_MAX = 64             # datagrams a second that a leg hands up; a handshake has about ten


cdef socklen_t leg_address(const char *host, uint16_t port, sockaddr_storage *address) noexcept nogil:
    """The size of the address, 0 if ``host`` is neither an IPv4 nor an IPv6 address."""
    cdef sockaddr_in *four = <sockaddr_in *>address
    cdef sockaddr_in6 *six = <sockaddr_in6 *>address
    memset(address, 0, sizeof(sockaddr_storage))
    if inet_pton(AF_INET, host, &four.sin_addr) == 1:
        four.sin_family = <uint16_t>AF_INET
        four.sin_port = htons(port)
        return sizeof(sockaddr_in)
    if inet_pton(AF_INET6, host, &six.sin6_addr) == 1:
        six.sin6_family = <uint16_t>AF_INET6
        six.sin6_port = htons(port)
        return sizeof(sockaddr_in6)
    return 0


cdef void _settle(Leg *leg) noexcept nogil:
    leg.locked = True
    # Should the kernel refuse (no route back), the check of each packet's source still holds.
    connect(leg.fd, <const sockaddr *>&leg.source.remote, leg.source.size)


cdef void _unsettle(Leg *leg) noexcept nogil:
    cdef sockaddr nobody
    if leg.locked:
        memset(&nobody, 0, sizeof(nobody))
        nobody.sa_family = <uint16_t>AF_UNSPEC
        connect(leg.fd, &nobody, sizeof(nobody))
        leg.locked = False


# --- keys -------------------------------------------------------------------------------------------------------------


cdef void connection_drop(const Connection *connection, Block **freed) noexcept nogil:
    """The command reached no leg: what it carries is nobody's."""
    srtp_close(connection.inbound)
    srtp_close(connection.outbound)
    if connection.coding != NULL:
        block_return(freed, connection.coding)


cdef void _rekey(Leg *leg, const Connection *connection) noexcept nogil:
    """Only what is keyed anew begins anew: a session that goes on keeps its rollover counter and its replay window."""
    if connection.rekey_in:
        srtp_close(leg.inbound)
        leg.inbound = connection.inbound
    if connection.rekey_out:
        srtp_close(leg.outbound)
        leg.outbound = connection.outbound


cdef void leg_key(Leg *leg, const Connection *connection) noexcept nogil:
    """The handshake has made keys: media flow from here on."""
    _rekey(leg, connection)
    leg.barred = leg.keying and (leg.inbound == NULL or leg.outbound == NULL)


cdef bint _is_handshake(const uint8_t *data, int size) noexcept nogil:
    """DTLS among what shares a port with RTP: by its first octet (RFC 7983 7), and as long as a record's header."""
    return size >= RECORD_HEADER and 20 <= data[0] <= 63


cdef void _hand_up(Leg *leg, const uint8_t *data, int size, const sockaddr_storage *source, int64_t arrival,
                   int64_t now) noexcept nogil:
    """To the event loop, behind its source. Who floods us with handshakes fills neither the ring nor the loop's time."""
    cdef Ring *ring = leg.up.frames.ring
    cdef Record *record = NULL
    if now - leg.handed_since >= 1_000_000_000:
        leg.handed_since = now
        leg.handed = 0
    if leg.handed < HANDED_MAX:
        record = ring_reserve(ring, HANDSHAKE, leg.up.frames.slot, <uint32_t>sizeof(sockaddr_storage) + size,
                              ring.capacity // 2)
    if record == NULL:
        leg.counters.refused += 1
        return
    leg.handed += 1
    record.stamp = arrival
    memcpy(record + 1, source, sizeof(sockaddr_storage))
    memcpy(<uint8_t *>(record + 1) + sizeof(sockaddr_storage), data, size)
    ring_commit(ring)


cdef void leg_send_raw(Leg *leg, const sockaddr_storage *to, const uint8_t *data, int size) noexcept nogil:
    """A datagram as it is, from the leg's port; to no address of its own, where media go."""
    cdef const sockaddr_storage *remote = to
    cdef int attempt
    if to.ss_family == AF_UNSPEC:
        remote = &leg.source.remote
    if leg.source.size == 0 or _nowhere(remote):
        return
    for attempt in range(2):
        if (sendto(leg.fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL, <const sockaddr *>remote, leg.source.size) >= 0
                or errno != ECONNREFUSED):
            break
    if leg.tape.order.packets:
        tape_packet(&leg.tape, data, size, remote, nanoseconds(CLOCK_MONOTONIC), PACKET_OUT)


# --- life -------------------------------------------------------------------------------------------------------------


cdef void _connect_control(Leg *leg, const Connection *connection, int64_t now, int64_t real_offset) noexcept nogil:
    # What was learned stays, unless the far end now names another place.
    if leg.control_size == 0 or not same_address(&leg.control_agreed, &connection.control):
        leg.control_locked = False
        leg.control_agreed = leg.control_remote = connection.control
        leg.control_size = connection.control_size
    leg.mux = connection.mux
    if connection.mux or leg.control_fd >= 0:
        control_connect(&leg.control, connection.metrics, now, real_offset)


cdef void _give_back(Leg *leg, Block *block) noexcept nogil:
    if block != NULL:
        block_return(leg.down.queue.freed, block)


cdef void _take_coding(Leg *leg, const Connection *connection) noexcept nogil:
    """The state of a codec goes on as long as the codec does, if on other terms."""
    if leg.up.codec == connection.codec:
        if connection.codec.retune != NULL and connection.coding != NULL:
            connection.codec.retune(codec_state(leg.coding), codec_state(connection.coding))
        _give_back(leg, connection.coding)
    else:
        _give_back(leg, leg.coding)
        leg.coding = connection.coding


# --- bridges ----------------------------------------------------------------------------------------------------------


cdef void bridge_drop(const BridgeOrder *order, Block **freed) noexcept nogil:
    """The order reached no two legs: what it carries is nobody's."""
    cdef int i
    for i in range(2):
        if order.jitter[i] != NULL:
            block_return(freed, order.jitter[i])
        if order.coding[i] != NULL:
            block_return(freed, order.coding[i])


cdef void _hear_for(Leg *leg, Leg *other, const BridgeOrder *order, int side) noexcept nogil:
    leg.bridge.peer = other
    leg.bridge.relay = order.relay
    leg.bridge.jitter = order.jitter[side]
    leg.bridge.coding = order.coding[side]
    if not order.relay:
        resample_init(&leg.bridge.resampler, leg.up.codec.rate, other.down.codec.rate)
    leg.up.muted = not order.listen
    other.down.feed = &leg.bridge


cdef void leg_bridge(Leg *leg, Leg *other, const BridgeOrder *order) noexcept nogil:
    """Two connected legs hear each other from here on, and nobody else."""
    leg_part(leg)
    leg_part(other)
    _hear_for(leg, other, order, 0)
    _hear_for(other, leg, order, 1)


cdef void _forget_bridge(Leg *leg) noexcept nogil:
    leg.down.feed = NULL
    leg.up.muted = False
    _give_back(leg, leg.bridge.jitter)
    _give_back(leg, leg.bridge.coding)
    memset(&leg.bridge, 0, sizeof(Bridge))


cdef void leg_part(Leg *leg) noexcept nogil:
    """Ends the leg's bridge, if it has one, at both of its ends."""
    cdef Leg *other = <Leg *>leg.bridge.peer
    if other == NULL:
        return
    _forget_bridge(leg)
    _forget_bridge(other)


cdef void _pass_on(Leg *leg, const RtpPacket *packet, int64_t arrival) noexcept nogil:
    """A packet that was heard, to the leg that listens: at once, or into the jitter buffer."""
    cdef uint32_t[(PACKET_BYTES + SRTP_TRAILER) >> 2] aligned
    cdef uint8_t *datagram = <uint8_t *>aligned
    cdef Leg *other = <Leg *>leg.bridge.peer
    cdef int size = 0, kind = COMFORT_NOISE
    cdef bint event = packet.payload_type == leg.up.event_payload_type
    if not other.down.enabled:
        return
    if packet.payload_type == leg.up.payload_type:
        kind = other.down.payload_type
    elif event:
        kind = other.down.event_payload_type
    if not leg.bridge.relay and not event:
        if packet.payload_type == leg.up.payload_type:
            bridge_put(&leg.bridge, packet, arrival)
        return
    if kind < 0:
        return
    if leg.bridge.relay and (other.down.state == PLAYING or other.down.dial.first != NULL):     # ours is heard instead
        return
    if leg.bridge.relay:
        size = relay_packet(&leg.bridge, &other.down, kind, packet, datagram)
    else:
        size = relay_event(&leg.bridge, &other.down, kind, leg.up.codec.clock, packet, datagram)
    if size:
        leg_send(other, datagram, size)


# --- lines ------------------------------------------------------------------------------------------------------------

cdef enum:
    SENT
    RECEIVED

cdef int64_t HALF_TICK_NS = 2_500_000


cdef inline Line *_line(const Leg *leg, int way) noexcept nogil:
    return NULL if leg.lines[way] == NULL else <Line *>leg.lines[way].samples


cdef void line_order_drop(const LineOrder *order, Block **freed) noexcept nogil:
    """The order reached no leg: what it carries is nobody's."""
    cdef int way
    for way in range(2):
        if order.lines[way] != NULL:
            block_return(freed, order.lines[way])


cdef void _drop_lines(Leg *leg) noexcept nogil:
    """What is under way in them is lost."""
    cdef int way
    for way in range(2):
        if leg.lines[way] != NULL:
            leg.line_counts[way] = _line(leg, way).counts
        _give_back(leg, leg.lines[way])
        leg.lines[way] = NULL


cdef void leg_line(Leg *leg, const LineOrder *order) noexcept nogil:
    """From here on these lines lie between the leg and the network."""
    _drop_lines(leg)
    leg.lines[SENT] = order.lines[SENT]
    leg.lines[RECEIVED] = order.lines[RECEIVED]
    leg.down.skew = order.skew
    leg.down.sparing = order.sparing


cdef void _receive_over(Leg *leg, uint8_t *data, int size, const sockaddr_storage *source, int64_t arrival,
                        int64_t now) noexcept nogil:
    """Over the line, whose delay is added to the arrival: the tick at which it is handed on does not show."""
    cdef Line *line = _line(leg, RECEIVED)
    cdef int64_t due = arrival
    cdef int copies = line_judge(line, arrival, &due), i
    for i in range(copies):
        if not line_hold(line, data, size, source, due):
            leg_hear(leg, data, size, source, due, now)
            return


cdef bint _send_over(Leg *leg, const uint8_t *data, int size) noexcept nogil:
    """What is due at once leaves at once."""
    cdef Line *line = _line(leg, SENT)
    cdef int64_t due = 0, now = nanoseconds(CLOCK_MONOTONIC)
    cdef int copies = line_judge(line, now, &due), i
    for i in range(copies):
        if due - now < HALF_TICK_NS and line.count == 0 or not line_hold(line, data, size, NULL, due):
            _leave(leg, data, size)
    return True


cdef void _run_lines(Leg *leg, int64_t now) noexcept nogil:
    cdef Line *line = _line(leg, RECEIVED)
    cdef Held *held
    while line != NULL and line_due(line) <= now:
        held = line_take(line)
        leg_hear(leg, held.data, held.size, &held.source, held.due, now)
    line = _line(leg, SENT)
    while line != NULL and line_due(line) <= now + HALF_TICK_NS:    # at the nearest tick
        held = line_take(line)
        _leave(leg, held.data, held.size)


cdef int64_t _line_wake(const Leg *leg) noexcept nogil:
    cdef int64_t wake = INT64_MAX
    if leg.lines[RECEIVED] != NULL:
        wake = line_due(_line(leg, RECEIVED))
    if leg.lines[SENT] != NULL and line_due(_line(leg, SENT)) - HALF_TICK_NS < wake:
        wake = line_due(_line(leg, SENT)) - HALF_TICK_NS
    return wake


cdef void leg_close(Leg *leg) noexcept nogil:
    """Gives all blocks back and forgets the keys; nothing is sent or received after it."""
    srtp_close(leg.inbound)
    srtp_close(leg.outbound)
    leg.inbound = leg.outbound = NULL
    leg_part(leg)
    _drop_lines(leg)
    downlink_close(&leg.down)
    _give_back(leg, leg.coding)
    leg.coding = NULL


cdef bint leg_connect(Leg *leg, const Connection *connection, int64_t tick, int64_t now,
                      int64_t real_offset) noexcept nogil:
    """Starts or changes the leg. True if it did not know a remote address before."""
    cdef bint first = leg.source.size == 0
    if source_is_new(&leg.source, &connection.remote):
        uplink_new_source(&leg.up)
    source_agree(&leg.source, &connection.remote, connection.remote_size, now)
    _unsettle(leg)
    leg.keying = connection.keying
    leg_key(leg, connection)
    _connect_control(leg, connection, now, real_offset)
    _take_coding(leg, connection)
    uplink_connect(&leg.up, connection.codec, codec_state(leg.coding), connection.heard_payload_type,
                   connection.heard_event_payload_type, connection.send, connection.receive, now)
    downlink_connect(&leg.down, connection.codec, codec_state(leg.coding), <uint8_t>connection.payload_type,
                     connection.event_payload_type, connection.ptime_ms, connection.send, tick)
    return first


cdef bint _hear_report(Leg *leg, uint8_t *data, int size, int64_t arrival, int64_t now) noexcept nogil:
    if leg.inbound != NULL:
        size = srtp_unprotect(leg.inbound, data, size, True)
    if not control_receive(&leg.control, &leg.up, &leg.counters, data, size, arrival):
        return False
    uplink_alive(&leg.up, now)
    return True


cdef void leg_receive(Leg *leg, uint8_t *data, int size, const sockaddr_storage *source, int64_t arrival,
                      int64_t now) noexcept nogil:
    """One datagram from the network."""
    if leg.lines[RECEIVED] != NULL:
        _receive_over(leg, data, size, source, arrival, now)
    else:
        leg_hear(leg, data, size, source, arrival, now)


cdef void leg_hear(Leg *leg, uint8_t *data, int size, const sockaddr_storage *source, int64_t arrival,
                   int64_t now) noexcept nogil:
    """One datagram, decrypted in place."""
    cdef Judgement judgement = source_judge(&leg.source, source, now)
    cdef bint control = leg.mux and size > 1 and 192 <= data[1] <= 223  # RFC 5761 4: no payload type in use looks so
    cdef RtpPacket packet
    if leg.tape.order.packets:
        tape_packet(&leg.tape, data, size, source, arrival, 0)
    if judgement == REFUSED or control and judgement != KNOWN:
        leg.counters.refused += 1
        return
    if leg.keying and _is_handshake(data, size):
        _hand_up(leg, data, size, source, arrival, now)
        return
    if leg.barred:
        leg.counters.unkeyed += 1
        return
    if control:
        _hear_report(leg, data, size, arrival, now)
        return
    if leg.inbound != NULL:
        size = srtp_unprotect(leg.inbound, data, size, False)
    if not uplink_fits(&leg.up, data, size, &packet):
        leg.counters.refused += 1
        return
    if judgement != KNOWN and not source_try(&leg.source, source, packet.ssrc, packet.sequence, leg.inbound != NULL, now):
        leg.counters.refused += 1
        return
    if source_heard(&leg.source, source, now) and not leg.locked:
        _settle(leg)
    uplink_take(&leg.up, &packet, arrival, now)
    if leg.bridge.peer != NULL and leg.up.enabled and leg.up.have_ssrc and packet.ssrc == leg.up.ssrc:
        _pass_on(leg, &packet, arrival)


cdef ssize_t _leave(Leg *leg, const uint8_t *data, int size) noexcept nogil:
    """Onto the network. An earlier ICMP refusal is reported by the next call and means nothing for this one."""
    cdef ssize_t done = -1
    cdef int attempt
    for attempt in range(2):
        if leg.locked:
            done = send(leg.fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL)
        else:
            done = sendto(leg.fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL, <const sockaddr *>&leg.source.remote,
                          leg.source.size)
        if done >= 0 or errno != ECONNREFUSED:
            break
    return done


cdef bint leg_send(Leg *leg, uint8_t *data, int size) noexcept nogil:
    """One datagram to the far end, encrypted in place."""
    cdef int octets = size - RTP_HEADER
    cdef ssize_t done = -1
    if leg.barred:
        leg.counters.unkeyed += 1
        return True
    if leg.outbound != NULL:
        size = srtp_protect(leg.outbound, data, size, False)
        if size == 0:
            return False
    done = _send_over(leg, data, size) if leg.lines[SENT] != NULL else _leave(leg, data, size)
    if leg.tape.order.packets:
        tape_packet(&leg.tape, data, size, &leg.source.remote, nanoseconds(CLOCK_MONOTONIC), PACKET_OUT)
    if done >= 0:
        leg.counters.sent += 1
        leg.counters.octets += octets
    return done >= 0


# --- RTCP -------------------------------------------------------------------------------------------------------------


cdef int64_t leg_wake(const Leg *leg) noexcept nogil:
    """When the leg's timers want to be looked at next."""
    cdef int64_t wake = uplink_wake(&leg.up)
    if leg.patch.state == PARTING:
        return 0
    if source_wake(&leg.source) < wake:
        wake = source_wake(&leg.source)
    if leg.lines[SENT] != NULL or leg.lines[RECEIVED] != NULL:
        wake = min(wake, _line_wake(leg))
    return leg.control.due if leg.control.due < wake else wake


cdef void leg_timer(Leg *leg, int64_t now) noexcept nogil:
    """Does what is due, except reports."""
    if leg.lines[SENT] != NULL or leg.lines[RECEIVED] != NULL:
        _run_lines(leg, now)
    uplink_timer(&leg.up, now)
    if source_timer(&leg.source, now):
        _unsettle(leg)


cdef void leg_receive_control(Leg *leg, uint8_t *data, int size, const sockaddr_storage *source,
                              int64_t arrival, int64_t now) noexcept nogil:
    """One datagram of the RTCP port. It comes from where SDP said or, behind a NAT, from the host that media come from; the
    first report that fits our session then decides (symmetric RTCP, RFC 4961)."""
    cdef bint fits = same_address(source, &leg.control_remote)
    if leg.tape.order.packets:
        tape_packet(&leg.tape, data, size, source, arrival, PACKET_CONTROL)
    if not fits and leg.source.options.learn != LEARN_NEVER and not leg.control_locked:
        fits = same_host(source, &leg.source.remote) or same_host(source, &leg.control_remote)
    if not fits or leg.barred:
        leg.control.counts.reports_refused += 1
    elif _hear_report(leg, data, size, arrival, now) and not leg.control_locked:
        leg.control_locked = True
        leg.control_remote = source[0]


cdef bint _nowhere(const sockaddr_storage *address) noexcept nogil:
    """The address of a hold of old (RFC 3264 8.4), to which Linux would send: to itself."""
    cdef sockaddr_storage zero
    memset(&zero, 0, sizeof(zero))
    zero.ss_family = address.ss_family
    return same_host(address, &zero)


cdef bint leg_send_control(Leg *leg, uint8_t *data, int size) noexcept nogil:
    """One compound packet, on the port that was agreed on. An earlier ICMP refusal means nothing for it."""
    cdef ssize_t done = -1
    cdef int attempt
    if leg.barred or _nowhere(&leg.source.remote if leg.mux else &leg.control_remote):
        return False
    if leg.outbound != NULL:
        size = srtp_protect(leg.outbound, data, size, True)
        if size == 0:
            return False
    for attempt in range(2):
        if leg.mux and leg.locked:
            done = send(leg.fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL)
        elif leg.mux:
            done = sendto(leg.fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL, <const sockaddr *>&leg.source.remote,
                          leg.source.size)
        else:
            done = sendto(leg.control_fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL,
                          <const sockaddr *>&leg.control_remote, leg.control_size)
        if done >= 0 or errno != ECONNREFUSED:
            break
    if leg.tape.order.packets:
        tape_packet(&leg.tape, data, size, &leg.source.remote if leg.mux else &leg.control_remote,
                    nanoseconds(CLOCK_MONOTONIC), PACKET_OUT | (0 if leg.mux else PACKET_CONTROL))
    if done >= 0:
        leg.control.counts.reports_sent += 1
    return done >= 0
