from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from codecs_ext.leg cimport Leg
from codecs_ext.linux cimport epoll_event, iovec, mmsghdr, sockaddr_storage
from codecs_ext.pipes cimport Pipes
from codecs_ext.playout cimport Block
from codecs_ext.ring cimport Ring

cdef enum:
    BATCH = 8                   # packets per socket and tick
    DATAGRAM = 2048
    CONTROL = 64
    DEVIATION_BINS = 1000       # of 10 us; what is later counts in the last
    TICK_NS = 5_000_000
    LATENESS_BINS = 13          # of ticks: below 125 us, 250 us, ... 256 ms, and beyond
    LATENESS_NS = 125_000

cdef struct Costs:
    uint64_t ticks
    uint64_t late_ticks         # ticks that began after the next one was due
    uint64_t max_lateness_ns
    uint64_t busy_ns            # from the wake-up to the end of the tick
    uint64_t packets_received
    uint64_t packets_sent
    uint64_t send_failures
    uint64_t syscalls
    uint64_t wake_ups           # of the event loop

cdef struct Shard:
    int capacity                # legs
    int highest                 # slots in use lie below
    Leg **legs                  # by slot; the plane's own
    int64_t *due                # by slot: tick of the next packet
    int *turn                   # slots whose packet is due, while they are worked off
    int64_t *wake               # by slot: time of the next uplink timer
    Ring commands
    Ring events
    Ring tape                   # copies for recordings and captures; read by a thread of theirs
    Block *freed
    Block *pool                 # of blocks for who queues audio on this thread
    int epoll
    int timer
    int wake_fd
    int stamping                # a socket whose only use is that the kernel stamps packets while it is open
    uint64_t stop
    uint64_t stopped
    uint64_t signalled
    int64_t origin              # time of tick 0
    int64_t tick
    int64_t now
    int64_t real_offset         # CLOCK_MONOTONIC - CLOCK_REALTIME
    uint64_t told               # events.head at the last signal
    Costs costs
    uint64_t deviations[DEVIATION_BINS]
    uint64_t lateness[LATENESS_BINS]
    uint64_t drag_ns            # that each tick is made longer by: tests of overload
    epoll_event *ready
    mmsghdr messages[BATCH]
    iovec vectors[BATCH]
    sockaddr_storage sources[BATCH]
    uint8_t controls[BATCH][CONTROL]
    uint8_t datagrams[BATCH][DATAGRAM]
    Pipes pipes                 # connections to models that this thread speaks

cdef Shard *shard_new(int capacity, uint64_t event_bytes, uint64_t command_bytes, uint64_t tape_bytes) noexcept nogil
cdef void shard_free(Shard *shard) noexcept nogil
cdef void *shard_run(void *argument) noexcept nogil
cdef void shard_close_leg(Shard *shard, uint32_t slot) noexcept nogil
