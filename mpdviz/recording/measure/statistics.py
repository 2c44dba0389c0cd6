"""The statistics of one forward of one neuron layer: the definition, in plain tensor operations.

Runs on any device; `scan` does the same on the CPU in one compiled pass.
"""

import numpy as np
import torch
from torch import Tensor

from mpdviz.accumulations.census import AVAILABLE, PAUSED, SPIKED
from mpdviz.accumulations.histogram import CELLS, EDGES, PER_UNIT, REACH, Counts
from mpdviz.accumulations.layer import LayerStatistics

PART = 1 << 18
"""Neurons handled at a time, through all timesteps: bounds the memory of what is computed on the way."""


def measure(
    v: Tensor,
    unit: float,
    v_th: Tensor,
    halves: Tensor,
    others: Tensor,
    seen: Tensor,
    *,
    carries: tuple[bool, bool] = (True, False),
    strict: bool = False,
) -> LayerStatistics:
    """Statistics of one forward; the gain is left at zero.

    The reach of the gradient needs no backward pass: with T > 1 a potential outside the interval still gets
    a gradient through its later potentials unless it spiked,

        reach(t) = available(t) or (reach(t+1) and not s(t)),  reach(T) = available(T),

    where a spike resets the potential to a constant; `carries` tells of other resets.

    Args:
        v: pre-reset potentials of whole samples `[T, M]`, M = samples x neurons.
        unit: threshold that the neurons were made with, the histogram's unit.
        v_th: thresholds in force `[T]`, of v's dtype.
        halves: half the available interval's width at each timestep `[T]`, of v's dtype.
        others: half of each what-if width `[W]`, of v's dtype.
        seen: the layer's census, uint8, flat `[neurons]`, updated in place.
        carries: whether reach(t+1) counts without a spike at t, and with one.
        strict: whether neurons spike at v > v_th, not at v >= v_th.
    """
    total = LayerStatistics.empty(len(v), len(others))
    samples = v.reshape(len(v), -1, len(seen))
    for first in range(0, len(seen), PART):
        neurons = slice(first, first + PART)
        # Whole neurons at a time, so that their census bytes belong to one part.
        step = max(PART // max(len(seen), 1), 1)
        for sample in range(0, samples.shape[1], step):
            part = samples[:, sample : sample + step, neurons]
            total += _part(part, unit, v_th, halves, others, seen[neurons], carries, strict)
    return total


def shift(v_th: Tensor, unit: float) -> Tensor:
    """How far the thresholds in force `[T]` lie above `unit`, float64: exactly 0 where they are the same."""
    return v_th.double() - torch.tensor(unit, dtype=v_th.dtype, device=v_th.device).double()


def _part(
    v: Tensor,
    unit: float,
    v_th: Tensor,
    halves: Tensor,
    others: Tensor,
    seen: Tensor,
    carries: tuple[bool, bool],
    strict: bool,
) -> LayerStatistics:
    shifts = shift(v_th, unit)
    statistics = LayerStatistics.empty(len(v), len(others))
    later: Tensor | None = None  # reach(t+1)
    for t in range(len(v) - 1, -1, -1):
        x = v[t] - v_th[t]
        available = x.abs() < halves[t]
        fired = x > 0 if strict else x >= 0
        carried = (fired & carries[1]) | (~fired & carries[0])
        later = available if later is None else available | (later & carried)
        finite = v[t].isfinite()
        outside = finite & ~available
        potentials = v[t][finite].double()
        for bit, event in ((PAUSED, ~fired), (SPIKED, fired), (AVAILABLE, available)):
            seen |= event.any(0) * bit

        statistics.count[t] = v[t].numel()
        statistics.nonfinite[t] = v[t].numel() - potentials.numel()
        statistics.available[t] = available.sum()
        statistics.below[t] = (outside & ~fired).sum()
        statistics.above[t] = (outside & fired).sum()
        statistics.reach[t] = later.sum()
        statistics.spikes[t] = fired.sum()
        if potentials.numel():
            statistics.mean[t] = potentials.mean()
            statistics.m2[t] = (potentials - potentials.mean()).square().sum()
            statistics.min[t], statistics.max[t] = potentials.aminmax()
        statistics.cells[t] = _cells(potentials, shifts[t], unit)
        statistics.what_if[t] = np.array([int((x.abs() < other).sum()) for other in others], np.int64)
    return statistics


def _cells(potentials: Tensor, shift: Tensor, unit: float) -> Counts:
    # Position p counts bin widths above the first edge: an integer lies exactly on an edge.
    position = (potentials - shift).mul_(PER_UNIT / unit).add_(REACH * PER_UNIT).clamp_(-1, len(EDGES))
    below = position.floor()
    cell = (2 * below + 1 + (position > below)).clamp(0, CELLS - 1).long()
    counts: Counts = torch.bincount(cell, minlength=CELLS).cpu().numpy()
    return counts
