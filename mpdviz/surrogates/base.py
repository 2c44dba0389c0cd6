"""What every surrogate derivative shares: one parameter check, one rule of widening, one interval."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import ClassVar

from torch import Tensor

from mpdviz.errors import BadInput
from mpdviz.surrogates.closed import Form

EPSILON = 0.1
"""Share of its maximum that h must keep for a spike gradient to count as available (infinite supports)."""


@dataclass(frozen=True)
class Surrogate(ABC):
    """One shape of surrogate derivative, symmetric about the threshold and largest there."""

    name: ClassVar[str]
    compact: ClassVar[bool]
    """Whether h is exactly zero outside the interval, which then does not depend on epsilon."""
    keeps_height: ClassVar[bool] = False
    """Whether h is as high at every width; of the others the area stays the same, so that gains compare."""

    def __post_init__(self) -> None:
        """Refuse parameters that give no shape.

        Raises:
            BadInput: a parameter that is not a positive finite number.
        """
        for field in fields(self):
            value = getattr(self, field.name)
            if not (isinstance(value, int | float) and math.isfinite(value) and value > 0):
                raise BadInput(
                    f"surrogate {self.name!r}: {field.name} is {value!r}", "give a positive number"
                )

    @abstractmethod
    def h(self, x: Tensor, kappa: Tensor | float = 1.0) -> Tensor:
        """Surrogate derivative at `x` = v - v_th (any shape) for width `kappa` (> 0, broadcast to x).

        Returns a tensor like `x`, in units of 1 / potential.
        """

    def integral(self, x: Tensor, kappa: Tensor | float = 1.0) -> Tensor:
        """The integral of h from minus infinity to `x`, a share from 0 to 1: the spike made smooth.

        Raises:
            BadInput: it is not written out for this shape.
        """
        raise BadInput(f"surrogate {self.name!r} gives no analog output", "take `surrogate` sigmoid")

    def form(self, kappa: float) -> Form | None:
        """The derivative at this width as a closed form, for compiled loops; None where it is none."""
        del kappa
        return None

    @abstractmethod
    def half_width(self, epsilon: float = EPSILON) -> float:
        """Half the width of the gradient-available interval at kappa = 1, in units of potential."""

    def interval(self, v_th: float, kappa: float = 1.0, epsilon: float = EPSILON) -> tuple[float, float]:
        """Gradient-available interval (lower, upper) of the membrane potential; both ends lie outside it."""
        half = kappa * self.half_width(epsilon)
        return v_th - half, v_th + half
