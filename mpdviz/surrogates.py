"""Surrogate derivatives h(x) of the spike, x = v - v_th, each with its gradient-available interval.

A spike's true derivative is zero almost everywhere; training replaces it with h. Every shape here is
given at width kappa = 1 and widened in one way, keeping its area:

    h(x; kappa) = h(x / kappa; 1) / kappa

so a strategy that sets kappa works with every shape. A spike gets a gradient only where h is not
negligible: where a shape has compact support that is its support; elsewhere it is where
h >= epsilon * max h, and whoever reports such an interval reports epsilon with it.

Shapes and defaults: Wu et al. 2018 (rectangular), Esser et al. 2016 (triangular),
SpikingJelly (sigmoid, atan), Zenke & Ganguli 2018 (fast sigmoid).
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import torch
from torch import Tensor

from mpdviz.errors import BadInput, unknown_name

EPSILON = 0.1
"""Share of its maximum that h must keep for a spike gradient to count as available (infinite supports)."""


@dataclass(frozen=True)
class Surrogate(ABC):
    """One shape of surrogate derivative, symmetric about the threshold and largest there."""

    name: ClassVar[str]
    compact: ClassVar[bool]
    """Whether h is exactly zero outside the interval, which then does not depend on epsilon."""

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

    @abstractmethod
    def half_width(self, epsilon: float = EPSILON) -> float:
        """Half the width of the gradient-available interval at kappa = 1, in units of potential."""

    def interval(self, v_th: float, kappa: float = 1.0, epsilon: float = EPSILON) -> tuple[float, float]:
        """Gradient-available interval (lower, upper) of the membrane potential; both ends lie outside it."""
        half = kappa * self.half_width(epsilon)
        return v_th - half, v_th + half

    def available(self, x: Tensor, kappa: Tensor | float = 1.0, epsilon: float = EPSILON) -> Tensor:
        """Mask like `x` of the potentials that get their spike gradient; never true for NaN."""
        return x.abs() < kappa * self.half_width(epsilon)


@dataclass(frozen=True)
class Rectangular(Surrogate):
    """h(x) = 1[|x| < kappa/2] / kappa: the window of STBP (Wu et al. 2018) and of MPD-AGL."""

    name: ClassVar[str] = "rectangular"
    compact: ClassVar[bool] = True

    def h(self, x: Tensor, kappa: Tensor | float = 1.0) -> Tensor:
        """See the class; strict inequality, as in the released MPD-AGL code."""
        return (x.abs() < kappa / 2).to(x.dtype) / kappa

    def half_width(self, epsilon: float = EPSILON) -> float:
        """1/2, exactly."""
        return 0.5


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


@dataclass(frozen=True)
class Sigmoid(Surrogate):
    """h(x) = a s(ax) (1 - s(ax)) at kappa = 1, s the logistic function (SpikingJelly's default a = 4)."""

    a: float = 4.0
    name: ClassVar[str] = "sigmoid"
    compact: ClassVar[bool] = False

    def h(self, x: Tensor, kappa: Tensor | float = 1.0) -> Tensor:
        """See the class, widened to kappa."""
        slope = self.a / kappa
        s = torch.sigmoid(slope * x)
        return slope * s * (1 - s)

    def half_width(self, epsilon: float = EPSILON) -> float:
        """(2/a) arcosh(epsilon^-1/2), from s(1-s) = 1 / (4 cosh^2(ax/2))."""
        return 2 / self.a * math.acosh(epsilon**-0.5)


@dataclass(frozen=True)
class ATan(Surrogate):
    """h(x) = (a/2) / (1 + (pi a x / 2)^2) at kappa = 1 (Fang et al. 2021, a = 2)."""

    a: float = 2.0
    name: ClassVar[str] = "atan"
    compact: ClassVar[bool] = False

    def h(self, x: Tensor, kappa: Tensor | float = 1.0) -> Tensor:
        """See the class, widened to kappa."""
        slope = self.a / kappa
        return slope / 2 / (1 + (math.pi / 2 * slope * x).square())

    def half_width(self, epsilon: float = EPSILON) -> float:
        """(2 / (pi a)) sqrt(1/epsilon - 1)."""
        return 2 / (math.pi * self.a) * math.sqrt(1 / epsilon - 1)


@dataclass(frozen=True)
class FastSigmoid(Surrogate):
    """h(x) = 1 / (1 + k|x|)^2 at kappa = 1 (SuperSpike, Zenke & Ganguli 2018; snnTorch's k = 25)."""

    k: float = 25.0
    name: ClassVar[str] = "fast-sigmoid"
    compact: ClassVar[bool] = False

    def h(self, x: Tensor, kappa: Tensor | float = 1.0) -> Tensor:
        """See the class, widened to kappa."""
        return (1 + self.k / kappa * x.abs()).square().reciprocal() / kappa

    def half_width(self, epsilon: float = EPSILON) -> float:
        """(epsilon^-1/2 - 1) / k."""
        return (1 / math.sqrt(epsilon) - 1) / self.k


SHAPES: dict[str, type[Surrogate]] = {
    shape.name: shape for shape in (Rectangular, Triangular, Sigmoid, ATan, FastSigmoid)
}


def get(name: str, **parameters: float) -> Surrogate:
    """The shape called `name` with its parameters, defaults where none is given.

    Raises:
        BadInput: an unknown shape or parameter, or a parameter that is not a positive number.
    """
    if name not in SHAPES:
        raise unknown_name("surrogate", name, SHAPES)
    shape = SHAPES[name]
    known = [field.name for field in fields(shape)]
    for parameter in parameters:
        if parameter not in known:
            raise unknown_name(f"parameter of surrogate {name!r}:", parameter, known or ["(it has none)"])
    return shape(**parameters)


class _Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, kappa: Tensor | float, surrogate: Surrogate) -> Tensor:
        ctx.save_for_backward(x)
        ctx.kappa, ctx.surrogate = kappa, surrogate
        return (x >= 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        return grads[0] * ctx.surrogate.h(x, ctx.kappa), None, None


def spike(x: Tensor, surrogate: Surrogate, kappa: Tensor | float = 1.0) -> Tensor:
    """One step's spikes 1[x >= 0] (x = v - v_th, any shape) whose gradient is h(x; kappa)."""
    spikes: Tensor = _Spike.apply(x, kappa, surrogate)  # type: ignore[no-untyped-call]
    return spikes
