"""Surrogate functions that are known by what they do: their derivative is asked for, not assumed."""

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from mpdviz.errors import BadInput
from mpdviz.surrogates.base import EPSILON, Surrogate

FARTHEST = 2.0**20
"""Distance from the threshold, in units of potential, up to which an interval may reach."""


class Probed(Surrogate):
    """The derivative h that autograd finds for a spike function, and where it stays above a share of h(0)."""

    name: ClassVar[str] = "probed"
    compact: ClassVar[bool] = False

    def __init__(self, spike: Callable[[Tensor], Tensor], name: str) -> None:
        """Probe `spike`, which takes x = v - v_th of any shape; tables call it `name`.

        Raises:
            BadInput: its derivative is not symmetric, or not largest at the threshold.
        """
        object.__setattr__(self, "_spike", spike)
        object.__setattr__(self, "name", name)
        x = torch.logspace(-6, 0.5, 300, dtype=torch.float64)  # farther, some are NaN
        try:
            right, left, top = self.h(x), self.h(-x), self.h(torch.zeros(1, dtype=torch.float64))
        except RuntimeError as error:
            raise BadInput(f"surrogate {name} has no derivative ({error})", "use another one") from None
        if not bool(top > 0):
            raise BadInput(f"surrogate {name} does not rise at the threshold", "use another one")
        close = 1e-6 * float(top)
        if not (torch.allclose(right, left, rtol=0, atol=close) and bool((right <= top + close).all())):
            raise BadInput(
                f"surrogate {name}: its derivative is not symmetric about the threshold and largest there",
                "record a network with another surrogate function",
            )

    # One function is like another only where it is the same one: there are no parameters to compare.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"Probed({self.name})"

    def h(self, x: Tensor, kappa: Tensor | float = 1.0) -> Tensor:
        """What autograd gives at x / kappa, over kappa."""
        # Some functions draw random numbers; the network's stay its own.
        with torch.inference_mode(False), torch.enable_grad(), torch.random.fork_rng(devices=[]):
            y = (x / kappa).detach().requires_grad_()
            (gradient,) = torch.autograd.grad(self._spike(y).sum(), y)  # type: ignore[attr-defined]
        return (gradient / kappa).detach()

    def half_width(self, epsilon: float = EPSILON) -> float:
        """Largest x with h(x) >= epsilon * h(0), by bisection to rounding; h falls with the distance."""
        least = epsilon * self._at(0.0)
        low, high = 0.0, 1.0
        while self._at(high) >= least:
            low, high = high, 2 * high
            if high > FARTHEST:
                raise BadInput(
                    f"surrogate {self.name} is available at any distance from the threshold",
                    "raise epsilon",
                )
        while low < (middle := (low + high) / 2) < high:
            low, high = (middle, high) if self._at(middle) >= least else (low, middle)
        return high

    def _at(self, x: float) -> float:
        return float(self.h(torch.tensor([x], dtype=torch.float64)))
