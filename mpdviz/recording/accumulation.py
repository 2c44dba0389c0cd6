"""What a recording adds up to: exact counts, moments and a histogram for one neuron layer (no torch).

Accumulations of batches, ranks and runs merge by `+`. Everything counted is an integer, so the order of
merging cannot change it; means and variances are merged in float64 by the pairwise update of Chan, Golub
& LeVeque (1979).

The histogram has fixed edges in units of the threshold, so that any two can be added. A value lying
exactly on an edge has a cell of its own between its two neighbours, because under the strict inequality
of the available interval it belongs to neither side: a silent input gives v = 0 exactly, and 0 is the
lower end of kappa = 1 at v_th = 0.5. Cell layout, with E edges e_0 < ... < e_{E-1}:

    0: below e_0 | 1: on e_0 | 2: between e_0 and e_1 | 3: on e_1 | ... | 2E-1: on e_{E-1} | 2E: above
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

REACH, PER_UNIT = 8, 64
EDGES: Floats = np.arange(-REACH * PER_UNIT, REACH * PER_UNIT + 1) / PER_UNIT
"""Histogram edges in units of v_th: from -8 to 8 in steps of 1/64, all exact in binary."""
CELLS = 2 * len(EDGES) + 1


@dataclass(frozen=True)
class LayerInfo:
    """What is constant of a neuron layer while it is recorded; widths and interval one per timestep."""

    name: str
    v_th: float
    decay: float
    gamma_mean: float
    """Mean weight of the batch norm before the neurons, v_th excluded; NaN where there is none."""
    surrogate: str
    epsilon: float | None
    """Share of max h that bounds the interval; None where the surrogate's support is exact."""
    kappa: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    fan_out: float = float("nan")
    """Mean number of synapses that one spike drives; NaN where unknown."""

    @property
    def timesteps(self) -> int:
        """T."""
        return len(self.kappa)


@dataclass
class LayerStatistics:
    """Sums over all recorded potentials of one neuron layer, each array one entry a timestep `[T]`."""

    count: Counts
    nonfinite: Counts
    available: Counts
    below: Counts
    above: Counts
    reach: Counts
    spikes: Counts
    gain: Floats
    """Sum of h(v - v_th) over the finite potentials."""
    mean: Floats
    m2: Floats
    """Sum of squared deviations from the mean, over the finite potentials."""
    min: Floats
    max: Floats
    cells: Counts
    """Histogram `[T, CELLS]` of the finite potentials, see the module's docstring."""

    @classmethod
    def empty(cls, timesteps: int) -> "LayerStatistics":
        """The statistics of no potentials at all."""
        values: dict[str, Any] = {}
        for field in fields(cls):
            shape = (timesteps, CELLS) if field.name == "cells" else timesteps
            values[field.name] = np.zeros(shape, np.float64 if field.name in _REAL else np.int64)
        values["min"] += np.inf
        values["max"] -= np.inf
        return cls(**values)

    @property
    def finite(self) -> Counts:
        """Number of finite potentials `[T]`, the denominator of every share."""
        return self.count - self.nonfinite

    def __add__(self, other: "LayerStatistics") -> "LayerStatistics":
        """The statistics of both sets of potentials together."""
        ours, theirs = self.finite, other.finite
        total = np.maximum(ours + theirs, 1)
        difference = np.where((ours > 0) & (theirs > 0), other.mean - self.mean, 0.0)
        merged = {
            field.name: getattr(self, field.name) + getattr(other, field.name) for field in fields(self)
        }
        merged["mean"] = np.where(ours > 0, self.mean + difference * (theirs / total), other.mean)
        merged["m2"] = self.m2 + other.m2 + difference**2 * (ours * (theirs / total))
        merged["min"] = np.minimum(self.min, other.min)
        merged["max"] = np.maximum(self.max, other.max)
        return LayerStatistics(**merged)


_REAL = ("gain", "mean", "m2", "min", "max")


@dataclass
class LayerAccumulation:
    """A neuron layer's description and its statistics so far."""

    info: LayerInfo
    statistics: LayerStatistics


def cell_edges(v_th: float) -> tuple[Floats, Floats]:
    """Lower and upper end of each histogram cell `[CELLS]` in units of potential; equal on an edge."""
    edges = EDGES * v_th
    lower = np.concatenate([[-np.inf], np.repeat(edges, 2)])
    upper = np.concatenate([np.repeat(edges, 2), [np.inf]])
    return lower, upper


def bins(cells: Counts) -> Counts:
    """Half-open bins `[e_i, e_i+1)` `[T, E - 1]` from the cells `[T, CELLS]`, for drawing."""
    return cells[:, 1:-2:2] + cells[:, 2:-1:2]
