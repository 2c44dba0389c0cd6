"""The statistics of one timestep of one layer, each potential read once.

Potentials are compared as the network compared them: `u` is the very argument of the spike function, and
threshold, intervals and widths are in its units. What a timestep leaves behind for the next is one integer a
neuron, the first timestep of its pending run (see `Pending`), so memory does not grow with T.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mpdviz.accumulations.census import AVAILABLE, PAUSED, SPIKED
from mpdviz.accumulations.histogram import PER_UNIT, Counts
from mpdviz.recording.measure import tally as entry
from mpdviz.recording.measure.statistics import cells
from mpdviz.recording.measure.tally import Tally
from mpdviz.surrogates.probed import SpikeFunction


@dataclass(frozen=True)
class Step:
    """What the potentials of one timestep are measured against, in units of the spike function's argument."""

    function: SpikeFunction
    unit: float
    """The histogram's unit."""
    what_if: tuple[float, ...] = ()
    """Half-widths, about the threshold, whose potentials are counted besides."""
    carries: tuple[bool, bool] = (True, False)
    """Whether the next potential's gradient comes back without a spike, and with one."""
    kept: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)
    """What a scan has worked out of these, by dtype."""

    @property
    def shift(self) -> float:
        """How far the threshold lies above the histogram's unit."""
        return self.function.threshold - self.unit


@dataclass
class Pending:
    """Which timesteps of a sequence a gradient reaches, walking forward.

    A neuron's run begins at the first timestep from which the gradient of a later one would come back. A
    potential inside the interval reaches its whole run; a spike that resets to a constant ends it.
    """

    first: Tensor
    """First timestep of each potential's run `[M]`, int16 on the CPU or the potentials' device."""
    difference: Counts = field(default_factory=lambda: np.zeros(8, np.int64))
    """Reached potentials of timestep t less those of t - 1; as long as it has become."""

    def room_for(self, t: int) -> Counts:
        """`difference`, long enough for timestep `t` and the next."""
        if len(self.difference) < t + 2:
            self.difference = np.concatenate([self.difference, np.zeros(t + 2, np.int64)])
        return self.difference

    def reached(self, timesteps: int) -> Counts:
        """Potentials reached at each of so many timesteps, if the sequence ended here `[timesteps]`."""
        self.room_for(timesteps)
        reached: Counts = np.cumsum(self.difference)[:timesteps]
        return reached


def by_tensors(
    u: Tensor,
    emitted: Tensor,
    step: Step,
    seen: Tensor,
    pending: Pending | None,
    t: int,
    tally: Tally,
    offset: float = 0.0,
) -> int:
    """Count one timestep with tensor operations, on any device; returns how many spikes were not emitted.

    Args:
        u: the spike function's arguments, flat `[M]`, M = samples x neurons.
        emitted: what it returned, like `u`.
        step: what they are measured against.
        seen: the layer's census, uint8, flat `[neurons]`, updated in place.
        pending: runs of this sequence, updated in place; None where reach is not known.
        t: this timestep, from 0.
        tally: what is added to.
        offset: what the potentials are larger by than `u`.
    """
    function, counted = step.function, Tally.empty(len(step.what_if))
    whole, real = counted.whole, counted.real
    fired = u > function.threshold if function.strict else u >= function.threshold
    finite = u.isfinite()
    available = inside(u, function)
    outside = finite & ~available
    whole[entry.COUNT] = u.numel()
    for event, which in (
        (available, entry.AVAILABLE),
        (outside & ~fired, entry.BELOW),
        (outside & fired, entry.ABOVE),
        (fired, entry.SPIKES),
        (~finite, entry.NONFINITE),
    ):
        whole[which] = int(event.sum())
    potentials = u[finite].double()
    if potentials.numel():
        mean = float(potentials.mean())
        real[entry.MEAN], real[entry.M2] = mean + offset, float((potentials - mean).square().sum())
        real[entry.MIN], real[entry.MAX] = (float(end) + offset for end in potentials.aminmax())
        h = function.at(u[finite]).double()
        known = h.isfinite()
        low, high = function.finite
        if low > -np.inf or high < np.inf:
            known &= (potentials > low) & (potentials < high)
        real[entry.GAIN] = float(torch.where(known, h, 0).sum())
        whole[entry.GAIN_NONFINITE] = int((~known).sum())
    counted.cells[:] = cells((potentials - step.shift).mul_(PER_UNIT / step.unit))
    counted.what_if[:] = [int(((u - function.threshold).abs() < half).sum()) for half in step.what_if]
    tally.add(counted)
    for bit, event in ((PAUSED, ~fired), (SPIKED, fired), (AVAILABLE, available)):
        seen |= event.view(-1, len(seen)).any(0) * bit if len(seen) else seen
    if pending is not None:
        _follow(pending, available, fired, step.carries, t)
    return int((emitted != fired * function.height).sum())


def inside(u: Tensor, function: SpikeFunction) -> Tensor:
    """Which arguments the derivative is available at."""
    if len(function.intervals) > 1:  # as many as a periodic one has: asked for, each
        return function.available(u)
    low, high = (
        bound(end, u.dtype, up=up) for end, up in zip(function.intervals[0], (False, True), strict=True)
    )
    return (u > low) & (u < high)


def bound(end: float, dtype: torch.dtype, *, up: bool) -> float:
    """The end of an open interval as a number of `dtype`, the same numbers of which lie inside."""
    if dtype == torch.float64 or not np.isfinite(end):
        return end
    rounded = torch.tensor(end, dtype=torch.float64).to(dtype)
    if (float(rounded) < end) if up else (float(rounded) > end):
        rounded = torch.nextafter(rounded, rounded.new_tensor(np.inf if up else -np.inf))
    return float(rounded)


def _follow(pending: Pending, available: Tensor, fired: Tensor, carries: tuple[bool, bool], t: int) -> None:
    difference = pending.room_for(t)
    starts = torch.bincount(pending.first[available].long(), minlength=t + 2).cpu().numpy()
    difference[: t + 2] += starts
    difference[t + 1] -= starts.sum()
    paused, spiked = carries
    lost = available | (fired & (not spiked)) | (~fired & (not paused))
    pending.first[lost] = t + 1
