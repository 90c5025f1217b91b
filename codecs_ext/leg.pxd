from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t

from codecs_ext.bridge cimport Bridge, BridgeOrder
from codecs_ext.codec cimport CodecTable
from codecs_ext.control cimport Control
from codecs_ext.counters cimport Counters
from codecs_ext.downlink cimport Downlink
from codecs_ext.line cimport LineCounts
from codecs_ext.linux cimport sockaddr_storage, socklen_t
from codecs_ext.patch cimport Patch
from codecs_ext.playout cimport Block
from codecs_ext.source cimport Source
from codecs_ext.srtp cimport Session
from codecs_ext.tape cimport Tape
from codecs_ext.uplink cimport Uplink

cdef struct Connection:
    # What offer and answer agreed on, as the command carries it.
    sockaddr_storage remote
    socklen_t remote_size
    sockaddr_storage control    # where RTCP goes
    socklen_t control_size
    bint mux                    # with RTP, on its port (RFC 5761)
    bint metrics                # the far end asked for VoIP metrics
    const CodecTable *codec
    Block *coding               # a new state of the codec, for the leg to take over or give back; NULL: it has none
    bint rekey_in               # ``inbound`` replaces the session that is in use; NULL: none from here on
    bint rekey_out
    bint keying                 # a DTLS handshake makes the keys (RFC 5764); until then nothing is heard or sent
    Session inbound             # the leg's from the moment that it sees the command
    Session outbound
    int payload_type
    int event_payload_type      # -1: none
    int heard_payload_type      # the far end's may be another (RFC 3264 5.1)
    int heard_event_payload_type    # -1: none
    int ptime_ms
    bint send
    bint receive

cdef struct LineOrder:
    # What becomes of the leg's datagrams from now on, as the command carries it.
    Block *lines[2]             # a ``Line`` each, for what is sent and what is received; NULL: nothing happens to it
    double skew                 # our clock is so much slower: 1e-6 is one part per million
    bint sparing                # nothing is sent while nothing is said

cdef struct Leg:
    int fd
    int control_fd              # -1: none
    bint polled                 # in the shard's epoll set
    bint locked                 # the source is settled: the socket is connected to it
    bint closing
    bint mux
    Session inbound             # SRTP; NULL: plain
    Session outbound
    bint keying                 # DTLS is handed up
    bint barred                 # until there are keys
    int64_t handed_since        # the second that ``handed`` counts
    int handed
    bint control_locked         # a report that fits has decided where reports go
    Source source
    sockaddr_storage control_agreed
    sockaddr_storage control_remote
    socklen_t control_size
    Block *coding               # state of the codec, both ways; NULL: it has none
    Counters counters
    Control control
    Tape tape
    Bridge bridge               # to another leg of the shard
    Patch patch                 # to a stream of a model's connection
    Block *lines[2]             # sent, received; NULL: as the network has it
    LineCounts line_counts[2]   # of those that are gone
    Uplink up
    Downlink down

cdef socklen_t leg_address(const char *host, uint16_t port, sockaddr_storage *address) noexcept nogil
cdef bint leg_connect(Leg *leg, const Connection *connection, int64_t tick, int64_t now,
                      int64_t real_offset) noexcept nogil
cdef void leg_key(Leg *leg, const Connection *connection) noexcept nogil
cdef void leg_send_raw(Leg *leg, const sockaddr_storage *to, const uint8_t *data, int size) noexcept nogil
cdef void leg_close(Leg *leg) noexcept nogil
cdef void leg_hear(Leg *leg, uint8_t *data, int size, const sockaddr_storage *source, int64_t arrival,
                   int64_t now) noexcept nogil
cdef void leg_receive(Leg *leg, uint8_t *data, int size, const sockaddr_storage *source, int64_t arrival,
                      int64_t now) noexcept nogil
cdef void leg_receive_control(Leg *leg, uint8_t *data, int size, const sockaddr_storage *source,
                              int64_t arrival, int64_t now) noexcept nogil
cdef bint leg_send_control(Leg *leg, uint8_t *data, int size) noexcept nogil
cdef int64_t leg_wake(const Leg *leg) noexcept nogil
cdef void leg_line(Leg *leg, const LineOrder *order) noexcept nogil
cdef void line_order_drop(const LineOrder *order, Block **freed) noexcept nogil
cdef void leg_timer(Leg *leg, int64_t now) noexcept nogil
cdef bint leg_send(Leg *leg, uint8_t *data, int size) noexcept nogil
cdef void leg_bridge(Leg *leg, Leg *other, const BridgeOrder *order) noexcept nogil
cdef void leg_part(Leg *leg) noexcept nogil
cdef void bridge_drop(const BridgeOrder *order, Block **freed) noexcept nogil
cdef void connection_drop(const Connection *connection, Block **freed) noexcept nogil
