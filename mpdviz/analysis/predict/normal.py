"""The standard normal law: its distribution function, the inverse of that, and its density (no torch).

SciPy is imported when it is first asked, which takes longer than a small recording: tables that hold nothing
predicted need not wait for it.
"""

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def ndtr(z: Floats) -> Floats:
    """P(Z <= z) at every z, of any shape."""
    from scipy import special

    return np.asarray(special.ndtr(z))


def ndtri(p: Floats) -> Floats:
    """The z with P(Z <= z) = p at every p in [0, 1], of any shape."""
    from scipy import special

    return np.asarray(special.ndtri(p))


def density(z: Floats) -> Floats:
    """The density at every z, of any shape; beyond 40 it is 0 in float64, and z * z could overflow."""
    return np.exp(-(np.clip(z, -40, 40) ** 2) / 2) / math.sqrt(2 * math.pi)
