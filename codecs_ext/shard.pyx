"""The media thread: one clock, one epoll set, some hundreds of legs; it never meets the interpreter.

Every 5 ms: commands from the event loop, the packets that are due, then one epoll_wait without waiting and a bounded
number of packets from each ready socket, timers, and at most one wake-up of the event loop. Sending comes first because
it has a due time and receiving has none: at 200 calls the median packet leaves 150 us after it instead of 370.
``recvmmsg`` fetches a socket's packets in one call and shows by a short count that it is empty; a second ``recvmsg``
would have to ask.
"""

from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from codecs_ext.atomics cimport lc_exchange, lc_load, lc_store
from codecs_ext.backdrop cimport BackdropOrder, backdrop_set
from codecs_ext.bridge cimport BridgeOrder
from codecs_ext.control cimport control_goodbye, control_timer
from codecs_ext.downlink cimport (
    PACKET_BYTES,
    downlink_dial,
    downlink_flush,
    downlink_mark,
    downlink_packet,
    downlink_play,
    downlink_sent,
    downlink_trim,
)
from codecs_ext.echo cimport Echo
from codecs_ext.frames cimport frames_end, frames_listen
from codecs_ext.leg cimport (
    Connection,
    Leg,
    LineOrder,
    bridge_drop,
    connection_drop,
    leg_bridge,
    leg_part,
    leg_close,
    leg_connect,
    leg_key,
    leg_line,
    leg_receive,
    leg_receive_control,
    leg_send,
    leg_send_control,
    leg_send_raw,
    leg_timer,
    leg_wake,
    line_order_drop,
)
from codecs_ext.linux cimport (
    AF_INET,
    CLOCK_MONOTONIC,
    CLOCK_REALTIME,
    CMSG_DATA,
    CMSG_FIRSTHDR,
    EAGAIN,
    EFD_CLOEXEC,
    EFD_NONBLOCK,
    EINTR,
    EPOLL_CLOEXEC,
    EPOLL_CTL_ADD,
    EPOLL_CTL_DEL,
    EPOLL_CTL_MOD,
    EPOLLET,
    EPOLLIN,
    MSG_DONTWAIT,
    MSG_TRUNC,
    SO_TIMESTAMPNS,
    SOCK_CLOEXEC,
    SOCK_DGRAM,
    SOL_SOCKET,
    TFD_CLOEXEC,
    TFD_TIMER_ABSTIME,
    close,
    cmsghdr,
    epoll_create1,
    epoll_ctl,
    epoll_event,
    epoll_wait,
    errno,
    eventfd,
    itimerspec,
    nanoseconds,
    read,
    recvmmsg,
    setsockopt,
    sockaddr_storage,
    socket,
    timerfd_create,
    timerfd_settime,
    timespec,
    write,
)
from codecs_ext.onset cimport OnsetOptions
from codecs_ext.patch cimport PARTING
from codecs_ext.pipes cimport pipes_command, pipes_flush, pipes_free, pipes_init, pipes_patch, pipes_read, pipes_unpatch
from codecs_ext.playout cimport Block, block_return, blocks_free
from codecs_ext.ring cimport (
    CLOSED,
    DO_BACKDROP,
    DO_BRIDGE,
    DO_CLOSE,
    DO_CONNECT,
    DO_DIAL,
    DO_ECHO,
    DO_FLUSH,
    DO_KEY,
    DO_LINE,
    DO_LISTEN,
    DO_TRIM,
    DO_MARK,
    DO_OPEN,
    DO_PATCH,
    DO_PIPE,
    DO_PIPE_END,
    DO_PLAY,
    DO_POOL,
    DO_SEND,
    DO_TAPE,
    DO_UNPATCH,
    Record,
    ring_free,
    ring_init,
    ring_peek,
    ring_release,
    ring_tell,
)
from codecs_ext.rtcp cimport RTCP_BYTES
from codecs_ext.srtp cimport SRTP_TRAILER
from codecs_ext.tape cimport TAPED_AGENT, TapeOrder, tape_order, tape_samples
from codecs_ext.warm cimport warm_queue, warm_to_receive, warm_to_send

__all__: list[str] = []

cdef int64_t OFF = INT64_MAX
cdef uint32_t ON_CONTROL = 0x80000000       # in an epoll event: the slot's RTCP socket
cdef int64_t OLDEST_NS = 2_000_000_000      # a kernel stamp further back than this tells of a clock that was set


# --- birth and death --------------------------------------------------------------------------------------------------


cdef Shard *shard_new(int capacity, uint64_t event_bytes, uint64_t command_bytes, uint64_t tape_bytes) noexcept nogil:
    """NULL without memory or descriptors."""
    cdef Shard *shard = <Shard *>calloc(1, sizeof(Shard))
    cdef int on = 1
    if shard == NULL:
        return NULL
    shard.capacity = capacity
    shard.pipes.epoll = -1
    shard.legs = <Leg **>calloc(capacity, sizeof(Leg *))
    shard.due = <int64_t *>calloc(capacity, sizeof(int64_t))
    shard.wake = <int64_t *>calloc(capacity, sizeof(int64_t))
    shard.turn = <int *>calloc(capacity, sizeof(int))
    shard.ready = <epoll_event *>calloc(2 * capacity, sizeof(epoll_event))
    shard.epoll = epoll_create1(EPOLL_CLOEXEC)
    shard.timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC)
    shard.wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)
    # The kernel turns stamping on some time after the first socket asks for it, and off with the last: the first packets
    # of a call would be stamped when they are read.
    shard.stamping = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)
    setsockopt(shard.stamping, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on))
    if (not ring_init(&shard.events, event_bytes) or not ring_init(&shard.commands, command_bytes)
            or not ring_init(&shard.tape, tape_bytes)
            or not pipes_init(&shard.pipes, capacity, &shard.events, shard.legs, shard.due, &shard.pool, &shard.freed)
            or shard.legs == NULL or shard.due == NULL or shard.wake == NULL or shard.turn == NULL or shard.ready == NULL
            or shard.epoll < 0 or shard.timer < 0 or shard.wake_fd < 0 or shard.stamping < 0):
        shard_free(shard)
        return NULL
    _wire_messages(shard)
    return shard


cdef void _close(int fd) noexcept nogil:
    if fd >= 0:
        close(fd)


cdef void shard_free(Shard *shard) noexcept nogil:
    """After the thread has ended; the legs are the caller's."""
    _close(shard.epoll)
    _close(shard.timer)
    _close(shard.wake_fd)
    _close(shard.stamping)
    ring_free(&shard.events)
    ring_free(&shard.commands)
    ring_free(&shard.tape)
    pipes_free(&shard.pipes)
    blocks_free(&shard.freed)
    blocks_free(&shard.pool)
    free(shard.legs)
    free(shard.due)
    free(shard.wake)
    free(shard.turn)
    free(shard.ready)
    free(shard)


cdef void _wire_messages(Shard *shard) noexcept nogil:
    cdef int i
    for i in range(BATCH):
        shard.vectors[i].iov_base = shard.datagrams[i]
        shard.vectors[i].iov_len = DATAGRAM
        shard.messages[i].msg_hdr.msg_iov = &shard.vectors[i]
        shard.messages[i].msg_hdr.msg_iovlen = 1
        shard.messages[i].msg_hdr.msg_name = &shard.sources[i]
        shard.messages[i].msg_hdr.msg_control = shard.controls[i]
        _rewind(shard, i)


cdef inline void _rewind(Shard *shard, int i) noexcept nogil:
    """The kernel writes the lengths of what it gave into the lengths of what there is room for."""
    shard.messages[i].msg_hdr.msg_namelen = sizeof(sockaddr_storage)
    shard.messages[i].msg_hdr.msg_controllen = CONTROL


# --- commands ---------------------------------------------------------------------------------------------------------


cdef void _open(Shard *shard, uint32_t slot, Leg *leg) noexcept nogil:
    shard.legs[slot] = leg
    shard.due[slot] = OFF
    shard.wake[slot] = OFF
    if <int>slot >= shard.highest:
        shard.highest = <int>slot + 1


cdef bint _poll(Shard *shard, int operation, uint32_t name, int fd) noexcept nogil:
    """Edge triggered: the kernel looks at a socket once per packet, not again at the next tick to see that it is empty."""
    cdef epoll_event event
    event.events = EPOLLIN | EPOLLET
    event.data.u32 = name
    shard.costs.syscalls += 1
    return epoll_ctl(shard.epoll, operation, fd, &event) == 0


cdef void shard_close_leg(Shard *shard, uint32_t slot) noexcept nogil:
    """Frees what the leg holds, except its memory, which is told of by CLOSED and freed by who gave it."""
    cdef Leg *leg = shard.legs[slot]
    if leg.fd >= 0:
        if leg.polled:
            epoll_ctl(shard.epoll, EPOLL_CTL_DEL, leg.fd, NULL)
        _goodbye(shard, leg)
        frames_end(&leg.up.frames)
        close(leg.fd)
        leg.fd = -1
        _close(leg.control_fd)              # which takes it out of the epoll set: nobody else has it
        leg.control_fd = -1
        leg_close(leg)
    leg.closing = True
    shard.due[slot] = OFF
    shard.wake[slot] = OFF
    if not pipes_unpatch(&shard.pipes, leg) or not ring_tell(&shard.events, CLOSED, slot, 0, 0, shard.now):
        shard.wake[slot] = shard.now        # the ring is full: again at the next tick, this one must not be lost
        return
    shard.legs[slot] = NULL
    while shard.highest > 0 and shard.legs[shard.highest - 1] == NULL:
        shard.highest -= 1


cdef void _bridge(Shard *shard, Leg *leg, const BridgeOrder *order) noexcept nogil:
    cdef Leg *other = shard.legs[order.peer] if order.peer < <uint32_t>shard.capacity else NULL
    if other == NULL or other == leg or other.closing or leg.up.codec == NULL or other.up.codec == NULL:
        bridge_drop(order, &shard.freed)
        leg_part(leg)
    else:
        leg_bridge(leg, other, order)


cdef void _fill_pool(Shard *shard, Block *block) noexcept nogil:
    """A chain of blocks that go back there whenever they have been played."""
    cdef Block *following
    while block != NULL:
        following = block.next
        block_return(&shard.freed, block)
        block = following


cdef void _echo(Shard *shard, Leg *leg, const Record *record) noexcept nogil:
    """``number`` says whether."""
    leg.up.frames.echo = Echo(NULL, &shard.pool, &shard.tick, False)
    if record.number:
        leg.up.frames.echo.down = &leg.down


cdef void _command(Shard *shard, const Record *record) noexcept nogil:
    cdef Leg *leg
    cdef const BackdropOrder *order
    if record.kind == DO_OPEN:
        _open(shard, record.slot, <Leg *>record.number)
        return
    if record.kind == DO_POOL:
        _fill_pool(shard, <Block *>record.number)
        return
    if DO_PIPE <= record.kind <= DO_PIPE_END:
        pipes_command(&shard.pipes, record)
        return
    leg = shard.legs[record.slot]
    if leg == NULL or leg.closing:
        if record.kind == DO_PLAY or record.kind == DO_MARK or record.kind == DO_DIAL:
            block_return(&shard.freed, <Block *>record.number)
        elif record.kind == DO_CONNECT or record.kind == DO_KEY:
            connection_drop(<const Connection *>(record + 1), &shard.freed)
        elif record.kind == DO_BRIDGE:
            bridge_drop(<const BridgeOrder *>(record + 1), &shard.freed)
        elif record.kind == DO_LINE:
            line_order_drop(<const LineOrder *>(record + 1), &shard.freed)
        return
    if record.kind == DO_CONNECT:
        if leg_connect(leg, <const Connection *>(record + 1), shard.tick, shard.now, shard.real_offset):
            leg.polled = _poll(shard, EPOLL_CTL_ADD, record.slot, leg.fd)
            if leg.control_fd >= 0:
                _poll(shard, EPOLL_CTL_ADD, record.slot | ON_CONTROL, leg.control_fd)
    elif record.kind == DO_PLAY:
        if record.stamp:
            (<Block *>record.number).number = record.stamp - shard.origin
        downlink_play(&leg.down, <Block *>record.number, shard.tick)
    elif record.kind == DO_MARK:
        downlink_mark(&leg.down, <Block *>record.number)
    elif record.kind == DO_FLUSH:
        downlink_flush(&leg.down, record.number)
    elif record.kind == DO_DIAL:
        downlink_dial(&leg.down, <Block *>record.number)
    elif record.kind == DO_BACKDROP:
        order = <const BackdropOrder *>(record + 1)
        backdrop_set(&leg.down.backdrop, order.loop, order.count, order.rate, order.level, order.duck)
    elif record.kind == DO_TRIM:
        downlink_trim(&leg.down, record.number, record.media_time)
    elif record.kind == DO_LINE:
        leg_line(leg, <const LineOrder *>(record + 1))
    elif record.kind == DO_LISTEN:
        frames_listen(&leg.up.frames, <const OnsetOptions *>(record + 1))
    elif record.kind == DO_TAPE:
        tape_order(&leg.tape, <const TapeOrder *>(record + 1), shard.now)
    elif record.kind == DO_KEY:
        leg_key(leg, <const Connection *>(record + 1))
    elif record.kind == DO_SEND:
        leg_send_raw(leg, <const sockaddr_storage *>(record + 1), <const uint8_t *>(record + 1) + sizeof(sockaddr_storage),
                     <int>(record.bytes - sizeof(sockaddr_storage)))
    elif record.kind == DO_BRIDGE:
        _bridge(shard, leg, <const BridgeOrder *>(record + 1))
    elif record.kind == DO_ECHO:
        _echo(shard, leg, record)
    elif DO_PATCH <= record.kind <= DO_UNPATCH:
        pipes_patch(&shard.pipes, leg, record)
    elif record.kind == DO_CLOSE:
        shard_close_leg(shard, record.slot)
        return
    shard.due[record.slot] = leg.down.due
    shard.wake[record.slot] = leg_wake(leg)


cdef void _commands(Shard *shard) noexcept nogil:
    cdef Record *record = ring_peek(&shard.commands)
    while record != NULL:
        _command(shard, record)
        ring_release(&shard.commands, record)
        record = ring_peek(&shard.commands)


# --- receive ----------------------------------------------------------------------------------------------------------


cdef int64_t _arrival(Shard *shard, int i) noexcept nogil:
    """The kernel's stamp of message ``i`` on our clock."""
    cdef cmsghdr *control = CMSG_FIRSTHDR(&shard.messages[i].msg_hdr)
    cdef timespec *stamp
    cdef int64_t arrival
    if control == NULL or control.cmsg_level != SOL_SOCKET or control.cmsg_type != SO_TIMESTAMPNS:
        return shard.now
    stamp = <timespec *>CMSG_DATA(control)
    arrival = <int64_t>stamp.tv_sec * 1_000_000_000 + stamp.tv_nsec + shard.real_offset
    if arrival > shard.now + TICK_NS or arrival < shard.now - OLDEST_NS:
        return shard.now
    return arrival


cdef int _read(Shard *shard, uint32_t name, int fd) noexcept nogil:
    """So many datagrams. If there may be more, the next tick is told; an error is an earlier packet's ICMP answer, and
    asking has cleared it."""
    cdef int count = recvmmsg(fd, shard.messages, BATCH, MSG_DONTWAIT, NULL)
    shard.costs.syscalls += 1
    if count == BATCH or count < 0 and errno != EAGAIN:
        _poll(shard, EPOLL_CTL_MOD, name, fd)
    return count


cdef void _receive_leg(Shard *shard, uint32_t slot) noexcept nogil:
    cdef Leg *leg = shard.legs[slot]
    cdef int count = _read(shard, slot, leg.fd), i
    cdef uint8_t *data
    for i in range(count):
        data = shard.datagrams[i]
        if shard.messages[i].msg_hdr.msg_flags & MSG_TRUNC:
            leg.counters.refused += 1
        else:
            leg_receive(leg, data, <int>shard.messages[i].msg_len, &shard.sources[i], _arrival(shard, i), shard.now)
        _rewind(shard, i)
    if count > 0:
        shard.costs.packets_received += count
        shard.wake[slot] = leg_wake(leg)
        shard.due[slot] = leg.down.due          # what echoes has queued something


cdef void _receive_control(Shard *shard, uint32_t slot) noexcept nogil:
    cdef Leg *leg = shard.legs[slot]
    cdef int count = _read(shard, slot | ON_CONTROL, leg.control_fd), i
    for i in range(count):
        if shard.messages[i].msg_hdr.msg_flags & MSG_TRUNC:
            leg.control.counts.reports_refused += 1
        else:
            leg_receive_control(leg, shard.datagrams[i], <int>shard.messages[i].msg_len, &shard.sources[i],
                                _arrival(shard, i), shard.now)
        _rewind(shard, i)
    if count > 0:
        shard.wake[slot] = leg_wake(leg)


cdef void _receive(Shard *shard) noexcept nogil:
    cdef int i, count = 0
    if shard.highest > 0:
        count = epoll_wait(shard.epoll, shard.ready, 2 * shard.capacity, 0)
        shard.costs.syscalls += 1
    for i in range(count):
        if i + 1 < count:
            warm_to_receive(shard.legs[shard.ready[i + 1].data.u32 & ~ON_CONTROL])
        if shard.ready[i].data.u32 & ON_CONTROL:
            _receive_control(shard, shard.ready[i].data.u32 & ~ON_CONTROL)
        else:
            _receive_leg(shard, shard.ready[i].data.u32)


# --- timers and sending -----------------------------------------------------------------------------------------------


cdef int64_t _packet_at(const Shard *shard, const Leg *leg) noexcept nogil:
    """When the leg's next packet leaves; now, if none does."""
    return shard.origin + leg.down.due * TICK_NS if leg.down.enabled else shard.now


cdef void _report(Shard *shard, Leg *leg) noexcept nogil:
    cdef uint32_t[(RTCP_BYTES + SRTP_TRAILER) >> 2] aligned
    cdef uint8_t *data = <uint8_t *>aligned
    cdef int size = control_timer(&leg.control, &leg.up, &leg.down, &leg.counters, _packet_at(shard, leg), shard.now,
                                  data)
    if size:
        leg_send_control(leg, data, size)
        shard.costs.syscalls += 1


cdef void _goodbye(Shard *shard, Leg *leg) noexcept nogil:
    cdef uint32_t[(RTCP_BYTES + SRTP_TRAILER) >> 2] aligned
    cdef uint8_t *data = <uint8_t *>aligned
    cdef int size = control_goodbye(&leg.control, &leg.up, &leg.down, &leg.counters, _packet_at(shard, leg), shard.now,
                                    data)
    if size:
        leg_send_control(leg, data, size)


cdef void _timers(Shard *shard) noexcept nogil:
    cdef int slot
    for slot in range(shard.highest):
        if shard.wake[slot] <= shard.now and shard.legs[slot] != NULL:
            if shard.legs[slot].closing:
                shard_close_leg(shard, <uint32_t>slot)
            else:
                if shard.legs[slot].patch.state == PARTING:
                    pipes_unpatch(&shard.pipes, shard.legs[slot])
                leg_timer(shard.legs[slot], shard.now)
                if shard.legs[slot].control.due <= shard.now:
                    _report(shard, shard.legs[slot])
                shard.wake[slot] = leg_wake(shard.legs[slot])
                shard.due[slot] = shard.legs[slot].down.due


cdef void _count_deviation(Shard *shard, int64_t deviation) noexcept nogil:
    cdef int64_t index = deviation // 10_000
    shard.deviations[0 if index < 0 else index if index < DEVIATION_BINS else DEVIATION_BINS - 1] += 1


cdef void _tape_packet(const Shard *shard, Leg *leg, int64_t due) noexcept nogil:
    tape_samples(&leg.tape, TAPED_AGENT, leg.down.said, leg.down.samples,
                 leg.down.codec.rate, leg.down.codec.clock, leg.down.timestamp, shard.origin + due * TICK_NS, False)


cdef void _send_leg(Shard *shard, int slot) noexcept nogil:
    cdef Leg *leg = shard.legs[slot]
    cdef uint32_t[(PACKET_BYTES + SRTP_TRAILER) >> 2] aligned      # as libsrtp wants packets
    cdef uint8_t *datagram = <uint8_t *>aligned
    cdef int size
    cdef int64_t sent, due = leg.down.due
    if leg.down.feed != NULL:
        leg.down.feed.now = shard.now
    size = downlink_packet(&leg.down, shard.tick, datagram)
    if size:
        if leg_send(leg, datagram, size):
            shard.costs.packets_sent += 1
        else:
            shard.costs.send_failures += 1
        shard.costs.syscalls += 1
        if leg.tape.order.voice:
            _tape_packet(shard, leg, due)
        sent = nanoseconds(CLOCK_MONOTONIC)
        _count_deviation(shard, sent - (shard.origin + due * TICK_NS))
        downlink_sent(&leg.down, sent)
        if leg.lines[0] != NULL:
            shard.wake[slot] = leg_wake(leg)
    shard.due[slot] = leg.down.due


cdef void _send(Shard *shard) noexcept nogil:
    cdef int slot, i, count = 0
    for slot in range(shard.highest):
        if shard.due[slot] <= shard.tick and shard.legs[slot] != NULL:
            shard.turn[count] = slot
            count += 1
    for i in range(count):
        if i + 2 < count:
            warm_to_send(shard.legs[shard.turn[i + 2]])
        if i + 1 < count:
            warm_queue(shard.legs[shard.turn[i + 1]])
        if shard.due[shard.turn[i]] <= shard.tick:      # unless the turn of another has changed that
            _send_leg(shard, shard.turn[i])


# --- the thread -------------------------------------------------------------------------------------------------------


cdef void _wake_loop(Shard *shard) noexcept nogil:
    """At most one wake-up per tick, and none while the last one has not been heard."""
    cdef uint64_t one = 1
    if shard.events.head != shard.told:
        shard.told = shard.events.head
        if not lc_exchange(&shard.signalled, 1):
            write(shard.wake_fd, &one, sizeof(one))
            shard.costs.syscalls += 1
            shard.costs.wake_ups += 1


cdef void _drag(const Shard *shard) noexcept nogil:
    """Works on nothing, as a thread does that has too much to do."""
    cdef int64_t until = nanoseconds(CLOCK_MONOTONIC) + <int64_t>shard.drag_ns
    while nanoseconds(CLOCK_MONOTONIC) < until:
        pass


cdef void _account(Shard *shard, uint64_t passed) noexcept nogil:
    cdef int bin = 0
    cdef int64_t late = shard.now - (shard.origin + shard.tick * TICK_NS)
    shard.costs.ticks += 1
    shard.costs.syscalls += 1
    if passed > 1:
        shard.costs.late_ticks += passed - 1
        late += <int64_t>(passed - 1) * TICK_NS
    if late > <int64_t>shard.costs.max_lateness_ns:
        shard.costs.max_lateness_ns = late
    while late >= <int64_t>LATENESS_NS << bin and bin < LATENESS_BINS - 1:
        bin += 1
    shard.lateness[bin] += 1


cdef void _start_clock(Shard *shard) noexcept nogil:
    cdef itimerspec when
    shard.origin = nanoseconds(CLOCK_MONOTONIC)
    memset(&when, 0, sizeof(when))
    when.it_interval.tv_nsec = TICK_NS
    when.it_value.tv_sec = (shard.origin + TICK_NS) // 1_000_000_000
    when.it_value.tv_nsec = (shard.origin + TICK_NS) % 1_000_000_000
    timerfd_settime(shard.timer, TFD_TIMER_ABSTIME, &when, NULL)


cdef void *shard_run(void *argument) noexcept nogil:
    """The thread's main function; the argument is the ``Shard``. Ends within a tick after ``stop`` is set."""
    cdef Shard *shard = <Shard *>argument
    cdef uint64_t passed = 0, one = 1
    _start_clock(shard)
    while not lc_load(&shard.stop):
        if read(shard.timer, &passed, sizeof(passed)) != sizeof(passed):
            continue
        shard.tick += passed
        shard.now = nanoseconds(CLOCK_MONOTONIC)
        shard.real_offset = shard.now - nanoseconds(CLOCK_REALTIME)
        _account(shard, passed)
        _commands(shard)
        shard.costs.syscalls += pipes_read(&shard.pipes, shard.tick, shard.now)
        _send(shard)
        _receive(shard)
        _timers(shard)
        shard.costs.syscalls += pipes_flush(&shard.pipes, shard.highest)
        if shard.drag_ns:
            _drag(shard)
        _wake_loop(shard)
        shard.costs.busy_ns += nanoseconds(CLOCK_MONOTONIC) - shard.now
    lc_store(&shard.stopped, 1)
    write(shard.wake_fd, &one, sizeof(one))
    return NULL
