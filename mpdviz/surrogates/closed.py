"""Closed forms of surrogate derivatives that are met in the wild, recognised by their values.

With z = scale * (v - v_th) and `top` the derivative at the threshold:

    rectangular   top where |z| < 1                 triangular  top * max(0, 1 - |z|)
    atan          top / (1 + z^2)                   sigmoid     top / cosh(z / 2)^2
    fast-sigmoid  top / (1 + |z|)^2                 gaussian    top * exp(-z^2)
    exponential   top * exp(-|z|)

Any of them may end at a distance from the threshold, and is zero from there on.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

FORMS = ("rectangular", "triangular", "atan", "sigmoid", "fast-sigmoid", "gaussian", "exponential")
CLOSE = 1e-6
"""Share of the largest derivative that a form may be off by: what single precision leaves."""


@dataclass(frozen=True)
class Form:
    """One of `FORMS`, by its place there, with its two numbers."""

    kind: int
    top: float
    scale: float
    low: float = -math.inf
    """Where the derivative begins and ends, from the threshold; both lie outside."""
    high: float = math.inf

    @classmethod
    def named(cls, name: str, top: float, scale: float = 1.0, *, half_width: float = math.inf) -> "Form":
        """One of `FORMS` by its name, zero from |v - v_th| = `half_width` on."""
        return cls(FORMS.index(name), top, scale, -half_width, half_width)

    def h(self, x: Tensor) -> Tensor:
        """The derivative at `x` = v - v_th."""
        outside = (x <= self.low) | (x >= self.high)
        return torch.where(outside, 0.0, self.top * _SHAPES[self.kind](x * self.scale)).to(x.dtype)


_SHAPES: tuple[Callable[[Tensor], Tensor], ...] = (
    lambda z: (z == z).to(z.dtype),
    lambda z: (1 - z.abs()).clamp(min=0),
    lambda z: 1 / (1 + z * z),
    lambda z: 1 / torch.cosh(z / 2).square(),
    lambda z: 1 / (1 + z.abs()).square(),
    lambda z: torch.exp(-z * z),
    lambda z: torch.exp(-z.abs()),
)
_SCALES: tuple[Callable[[float], float], ...] = (
    lambda r: 1.0,
    lambda r: 1 - r,
    lambda r: float(np.sqrt(1 / r - 1)),
    lambda r: float(2 * np.arccosh(r**-0.5)),
    lambda r: float(r**-0.5 - 1),
    lambda r: float(np.sqrt(-np.log(r))),
    lambda r: float(-np.log(r)),
)
"""|z| where the form has fallen to a share r of its top."""


def fitted(x: Tensor, h: Tensor, top: float, interval: tuple[float, float], threshold: float) -> Form | None:
    """The form that the values `h` at `x` = v - v_th have; None where they have none of them.

    Args:
        x: points `[P]` in double precision.
        h: the derivative there.
        top: its largest absolute value.
        interval: where it is available, in units of v.
        threshold: v_th.
    """
    known = h.isfinite()
    x, h = x[known], h[known]
    centre = h[x == 0]
    if not len(centre) or float(centre[0]) < top * (1 - CLOSE):
        return None
    top = float(centre[0])
    low, high = interval[0] - threshold, interval[1] - threshold
    rectangle = Form(0, top, 1.0, low, high)
    if np.isfinite(low) and np.isfinite(high) and _equal(rectangle.h(x), h, top):
        return rectangle
    falling = (x > 0) & (h < 0.7 * top) & (h > 0.3 * top)
    if not bool(falling.any()):
        return None
    at = int(torch.nonzero(falling)[0])
    for kind in range(1, len(FORMS)):
        scale = _SCALES[kind](float(h[at]) / top) / float(x[at])
        form = Form(kind, top, scale)
        if _equal(form.h(x), h, top):
            return form
    return None


def _equal(one: Tensor, other: Tensor, top: float) -> bool:
    return bool(((one - other).abs() <= CLOSE * top).all())
