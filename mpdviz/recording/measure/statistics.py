"""The statistics of one forward of one neuron layer: the definition, in plain tensor operations.

Runs on any device; `scan` does the same on the CPU in one compiled pass.
"""

import numpy as np
import torch
from torch import Tensor

from mpdviz.accumulations.census import AVAILABLE, PAUSED, SPIKED
from mpdviz.accumulations.histogram import CELLS, PER_UNIT, REACH, Counts
from mpdviz.accumulations.layer import LayerStatistics
from mpdviz.recording.measure.spec import Spec

PART = 1 << 18
"""Neurons handled at a time, through all timesteps: bounds the memory of what is computed on the way."""


def by_tensors(v: Tensor, spec: Spec, seen: Tensor) -> LayerStatistics:
    """Statistics of one forward; the gain is left at zero.

    The reach of the gradient needs no backward pass: with T > 1 a potential outside the interval still gets
    a gradient through its later potentials unless it spiked,

        reach(t) = available(t) or (reach(t+1) and not s(t)),  reach(T) = available(T),

    where a spike resets the potential to a constant; `spec.carries` tells of other resets, and at or below
    `spec.floor` nothing is reached.

    Args:
        v: pre-reset potentials of whole samples `[T, M]`, M = samples x neurons.
        spec: what they are measured against.
        seen: the layer's census, uint8, flat `[neurons]`, updated in place.
    """
    total = LayerStatistics.empty(*spec.what_if.shape)
    samples = v.reshape(len(v), -1, len(seen))
    for first in range(0, len(seen), PART):
        neurons = slice(first, first + PART)
        # Whole neurons at a time, so that their census bytes belong to one part.
        step = max(PART // max(len(seen), 1), 1)
        for sample in range(0, samples.shape[1], step):
            part = samples[:, sample : sample + step, neurons]
            total += _part(part, spec, seen[neurons])
    return total


def _part(v: Tensor, spec: Spec, seen: Tensor) -> LayerStatistics:
    shifts = spec.shifts
    statistics = LayerStatistics.empty(*spec.what_if.shape)
    later: Tensor | None = None  # reach(t+1)
    for t in range(len(v) - 1, -1, -1):
        x = v[t] - spec.v_th[t]
        through = v[t] > spec.floor
        available = (x.abs() < spec.halves[t]) & through
        fired = x > 0 if spec.strict else x >= 0
        carried = ((fired & spec.carries[1]) | (~fired & spec.carries[0])) & through
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
        statistics.cells[t] = cells((potentials - shifts[t]).mul_(PER_UNIT / spec.unit))
        statistics.what_if[t] = np.array(
            [int(((x.abs() < other) & through).sum()) for other in spec.what_if[t]], np.int64
        )
    return statistics


def cells(position: Tensor) -> Counts:
    """The histogram `[CELLS]` of potentials given in bin widths, float64: integers lie on an edge."""
    below = position.floor()
    # What is small beside a bin must not vanish when the bins are numbered: whole numbers are added.
    cell = (2 * (below + REACH * PER_UNIT) + 1 + (position > below)).clamp(0, CELLS - 1).long()
    counts: Counts = torch.bincount(cell, minlength=CELLS).cpu().numpy()
    return counts
