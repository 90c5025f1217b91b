"""The E-model (ITU-T G.107) with default values for all that a gateway cannot see: loss and delay remain.

``R = 93.2 - Id - Ie,eff``. ``Id`` is the piecewise linear fit to G.107's delay curves (Cole and Rosenbluth, 2001); ``Ie,eff``
is G.107 7.5 with G.113's values for G.711, whose own impairment Ie is 0.
"""

__all__ = ["BPL_BARE", "BPL_CONCEALED", "mos", "r_factor"]

cdef double BARE = 4.3          # without concealment
cdef double CONCEALED = 25.1    # with that of G.711 appendix I

BPL_BARE = BARE
BPL_CONCEALED = CONCEALED


cdef double emodel_r(double loss, double burst_ratio, double robustness, double delay_ms) noexcept nogil:
    """``loss`` is a share (0 to 1), ``burst_ratio`` 1 for random loss and more for bursts, the delay one way."""
    cdef double percent = 100.0 * (0.0 if loss < 0.0 else 1.0 if loss > 1.0 else loss)
    cdef double ratio = burst_ratio if burst_ratio > 1.0 else 1.0
    cdef double delay = delay_ms if delay_ms > 0.0 else 0.0
    cdef double r = 93.2 - 0.024 * delay
    if delay > 177.3:
        r -= 0.11 * (delay - 177.3)
    r -= 95.0 * percent / (percent / ratio + robustness)
    return r if r > 0.0 else 0.0


cdef double emodel_mos(double r) noexcept nogil:
    """G.107 annex B: from 1 (bad) to 4.5 (nobody complains). Its cubic dips below 1 for R under 6.5, a MOS does not."""
    cdef double mos
    if r <= 0.0:
        return 1.0
    if r >= 100.0:
        return 4.5
    mos = 1.0 + 0.035 * r + 7e-6 * r * (r - 60.0) * (100.0 - r)
    return mos if mos > 1.0 else 1.0


def r_factor(loss: float, burst_ratio: float, robustness: float, delay_ms: float) -> float:
    """The rating R, 0 to 93.2. ``loss`` is a share, ``robustness`` one of the ``BPL`` values, the delay that of one way."""
    return emodel_r(loss, burst_ratio, robustness, delay_ms)


def mos(r: float) -> float:
    """The mean opinion score that a rating stands for, 1 to 4.5."""
    return emodel_mos(r)
