"""Comfort noise (RFC 3389): a level, and the shape of its spectrum as reflection coefficients of an all-pole filter."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.math cimport lrintf, powf, sqrtf
from libc.stdint cimport int16_t, int32_t, uint8_t, uint32_t
from libc.string cimport memset

__all__ = ["ComfortNoise"]

cdef float LOUDEST_DB = -30.0   # of what we render: a sender that claims more does not mean background
cdef float ROOT_3 = 1.7320508   # a uniform distribution reaches so far beyond its deviation


cdef void noise_level(Noise *noise, float level_db) noexcept nogil:
    """White noise, at a level in dB of full scale."""
    noise.known = True
    noise.order = 0
    noise.amplitude = 32768.0 * powf(10.0, level_db / 20.0) * ROOT_3


cdef void noise_describe(Noise *noise, const uint8_t *payload, int size) noexcept nogil:
    """A payload of RFC 3389 3: the level in -dBov, then quantized reflection coefficients, any number of them."""
    cdef int i
    cdef float level, rest = 1.0
    if size < 1:
        return
    level = -<float>(payload[0] & 0x7F)
    noise_level(noise, LOUDEST_DB if level > LOUDEST_DB else level)
    noise.order = size - 1 if size - 1 < NOISE_ORDER else NOISE_ORDER
    for i in range(noise.order):
        noise.coefficient[i] = 258.0 * (<int>payload[1 + i] - 127) / 32768.0      # RFC 3389 3.2; within -1 and 1.008
        if noise.coefficient[i] > 0.99:
            noise.coefficient[i] = 0.99
        elif noise.coefficient[i] < -0.99:
            noise.coefficient[i] = -0.99
        rest *= 1.0 - noise.coefficient[i] * noise.coefficient[i]
    noise.amplitude *= sqrtf(rest)      # the filter's gain, taken back
    memset(noise.backward, 0, sizeof(noise.backward))


cdef inline float _excitation(Noise *noise) noexcept nogil:
    """A linear congruential generator (Numerical Recipes), -1 to 1."""
    noise.random = noise.random * 1664525 + 1013904223
    return <float><int32_t>noise.random / 2147483648.0


cdef void noise_make(Noise *noise, int16_t *samples, int count) noexcept nogil:
    """The next samples; the lattice form of the filter takes the coefficients as they come."""
    cdef float forward
    cdef int i, k
    for i in range(count):
        forward = noise.amplitude * _excitation(noise)
        k = noise.order - 1
        while k >= 0:
            forward -= noise.coefficient[k] * noise.backward[k]
            noise.backward[k + 1] = noise.backward[k] + noise.coefficient[k] * forward
            k -= 1
        noise.backward[0] = forward
        samples[i] = <int16_t>(32767 if forward > 32767 else -32768 if forward < -32768 else lrintf(forward))


cdef class ComfortNoise:
    """The generator alone, fed with payloads."""

    cdef Noise noise

    def __cinit__(self) -> None:
        memset(&self.noise, 0, sizeof(Noise))

    def describe(self, const uint8_t[::1] payload not None) -> None:
        """A payload of type 13."""
        if payload.shape[0]:
            noise_describe(&self.noise, &payload[0], <int>payload.shape[0])

    def make(self, count: int) -> bytes:
        """The next ``count`` samples, 16-bit little-endian."""
        cdef bytes pcm = PyBytes_FromStringAndSize(NULL, 2 * count)
        noise_make(&self.noise, <int16_t *>PyBytes_AS_STRING(pcm), count)
        return pcm
