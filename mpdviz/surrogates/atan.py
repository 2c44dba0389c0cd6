"""`atan`: the derivative of the arc tangent."""

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from mpdviz.surrogates.base import EPSILON, Surrogate
from mpdviz.surrogates.closed import Form


@dataclass(frozen=True)
class ATan(Surrogate):
    """h(x) = (a/2) / (1 + (pi a x / 2)^2) at kappa = 1 (Fang et al. 2021, a = 2)."""

    a: float = 2.0
    name: ClassVar[str] = "atan"
    compact: ClassVar[bool] = False

    def h(self, x: Tensor, kappa: Tensor | float = 1.0) -> Tensor:
        """(a/kappa)/2 / (1 + (pi a x / (2 kappa))^2)."""
        slope = self.a / kappa
        return slope / 2 / (1 + (math.pi / 2 * slope * x).square())

    def form(self, kappa: float) -> Form:
        """Itself."""
        slope = self.a / kappa
        return Form.named("atan", slope / 2, math.pi / 2 * slope)

    def half_width(self, epsilon: float = EPSILON) -> float:
        """(2 / (pi a)) sqrt(1/epsilon - 1)."""
        return 2 / (math.pi * self.a) * math.sqrt(1 / epsilon - 1)
