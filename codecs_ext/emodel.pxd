cdef enum:
    NO_R = 127                  # RFC 3611 4.7.5: unavailable, for R and MOS alike

cdef double emodel_r(double loss, double burst_ratio, double robustness, double delay_ms) noexcept nogil
cdef double emodel_mos(double r) noexcept nogil

cdef double BARE                # packet-loss robustness (Bpl) of G.711, ITU-T G.113 appendix I
cdef double CONCEALED
