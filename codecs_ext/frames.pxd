from libc.stdint cimport int16_t, int64_t, uint32_t, uint64_t

from codecs_ext.codec cimport CodecTable
from codecs_ext.counters cimport Counters
from codecs_ext.echo cimport Echo
from codecs_ext.noise cimport Noise
from codecs_ext.onset cimport Onset, OnsetOptions
from codecs_ext.patch cimport Patch
from codecs_ext.plc cimport Concealer
from codecs_ext.resample cimport Resampler
from codecs_ext.ring cimport Ring
from codecs_ext.tape cimport Tape
from codecs_ext.vad cimport Vad

cdef enum Flag:                 # gateway.media.contract.FrameFlags
    SPEECH = 1
    CONCEALED = 2
    UNSENT = 8
    COMFORT = 16
    LATE = 32

cdef struct Frames:
    Ring *ring
    uint64_t spare              # bytes of the ring that audio leaves to everything else
    uint32_t slot
    Counters *counters
    Tape *tape                  # NULL: nobody records
    Echo echo
    Patch *patch                # to a model's connection, or apart; NULL: there is none
    int rate                    # of the PCM handed up
    const CodecTable *codec     # NULL before the first connect
    int64_t media_time          # samples at 8 kHz handed up
    int rest                    # and the fraction of one, in units of the codec's rate
    uint32_t next_timestamp     # of the sample after the last one handed up
    Vad vad
    Concealer plc
    Noise noise
    Resampler resampler         # to the rate handed up
    Resampler narrow            # to 8 kHz, for the detector
    bint began                  # something real was heard
    bint deaf                   # ``ear`` tells all that is wanted: no frames, no detector
    Onset ear

cdef void frames_set_codec(Frames *frames, const CodecTable *codec) noexcept nogil
cdef void frames_listen(Frames *frames, const OnsetOptions *options) noexcept nogil
cdef void frames_end(Frames *frames) noexcept nogil
cdef void frames_tell(Frames *frames, int kind, int64_t number, int64_t media_time, int64_t stamp) noexcept nogil
cdef void frames_real(Frames *frames, int16_t *samples, int count, int64_t arrival, bint late) noexcept nogil
cdef void frames_made_up(Frames *frames, const int16_t *samples, int count, int64_t now) noexcept nogil
cdef void frames_lost(Frames *frames, int count, const int16_t *behind, int size, int64_t now) noexcept nogil
cdef void frames_unsent(Frames *frames, int count, int64_t now) noexcept nogil
