"""Codecs as the plane calls them: without the GIL, through a constant table of functions.

The state of a stream is memory of the size that the table names, filled by ``start``. It travels as a playout block, so
that the plane gives it back through the same stack and never frees anything itself.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int16_t, uint8_t
from libc.stdlib cimport free
from libc.string cimport memset

from codecs_ext.playout cimport Block, block_new
from codecs_ext.resample cimport resample_rate_known

__all__ = ["Coder", "Kernel"]


cdef Kernel kernel_new(const CodecTable *table, bytes terms=b""):
    """Wraps a table that lives as long as the process, with the terms that its streams start on.

    Raises ``ValueError`` for a table that the plane could not use.
    """
    cdef Kernel kernel = Kernel.__new__(Kernel)
    if not resample_rate_known(table.rate) or table.clock <= 0 or not 0 < table.max_bytes <= CODEC_BYTES:
        raise ValueError("a codec's rate is one of the resampler's, and its packets fit the plane's buffers")
    kernel.table = table
    kernel.terms = terms
    return kernel


cdef Block *codec_state_new(Kernel kernel):
    """The state of a new stream; NULL without memory or if the codec has none."""
    cdef const CodecTable *table = kernel.table
    cdef Block *block
    if table.state_bytes == 0:
        return NULL
    block = block_new(0, (table.state_bytes + 1) // 2, 0)
    if block != NULL:
        memset(block.samples, 0, table.state_bytes)
        table.start(block.samples, kernel.terms)
    return block


cdef class Kernel:
    """The sample loops of one codec, constant; only extension modules can make one."""

    @property
    def rate(self) -> int:
        """Hz of the samples."""
        return self.table.rate

    @property
    def clock(self) -> int:
        """Hz of the RTP timestamps."""
        return self.table.clock

    @property
    def max_bytes(self) -> int:
        """The longest payload that is decoded."""
        return self.table.max_bytes


cdef class Coder:
    """Encoder and decoder of one stream alone, fed with whole packets."""

    cdef Kernel kernel
    cdef Block *block

    def __cinit__(self, Kernel kernel not None) -> None:
        self.kernel = kernel
        self.block = codec_state_new(kernel)
        if self.block == NULL and kernel.table.state_bytes:
            raise MemoryError

    def __dealloc__(self) -> None:
        free(self.block)

    def encode(self, const uint8_t[::1] pcm not None) -> bytes:
        """One packet of 16-bit little-endian samples. Raises ``ValueError`` for none, half a one, or beyond 60 ms."""
        cdef uint8_t[CODEC_BYTES] payload
        cdef Py_ssize_t size = pcm.shape[0]
        if size == 0 or size & 1 or size // 2 * 1000 > self.kernel.table.rate * 60:
            raise ValueError(f"{size} bytes are no packet: whole 16-bit samples, 60 ms at most")
        size = self.kernel.table.encode(codec_state(self.block), <const int16_t *>&pcm[0], <int>(size // 2), payload)
        return (<char *>payload)[:size]

    def decode(self, const uint8_t[::1] payload not None) -> bytes:
        """One payload to samples; ``b""`` for what is none. Raises ``ValueError`` beyond ``max_bytes``."""
        cdef int16_t[CODEC_SAMPLES] samples
        cdef int count
        if payload.shape[0] > self.kernel.table.max_bytes:
            raise ValueError(f"a payload of {payload.shape[0]} bytes, more than {self.kernel.table.max_bytes}")
        if payload.shape[0] == 0:
            return b""
        count = self.kernel.table.decode(codec_state(self.block), &payload[0], <int>payload.shape[0], samples)
        return PyBytes_FromStringAndSize(<char *>samples, 2 * count)

    def conceal(self, count: int, next_payload: bytes = b"") -> bytes | None:
        """``count`` lost samples as the codec itself makes them up, from the payload behind them if that tells of them.

        None if it leaves that to the plane. Raises ``ValueError`` for what is no multiple of 2.5 ms up to 120 ms.
        """
        cdef int16_t[CODEC_SAMPLES] samples
        cdef const uint8_t *following = next_payload
        if count <= 0 or count > CODEC_SAMPLES or count * 400 % self.kernel.table.rate:
            raise ValueError(f"{count} samples at {self.kernel.table.rate} Hz: multiples of 2.5 ms are concealed")
        if self.kernel.table.conceal == NULL:
            return None
        self.kernel.table.conceal(codec_state(self.block), following if next_payload else NULL,
                                  <int>len(next_payload), count, samples)
        return PyBytes_FromStringAndSize(<char *>samples, 2 * count)

    def retune(self, other: Coder) -> None:
        """Takes over the terms of another one of the same codec, in mid-stream."""
        if other.kernel.table != self.kernel.table:
            raise ValueError("another codec")
        if self.kernel.table.retune != NULL:
            self.kernel.table.retune(codec_state(self.block), codec_state(other.block))
