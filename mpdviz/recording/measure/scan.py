"""The statistics in one pass over the potentials, compiled for the CPU by numba.

The same integers as `statistics.by_tensors`, at a tenth of its time: potentials are read once, in blocks that
stay in the cache, by as many threads as torch uses. Every thread counts on its own and the counts are
added, so the number of threads cannot change them.
"""

from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
from numpy.typing import NDArray

from mpdviz.accumulations.census import AVAILABLE, PAUSED, SPIKED
from mpdviz.accumulations.histogram import EDGES, PER_UNIT, REACH, Floats
from mpdviz.accumulations.layer import LayerStatistics
from mpdviz.recording.measure import compiled
from mpdviz.recording.measure.spec import Spec

BLOCK = 1024
"""Neurons handled at a time, through all timesteps."""
BINS = len(EDGES) - 1


def in_one_pass(
    v: NDArray[np.float32] | Floats,
    spec: Spec,
    seen: NDArray[np.uint8],
    pool: ThreadPoolExecutor,
    threads: int,
) -> LayerStatistics:
    """Statistics of one forward; the gain is left at zero.

    Args:
        v: pre-reset potentials of whole samples, contiguous `[T, M]`, M = samples x neurons.
        spec: what they are measured against, on the CPU.
        seen: the layer's census, flat `[neurons]`, updated in place.
        pool: where the threads come from.
        threads: how many parts the work is divided into.
    """
    v_th, shifts, halves, others = (
        values.numpy() for values in (spec.v_th, spec.shifts, spec.halves, spec.what_if)
    )
    size = v.shape[1]

    def part(start: int, stop: int) -> tuple[LayerStatistics, NDArray[np.uint8]]:
        mine, census = LayerStatistics.empty(*others.shape), np.zeros_like(seen)
        mine.count += stop - start
        constants = v_th, shifts, halves, others, PER_UNIT / spec.unit
        counted = mine.available, mine.above, mine.reach, mine.spikes, mine.what_if, mine.cells
        _scan(
            v,
            start,
            stop,
            *constants,
            *counted,
            mine.nonfinite,
            mine.mean,
            mine.m2,
            mine.min,
            mine.max,
            census,
            *spec.carries,
            spec.strict,
            spec.floor,
        )
        mine.below += mine.finite - mine.available - mine.above
        return mine, census

    ends = [size * i // threads for i in range(threads + 1)]
    total = LayerStatistics.empty(*others.shape)
    for mine, census in pool.map(part, ends[:-1], ends[1:]):
        total += mine
        seen |= census
    return total


@numba.njit(nogil=True, cache=True)
def _scan(
    v, start, stop, v_th, shifts, halves, others, scale, available, above, reach, spikes, what_if, cells,
    nonfinite, mean, m2, low, high, census, paused_carries, spiked_carries, strict, floor,
):  # fmt: skip
    finite = np.zeros(len(v), np.int64)  # potentials in `mean` so far
    # One byte an event and neuron, so that the loops below run as vector instructions.
    place = np.empty(BLOCK, np.int32)
    through = np.empty(BLOCK, np.uint8)
    inside = np.empty(BLOCK, np.uint8)
    fired = np.empty(BLOCK, np.uint8)
    reached = np.empty(BLOCK, np.uint8)
    lower, upper = np.empty(BLOCK // 2, v.dtype), np.empty(BLOCK // 2, v.dtype)
    ever_inside = np.empty(BLOCK, np.uint8)
    ever_fired = np.empty(BLOCK, np.uint8)
    always_fired = np.empty(BLOCK, np.uint8)
    for first in range(start, stop, BLOCK):
        size = min(BLOCK, stop - first)
        reached[:size] = ever_inside[:size] = ever_fired[:size] = 0
        always_fired[:size] = 1
        for t in range(len(v) - 1, -1, -1):
            row = v[t, first : first + size]
            half, threshold, shift = halves[t], v_th[t], shifts[t]
            for j in range(size):
                x = row[j] - threshold
                through[j] = row[j] > floor
                inside[j] = (abs(x) < half) & through[j]
                fired[j] = x > 0 or (x == 0 and not strict)
            for j in range(size):
                carried = (fired[j] & spiked_carries) | (~fired[j] & paused_carries)
                reached[j] = inside[j] | (reached[j] & carried & through[j])
                ever_inside[j] |= inside[j]
                ever_fired[j] |= fired[j]
                always_fired[j] &= fired[j]
            for j in range(size):
                available[t] += inside[j]
                spikes[t] += fired[j]
                above[t] += fired[j] & ~inside[j]
                reach[t] += reached[j]
            for w in range(others.shape[1]):
                for j in range(size):
                    what_if[t, w] += (abs(row[j] - threshold) < others[t, w]) & through[j]
            whole = _add_moments(row, t, finite, nonfinite, above, mean, m2, low, high, lower, upper)
            for j in range(size):
                # Clamped half a bin beyond the outer edges, so that every position has a cell.
                p = (np.float64(row[j]) - shift) * scale + REACH * PER_UNIT
                p = p if p > -0.5 else -0.5
                p = p if p < BINS + 0.5 else BINS + 0.5
                i = np.int32(p + 1.0) - np.int32(1)
                place[j] = 2 * i + 2 - (p == i)
            for j in range(size):
                cells[t, place[j]] += 1
            if not whole:
                for j in range(size):
                    cells[t, place[j]] -= not np.isfinite(row[j])
        neuron = first % len(census)
        for j in range(size):
            paused = PAUSED * (1 - always_fired[j])
            census[neuron] |= AVAILABLE * ever_inside[j] | SPIKED * ever_fired[j] | paused
            neuron += 1
            if neuron == len(census):
                neuron = 0


@numba.njit(nogil=True, cache=True)
def _add_moments(row, t, finite, nonfinite, above, mean, m2, low, high, lower, upper):
    # Measured from the first potential: no digits are lost where the spread is small beside the mean.
    origin = np.float64(row[0])
    count = len(row)
    total, squares = compiled.sums(row, origin)
    whole = np.isfinite(squares)
    if not whole:  # once more, without what is not finite
        kept = row[np.isfinite(row)]
        nonfinite[t] += count - len(kept)
        above[t] -= np.sum(row == np.inf)  # counted as spikes outside the interval, but they are in no share
        count = len(kept)
        if count == 0:
            return whole
        origin = np.float64(kept[0])
        total, squares = compiled.sums(kept, origin)
        least, most = compiled.extremes(kept, lower, upper)
    else:
        least, most = compiled.extremes(row, lower, upper)
    # The pairwise update of Chan et al.: sums over one block are short enough to be exact to rounding.
    shift = total / count
    difference = origin + shift - mean[t]
    share = count / (finite[t] + count)
    mean[t] += difference * share
    m2[t] += max(squares - total * shift, 0.0) + difference * difference * finite[t] * share
    finite[t] += count
    low[t] = min(low[t], least)
    high[t] = max(high[t], most)
    return whole
