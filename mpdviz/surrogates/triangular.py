"""`triangular`: a triangle."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from mpdviz.surrogates.base import EPSILON, Surrogate


@dataclass(frozen=True)
class Triangular(Surrogate):
    """h(x) = max(0, gamma - |x|) / gamma^2 at kappa = 1 (Esser et al. 2016; Bellec et al. 2018)."""

    gamma: float = 1.0
    name: ClassVar[str] = "triangular"
    compact: ClassVar[bool] = True

    def h(self, x: Tensor, kappa: Tensor | float = 1.0) -> Tensor:
        """See the class, widened to kappa."""
        reach = self.gamma * kappa
        return (reach - x.abs()).clamp_min(0) / (reach * reach)

    def half_width(self, epsilon: float = EPSILON) -> float:
        """Gamma, exactly."""
        return self.gamma
