"""The statistics in one pass over the potentials, compiled for the CPU by numba.

The same integers as `statistics.by_tensors`, at a tenth of its time: potentials are read once, in blocks that
stay in the cache, by as many threads as torch uses. Every thread counts on its own and the counts are
added, so the number of threads cannot change them.
"""

from itertools import pairwise
from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor

from mpdviz.accumulations.census import AVAILABLE, PAUSED, SPIKED
from mpdviz.accumulations.histogram import PER_UNIT
from mpdviz.accumulations.layer import LayerStatistics
from mpdviz.kernels.fused import array
from mpdviz.kernels.loops import copy, step
from mpdviz.recording.measure import compiled
from mpdviz.recording.measure.spec import Spec
from mpdviz.system.threads import divided

BLOCK = 1024
"""Neurons handled at a time, through all timesteps."""
PARALLEL = 1 << 17
"""Potentials from which threads are worth waking."""


def reads(current: Tensor) -> bool:
    """Whether potentials can be computed here from a current of this type."""
    return current.dtype in (torch.float32, torch.float64, torch.bfloat16)


def in_one_pass(
    v: Tensor, spec: Spec, seen: Tensor, recurrence: tuple[float, bool] | None = None
) -> LayerStatistics:
    """Statistics of one forward; the gain is left at zero.

    Args:
        v: pre-reset potentials of whole samples `[T, N, ...]`.
        spec: what they are measured against, on the CPU.
        seen: the layer's census, flat `[neurons]`, updated in place.
        recurrence: where `v` are not the potentials but the currents that give them: the decay and whether
            the reset is soft. They are never written to memory then, but for the block at hand.
    """
    flat = array(v.reshape(len(v), -1).contiguous())
    census = seen.numpy()
    v_th, shifts, halves, others = (
        values.numpy() for values in (spec.v_th.contiguous(), spec.shifts, spec.halves, spec.what_if)
    )
    decay, soft = (0.0, False) if recurrence is None else recurrence
    charged = recurrence is not None, v_th.dtype.type(decay), soft
    threads = torch.get_num_threads() if flat.size > PARALLEL else 1

    def part(i: int) -> None:
        (start, stop), (mine, census) = ends[i], parts[i]
        mine.count += stop - start
        scan: Any = _scan  # a compiled function has no signature to speak of
        scan(
            flat,
            *charged,
            start,
            stop,
            v_th,
            shifts,
            halves,
            others,
            PER_UNIT / spec.unit,
            mine.available,
            mine.above,
            mine.reach,
            mine.spikes,
            mine.what_if,
            mine.cells,
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

    ends = list(pairwise(flat.shape[1] * i // threads for i in range(threads + 1)))
    parts = [(LayerStatistics.empty(*others.shape), np.zeros_like(census)) for _ in ends]
    divided(part, threads)
    total = LayerStatistics.empty(*others.shape)
    for mine, one in parts:
        total += mine
        census |= one
    return total


@numba.njit(nogil=True, cache=True)
def _scan(
    v, charged, decay, soft, start, stop, v_th, shifts, halves, others, scale, available, above, reach,
    spikes, what_if, cells, nonfinite, mean, m2, low, high, census, paused_carries, spiked_carries, strict,
    floor,
):  # fmt: skip
    finite = np.zeros(len(v), np.int64)  # potentials in `mean` so far
    # One byte an event and neuron, so that the loops below run as vector instructions.
    place = np.empty(BLOCK, np.int32)
    inside, fired, outside = np.empty(BLOCK, np.uint8), np.empty(BLOCK, np.uint8), np.empty(BLOCK, np.uint8)
    through, reached = np.empty(BLOCK, np.uint8), np.empty(BLOCK, np.uint8)
    ever_inside, ever_fired = np.empty(BLOCK, np.uint8), np.empty(BLOCK, np.uint8)
    always_fired = np.empty(BLOCK, np.uint8)
    potentials, carried = np.empty((len(v), BLOCK), v_th.dtype), np.empty(BLOCK, v_th.dtype)
    floored = floor > -np.inf
    through[:] = 1
    for first in range(start, stop, BLOCK):
        size = min(BLOCK, stop - first)
        reached[:size] = ever_inside[:size] = ever_fired[:size] = 0
        always_fired[:size] = 1
        if charged:
            carried[:] = -0.0
            for t in range(len(v)):
                step(v[t, first : first + size], v_th[t], decay, soft, carried, potentials[t, :size])
        else:
            for t in range(len(v)):
                copy(v[t, first : first + size], potentials[t, :size])
        for t in range(len(v) - 1, -1, -1):
            row = potentials[t, :size]
            half, threshold = halves[t], v_th[t]
            if strict:
                for j in range(size):
                    x = row[j] - threshold
                    inside[j] = abs(x) < half
                    fired[j] = x > 0
            else:
                for j in range(size):
                    x = row[j] - threshold
                    inside[j] = abs(x) < half
                    fired[j] = x >= 0
            if floored:
                for j in range(size):
                    through[j] = row[j] > floor
                    inside[j] &= through[j]
            # What lets nothing come back of the next potential's gradient: bits of a byte that is 0 or 1.
            ends_fired, ends_paused = np.uint8(not spiked_carries), np.uint8(not paused_carries)
            for j in range(size):
                ended = (fired[j] & ends_fired) | ((fired[j] ^ 1) & ends_paused)
                reached[j] = inside[j] | (reached[j] & (ended ^ 1) & through[j])
                ever_inside[j] |= inside[j]
                ever_fired[j] |= fired[j]
                always_fired[j] &= fired[j]
                outside[j] = fired[j] & (inside[j] ^ 1)
            available[t] += compiled.ones(inside, size)
            spikes[t] += compiled.ones(fired, size)
            above[t] += compiled.ones(outside, size)
            reach[t] += compiled.ones(reached, size)
            for w in range(others.shape[1]):
                number = 0
                for j in range(size):
                    number += (abs(row[j] - threshold) < others[t, w]) & through[j]
                what_if[t, w] += number
            whole = _add_moments(row, t, finite, nonfinite, above, mean, m2, low, high)
            compiled.places(row, shifts[t], scale, place)
            counted = cells[t]
            for j in range(size):
                counted[place[j]] += 1
            if not whole:
                for j in range(size):
                    counted[place[j]] -= not np.isfinite(row[j])
        for j in range(size):
            paused = PAUSED * (1 - always_fired[j])
            ever_inside[j] = AVAILABLE * ever_inside[j] | SPIKED * ever_fired[j] | paused
        compiled.mark(census, first, ever_inside, size)


@numba.njit(nogil=True, cache=True)
def _add_moments(row, t, finite, nonfinite, above, mean, m2, low, high):
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
        least, most = compiled.extremes(kept)
    else:
        least, most = compiled.extremes(row)
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
