"""One timestep's statistics in one pass over its potentials, compiled for the CPU by numba.

The same integers as `step.by_tensors`. The compiled code is kept on disk, so only the first recording on a
machine ever waits for it.
"""

import math
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from mpdviz.accumulations.census import AVAILABLE, PAUSED, SPIKED
from mpdviz.accumulations.histogram import CELLS, EDGES, PER_UNIT, REACH, Counts
from mpdviz.recording.measure.step import Counted, Pending, Step, bound
from mpdviz.surrogates.closed import Form

BLOCK = 1024
BINS = len(EDGES) - 1
_NOTHING: NDArray[np.int32] = np.zeros(0, np.int32)


def readable(step: Step) -> bool:
    """Whether the derivative is one that is compiled here."""
    return step.function.form is not None and len(step.function.intervals) == 1


def in_one_pass(
    u: NDArray[Any],
    emitted: NDArray[Any],
    step: Step,
    seen: NDArray[np.uint8],
    pending: Pending | None,
    t: int,
) -> Counted:
    """Count one timestep; arguments as of `step.by_tensors`, contiguous arrays in place of tensors."""
    import torch

    function, form = step.function, step.function.form
    assert form is not None
    dtype = torch.float64 if u.dtype == np.float64 else torch.float32
    low, high = function.intervals[0]
    low, high = bound(low, dtype, up=False), bound(high, dtype, up=True)
    integers, reals = np.zeros(8, np.int64), np.zeros(5)
    cells, what_if = np.zeros(CELLS, np.int64), np.zeros(len(step.what_if), np.int64)
    follows = pending is not None
    _count(
        u, emitted, function.threshold, function.strict, function.height, low, high,
        np.array(step.what_if, u.dtype), step.shift, PER_UNIT / step.unit,
        _numbers(form), *function.finite, seen,
        pending.first.numpy() if pending is not None else _NOTHING,
        pending.room_for(t) if pending is not None else np.zeros(2, np.int64),
        follows, t, *step.carries, integers, reals, cells, what_if,
    )  # fmt: skip
    count, nonfinite, available, above, spikes, mismatched, unknown, _ = (int(n) for n in integers)
    gain, mean, m2, least, most = (float(x) for x in reals)
    return Counted(
        count, nonfinite, available, count - nonfinite - available - above, above, spikes, gain, unknown,
        mean, m2, least, most, mismatched, cells, what_if,
    )  # fmt: skip


def _numbers(form: Form) -> tuple[int, float, float, float, float]:
    return form.kind, form.top, form.scale, form.low, form.high


@numba.njit(nogil=True, cache=True)
def _count(
    u, emitted, threshold, strict, height, low, high, others, shift, scale, form, known_from, known_to, seen,
    first, difference, follows, t, paused_carries, spiked_carries, integers, reals, cells, what_if,
):  # fmt: skip
    kind, top, slope, rect_low, rect_high = form
    neurons = len(seen)
    nonfinite = available = above = spikes = mismatched = unknown = 0
    gain = 0.0
    mean = m2 = 0.0
    total = 0
    least, most = np.inf, -np.inf
    place = np.empty(BLOCK, np.int32)
    inside = np.empty(BLOCK, np.uint8)
    fired = np.empty(BLOCK, np.uint8)
    centre = u.dtype.type(threshold)
    for start in range(0, len(u), BLOCK):
        size = min(BLOCK, len(u) - start)
        row, out = u[start : start + size], emitted[start : start + size]
        for j in range(size):
            inside[j] = (row[j] > low) & (row[j] < high)
            fired[j] = (row[j] > centre) | ((row[j] == centre) & (not strict))
        for j in range(size):
            available += inside[j]
            spikes += fired[j]
            above += fired[j] & ~inside[j] & 1
            mismatched += out[j] != fired[j] * height
        for w in range(len(others)):
            for j in range(size):
                what_if[w] += abs(row[j] - centre) < others[w]
        # Moments about the block's first potential, merged by Chan's update.
        origin = np.float64(row[0])
        sums = squares = 0.0
        lowest = highest = row[0]
        for j in range(size):
            z = np.float64(row[j]) - origin
            sums += z
            squares += z * z
            lowest = min(lowest, row[j])
            highest = max(highest, row[j])
        whole = np.isfinite(squares)
        number = size
        if not whole:
            number = 0
            sums = squares = 0.0
            for j in range(size):
                if np.isfinite(row[j]):
                    if number == 0:
                        origin = np.float64(row[j])
                        lowest = highest = row[j]
                    z = np.float64(row[j]) - origin
                    sums += z
                    squares += z * z
                    lowest = min(lowest, row[j])
                    highest = max(highest, row[j])
                    number += 1
                else:
                    nonfinite += 1
                    above -= row[j] == np.inf  # a spike, but in no share
        if number:
            part = sums / number
            apart = origin + part - mean
            share = number / (total + number)
            mean += apart * share
            m2 += max(squares - sums * part, 0.0) + apart * apart * total * share
            total += number
            least = min(least, np.float64(lowest))
            most = max(most, np.float64(highest))
        for j in range(size):
            # Clamped half a bin beyond the outer edges, so that every position has a cell.
            p = (np.float64(row[j]) - shift) * scale + REACH * PER_UNIT
            p = p if p > -0.5 else -0.5
            p = p if p < BINS + 0.5 else BINS + 0.5
            i = np.int32(p + 1.0) - np.int32(1)
            place[j] = 2 * i + 2 - (p == i)
        for j in range(size):
            cells[place[j]] += 1
        if kind == 0:
            for j in range(size):
                x = np.float64(row[j]) - threshold
                gain += top * ((x > rect_low) & (x < rect_high))
        else:
            gain += _gain(row, size, threshold, kind, top, slope)
        if not whole:
            for j in range(size):
                if not np.isfinite(row[j]):
                    cells[place[j]] -= 1
                    if not np.isnan(row[j]):
                        x = np.float64(row[j]) - threshold
                        gain -= _h(x, kind, top, slope)
        if known_from > -np.inf or known_to < np.inf:
            for j in range(size):
                if np.isfinite(row[j]) and not (row[j] > known_from and row[j] < known_to):
                    unknown += 1
                    gain -= _h(np.float64(row[j]) - threshold, kind, top, slope)
        if follows:
            for j in range(size):
                k = start + j
                if inside[j]:
                    difference[first[k]] += 1
                    difference[t + 1] -= 1
                    first[k] = t + 1
                elif (fired[j] and not spiked_carries) or (not fired[j] and not paused_carries):
                    first[k] = t + 1
        if neurons:
            neuron = start % neurons
            for j in range(size):
                seen[neuron] |= AVAILABLE * inside[j] | SPIKED * fired[j] | PAUSED * (1 - fired[j])
                neuron += 1
                if neuron == neurons:
                    neuron = 0
    integers[0], integers[1], integers[2], integers[3] = len(u), nonfinite, available, above
    integers[4], integers[5], integers[6] = spikes, mismatched, unknown
    reals[0], reals[1], reals[2], reals[3], reals[4] = gain, mean, m2, least, most


@numba.njit(nogil=True, cache=True)
def _h(x, kind, top, slope):
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
def _gain(row, size, threshold, kind, top, slope):
    # NaN is no potential: it must not spoil the sum of the others.
    total = 0.0
    for j in range(size):
        z = abs(np.float64(row[j]) - threshold) * slope
        if kind == 1:
            h = max(0.0, 1.0 - z)
        elif kind == 2:
            h = 1.0 / (1.0 + z * z)
        elif kind == 3:
            e = math.exp(-z)
            h = 4.0 * e / ((1.0 + e) * (1.0 + e))
        elif kind == 4:
            h = 1.0 / ((1.0 + z) * (1.0 + z))
        elif kind == 5:
            h = math.exp(-z * z)
        else:
            h = math.exp(-z)
        total += h if z == z else 0.0
    return top * total
