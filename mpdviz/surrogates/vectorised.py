"""The exponential function, compiled by numba so that loops over it become vector instructions."""

import math

import numba
import numpy as np

LOG2_E = 1.4426950408889634
LN2_HIGH, LN2_LOW = 0.693147180369123816490, 1.90821492927058770002e-10
"""The logarithm of 2 in two parts, the first of which has zeros at its end."""
C2, C3, C4, C5, C6, C7, C8, C9, C10, C11, C12, C13 = (1 / math.factorial(k) for k in range(2, 14))


@numba.njit(nogil=True, cache=True, inline="always")
def decayed(z):
    """e^-z for z >= 0, to one unit in the last place; unlike the C library's it is vectorised."""
    z = z if z < 700.0 else 700.0
    k = np.int64(-z * LOG2_E - 0.5)
    r = (-z - k * LN2_HIGH) - k * LN2_LOW
    p = C8 + r * (C9 + r * (C10 + r * (C11 + r * (C12 + r * C13))))
    p = 1.0 + r * (1.0 + r * (C2 + r * (C3 + r * (C4 + r * (C5 + r * (C6 + r * (C7 + r * p)))))))
    return p * np.int64((k + 1023) << 52).view(np.float64)
