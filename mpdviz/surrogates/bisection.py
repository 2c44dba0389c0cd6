"""Where a function of potentials changes, found on a grid and bisected to neighbouring numbers."""

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Interval = tuple[float, float]
FARTHEST = 20
"""Power of two of the distance up to which a function is looked at, in units of its argument."""
NEAREST = 1e-30
"""A step closer to zero than this is at zero."""


def grid_about_zero(dtype: torch.dtype, device: torch.device) -> Tensor:
    """The points at which a function is looked at, in order."""
    return torch.from_numpy(np.concatenate([-side()[::-1], [0.0], side()])).to(device, dtype)


@cache
def side() -> NDArray[np.float64]:
    """Distances from the threshold: a factor apart far and near, and evenly where most is going on."""
    powers = 2.0 ** np.arange(-FARTHEST, FARTHEST + 1 / 16, 1 / 16)
    return np.union1d(powers, np.arange(1 / 128, 8, 1 / 128))


def jumps(derivative: Callable[[Tensor], Tensor], grid: Tensor, h: Tensor) -> Tensor:
    """The points next to where h begins or ends."""
    on = h != 0
    change = torch.nonzero(on[1:] != on[:-1]).flatten()
    rises = on[change + 1]
    out, within = (torch.where(rises, grid[change + i], grid[change + 1 - i]) for i in (0, 1))
    return bisected(lambda u: derivative(u) != 0, out, within)[1]


def intervals_of(inside: Callable[[Tensor], Tensor], grid: Tensor) -> tuple[Interval, ...]:
    """The open intervals of `grid`'s range in which `inside` holds, ends bisected."""
    on = inside(grid)
    change = torch.nonzero(on[1:] != on[:-1]).flatten()
    left, right = grid[change], grid[change + 1]
    rises = on[change + 1]
    out = torch.where(rises, left, right)
    within = torch.where(rises, right, left)
    out, _ = bisected(inside, out, within)
    ends = out.tolist()
    if bool(on[0]):
        ends.insert(0, -np.inf)
    if bool(on[-1]):
        ends.append(np.inf)
    return tuple(zip(ends[::2], ends[1::2], strict=True))


def bisected(holds: Callable[[Tensor], Tensor], off: Tensor, on: Tensor) -> tuple[Tensor, Tensor]:
    """Where `holds` changes between the points of `off` and `on`: the neighbours on either side."""
    while len(off):
        middle = off + (on - off) / 2
        moving = (middle != off) & (middle != on) & ((on - off).abs() > NEAREST)
        if not bool(moving.any()):
            break
        there = holds(middle)
        on = torch.where(moving & there, middle, on)
        off = torch.where(moving & ~there, middle, off)
    return off, on
