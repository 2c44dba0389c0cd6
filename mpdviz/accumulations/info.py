"""What describes a neuron layer, known wholly or in part (no torch)."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mpdviz.accumulations.histogram import Counts, Floats

SPANS = ("kappa", "lower", "upper", "thresholds_in_force")
"""What is described for each timestep."""


@dataclass(frozen=True)
class LayerInfo:
    """What describes a neuron layer, as of the latest forward; widths and interval one per timestep."""

    name: str
    v_th: float
    """Threshold, any finite number; 0 where only x = v - v_th is known."""
    decay: float
    """Share of the potential kept from one timestep to the next; NaN where it is not known."""
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
    fan_out: float = math.nan
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
    unit: float = 0.0
    """The histogram's unit, in units of potential, positive; given as 0 it is |v_th|, or 1 at v_th = 0."""
    reach_known: bool = True
    """Whether the potentials that get a gradient through later ones could be counted."""
    strict: bool | None = None
    """Whether the neurons spike at v > v_th, not at v >= v_th; None where that is not known."""
    nan_below: float | None = None
    """The x = v - v_th below which the surrogate's derivative is NaN; None where there is no such."""
    reset: str = ""
    """What a spike does, in a word: hard, soft, hard-detached, soft-detached, own, none; empty: not told."""
    floor: float | None = None
    """Potentials at or below it let no gradient through; None: there is no such bound."""
    not_measured: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Why columns of the tables hold nothing, by column."""

    def __post_init__(self) -> None:
        """Settle the unit."""
        if not self.unit:
            object.__setattr__(self, "unit", abs(self.v_th) or 1.0)

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
        """How far the histogram's edges `[T]` are shifted: the threshold in force is the edge at one unit."""
        return np.array(self.thresholds_in_force) - self.unit

    @property
    def gamma_mean(self) -> float:
        """Mean of the batch norm's weights; NaN where there is none."""
        return float(np.mean(self.gamma)) if self.gamma else math.nan

    def without(self, columns: Iterable[str], why: str) -> "LayerInfo":
        """The same, saying besides why these columns are not measured."""
        return replace(self, not_measured={**self.not_measured, **dict.fromkeys(columns, why)})

    def joined(self, other: "LayerInfo", ours: Counts, theirs: Counts) -> "LayerInfo":
        """The description of two recordings of one layer: what is known, as the other knows it.

        A timestep that one recording alone has is described as in that one. Reasons why a column is not
        measured stay, also where one of the two has measured it.

        Args:
            other: the later one, of as many timesteps or not.
            ours: potentials recorded at each timestep `[max T]`.
            theirs: the other's.
        """
        spans: dict[str, Any] = {}
        for name in SPANS:
            here, there = getattr(self, name), getattr(other, name)
            spans[name] = tuple(
                there[t] if _latest(t, len(here), len(there), ours, theirs) else here[t]
                for t in range(len(ours))
            )
        in_force = spans.pop("thresholds_in_force")
        return replace(
            other,
            **spans,
            thresholds=in_force if self.thresholds or other.thresholds else (),
            reach_known=self.reach_known and other.reach_known,
            strict=self.strict if other.strict is None else other.strict,
            reset=other.reset or self.reset,
            nan_below=self.nan_below if other.nan_below is None else other.nan_below,
            not_measured={**self.not_measured, **other.not_measured},
        )


def _latest(t: int, here: int, there: int, ours: Counts, theirs: Counts) -> bool:
    """Whether timestep `t` is to be described as in the second of two recordings of so many timesteps."""
    return t < there and (t >= here or theirs[t] > 0 or not ours[t])
