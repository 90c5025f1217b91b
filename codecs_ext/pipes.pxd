from libc.stdint cimport int64_t, uint64_t

from codecs_ext.intake cimport Intake
from codecs_ext.leg cimport Leg
from codecs_ext.linux cimport epoll_event
from codecs_ext.pipe cimport Keys, Pipe
from codecs_ext.playout cimport Block
from codecs_ext.ring cimport Record, Ring

cdef struct Pipes:
    int epoll
    int capacity
    Pipe **pipes                # by slot; their memory is the event loop's
    int open
    Pipe *touched               # with something to send, or to end
    Block **freed
    Ring *events
    epoll_event *ready
    Keys keys
    Intake intake

cdef bint pipes_init(Pipes *pipes, int capacity, Ring *events, Leg **legs, int64_t *due, Block **pool,
                     Block **freed) noexcept nogil
cdef void pipes_free(Pipes *pipes) noexcept nogil
cdef void pipes_command(Pipes *pipes, const Record *record) noexcept nogil
cdef void pipes_patch(Pipes *pipes, Leg *leg, const Record *record) noexcept nogil
cdef bint pipes_unpatch(Pipes *pipes, Leg *leg) noexcept nogil
cdef uint64_t pipes_read(Pipes *pipes, int64_t tick, int64_t now) noexcept nogil
cdef uint64_t pipes_flush(Pipes *pipes, int highest) noexcept nogil
