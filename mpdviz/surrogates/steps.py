"""Where a spike function steps: its threshold, whether it is silent there, and its value above."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from mpdviz.surrogates.bisection import NEAREST, bisected

Probe = Callable[[Tensor], Tensor]
"""A function of tensors of any shape, element by element."""
MANY = 64
"""Levels that are not counted out."""


class NotAStep(Exception):
    """The function does not turn a potential into spikes; says why, empty where it is of another kind."""


def step(spike: Probe, grid: Tensor) -> tuple[float, bool, float]:
    """Threshold, whether it is silent there, and the value above."""
    with torch.no_grad():
        values = spike(grid)
    if values.shape != grid.shape:
        raise NotAStep("")
    levels = values.unique()
    if len(levels) != 2:
        graded = len(levels) > 2 and are_multiples(levels)
        many = f"{len(levels)}" if len(levels) <= MANY else "many"
        raise NotAStep(f"its spikes have {many} levels" if graded else "")
    low, high = levels.tolist()
    up = values == high
    if low != 0:
        raise NotAStep("")
    if bool((up[:-1] & ~up[1:]).any()):
        raise NotAStep("it does not spike from a threshold on")

    def fires(u: Tensor) -> Tensor:
        with torch.no_grad():
            fired: Tensor = spike(u) == high
        return fired

    first = int(up.int().argmax())
    below, above = bisected(fires, grid[first - 1 : first], grid[first : first + 1])
    silent, firing = float(below), float(above)
    if max(abs(silent), abs(firing)) <= NEAREST:
        return 0.0, not bool(fires(grid.new_zeros(1))), high
    # Of two neighbours the threshold is the one that somebody wrote down.
    strict = len(_short(silent, grid.dtype)) <= len(_short(firing, grid.dtype))
    return (silent if strict else firing), strict, high


def coarse_step(spike: Probe, grid: Tensor, strict: bool) -> tuple[float, float]:
    """Threshold and height in few bits."""
    with torch.no_grad():
        values = spike(grid)
        first = int((values != 0).int().argmax())
        below, above = bisected(lambda u: spike(u) != 0, grid[first - 1 : first], grid[first : first + 1])
    silent, firing = float(below), float(above)
    if max(abs(silent), abs(firing)) <= NEAREST:
        return 0.0, float(values[-1])
    return (silent if strict else firing), float(values[-1])


def are_multiples(levels: Tensor) -> bool:
    """Whether these, sorted, are whole multiples of the smallest step between them."""
    steps = levels / levels.diff().min()
    return bool(((steps - steps.round()).abs() < 1e-3).all())


def _short(value: float, dtype: torch.dtype) -> str:
    return str(np.float32(value)) if dtype == torch.float32 else repr(value)
