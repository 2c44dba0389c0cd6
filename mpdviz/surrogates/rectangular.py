"""`rectangular`: the window of STBP and of MPD-AGL."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from mpdviz.surrogates.base import EPSILON, Surrogate
from mpdviz.surrogates.closed import Form


@dataclass(frozen=True)
class Rectangular(Surrogate):
    """h(x) = 1[|x| < kappa/2] / kappa: the window of STBP (Wu et al. 2018) and of MPD-AGL."""

    name: ClassVar[str] = "rectangular"
    compact: ClassVar[bool] = True

    def h(self, x: Tensor, kappa: Tensor | float = 1.0) -> Tensor:
        """1[|x| < kappa/2] / kappa; strict inequality, as in the released MPD-AGL code."""
        return (x.abs() < kappa / 2).to(x.dtype) / kappa

    def form(self, kappa: float) -> Form:
        """A rectangle."""
        return Form.named("rectangular", 1 / kappa, half_width=kappa / 2)

    def half_width(self, epsilon: float = EPSILON) -> float:
        """1/2, exactly."""
        return 0.5
