"""`sigmoid`: the derivative of the logistic function."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from mpdviz.surrogates.base import EPSILON, Surrogate
from mpdviz.surrogates.closed import Form


@dataclass(frozen=True)
class Sigmoid(Surrogate):
    """h(x) = a s(ax) (1 - s(ax)) at kappa = 1, s the logistic function (SpikingJelly's default a = 4)."""

    a: float = 4.0
    name: ClassVar[str] = "sigmoid"
    compact: ClassVar[bool] = False

    def h(self, x: Tensor, kappa: Tensor | float = 1.0) -> Tensor:
        """(a/kappa) s(ax/kappa) (1 - s(ax/kappa))."""
        slope = self.a / kappa
        s = torch.sigmoid(slope * x)
        return slope * s * (1 - s)

    def integral(self, x: Tensor, kappa: Tensor | float = 1.0) -> Tensor:
        """s(ax/kappa)."""
        return torch.sigmoid(self.a / kappa * x)

    def form(self, kappa: float) -> Form:
        """Itself."""
        slope = self.a / kappa
        return Form.named("sigmoid", slope / 4, slope)

    def half_width(self, epsilon: float = EPSILON) -> float:
        """(2/a) arcosh(epsilon^-1/2), from s(1-s) = 1 / (4 cosh^2(ax/2))."""
        return 2 / self.a * math.acosh(epsilon**-0.5)
