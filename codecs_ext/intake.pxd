from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from codecs_ext.leg cimport Leg
from codecs_ext.pipe cimport PIPE_CARRY, Pipe
from codecs_ext.playout cimport Block
from codecs_ext.ring cimport Ring

cdef enum:
    BUCKETS = 4096              # of patches by connection and stream
    PIECE = 65536               # bytes read at once
    PIECES = 8                  # of one connection in a tick

cdef struct Intake:
    Ring *events
    Leg **legs
    int64_t *due
    Block **pool                # blocks for what is played
    int32_t buckets[BUCKETS]    # slot of the first leg, -1: none
    uint8_t scratch[PIPE_CARRY + PIECE]

cdef void intake_init(Intake *intake, Ring *events, Leg **legs, int64_t *due, Block **pool) noexcept nogil
cdef void intake_join(Intake *intake, Leg *leg) noexcept nogil
cdef void intake_leave(Intake *intake, Leg *leg) noexcept nogil
cdef void intake_read(Intake *intake, Pipe *pipe, int64_t tick, int64_t now) noexcept nogil
cdef void intake_parse(Intake *intake, Pipe *pipe, uint8_t *data, size_t size, int64_t tick, int64_t now) noexcept nogil
