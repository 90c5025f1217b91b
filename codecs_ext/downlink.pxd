from libc.stdint cimport int16_t, int64_t, uint8_t, uint16_t, uint32_t

from codecs_ext.backdrop cimport Backdrop
from codecs_ext.backlog cimport Backlog
from codecs_ext.bridge cimport Bridge
from codecs_ext.codec cimport CODEC_BYTES, CodecTable
from codecs_ext.counters cimport Counters
from codecs_ext.dial cimport Dial
from codecs_ext.playout cimport SLACK, Block, Playout
from codecs_ext.ring cimport Ring
from codecs_ext.tape cimport Tape

cdef enum:
    TICK_MS = 5
    GROUPS = 4                  # legs are spread over the ticks of 20 ms
    SPARE = 720                 # samples of 15 ms at 48 kHz: the longest period that is left out at a time
    LONGEST = 2880              # samples of 60 ms at 48 kHz, the longest packet sent
    PACKET_BYTES = 12 + CODEC_BYTES

cdef enum State:
    SILENT                      # on the nominal grid
    PLAYING

cdef struct DownlinkOptions:
    int64_t limit               # samples at 8 kHz that are queued at most
    int fade_ms                 # of what is flushed
    float gain                  # of queued audio, a factor
    float comfort_db            # noise between talkspurts, dB of full scale; 0: silence
    bint catch_up               # delay that a hole has left behind is worked off

cdef struct Downlink:
    Ring *ring
    uint32_t slot
    Counters *counters
    Tape *tape                  # NULL: nobody records
    Bridge *feed                # of the leg that is heard here while nothing is queued; NULL: none
    # stream
    bint enabled
    const CodecTable *codec     # NULL before the first connect
    void *coding                # its state, the leg's
    uint8_t payload_type
    int event_payload_type      # -1: digits are sent as tones
    int samples                 # per packet
    int step                    # of the timestamp per packet
    int period                  # ticks per packet
    uint16_t sequence
    uint32_t timestamp
    uint32_t ssrc
    # clock, in ticks
    int group
    int64_t nominal             # of the next packet, if the leg had never played anything
    int64_t due                 # of the next packet, really; NEVER_DUE while nothing is to be sent
    # playout
    State state
    bint begins                 # the next packet with audio is the first of its talkspurt
    bint waited                 # a short tail has waited its one tick
    int64_t appointment         # nanoseconds of the tick clock at which what is queued begins; 0: none
    int lead                    # samples of silence before it in its first packet
    double skew                 # our clock is so much slower
    double drift                # nanoseconds that it has lost and the grid has not
    bint sparing                # silence is not sent
    bint padded                 # the packet under way ends in silence: nothing was left
    bint unfinished             # the last thing queued was audio, not a mark: running dry now is an underrun
    int real                    # samples of the packet under way that came from the queue, and some beyond it
    int16_t packet[LONGEST + SPARE + SLACK]
    const int16_t *said         # samples of the packet that was made last; NULL: silence, or an event
    int16_t line[LONGEST]       # where they are mixed
    bint apart                  # the packet that leaves is none of the queue's: digits, the fade of what was flushed
    int fade_ms                 # of what is flushed; 0: it is cut off
    bint fading                 # ``packet`` holds it
    bint interrupted            # the utterance under way has had an underrun
    int64_t position            # samples at 8 kHz of queued audio played
    int rest                    # and the fraction of one, in units of the codec's rate
    int64_t last_audio          # when the last packet with queued audio left
    int64_t last_left           # when any packet did
    int64_t idle_since          # tick
    Block *marks                # reached by the packet under way, in order
    Block *marks_end
    Playout queue
    Backlog backlog
    Dial dial
    Backdrop backdrop

cdef int64_t NEVER_DUE

cdef void downlink_init(Downlink *down, Ring *ring, uint32_t slot, Counters *counters, Block **freed,
                        const DownlinkOptions *options, int group, uint32_t ssrc, uint16_t sequence, uint32_t timestamp) noexcept nogil
cdef void downlink_connect(Downlink *down, const CodecTable *codec, void *coding, uint8_t payload_type, int event_payload_type,
                           int ptime_ms, bint send, int64_t tick) noexcept nogil
cdef void downlink_play(Downlink *down, Block *block, int64_t tick) noexcept nogil
cdef void downlink_mark(Downlink *down, Block *block) noexcept nogil
cdef void downlink_flush(Downlink *down, int64_t number) noexcept nogil
cdef void downlink_trim(Downlink *down, int64_t number, int64_t position) noexcept nogil
cdef void downlink_dial(Downlink *down, Block *order) noexcept nogil
cdef void downlink_close(Downlink *down) noexcept nogil
cdef int downlink_packet(Downlink *down, int64_t tick, uint8_t *datagram) noexcept nogil
cdef void downlink_sent(Downlink *down, int64_t sent) noexcept nogil
