"""What a recording adds up to for one neuron layer (no torch).

Accumulations of batches, ranks and runs merge by `+`, also where their sequences are not equally long: each
timestep keeps its own counts.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mpdviz.accumulations.census import OF_NEURONS, Census
from mpdviz.accumulations.currents import OF_CURRENTS, CurrentSums
from mpdviz.accumulations.gradients import GradientFlow
from mpdviz.accumulations.histogram import Counts
from mpdviz.accumulations.info import LayerInfo
from mpdviz.accumulations.statistics import LayerStatistics
from mpdviz.errors import BadInput

__all__ = ["LayerAccumulation", "LayerInfo", "LayerStatistics", "merge"]

OTHER_SHAPES = "maps of several sizes were recorded, so that there are no single neurons to follow"
SUMS_DIFFER = "sequences of several lengths, or other channels, were recorded, so that currents do not add up"


@dataclass
class LayerAccumulation:
    """Everything recorded of one neuron layer."""

    info: LayerInfo
    statistics: LayerStatistics
    census: Census | None
    """None where single neurons could not be followed."""
    flow: GradientFlow | None = None
    """Sums over the gradients, where they were asked for and a backward pass ran."""
    currents: CurrentSums | None = None
    """Sums over the input currents, where they are known; the layer's description says why they are not."""

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
            self,
            info=replace(self.info, **spans).without(OF_CURRENTS, SUMS_DIFFER),
            statistics=self.statistics.at(first, timesteps),
            currents=None,
        )

    def __add__(self, other: "LayerAccumulation") -> "LayerAccumulation":
        """Both recordings of the same layer together; what differs is described as in the other.

        Raises:
            BadInput: they are not recordings of the same layer of the same network.
        """
        self._check_alike(other)
        statistics = self.statistics + other.statistics
        timesteps = len(statistics.count)
        ours, theirs = (part.statistics.at(0, timesteps).count for part in (self, other))
        info = self.info.joined(other.info, ours, theirs)
        info = replace(info, steady=self.info.steady and other.info.steady and not self.moved(other))
        census = None
        if self.census is not None and other.census is not None:
            census = self.census + other.census
            info = info if census is not None else info.without(OF_NEURONS, OTHER_SHAPES)
        flow = (
            self.flow if other.flow is None else other.flow if self.flow is None else self.flow + other.flow
        )
        currents = None
        # Of a part of the data alone they would be held against the potentials of all.
        if self.currents is not None and other.currents is not None:
            currents = self.currents + other.currents
            info = info if currents is not None else info.without(OF_CURRENTS, SUMS_DIFFER)
        return LayerAccumulation(info, statistics, census, flow and flow.at(0, timesteps), currents)

    @property
    def placed(self) -> Counts:
        """Finite potentials `[T]` where the available interval is known, 0 elsewhere."""
        unknown = np.isnan(self.info.lower) | np.isnan(self.info.upper)
        return np.where(unknown | ("available_ratio" in self.info.not_measured), 0, self.statistics.finite)

    @property
    def repeated_input(self) -> bool:
        """Whether an input that is not silent throughout was the same at every timestep."""
        silent = self.census is not None and bool(self.census.undriven.all())
        return self.info.repeated_input and not silent

    def _check_alike(self, other: "LayerAccumulation") -> None:
        for name in ("name", "v_th", "unit", "surrogate", "epsilon", "what_if", "strict"):
            ours, theirs = getattr(self.info, name), getattr(other.info, name)
            unknown = name == "strict" and None in (ours, theirs)
            if ours != theirs and not unknown:
                raise BadInput(
                    f"recordings differ in the {name} of layer {self.info.name}: {ours} and {theirs}",
                    "merge recordings of one network, made with the same options",
                )

    def moved(self, other: "LayerAccumulation") -> str:
        """What of the surrogate's place differs at a timestep that both have; empty where nothing does."""
        counts = zip(self.statistics.count, other.statistics.count, strict=False)
        both = [ours > 0 and theirs > 0 for ours, theirs in counts]
        for what, here, there in (
            ("widths", self.info.kappa, other.info.kappa),
            ("thresholds", self.info.thresholds_in_force, other.info.thresholds_in_force),
        ):
            pairs = zip(here, there, both, strict=False)
            if any(not _alike(one, two) for one, two, known in pairs if known):
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


def _alike(one: float, other: float) -> bool:
    """Whether two widths or thresholds are the same, both unknown included.

    Devices may differ by so little: a strategy's widths are computed where the network is.
    """
    return math.isclose(one, other, rel_tol=1e-5) or (math.isnan(one) and math.isnan(other))


def _listed(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.6g}" for value in values)
