"""`triangular`: a triangle."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from mpdviz.surrogates.base import EPSILON, Surrogate
from mpdviz.surrogates.closed import Form


@dataclass(frozen=True)
class Triangular(Surrogate):
    """h(x) = max(0, b - |x|) / b^2, b = half_base, at kappa = 1 (Esser et al. 2016; Bellec et al. 2018)."""

    half_base: float = 1.0
    name: ClassVar[str] = "triangular"
    compact: ClassVar[bool] = True

    def h(self, x: Tensor, kappa: Tensor | float = 1.0) -> Tensor:
        """max(0, kappa half_base - |x|) / (kappa half_base)^2."""
        edge = self.half_base * kappa
        return (edge - x.abs()).clamp_min(0) / (edge * edge)

    def form(self, kappa: float) -> Form:
        """A triangle."""
        edge = self.half_base * kappa
        return Form.named("triangular", 1 / edge, 1 / edge)

    def half_width(self, epsilon: float = EPSILON) -> float:
        """half_base, exactly."""
        return self.half_base
