"""Sums over the gradients that reach a neuron layer's potentials (no torch)."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mpdviz.accumulations.histogram import Counts, Floats


@dataclass
class GradientFlow:
    """Sums over backward passes; arrays hold one entry a timestep `[T]`.

    For a LIF the gradient at the input current is that at the potential, dL/dv(t) = dL/dcurrent(t).
    """

    passes: Counts
    """Backward passes that reached each timestep."""
    count: Counts
    zeros: Counts
    """Gradients that are exactly zero."""
    squares: Floats
    """Sum of squares."""
    products: Floats
    """Sum of products with the gradient of the next timestep; NaN where that is not known."""
    weight_passes: int
    """Backward passes that gave the layer's synaptic weights a gradient."""
    weight_squares: float
    """Sum of squares of that gradient."""

    def at(self, first: int, timesteps: int) -> "GradientFlow":
        """The same sums as timesteps `first` .. of a sequence of `timesteps`, nothing elsewhere."""
        wide: dict[str, Any] = {}
        for name in ("passes", "count", "zeros", "squares", "products"):
            own = getattr(self, name)
            wide[name] = np.zeros(timesteps, own.dtype)
            wide[name][first : first + len(own)] = own
        return replace(self, **wide)

    def __add__(self, other: "GradientFlow") -> "GradientFlow":
        """The sums over both sets of backward passes."""
        return GradientFlow(
            self.passes + other.passes,
            self.count + other.count,
            self.zeros + other.zeros,
            self.squares + other.squares,
            self.products + other.products,
            self.weight_passes + other.weight_passes,
            self.weight_squares + other.weight_squares,
        )

    @property
    def norm(self) -> Floats:
        """Root mean square, over the backward passes, of the norm of dL/dv(t) `[T]`."""
        root: Floats = np.sqrt(self.squares / np.maximum(self.passes, 1))
        return root

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
