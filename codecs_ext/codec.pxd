"""What the plane needs of a codec: a constant table of functions. Any package may fill one, wrapped in a ``Kernel``."""

from libc.stdint cimport int16_t, uint8_t

from codecs_ext.playout cimport Block

cdef enum:
    CODEC_SAMPLES = 5760        # 120 ms at 48 kHz: what one packet decodes to at most
    CODEC_BYTES = 1920          # the longest payload, either way: 60 ms of 16-bit samples at 16 kHz

cdef struct CodecTable:
    int rate                    # Hz of the samples: 8000, 16000, 24000 or 48000
    int clock                   # Hz of the RTP timestamps
    int max_bytes               # of a payload that is decoded, at most CODEC_BYTES
    int silence                 # the byte per sample that is silence, or -1: silence is encoded like anything else
    int state_bytes             # of encoder and decoder together; 0: there is nothing to remember
    # ``terms`` are those of the Kernel, of a layout that the codec alone knows.
    void (*start)(void *state, const uint8_t *terms) noexcept nogil
    # Samples of 10 to 60 ms in; the number of bytes written, always more than 0.
    int (*encode)(void *state, const int16_t *samples, int count, uint8_t *payload) noexcept nogil
    # 1 to max_bytes bytes in; the number of samples written, at most CODEC_SAMPLES; 0 if it is no payload of the codec.
    int (*decode)(void *state, const uint8_t *payload, int size, int16_t *samples) noexcept nogil
    # What a codec may have besides; NULL: nothing.
    # Its own concealment: ``count`` samples that were lost, a multiple of 2.5 ms and at most CODEC_SAMPLES. ``next`` is the
    # payload behind them, which may tell of them (in-band FEC), or NULL; it is decoded afterwards like any other.
    void (*conceal)(void *state, const uint8_t *next, int size, int count, int16_t *samples) noexcept nogil
    # The terms of a new state, for one that goes on: a re-INVITE changed them.
    void (*retune)(void *state, const void *fresh) noexcept nogil

cdef class Kernel:
    cdef const CodecTable *table
    cdef bytes terms

cdef Kernel kernel_new(const CodecTable *table, bytes terms=*)
cdef Block *codec_state_new(Kernel kernel)

cdef inline void *codec_state(Block *block) noexcept nogil:
    """The state within the block that carries it, or NULL."""
    return NULL if block == NULL else <void *>block.samples
