"""Sums over a block of potentials, compiled by numba and kept on disk: what the scans have in common."""

import math

import numba
import numpy as np


# Sums may be regrouped into vector lanes; nothing here assumes that numbers are finite.
@numba.njit(nogil=True, cache=True, fastmath={"reassoc", "nsz"})
def sums(row, origin):
    """Sum and sum of squares of what the values exceed `origin` by, the smallest and the largest."""
    total = squares = 0.0
    for j in range(len(row)):
        z = np.float64(row[j]) - origin
        total += z
        squares += z * z
    lowest = highest = row[0]
    for j in range(len(row)):
        lowest = row[j] if row[j] < lowest else lowest
        highest = row[j] if row[j] > highest else highest
    return total, squares, np.float64(lowest), np.float64(highest)


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
        return top / math.cosh(min(z, 700.0) / 2) ** 2
    if kind == 4:
        return top / ((1.0 + z) * (1.0 + z))
    if kind == 5:
        return top * math.exp(-z * z)
    return top * math.exp(-z)


@numba.njit(nogil=True, cache=True, fastmath={"reassoc", "nsz"})
def gain(row, threshold, kind, top, slope):
    """Its sum over the values that are not NaN."""
    # NaN is no potential: it must not spoil the sum of the others. One loop a form, so that it is vectorised.
    total = 0.0
    one, centre, scale = row.dtype.type(1.0), row.dtype.type(threshold), row.dtype.type(slope)
    if kind == 1:
        for j in range(len(row)):
            z = abs(np.float64(row[j]) - threshold) * slope
            total += 1.0 - z if z < 1.0 else 0.0
    elif kind == 2:
        for j in range(len(row)):  # divided in the potentials' own precision, as the network does
            z = (row[j] - centre) * scale
            h = one / (one + z * z)
            total += np.float64(h) if z == z else 0.0
    elif kind == 4:
        for j in range(len(row)):
            z = abs(row[j] - centre) * scale
            h = one / ((one + z) * (one + z))
            total += np.float64(h) if z == z else 0.0
    else:
        for j in range(len(row)):
            z = abs(np.float64(row[j]) - threshold) * slope
            if z == z:
                e = math.exp(-z * z) if kind == 5 else math.exp(-z)
                total += 4.0 * e / ((1.0 + e) * (1.0 + e)) if kind == 3 else e
    return top * total
