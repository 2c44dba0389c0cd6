"""`fast-sigmoid`: the derivative of the fast sigmoid."""

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from mpdviz.surrogates.base import EPSILON, Surrogate
from mpdviz.surrogates.closed import Form


@dataclass(frozen=True)
class FastSigmoid(Surrogate):
    """h(x) = 1 / (1 + k|x|)^2 at kappa = 1 (SuperSpike, Zenke & Ganguli 2018; snnTorch's k = 25)."""

    k: float = 25.0
    name: ClassVar[str] = "fast-sigmoid"
    compact: ClassVar[bool] = False

    def h(self, x: Tensor, kappa: Tensor | float = 1.0) -> Tensor:
        """1 / (1 + k|x|/kappa)^2 / kappa."""
        return (1 + self.k / kappa * x.abs()).square().reciprocal() / kappa

    def form(self, kappa: float) -> Form:
        """Itself."""
        return Form.named("fast-sigmoid", 1 / kappa, self.k / kappa)

    def half_width(self, epsilon: float = EPSILON) -> float:
        """(epsilon^-1/2 - 1) / k."""
        return (1 / math.sqrt(epsilon) - 1) / self.k
