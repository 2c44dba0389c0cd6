"""Sums over the gradients that reach a neuron layer's potentials (no torch)."""

from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mpdviz.accumulations.histogram import Counts, Floats


def _no_counts() -> Counts:
    return np.zeros(0, np.int64)


def _no_sums() -> Floats:
    return np.zeros(0)


@dataclass
class GradientFlow:
    """Sums over backward passes; arrays hold one entry a timestep `[T]`.

    Two gradients are told apart: dL/dv(t), that at the pre-reset potential, and the spike path alone,
    dL/dS(t) h(v(t) - v_th), that at the argument of the spike function. What is NaN or infinite is counted,
    and in no other sum. What is not known adds nothing anywhere: where `spike_passes` is 0 there is nothing
    known of the spike path.
    """

    passes: Counts
    """Backward passes that reached each timestep."""
    count: Counts
    """Gradients dL/dv, those that are not finite included."""
    zeros: Counts
    """Those that are exactly zero."""
    squares: Floats
    """Sum of their squares."""
    products: Floats
    """Sum of products with the gradient of the next timestep; NaN where that is not known."""
    weight_passes: int
    """Backward passes that gave the layer's synaptic weights a gradient."""
    weight_squares: float
    """Sum of squares of that gradient."""
    nonfinite: Counts = field(default_factory=_no_counts)
    """Gradients dL/dv that are NaN or infinite. Recordings of older versions had them in `squares`."""
    spike_passes: Counts = field(default_factory=_no_counts)
    """Backward passes in which the spike path's gradient was read."""
    spike_count: Counts = field(default_factory=_no_counts)
    """Finite gradients of the spike path."""
    spike_zeros: Counts = field(default_factory=_no_counts)
    """Those that are exactly zero."""
    spike_squares: Floats = field(default_factory=_no_sums)
    """Sum of their squares."""

    def __post_init__(self) -> None:
        """Nothing is known of what was not given."""
        for name in _ARRAYS:
            if len(getattr(self, name)) == 0:
                setattr(self, name, np.zeros(len(self.count), getattr(self, name).dtype))

    def at(self, first: int, timesteps: int) -> "GradientFlow":
        """The same sums as timesteps `first` .. of a sequence of `timesteps`, nothing elsewhere."""
        if first == 0 and timesteps == len(self.count):
            return self
        wide: dict[str, Any] = {}
        for name in _ARRAYS:
            own = getattr(self, name)
            wide[name] = np.zeros(timesteps, own.dtype)
            wide[name][first : first + len(own)] = own
        return replace(self, **wide)

    def __add__(self, other: "GradientFlow") -> "GradientFlow":
        """The sums over both sets of backward passes, over as many timesteps as the longer one."""
        timesteps = max(len(self.count), len(other.count))
        one, two = self.at(0, timesteps), other.at(0, timesteps)
        return GradientFlow(
            **{part.name: getattr(one, part.name) + getattr(two, part.name) for part in fields(self)}
        )

    @property
    def norm(self) -> Floats:
        """Root mean square, over the backward passes, of the norm of dL/dv(t) `[T]`.

        NaN where no finite gradient came.
        """
        return _root_mean(self.squares, np.where(self.count > self.nonfinite, self.passes, 0))

    @property
    def spike_norm(self) -> Floats:
        """The same of the spike path's gradient; NaN where it is not known."""
        return _root_mean(self.spike_squares, np.where(self.spike_count > 0, self.spike_passes, 0))

    @property
    def uncounted(self) -> NDArray[np.bool_]:
        """Where some gradients are NaN or infinite and nobody counted how many `[T]`.

        Older versions summed them with the others, so that their sum is not finite either.
        """
        return ~np.isfinite(self.squares)

    @property
    def counted(self) -> Counts:
        """Gradients dL/dv `[T]` where it is known how many are finite, 0 elsewhere."""
        return np.where(self.uncounted, 0, self.count)

    @property
    def comparable(self) -> Counts:
        """Gradients dL/dv `[T]`, 0 where not one of them is finite."""
        return np.where(self.count > self.nonfinite, self.count, 0)

    @property
    def nonzeros(self) -> Counts:
        """Gradients dL/dv `[T]` that are finite and not zero."""
        return self.count - self.zeros - self.nonfinite

    @property
    def cosine(self) -> Floats:
        """Cosine between dL/dv(t) and dL/dv(t+1) `[T]`; NaN where either is zero or not in the same call."""
        following = np.append(self.squares[1:], 0.0)
        scale = np.sqrt(self.squares * following)
        cosine = np.full(len(scale), np.nan)
        np.divide(self.products, scale, out=cosine, where=scale > 0)
        return cosine

    @property
    def weight_norm(self) -> float:
        """Root mean square, over the backward passes, of the weight gradient's norm; NaN without one."""
        return (
            float(np.sqrt(self.weight_squares / self.weight_passes)) if self.weight_passes else float("nan")
        )


_ARRAYS = tuple(part.name for part in fields(GradientFlow) if not part.name.startswith("weight_"))


def _root_mean(squares: Floats, passes: Counts) -> Floats:
    root: Floats = np.full(len(squares), np.nan)
    np.divide(squares, passes, out=root, where=passes > 0)
    return np.sqrt(root, out=root)
