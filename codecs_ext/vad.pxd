from libc.stdint cimport int16_t, int64_t

cdef enum:
    VAD_BLOCK = 80              # samples of 10 ms at 8 kHz
    VAD_EVENTS = 16             # 120 ms of audio, the longest packet, hold 12 blocks

cdef struct VadEvent:
    bint started                # or ended
    int64_t media_time
    int64_t arrival

cdef struct Vad:
    double threshold_db
    double min_level_db
    int attack                  # blocks
    int release
    double floor_db
    bint talking
    int run                     # blocks in a row that speak against the present state
    int64_t first_media         # of the run of loud blocks
    int64_t first_arrival
    int64_t last_media          # end of the last packet with a loud block
    int64_t last_arrival
    int filled                  # samples in the block under way
    int64_t total
    int64_t squares
    int events_count
    VadEvent events[VAD_EVENTS]

cdef void vad_init(Vad *vad, double threshold_db, double min_level_db, int attack, int release) noexcept nogil
cdef bint vad_run(Vad *vad, const int16_t *samples, int count, int64_t media_time, int64_t arrival,
                  bint learn) noexcept nogil
