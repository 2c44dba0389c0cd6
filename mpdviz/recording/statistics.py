"""Statistics of one batch of membrane potentials, on the device where they lie."""

import torch
from torch import Tensor

from mpdviz.recording.accumulation import CELLS, EDGES, PER_UNIT, REACH, Counts, LayerStatistics
from mpdviz.surrogates import Surrogate


def measure(
    v: Tensor, spikes: Tensor, kappa: Tensor, v_th: float, surrogate: Surrogate, epsilon: float
) -> LayerStatistics:
    """Statistics of one forward of one neuron layer.

    The reach of the gradient needs no backward pass: with T > 1 a potential outside the
    interval still gets a gradient through its later potentials unless it spiked,

        reach(t) = available(t) or (reach(t+1) and not s(t)),  reach(T) = available(T).

    Args:
        v: pre-reset potentials `[T, ...]`.
        spikes: the spikes they caused `[T, ...]`.
        kappa: widths `[T]`.
        v_th: threshold.
        surrogate: shape of the derivative, which also says where it is available.
        epsilon: share of max h that bounds an infinite support.
    """
    statistics = LayerStatistics.empty(len(v))
    later: Tensor | None = None  # reach(t+1)
    for t in range(len(v) - 1, -1, -1):
        finite = v[t].isfinite()
        x = v[t] - v_th
        available = surrogate.available(x, kappa[t], epsilon)
        outside = finite & ~available
        fired = spikes[t] != 0
        later = available if later is None else available | (later & ~fired)
        potentials = v[t][finite].double()

        statistics.count[t] = v[t].numel()
        statistics.nonfinite[t] = v[t].numel() - potentials.numel()
        statistics.available[t] = available.sum()
        statistics.below[t] = (outside & (x < 0)).sum()
        statistics.above[t] = (outside & (x > 0)).sum()
        statistics.reach[t] = later.sum()
        statistics.spikes[t] = fired.sum()
        statistics.gain[t] = surrogate.h(potentials - v_th, kappa[t].double()).sum()
        if potentials.numel():
            statistics.mean[t] = potentials.mean()
            statistics.m2[t] = (potentials - potentials.mean()).square().sum()
            statistics.min[t], statistics.max[t] = potentials.aminmax()
        statistics.cells[t] = _cells(potentials, v_th)
    return statistics


def _cells(potentials: Tensor, v_th: float) -> Counts:
    # Position p counts bin widths above the first edge: an integer lies exactly on an edge.
    position = (potentials * (PER_UNIT / v_th) + REACH * PER_UNIT).clamp(-1, len(EDGES))
    below = position.floor()
    cell = (2 * below + 1 + (position > below)).clamp(0, CELLS - 1).long()
    counts: Counts = torch.bincount(cell, minlength=CELLS).cpu().numpy()
    return counts
