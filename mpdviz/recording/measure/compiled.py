"""Sums over a block of potentials, compiled by numba and kept on disk: what the scans have in common."""

import numba
import numpy as np

from mpdviz.surrogates.vectorised import decayed


# Sums may be regrouped into vector lanes; nothing here assumes that numbers are finite.
@numba.njit(nogil=True, cache=True, fastmath={"reassoc", "nsz"})
def sums(row, origin):
    """Sum and sum of squares of what the values exceed `origin` by."""
    total = squares = 0.0
    for j in range(len(row)):
        z = np.float64(row[j]) - origin
        total += z
        squares += z * z
    return total, squares


@numba.njit(nogil=True, cache=True)
def extremes(row, low, high):
    """The smallest and the largest of finite values; `low` and `high` are room for half of them."""
    # Halved again and again, each time as vectors: a reduction to one number is not vectorised.
    first = row[0]
    if len(row) == 1:
        return first, first
    size = len(row) // 2
    last = row[-1]
    for j in range(size):
        one, other = row[j], row[j + size]
        low[j] = one if one < other else other
        high[j] = one if one > other else other
    odd_low = odd_high = last  # of an odd number the last is left over
    while size > 1:
        half = size // 2
        if size % 2:
            odd_low, odd_high = min(odd_low, low[size - 1]), max(odd_high, high[size - 1])
        for j in range(half):
            low[j] = low[j] if low[j] < low[j + half] else low[j + half]
            high[j] = high[j] if high[j] > high[j + half] else high[j + half]
        size = half
    return min(odd_low, low[0]), max(odd_high, high[0])


@numba.njit(nogil=True, cache=True)
def within(row, threshold, low, high):
    """How many values lie between two ends, which are measured from the threshold."""
    number = 0
    for j in range(len(row)):
        x = np.float64(row[j]) - threshold
        number += (x > low) & (x < high)
    return number


@numba.njit(nogil=True, cache=True)
def h(x, kind, top, slope):
    """The derivative of a form of `surrogates.closed` at x = v - v_th, rectangles aside."""
    z = abs(x) * slope
    if kind == 1:
        return top * max(0.0, 1.0 - z)
    if kind == 2:
        return top / (1.0 + z * z)
    if kind == 3:
        e = decayed(z)
        return top * 4.0 * e / ((1.0 + e) * (1.0 + e))
    if kind == 4:
        return top / ((1.0 + z) * (1.0 + z))
    if kind == 5:
        return top * decayed(z * z)
    return top * decayed(z)


@numba.njit(nogil=True, cache=True)
def gain(row, threshold, kind, top, slope, room):
    """Its sum over the values that are not NaN; `room` is for as many numbers in double precision."""
    _derivatives(row, threshold, kind, slope, room)
    return top * _sum(room[: len(row)])


# A divisor is never zero; asking whether it is would keep the loops from being vectorised.
@numba.njit(nogil=True, cache=True, fastmath={"contract"}, error_model="numpy")
def _derivatives(row, threshold, kind, slope, out):
    # NaN is no potential: it must not spoil the sum of the others. One loop a form, so that it is vectorised.
    one, centre, scale = row.dtype.type(1.0), row.dtype.type(threshold), row.dtype.type(slope)
    if kind == 1:
        for j in range(len(row)):
            z = abs(np.float64(row[j]) - threshold) * slope
            out[j] = 1.0 - z if z < 1.0 else 0.0
    elif kind == 2:
        for j in range(len(row)):  # divided in the potentials' own precision, as the network does
            z = (row[j] - centre) * scale
            h = one / (one + z * z)
            out[j] = h if z == z else 0.0
    elif kind == 3:
        for j in range(len(row)):
            z = abs(np.float64(row[j]) - threshold) * slope
            e = decayed(z)
            h = 4.0 * e / ((1.0 + e) * (1.0 + e))
            out[j] = h if z == z else 0.0
    elif kind == 4:
        for j in range(len(row)):
            z = abs(row[j] - centre) * scale
            h = one / ((one + z) * (one + z))
            out[j] = h if z == z else 0.0
    elif kind == 5:
        for j in range(len(row)):
            z = (np.float64(row[j]) - threshold) * slope
            h = decayed(z * z)
            out[j] = h if z == z else 0.0
    else:
        for j in range(len(row)):
            z = abs(np.float64(row[j]) - threshold) * slope
            h = decayed(z)
            out[j] = h if z == z else 0.0


@numba.njit(nogil=True, cache=True, fastmath={"reassoc", "nsz"})
def _sum(values):
    total = 0.0
    for j in range(len(values)):
        total += values[j]
    return total
