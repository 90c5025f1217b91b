"""What is counted for one leg. Written by the plane alone; a reader elsewhere sees values that are at most a tick old."""

from libc.stdint cimport uint64_t

cdef struct Counters:
    uint64_t received
    uint64_t sent
    uint64_t octets         # of payload, sent
    uint64_t lost
    uint64_t late
    uint64_t duplicate
    uint64_t refused
    uint64_t unkeyed        # either way, dropped while a handshake had yet to make keys
    uint64_t concealed
    uint64_t underruns
    uint64_t utterances     # of queued audio
    uint64_t interrupted    # of them by an underrun
    uint64_t left_out       # samples at 8 kHz of a standing queue
    uint64_t overflows
    double jitter           # RTP clock units, RFC 3550 A.8
    uint64_t clock          # Hz of those units; 0 before a codec was agreed on
