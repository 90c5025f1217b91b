"""All WebSockets that one media thread speaks: their commands, and their part of a tick.

They are read before the packets of a tick are made, so that what has come is played in the same tick, and written behind
the reception, so that what was heard leaves in the tick that heard it. They have an epoll set of their own for that.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free

from codecs_ext.intake cimport intake_init, intake_join, intake_leave, intake_read
from codecs_ext.leg cimport Leg
from codecs_ext.linux cimport (
    EPOLL_CLOEXEC,
    EPOLL_CTL_ADD,
    EPOLLIN,
    close,
    epoll_create1,
    epoll_ctl,
    epoll_event,
    epoll_wait,
    errno,
)
from codecs_ext.patch cimport APART, HOLDING, PARTING, STRAIGHT, PatchOrder, patch_go, patch_hold, patch_part
from codecs_ext.pipe cimport Pipe, pipe_close, pipe_flush, pipe_touch, pipe_write
from codecs_ext.playout cimport Block, block_return
from codecs_ext.ring cimport (
    DO_PATCH_GO,
    DO_PIPE,
    DO_PIPE_ACK,
    DO_PIPE_END,
    DO_PIPE_WRITE,
    DO_UNPATCH,
    PIPE_ENDED,
    Record,
    Ring,
    ring_tell,
)

__all__: list[str] = []


cdef bint pipes_init(Pipes *pipes, int capacity, Ring *events, Leg **legs, int64_t *due, Block **pool,
                     Block **freed) noexcept nogil:
    """False without memory or descriptors."""
    pipes.capacity = capacity
    pipes.pipes = <Pipe **>calloc(capacity, sizeof(Pipe *))
    pipes.ready = <epoll_event *>calloc(capacity, sizeof(epoll_event))
    pipes.epoll = epoll_create1(EPOLL_CLOEXEC)
    pipes.events = events
    pipes.freed = freed
    intake_init(&pipes.intake, events, legs, due, pool)
    return pipes.pipes != NULL and pipes.ready != NULL and pipes.epoll >= 0


cdef void pipes_free(Pipes *pipes) noexcept nogil:
    """After the thread has ended; the pipes are the caller's."""
    if pipes.epoll >= 0:
        close(pipes.epoll)
    free(pipes.pipes)
    free(pipes.ready)


# --- commands ---------------------------------------------------------------------------------------------------------


cdef void _take(Pipes *pipes, Pipe *pipe) noexcept nogil:
    cdef epoll_event event
    pipe.epoll = pipes.epoll
    pipe.keys = &pipes.keys
    pipe.freed = pipes.freed
    pipe.touched = &pipes.touched
    pipes.pipes[pipe.slot] = pipe
    pipes.open += 1
    event.events = EPOLLIN
    event.data.u32 = pipe.slot
    if epoll_ctl(pipes.epoll, EPOLL_CTL_ADD, pipe.fd, &event) != 0:
        pipe.fault = errno
        pipe_close(pipe)


cdef void pipes_command(Pipes *pipes, const Record *record) noexcept nogil:
    """One that names a pipe."""
    cdef Pipe *pipe
    if record.kind == DO_PIPE:
        _take(pipes, <Pipe *>record.number)
        return
    pipe = pipes.pipes[record.slot]
    if record.kind == DO_PIPE_WRITE and (pipe == NULL or pipe.over):
        block_return(pipes.freed, <Block *>record.number)
    elif pipe == NULL or pipe.over:
        return
    elif record.kind == DO_PIPE_WRITE:
        pipe_write(pipe, <Block *>record.number)
    elif record.kind == DO_PIPE_ACK:
        pipe.acked = <uint64_t>record.number
    elif record.kind == DO_PIPE_END and record.number:
        pipe_close(pipe)
    elif record.kind == DO_PIPE_END:
        pipe.ending = True
        pipe_touch(pipe)


cdef void _hold(Pipes *pipes, Leg *leg, const Record *record) noexcept nogil:
    cdef Pipe *pipe = pipes.pipes[record.number]
    if leg.patch.state != APART:
        return
    if pipe == NULL or pipe.over:
        leg.patch.behind = 0
        patch_part(&leg.patch)
        return
    patch_hold(&leg.patch, pipe, <const PatchOrder *>(record + 1))
    if leg.patch.state == HOLDING:
        intake_join(&pipes.intake, leg)


cdef void pipes_patch(Pipes *pipes, Leg *leg, const Record *record) noexcept nogil:
    """A command about the patch of a leg."""
    if record.kind == DO_PATCH_GO:
        patch_go(&leg.patch, <uint32_t>record.number, <unsigned int>record.media_time)
    elif record.kind == DO_UNPATCH:
        pipes_unpatch(pipes, leg)
    else:
        _hold(pipes, leg, record)


cdef bint pipes_unpatch(Pipes *pipes, Leg *leg) noexcept nogil:
    """True once the leg is apart and that was told; else to be tried again."""
    if leg.patch.state == HOLDING or leg.patch.state == STRAIGHT:
        intake_leave(&pipes.intake, leg)
    return leg.patch.state == APART or patch_part(&leg.patch)


# --- in a tick --------------------------------------------------------------------------------------------------------


cdef uint64_t pipes_read(Pipes *pipes, int64_t tick, int64_t now) noexcept nogil:
    """Reads what is ready; returns how many system calls that took, about."""
    cdef int count, i
    if pipes.open == 0:
        return 0
    count = epoll_wait(pipes.epoll, pipes.ready, pipes.capacity, 0)
    for i in range(count):
        intake_read(&pipes.intake, pipes.pipes[pipes.ready[i].data.u32], tick, now)
    return 1 + (count if count > 0 else 0)


cdef bint _end(Pipes *pipes, Pipe *pipe, int highest) noexcept nogil:
    """The legs first, then the pipe itself. False if the ring has no room for all of it yet."""
    cdef Leg *leg
    cdef uint32_t name = pipe.slot
    cdef int slot
    for slot in range(highest):
        leg = pipes.intake.legs[slot]
        if leg != NULL and leg.patch.pipe == pipe and not pipes_unpatch(pipes, leg):
            return False
    if not ring_tell(pipes.events, PIPE_ENDED, pipe.slot, pipe.fault, 0, 0):
        return False
    pipes.pipes[name] = NULL            # its memory is the event loop's from here on
    pipes.open -= 1
    return True


cdef uint64_t pipes_flush(Pipes *pipes, int highest) noexcept nogil:
    """Sends what the tick has gathered, one call for each connection, and takes leave of those that are over."""
    cdef Pipe *pipe = pipes.touched
    cdef Pipe *following
    cdef uint64_t calls = 0
    pipes.touched = NULL
    while pipe != NULL:
        following = pipe.following          # it stays dirty meanwhile, so that nobody puts it into the list
        if not pipe.over:
            pipe_flush(pipe)
            calls += 1
        if not pipe.over or not _end(pipes, pipe, highest):
            pipe.dirty = False
            if pipe.over or pipe.start < pipe.end or pipe.waiting != NULL:
                pipe_touch(pipe)
        pipe = following
    return calls
