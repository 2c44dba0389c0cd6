"""How numbers lie in memory for `loops`: bfloat16, which NumPy lacks, as its bits; flags eight to a byte."""

import numba
import numpy as np
from numba import types
from numba.extending import overload

_SPREAD = np.array(
    [sum(1 << 8 * bit for bit in range(8) if byte >> bit & 1) for byte in range(256)], np.uint64
)
"""The eight bits of a byte, a byte each."""

ONE = 0x3F80
"""1 in bfloat16."""


def read(row, j):
    """The number at `j`, of the potentials' dtype."""


def write(row, j, value):
    """Set the number at `j`, rounded to nearest, ties to even."""


def fire(row, j, fired):
    """Set the number at `j` to 1 or 0."""


@overload(read)
def _read(row, j):
    if row.dtype == types.uint16:
        return lambda row, j: np.uint32(np.uint32(row[j]) << np.uint32(16)).view(np.float32)
    return lambda row, j: row[j]


@overload(write)
def _write(row, j, value):
    if row.dtype == types.uint16:

        def rounded(row, j, value):
            bits = np.float32(value).view(np.uint32)
            odd = (bits >> np.uint32(16)) & np.uint32(1)
            up = np.uint32(bits + np.uint32(0x7FFF) + odd) >> np.uint32(16)
            row[j] = np.uint16(up if value == value else np.uint32(0x7FC0))

        return rounded

    def exact(row, j, value):
        row[j] = value

    return exact


@overload(fire)
def _fire(row, j, fired):
    one = ONE if row.dtype == types.uint16 else 1.0

    def flagged(row, j, fired):
        row[j] = one if fired else 0

    return flagged


@numba.njit(nogil=True, cache=True)
def pack(flags, out):
    """Truth values, a byte each, as bits; `flags` holds 8 for each byte of `out`, or more."""
    words = flags.view(np.uint64)
    for i in range(len(out)):
        # Multiplied so that the lowest bit of every byte comes to lie in the highest byte, none on another.
        out[i] = np.uint8((words[i] * np.uint64(0x0102040810204080)) >> np.uint64(56))


@numba.njit(nogil=True, cache=True)
def unpack(packed, flags):
    """The opposite of `pack`."""
    words = flags.view(np.uint64)
    for i in range(len(packed)):
        words[i] = _SPREAD[packed[i]]
