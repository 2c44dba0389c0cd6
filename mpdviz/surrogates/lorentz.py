"""`lorentz`: `atan`'s curve at a height of 1, whatever its width."""

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from mpdviz.surrogates.base import EPSILON, Surrogate
from mpdviz.surrogates.closed import Form


@dataclass(frozen=True)
class Lorentz(Surrogate):
    """h(x) = 1 / (1 + (pi x / kappa)^2), 1 high at every width (DeepTAGE).

    That is kappa times `atan`, equal to it at kappa = 1: it widens without becoming lower, so that its area
    is kappa, not 1 (Liu et al., ICLR 2025, where kappa is called delta).
    """

    name: ClassVar[str] = "lorentz"
    compact: ClassVar[bool] = False
    keeps_height: ClassVar[bool] = True

    def h(self, x: Tensor, kappa: Tensor | float = 1.0) -> Tensor:
        """1 / (1 + (pi x / kappa)^2)."""
        return 1 / (1 + (math.pi / kappa * x).square())

    def form(self, kappa: float) -> Form:
        """An arctangent's, 1 high."""
        return Form.named("atan", 1.0, math.pi / kappa)

    def half_width(self, epsilon: float = EPSILON) -> float:
        """sqrt(1/epsilon - 1) / pi."""
        return math.sqrt(1 / epsilon - 1) / math.pi
