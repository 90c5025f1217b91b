"""Opus (RFC 6716, RFC 7587) by libopus, found at run time and called without the interpreter.

Encoder and decoder work at one of the plane's rates, whatever the stream's bandwidth: libopus resamples inside. What is lost is
made up by the decoder itself, and from the in-band FEC of the packet behind it where that carries any.
"""

from libc.stdint cimport int16_t, int32_t, uint8_t
from libc.string cimport memcpy

from codecs_ext.codec cimport CODEC_BYTES, CODEC_SAMPLES, CodecTable, Kernel, kernel_new

__all__ = ["RATES", "kernel", "load"]

RATES = (8000, 16000, 24000, 48000)
"""Hz that samples can have."""

cdef enum:
    # opus_defines.h
    VOIP = 2048
    VOICE = 3001
    NARROWBAND = 1101           # and four more, up to fullband
    SET_BITRATE = 4002
    SET_MAX_BANDWIDTH = 4004
    SET_VBR = 4006
    SET_COMPLEXITY = 4010
    SET_INBAND_FEC = 4012
    SET_PACKET_LOSS_PERC = 4014
    SET_DTX = 4016
    SET_SIGNAL = 4024
    # ours
    COMPLEXITY = 5              # of 10: half of the processor for what listeners rate alike on speech
    ALIGN = 16
    EMPTY = 0x08                # a packet of nothing: the TOC byte of 20 ms of SILK alone (RFC 6716 3.1)

cdef extern from "<dlfcn.h>" nogil:
    void *dlopen(const char *path, int flags)
    void *dlsym(void *library, const char *name)
    char *dlerror()
    int RTLD_NOW
    int RTLD_LOCAL

ctypedef int (*Size)(int channels) noexcept nogil
ctypedef int (*EncoderInit)(void *encoder, int32_t rate, int channels, int application) noexcept nogil
ctypedef int (*DecoderInit)(void *decoder, int32_t rate, int channels) noexcept nogil
ctypedef int (*Control)(void *state, int request, ...) noexcept nogil
ctypedef int32_t (*Encode)(void *encoder, const int16_t *samples, int count, uint8_t *data, int32_t room) noexcept nogil
ctypedef int (*Decode)(void *decoder, const uint8_t *data, int32_t size, int16_t *samples, int count,
                       int fec) noexcept nogil

cdef struct Library:
    EncoderInit encoder_init
    DecoderInit decoder_init
    Control encoder_ctl
    Encode encode
    Decode decode
    int encoder_bytes
    int decoder_bytes

cdef struct Terms:
    int32_t rate
    int32_t bitrate
    int32_t bandwidth
    int32_t loss                # percent that FEC is to bear; 0: no FEC
    int32_t dtx
    int32_t cbr

cdef struct State:
    Terms terms
    # then, aligned: the encoder, the decoder

cdef Library library
cdef bint loaded = False
cdef CodecTable[4] _tables


# --- the library ------------------------------------------------------------------------------------------------------


cdef void *_symbol(void *handle, name: str) except NULL:
    cdef void *found = dlsym(handle, name.encode())
    if found == NULL:
        raise OSError(f"libopus without {name}")
    return found


def load(path: str) -> str:
    """Loads libopus from a file, once; returns its version. Raises ``OSError`` if that is no libopus."""
    global loaded
    cdef void *handle = dlopen(path.encode(), RTLD_NOW | RTLD_LOCAL)
    cdef const char *(*version)() noexcept nogil
    cdef int i
    if handle == NULL:
        raise OSError((<bytes>dlerror()).decode("utf-8", "replace"))
    version = <const char *(*)() noexcept nogil>_symbol(handle, "opus_get_version_string")
    told = (<bytes>version()).decode("ascii", "replace")
    if loaded:          # states of the first one may be in use
        return told
    library.encoder_init = <EncoderInit>_symbol(handle, "opus_encoder_init")
    library.decoder_init = <DecoderInit>_symbol(handle, "opus_decoder_init")
    library.encoder_ctl = <Control>_symbol(handle, "opus_encoder_ctl")
    library.encode = <Encode>_symbol(handle, "opus_encode")
    library.decode = <Decode>_symbol(handle, "opus_decode")
    library.encoder_bytes = (<Size>_symbol(handle, "opus_encoder_get_size"))(1)
    library.decoder_bytes = (<Size>_symbol(handle, "opus_decoder_get_size"))(1)
    for i in range(4):
        _tables[i].state_bytes = _encoder_at() + _aligned(library.encoder_bytes) + library.decoder_bytes
    loaded = True
    return told


cdef inline int _aligned(int size) noexcept nogil:
    return (size + ALIGN - 1) & ~(ALIGN - 1)


cdef inline int _encoder_at() noexcept nogil:
    return _aligned(sizeof(State))


cdef inline void *_encoder(void *state) noexcept nogil:
    return <uint8_t *>state + _encoder_at()


cdef inline void *_decoder(void *state) noexcept nogil:
    return <uint8_t *>state + _encoder_at() + _aligned(library.encoder_bytes)


# --- streams ----------------------------------------------------------------------------------------------------------


cdef void _tune(void *state, const Terms *terms) noexcept nogil:
    """What of the terms may change in mid-stream. ``int32_t``, because that is what libopus takes off the stack."""
    cdef void *encoder = _encoder(state)
    (<State *>state).terms = terms[0]
    library.encoder_ctl(encoder, SET_BITRATE, terms.bitrate)
    library.encoder_ctl(encoder, SET_MAX_BANDWIDTH, terms.bandwidth)
    library.encoder_ctl(encoder, SET_VBR, <int32_t>(not terms.cbr))
    library.encoder_ctl(encoder, SET_DTX, terms.dtx)
    library.encoder_ctl(encoder, SET_INBAND_FEC, <int32_t>(terms.loss > 0))
    library.encoder_ctl(encoder, SET_PACKET_LOSS_PERC, terms.loss)


cdef void _start(void *state, const uint8_t *agreed) noexcept nogil:
    cdef Terms terms
    memcpy(&terms, agreed, sizeof(Terms))
    library.encoder_init(_encoder(state), terms.rate, 1, VOIP)
    library.decoder_init(_decoder(state), terms.rate, 1)
    library.encoder_ctl(_encoder(state), SET_COMPLEXITY, <int32_t>COMPLEXITY)
    library.encoder_ctl(_encoder(state), SET_SIGNAL, <int32_t>VOICE)
    _tune(state, &terms)


cdef void _retune(void *state, const void *fresh) noexcept nogil:
    _tune(state, &(<const State *>fresh).terms)


cdef int _encode(void *state, const int16_t *samples, int count, uint8_t *payload) noexcept nogil:
    cdef int size = library.encode(_encoder(state), samples, count, payload, CODEC_BYTES)
    if size <= 0:               # a packet time that Opus does not have
        payload[0] = EMPTY
        return 1
    return size


cdef int _decode(void *state, const uint8_t *payload, int size, int16_t *samples) noexcept nogil:
    cdef int count = library.decode(_decoder(state), payload, size, samples, CODEC_SAMPLES, 0)
    return count if count > 0 else 0


cdef void _conceal(void *state, const uint8_t *following, int size, int count, int16_t *samples) noexcept nogil:
    """libopus makes up what the FEC of the next packet does not reach back to."""
    cdef int made = -1, i
    if following != NULL:
        made = library.decode(_decoder(state), following, size, samples, count, 1)
    if made != count:           # none, or what follows is no packet
        made = library.decode(_decoder(state), NULL, 0, samples, count, 0)
    for i in range(made if made > 0 else 0, count):
        samples[i] = 0


def kernel(rate: int, *, bitrate: int = 24_000, max_rate: int = 48_000, fec_loss: int = 0, dtx: bool = False,
           cbr: bool = False) -> Kernel:
    """Opus with samples of ``rate`` Hz, on terms that the far end wants; ``load`` comes first.

    ``bitrate`` in bit/s, ``max_rate`` the highest sampling rate that it plays (RFC 7587 6.1), ``fec_loss`` the share of
    packets in percent that in-band FEC is to bear. Raises ``ValueError`` for another rate, or without libopus.
    """
    cdef Terms terms
    if not loaded or rate not in RATES:
        raise ValueError("libopus is not loaded" if not loaded else f"Opus has no samples of {rate} Hz")
    terms.rate = rate
    terms.bitrate = min(max(bitrate, 6_000), 510_000)
    terms.bandwidth = NARROWBAND + sum(max_rate > bound for bound in (8_000, 12_000, 16_000, 24_000))
    terms.loss = min(max(fec_loss, 0), 100)
    terms.dtx = dtx
    terms.cbr = cbr
    return kernel_new(&_tables[RATES.index(rate)], (<char *>&terms)[:sizeof(Terms)])


cdef int _index
for _index in range(4):
    _tables[_index] = CodecTable(RATES[_index], 48000, CODEC_BYTES, -1, 0, _start, _encode, _decode, _conceal, _retune)
