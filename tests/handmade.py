"""Accumulations made by hand from potentials, counted with NumPy alone."""

import numpy as np

from mpdviz.accumulations.census import Census
from mpdviz.accumulations.currents import CurrentSums
from mpdviz.accumulations.gradients import GradientFlow
from mpdviz.accumulations.layer import LayerAccumulation, LayerInfo, LayerStatistics

EDGES = np.arange(-512, 513) / 64


def info(timesteps=2, **known):
    """A layer of width 1; `lower` and `upper` follow from `v_th` where they are not given."""
    v_th = known.setdefault("v_th", 0.5)
    known.setdefault("kappa", (1.0,) * timesteps)
    known.setdefault("lower", tuple(v_th - width / 2 for width in known["kappa"]))
    known.setdefault("upper", tuple(v_th + width / 2 for width in known["kappa"]))
    return LayerInfo(**{"name": "neuron", "decay": 0.2, "surrogate": "rectangular", "epsilon": None} | known)


def summed(current):
    """Sums over currents `[T, N, C, ...]`."""
    series = np.moveaxis(np.asarray(current, np.float64), 2, 0).reshape(current.shape[2], len(current), -1)
    return CurrentSums(series.shape[2], series.sum(2), np.einsum("cti,csi->cts", series, series))


def counted(v, described=None, flow=None, currents=None):
    """Potentials `[T, N, C]` under the intervals and thresholds of `described`; reach is not counted."""
    described = described or info(len(v))
    sums = LayerStatistics.empty(len(v), len(described.what_if))
    seen = np.zeros(v.shape[2:], np.uint8)
    for t, threshold in enumerate(described.thresholds_in_force):
        x = v[t] - threshold
        half = (described.upper[t] - described.lower[t]) / 2
        inside, fired = np.abs(x) < half, x > 0 if described.strict else x >= 0
        finite = np.isfinite(v[t])
        values = v[t][finite]
        sums.count[t], sums.nonfinite[t] = v[t].size, (~finite).sum()
        sums.available[t], sums.spikes[t] = inside.sum(), fired.sum()
        sums.below[t] = (finite & ~inside & ~fired).sum()
        sums.above[t] = (finite & ~inside & fired).sum()
        sums.gain[t] = inside.sum() / described.kappa[t]
        sums.mean[t], sums.m2[t] = values.mean(), values.var() * values.size
        sums.min[t], sums.max[t] = values.min(), values.max()
        edges = EDGES * described.unit + (threshold - described.unit)
        place = np.searchsorted(edges, values, "left") + np.searchsorted(edges, values, "right")
        sums.cells[t] = np.bincount(place, minlength=2 * len(edges) + 1)
        for w, width in enumerate(described.what_if):
            sums.what_if[t, w] = (np.abs(x) < width / 2).sum()
        for bit, event in ((1, ~fired), (2, fired), (4, inside)):
            seen |= (event.any(0) * bit).astype(np.uint8)
    return LayerAccumulation(described, sums, Census(seen | 8), flow, currents)


def flow(*gradients, spike=None):
    """One backward pass, its dL/dv `[T, M]` and where known the spike path's `[T, M]`."""
    g = np.array(gradients, float)
    s = np.full((0, 0), 0.0) if spike is None else np.array(spike, float)
    finite = np.isfinite(g)
    kept = np.where(finite, g, 0)
    return GradientFlow(
        passes=np.ones(len(g), np.int64),
        count=np.full(len(g), g.shape[1], np.int64),
        zeros=(g == 0).sum(1),
        squares=(kept**2).sum(1),
        products=np.append((kept[:-1] * kept[1:]).sum(1), np.nan),
        weight_passes=0,
        weight_squares=0.0,
        nonfinite=(~finite).sum(1),
        spike_passes=np.ones(len(s), np.int64),
        spike_count=np.full(len(s), s.shape[1], np.int64),
        spike_zeros=(s == 0).sum(1),
        spike_squares=(s**2).sum(1),
    )
