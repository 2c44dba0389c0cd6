"""What is logged of a recording, the same for every tracker.

Tags, so that a tracker groups what belongs together:

available_ratio/1 encode.0, kappa/1 encode.0                       mean over the timesteps of a layer
reach_ratio/1 encode.0, firing_rate/1 encode.0                     the same
available_ratio by timestep/1 encode.0/t=1, kappa by timestep/...  each timestep
available_ratio/lowest                                             of all layers and timesteps
grad_norm/1 encode.0, spike_grad_norm/..., weight_grad_norm/...    where gradients were recorded
potentials/1 encode.0                                              histogram; the threshold lies at 1

The norm of the gradients dL/dv of a layer is that over all its timesteps together, the root of the sum of
the squares of the column of the same name. What was not measured is not logged.
"""

import math
from collections.abc import Mapping

import numpy as np

from mpdviz.accumulations.histogram import EDGES, bins
from mpdviz.accumulations.layer import LayerAccumulation
from mpdviz.analysis import metrics
from mpdviz.loggers.base import Histogram

MEANS = ("available_ratio", "kappa", "reach_ratio", "firing_rate")
"""Columns of which a layer's mean over its timesteps is logged."""
BY_TIMESTEP = ("available_ratio", "kappa")
NORMS = ("grad_norm", "spike_grad_norm")
LOWEST = "available_ratio/lowest"


def scalars(layers: Mapping[int, LayerAccumulation]) -> dict[str, float]:
    """The numbers of a recording by tag, none of them NaN."""
    table = metrics.observed(layers)
    values: dict[str, float] = {}
    for number, layer in sorted(layers.items()):
        rows, title = table[table["layer"] == number], _title(number, layer)
        for column in MEANS:
            values[f"{column}/{title}"] = rows[column].mean()
        for column in BY_TIMESTEP:
            for t, value in zip(rows["timestep"], rows[column], strict=True):
                values[f"{column} by timestep/{title}/t={t}"] = value
        if layer.flow is not None:
            for column in NORMS:
                # pandas adds up nothing to 0, and nothing was measured.
                values[f"{column}/{title}"] = math.sqrt((rows[column] ** 2).sum(min_count=1))
            values[f"weight_grad_norm/{title}"] = rows["weight_grad_norm"].iloc[0]
    values[LOWEST] = table["available_ratio"].min()
    return {tag: float(value) for tag, value in values.items() if not math.isnan(value)}


def histograms(layers: Mapping[int, LayerAccumulation]) -> dict[str, Histogram]:
    """The potentials of each layer over all timesteps, by tag; nothing for a layer without finite ones."""
    return {
        f"potentials/{_title(number, layer)}": _histogram(layer)
        for number, layer in sorted(layers.items())
        if layer.statistics.finite.any()
    }


def _title(number: int, layer: LayerAccumulation) -> str:
    return f"{number} {layer.info.name}"


def _histogram(layer: LayerAccumulation) -> Histogram:
    """The recording's own integer counts, in the histogram's unit (the threshold).

    Where a strategy moves the threshold, the potentials are shifted along, so that it lies at 1.
    """
    statistics, unit = layer.statistics, layer.info.unit
    finite, shifts = statistics.finite, layer.info.shifts
    low, high = (
        float(extreme / unit)
        for extreme in ((statistics.min - shifts).min(), (statistics.max - shifts).max())
    )
    mean = (statistics.mean - shifts) / unit
    cells = statistics.cells
    counts = np.concatenate([cells[:, :1], bins(cells), cells[:, -2:].sum(1, keepdims=True)], 1).sum(0)
    # The outer bins have no ends but the outermost potentials.
    edges = np.concatenate([[min(low, EDGES[0])], EDGES, [max(high, EDGES[-1])]])
    filled = np.flatnonzero(counts)
    first, last = filled[0], filled[-1] + 1
    return Histogram(
        edges=edges[first : last + 1],
        counts=counts[first:last],
        low=low,
        high=high,
        total=float((finite * mean).sum()),
        squares=float((statistics.m2 / unit**2 + finite * mean**2).sum()),
    )
