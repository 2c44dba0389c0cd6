"""What a neuron layer's input currents add up to, sequence by sequence, see `accumulations.currents`."""

from dataclasses import dataclass, field
from typing import Self

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

from mpdviz.accumulations.currents import CurrentSums
from mpdviz.accumulations.layer import SUMS_DIFFER
from mpdviz.strategies.moments import channel_sums

LONGEST = 64
"""Timesteps of a sequence beyond which currents are not summed."""
MOST = 2**22
"""Sums of products of a layer, channels x T^2, beyond which there are none: 32 MiB."""


@dataclass(eq=False)
class CurrentTally:
    """The sums of one layer, on the device that its currents are on."""

    count: int = 0
    sums: Tensor | None = None
    products: Tensor | None = None
    why: str = ""
    """Why there are no sums; empty where there are, or no sequence is over yet."""
    under_way: dict[int, list[Tensor]] = field(default_factory=dict)
    """Currents of a sequence that comes in steps, by its position, by identity."""

    def add(self, current: Tensor) -> None:
        """Add whole sequences `[T, N, C, ...]`."""
        timesteps, channels = len(current), current.shape[2]
        if timesteps > LONGEST or channels * timesteps**2 > MOST:
            self.give_up(f"currents of T={timesteps} in {channels} channels are too many pairs to be summed")
        elif self.sums is not None and self.sums.shape != (channels, timesteps):
            self.give_up(SUMS_DIFFER)
        if self.why or not current.numel():
            return
        with _disable_current_modes():  # products of ours are nobody's synapses
            count, sums, products = channel_sums(current)
        self.count += count
        self.sums = sums if self.sums is None else self.sums + sums
        self.products = products if self.products is None else self.products + products

    def step(self, position: int, timestep: int, current: Tensor) -> None:
        """Keep a copy of one timestep's `[N, C, ...]`, from 0, until its sequence is over."""
        steps = self.under_way.setdefault(position, [])
        if timestep != len(steps) or (steps and steps[0].shape != current.shape):
            self.give_up("samples changed within a sequence, so that currents could not be followed")
        elif timestep >= LONGEST:
            self.give_up(f"currents of more than {LONGEST} timesteps are too many to be kept")
        if not self.why:
            steps.append(current.clone())

    def end(self, position: int) -> None:
        """A sequence that came in steps is over."""
        steps = self.under_way.pop(position, [])
        if steps and not self.why:
            self.add(torch.stack(steps))

    def give_up(self, why: str) -> None:
        """There are none, and why."""
        self.why = self.why or why
        self.count, self.sums, self.products = 0, None, None
        self.under_way.clear()

    def as_if_over(self) -> Self:
        """The same with the sequences under way, as far as they are as long as the others."""
        made = type(self)(self.count, self.sums, self.products, self.why)
        for steps in list(self.under_way.values()):
            if steps and (made.sums is None or len(steps) == made.sums.shape[1]):
                made.add(torch.stack(steps))
        return made

    def found(self) -> CurrentSums | None:
        """The sums so far; None where there are none."""
        if self.sums is None or self.products is None:
            return None
        return CurrentSums(self.count, self.sums.cpu().numpy().copy(), self.products.cpu().numpy().copy())
