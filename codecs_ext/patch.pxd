from libc.stdint cimport int64_t, uint32_t, uint64_t

from codecs_ext.pipe cimport Pipe
from codecs_ext.ring cimport Record, Ring

cdef enum PatchState:
    APART = 0                   # the event loop carries everything
    HOLDING                     # it is done with what was handed up before; new frames wait for it
    STRAIGHT
    PARTING                     # over, which is still to be told

cdef struct PatchOrder:
    uint32_t stream
    int rate                    # of both directions
    unsigned int told           # flags that are passed on
    unsigned int gap            # the flag of a frame behind frames left out

cdef struct Patch:
    PatchState state
    Ring *events
    uint32_t slot
    Pipe *pipe
    PatchOrder order
    int following               # slot of the next in the same bucket; -1: none
    uint32_t sequence
    unsigned int behind
    uint64_t barrier            # as the pipe's, for this stream
    Ring kept                   # the last frames, sent; while holding, those that wait
    # each written by one side and read by the other
    uint64_t credit             # bytes that the server has ever given: the event loop
    uint64_t spent              # of them used: the plane
    uint64_t left_out           # frames: the plane
    uint64_t allowed            # bytes that the server was ever given: the event loop
    uint64_t taken              # of them used: the plane
    # set by the event loop; the first is cleared by who sees it
    uint64_t attentive          # the next audio from the server begins an answer
    uint64_t keep               # nothing that the caller says may be forgotten
    uint64_t watch              # speech at or after this time is told, once. 0: not

cdef void patch_hold(Patch *patch, Pipe *pipe, const PatchOrder *order) noexcept nogil
cdef void patch_go(Patch *patch, uint32_t sequence, unsigned int behind) noexcept nogil
cdef void patch_answering(Patch *patch) noexcept nogil
cdef bint patch_part(Patch *patch) noexcept nogil
cdef Record *patch_reserve(Patch *patch, uint32_t size) noexcept nogil
cdef void patch_commit(Patch *patch, const Record *record, bint speech) noexcept nogil
