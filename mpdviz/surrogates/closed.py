"""Closed forms of surrogate derivatives that are met in the wild, recognised by their values.

With z = scale * (v - v_th) and `top` the derivative at the threshold:

    rectangular   top where |z| < 1                 triangular  top * max(0, 1 - |z|)
    atan          top / (1 + z^2)                   sigmoid     top / cosh(z / 2)^2
    fast-sigmoid  top / (1 + |z|)^2                 gaussian    top * exp(-z^2)
    exponential   top * exp(-|z|)
"""

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
    low: float = -1.0
    """Ends of a rectangle, from the threshold; both lie outside."""
    high: float = 1.0

    def h(self, x: Tensor) -> Tensor:
        """The derivative at `x` = v - v_th."""
        if self.kind == 0:
            return torch.where((x > self.low) & (x < self.high), self.top, 0.0).to(x.dtype)
        return self.top * _SHAPES[self.kind](x * self.scale)


_SHAPES: tuple[Callable[[Tensor], Tensor], ...] = (
    lambda z: (z.abs() < 1).to(z.dtype),
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
