"""`superspike`: the fast sigmoid's derivative at a height of 1, whatever its slope."""

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from mpdviz.surrogates.base import EPSILON, Surrogate
from mpdviz.surrogates.closed import Form


@dataclass(frozen=True)
class SuperSpike(Surrogate):
    """h(x) = 1 / (1 + |x|/kappa)^2, 1 high at every width (Zenke & Ganguli 2018).

    The slope of the fast sigmoid is 1/kappa: at kappa = 1/k it is `fast-sigmoid` with that k at its own
    kappa = 1. It widens without becoming lower, so that its area is 2 kappa.
    """

    name: ClassVar[str] = "superspike"
    compact: ClassVar[bool] = False
    keeps_height: ClassVar[bool] = True

    def h(self, x: Tensor, kappa: Tensor | float = 1.0) -> Tensor:
        """1 / (1 + |x|/kappa)^2."""
        return (1 + x.abs() / kappa).square().reciprocal()

    def form(self, kappa: float) -> Form:
        """A fast sigmoid's, 1 high."""
        return Form.named("fast-sigmoid", 1.0, 1 / kappa)

    def half_width(self, epsilon: float = EPSILON) -> float:
        """epsilon^-1/2 - 1."""
        return 1 / math.sqrt(epsilon) - 1
