"""`dspike`: the derivative of Dspike, a hyperbolic tangent cut off at its ends."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from mpdviz.surrogates.base import EPSILON, Surrogate
from mpdviz.surrogates.closed import Form


@dataclass(frozen=True)
class DSpike(Surrogate):
    """h(x) = a sech(ax)^2 / (2 tanh(a/2)) if |x| < 1/2 at kappa = 1 (Li et al., NeurIPS 2021).

    a is `alpha`, and elsewhere h is 0. Its area is 1, since sech(ax)^2 has the primitive tanh(ax) / a: the
    factor divides by the integral over the support. Its height is a / (2 tanh(a/2)), 1.313 at a = 2; towards
    a = 0 it becomes the rectangle, and the larger a, the more it is like the true spike's derivative. The
    published interval is closed; here, as with all our shapes, its ends lie outside.
    """

    alpha: float = 2.0
    name: ClassVar[str] = "dspike"
    compact: ClassVar[bool] = True

    def h(self, x: Tensor, kappa: Tensor | float = 1.0) -> Tensor:
        """The formula above at x / kappa, divided by kappa."""
        height = self.alpha / (2 * math.tanh(self.alpha / 2))
        inside = torch.cosh(self.alpha / kappa * x).square().reciprocal() * (height / kappa)
        return torch.where(x.abs() < kappa / 2, inside, 0)

    def form(self, kappa: float) -> Form:
        """A sigmoid's that ends."""
        height = self.alpha / (2 * math.tanh(self.alpha / 2))
        return Form.named("sigmoid", height / kappa, 2 * self.alpha / kappa, half_width=kappa / 2)

    def half_width(self, epsilon: float = EPSILON) -> float:
        """1/2, exactly."""
        return 0.5
