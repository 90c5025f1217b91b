from libc.stdint cimport int64_t

cdef enum:
    DELAY_BINS = 256            # of 2 ms

cdef struct Delay:
    double quantile             # share of the packets that are to come in time
    float weight                # of the next packet: it grows, which is the same as that what came before is forgotten
    float total
    float bins[DELAY_BINS]
    bint started
    int64_t base                # least transit time seen of late
    int64_t minimum[2]          # of the windows before and under way
    int64_t window_end
    int64_t target              # nanoseconds

cdef void delay_init(Delay *delay, double quantile) noexcept nogil
cdef void delay_restart(Delay *delay) noexcept nogil
cdef void delay_packet(Delay *delay, int64_t transit, int64_t now) noexcept nogil
