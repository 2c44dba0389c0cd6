"""Exact counts, moments and a histogram of the potentials of one neuron layer (no torch).

Everything counted is an integer, so the order of merging cannot change it; means and variances are merged in
float64 by the pairwise update of Chan, Golub & LeVeque (1979).
"""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from mpdviz.accumulations.histogram import CELLS, Counts, Floats


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
    """Sum of h(v - v_th) over the finite potentials where it is finite."""
    gain_nonfinite: Counts
    """Finite potentials where h(v - v_th) is NaN or infinite."""
    mean: Floats
    m2: Floats
    """Sum of squared deviations from the mean, over the finite potentials."""
    min: Floats
    max: Floats
    cells: Counts
    """Histogram `[T, CELLS]` of the finite potentials, see `accumulations.histogram`."""
    what_if: Counts
    """Potentials inside the interval of each what-if width `[T, W]`."""

    @classmethod
    def empty(cls, timesteps: int, widths: int = 0) -> "LayerStatistics":
        """The statistics of no potentials at all, with `widths` what-if widths."""
        values: dict[str, Any] = {}
        for field in fields(cls):
            shape = {"cells": (timesteps, CELLS), "what_if": (timesteps, widths)}.get(
                field.name, (timesteps,)
            )
            values[field.name] = np.zeros(shape, np.float64 if field.name in _REAL else np.int64)
        values["min"] += np.inf
        values["max"] -= np.inf
        return cls(**values)

    @property
    def finite(self) -> Counts:
        """Number of finite potentials `[T]`, the denominator of every share."""
        return self.count - self.nonfinite

    @property
    def with_gain(self) -> Counts:
        """Number of finite potentials `[T]` where h is finite too, the denominator of the mean gain."""
        return self.finite - self.gain_nonfinite

    def __add__(self, other: "LayerStatistics") -> "LayerStatistics":
        """The statistics of both sets of potentials together, over as many timesteps as the longer one."""
        timesteps = max(len(self.count), len(other.count))
        one, two = self.at(0, timesteps), other.at(0, timesteps)
        ours, theirs = one.finite, two.finite
        total = np.maximum(ours + theirs, 1)
        difference = np.where((ours > 0) & (theirs > 0), two.mean - one.mean, 0.0)
        merged = {field.name: getattr(one, field.name) + getattr(two, field.name) for field in fields(self)}
        merged["mean"] = np.where(ours > 0, one.mean + difference * (theirs / total), two.mean)
        merged["m2"] = one.m2 + two.m2 + difference**2 * (ours * (theirs / total))
        merged["min"] = np.minimum(one.min, two.min)
        merged["max"] = np.maximum(one.max, two.max)
        return LayerStatistics(**merged)

    def at(self, first: int, timesteps: int) -> "LayerStatistics":
        """The same statistics as timesteps `first` .. of a sequence of `timesteps`, nothing elsewhere."""
        if first == 0 and timesteps == len(self.count):
            return self
        wide = LayerStatistics.empty(timesteps, self.what_if.shape[1])
        for field in fields(self):
            getattr(wide, field.name)[first : first + len(self.count)] = getattr(self, field.name)
        return wide


_REAL = ("gain", "mean", "m2", "min", "max")
