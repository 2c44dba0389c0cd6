"""What a recording adds up to: exact counts, moments and a histogram for one neuron layer (no torch).

Accumulations of batches, ranks and runs merge by `+`. Everything counted is an integer, so the order of
merging cannot change it; means and variances are merged in float64 by the pairwise update of Chan, Golub
& LeVeque (1979).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from mpdviz.accumulations.census import Census
from mpdviz.accumulations.gradients import GradientFlow
from mpdviz.accumulations.histogram import CELLS, Counts, Floats
from mpdviz.errors import BadInput


@dataclass(frozen=True)
class LayerInfo:
    """What describes a neuron layer, as of the latest forward; widths and interval one per timestep."""

    name: str
    v_th: float
    decay: float
    surrogate: str
    epsilon: float | None
    """Share of max h that bounds the interval; None where the surrogate's support is exact."""
    kappa: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    gamma: tuple[float, ...] = ()
    """Channel weights of the batch norm before the neurons, v_th excluded; empty where there is none."""
    beta: tuple[float, ...] = ()
    """Its channel biases."""
    fan_out: float = float("nan")
    """Mean number of synapses that one spike drives; NaN where unknown."""
    repeated_input: bool = False
    """Whether the input current was the same at every timestep, as with a static image."""
    what_if: tuple[float, ...] = ()
    """Widths for which the potentials inside were counted besides."""
    thresholds: tuple[float, ...] = ()
    """Thresholds in force, one per timestep; empty where they are `v_th` throughout."""
    steady: bool = False
    """Whether widths and thresholds are known to be the network's: the same at every recorded forward, and
    set by nothing that learns from these very data."""

    @property
    def timesteps(self) -> int:
        """T."""
        return len(self.kappa)

    @property
    def thresholds_in_force(self) -> tuple[float, ...]:
        """One per timestep."""
        return self.thresholds or (self.v_th,) * self.timesteps

    @property
    def shifts(self) -> Floats:
        """How far the thresholds in force `[T]` lie above `v_th`."""
        return np.array(self.thresholds_in_force) - self.v_th

    @property
    def gamma_mean(self) -> float:
        """Mean of the batch norm's weights; NaN where there is none."""
        return float(np.mean(self.gamma)) if self.gamma else float("nan")


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

    def at(self, first: int, timesteps: int) -> "LayerStatistics":
        """The same statistics as timesteps `first` .. of a sequence of `timesteps`, nothing elsewhere."""
        wide = LayerStatistics.empty(timesteps, self.what_if.shape[1])
        for field in fields(self):
            getattr(wide, field.name)[first : first + len(self.count)] = getattr(self, field.name)
        return wide


_REAL = ("gain", "mean", "m2", "min", "max")


@dataclass
class LayerAccumulation:
    """Everything recorded of one neuron layer."""

    info: LayerInfo
    statistics: LayerStatistics
    census: Census
    flow: GradientFlow | None = None
    """Sums over the gradients, where they were asked for and a backward pass ran."""

    def widened(self, first: int, timesteps: int, around: LayerInfo | None = None) -> "LayerAccumulation":
        """The same recording as timesteps `first` .. of a sequence of `timesteps`, counted from 0.

        Widths of the timesteps it does not cover are those of `around`, or its own last ones.
        """
        if first == 0 and timesteps == self.info.timesteps:
            return self
        spans: dict[str, Any] = {}
        for name in ("kappa", "lower", "upper", "thresholds"):
            if name == "thresholds" and not self.info.thresholds:
                continue
            covered = getattr(self.info, name)
            base = list(getattr(around, name) if around is not None else covered)
            base += [covered[-1]] * (timesteps - len(base))
            base[first : first + len(covered)] = covered
            spans[name] = tuple(base)
        return replace(
            self, info=replace(self.info, **spans), statistics=self.statistics.at(first, timesteps)
        )

    def __add__(self, other: "LayerAccumulation") -> "LayerAccumulation":
        """Both recordings of the same layer together; the description is the other's.

        Raises:
            BadInput: they are not recordings of the same layer of the same network.
        """
        for name in ("name", "timesteps", "v_th", "surrogate", "epsilon", "what_if"):
            ours, theirs = getattr(self.info, name), getattr(other.info, name)
            if ours != theirs:
                raise BadInput(
                    f"recordings differ in the {name} of layer {self.info.name}: {ours} and {theirs}",
                    "merge recordings of one network, made with the same options",
                )
        flow = (
            self.flow if other.flow is None else other.flow if self.flow is None else self.flow + other.flow
        )
        steady = self.info.steady and other.info.steady and not self.moved(other)
        return LayerAccumulation(
            replace(other.info, steady=steady),
            self.statistics + other.statistics,
            self.census + other.census,
            flow,
        )

    def moved(self, other: "LayerAccumulation") -> str:
        """What of the surrogate's place differs at a timestep that both have; empty where nothing does."""
        both = (self.statistics.count > 0) & (other.statistics.count > 0)
        for what, here, there in (
            ("widths", self.info.kappa, other.info.kappa),
            ("thresholds", self.info.thresholds_in_force, other.info.thresholds_in_force),
        ):
            pairs = zip(here, there, both, strict=True)
            # To what devices may differ by: a strategy's widths are computed where the network is.
            if any(not math.isclose(one, two, rel_tol=1e-5) for one, two, known in pairs if known):
                return f"{what} of layer {self.info.name}: {_listed(here)} and {_listed(there)}"
        return ""


def merge(
    one: Mapping[int, LayerAccumulation], other: Mapping[int, LayerAccumulation]
) -> dict[int, LayerAccumulation]:
    """Two recordings of the same network, by layer number.

    Raises:
        BadInput: they are not recordings of the same layers of the same network.
    """
    if one.keys() != other.keys():
        raise BadInput(
            f"recordings of layers {sorted(one)} and of layers {sorted(other)}",
            "merge recordings of one network",
        )
    return {number: layer + other[number] for number, layer in one.items()}


def _listed(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.6g}" for value in values)
