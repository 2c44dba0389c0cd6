"""Sums over a block of potentials, compiled by numba and kept on disk: what the scans have in common."""

import math
from typing import Any

import numba
import numpy as np
from numba import types
from numba.extending import overload

from mpdviz.accumulations.histogram import PER_UNIT, REACH
from mpdviz.surrogates.vectorised import decayed

MIDDLE = REACH * PER_UNIT
"""Bins on either side of the threshold's origin."""


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
def ones(flags, size):
    """How many of the first `size` bytes, each 0 or 1, are 1; at most 2,040."""
    # Eight bytes are added at a time, each to one of its own: no sum exceeds a byte.
    words, lanes = flags.view(np.uint64), np.uint64(0)
    for i in range(size // 8):
        lanes += words[i]
    every_other = np.uint64(0x00FF00FF00FF00FF)
    pairs = (lanes & every_other) + ((lanes >> np.uint64(8)) & every_other)
    number = np.int64((pairs * np.uint64(0x0001000100010001)) >> np.uint64(48))
    for j in range(size // 8 * 8, size):
        number += flags[j]
    return number


def extremes(row):
    """The smallest and the largest of finite values."""


@overload(extremes)
def _extremes(row):
    # As whole numbers in the same order: their reduction to one is vectorised, that of floats is not.
    kind: Any = np.int64 if row.dtype == types.float64 else np.int32
    sign, rest = kind(np.iinfo(kind).bits - 1), kind(np.iinfo(kind).max)

    def found(row):
        bits = row.view(kind)
        least, most = rest, ~rest
        for j in range(len(bits)):
            i = bits[j]
            i = i ^ ((i >> sign) & rest)
            least, most = min(least, i), max(most, i)
        ends = np.empty(2, kind)
        ends[0], ends[1] = least ^ ((least >> sign) & rest), most ^ ((most >> sign) & rest)
        floats = ends.view(row.dtype)
        return floats[0], floats[1]

    return found


@numba.njit(nogil=True, cache=True)
def places(row, shift, scale, out):
    """The histogram's cell of every value; `scale` is bins a unit of potential."""
    # Clamped half a bin beyond the outer edges, so that every position has a cell.
    mantissa, _ = math.frexp(scale)
    if shift == 0.0 and mantissa == 0.5:
        # Multiplied by a power of two nothing is rounded: the values' own precision tells the cell.
        kind = row.dtype.type
        factor, least, most = kind(scale), kind(-MIDDLE - 0.5), kind(MIDDLE + 0.5)
        for j in range(len(row)):
            p = row[j] * factor
            p = p if p > least else least
            p = p if p < most else most
            below = np.floor(p)
            out[j] = 2 * np.int32(below) + np.int32(2 * MIDDLE + 2) - np.int32(p == below)
    else:
        for j in range(len(row)):
            p = (np.float64(row[j]) - shift) * scale
            p = p if p > -MIDDLE - 0.5 else -MIDDLE - 0.5
            p = p if p < MIDDLE + 0.5 else MIDDLE + 0.5
            below = np.floor(p)
            out[j] = 2 * np.int32(below) + np.int32(2 * MIDDLE + 2) - np.int32(p == below)


@numba.njit(nogil=True, cache=True)
def mark(seen, first, events, size):
    """Add the events of potentials `first` and on to the bytes of their neurons, again and again the same."""
    done = 0
    while done < size:
        neuron = (first + done) % len(seen)
        length = min(size - done, len(seen) - neuron)
        _mark(seen[neuron : neuron + length], events[done : done + length])
        done += length


@numba.njit(nogil=True, cache=True)
def _mark(seen, events):
    for j in range(len(events)):
        seen[j] |= events[j]


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
