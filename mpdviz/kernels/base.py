"""What a kernel is asked to do, and what it says it can."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from mpdviz.surrogates import Surrogate

Scalar = Tensor | float
Rule = Callable[[Tensor], Tensor]
"""A threshold, 0-d, from the potentials of its timestep."""


@dataclass(frozen=True)
class Reset:
    """What a spike does to the potential that is carried on: 0 (hard), or less by the threshold (soft)."""

    soft: bool = False
    detached: bool = False
    """Whether the backward pass takes the reset's spike as a constant."""

    @property
    def name(self) -> str:
        """Its key in `RESETS`."""
        return ("soft" if self.soft else "hard") + ("-detached" if self.detached else "")


RESETS = {
    reset.name: reset
    for reset in (Reset(soft, detached) for detached in (False, True) for soft in (False, True))
}
"""hard, soft, hard-detached, soft-detached."""

Carried = tuple[Tensor, ...]
"""What neurons carry on from one timestep to the next."""


class Step(ABC):
    """One timestep of neurons with equations of their own; autograd finds the way back through them."""

    @abstractmethod
    def charge(self, current: Tensor, carried: Carried | None) -> Tensor:
        """The potential v(t) that is compared with the threshold; nothing is carried into the first."""

    @abstractmethod
    def settle(self, v: Tensor, spikes: Tensor, v_th: Tensor, carried: Carried | None) -> Carried:
        """What is carried on after v(t) and its spikes; `carried` is what came into the timestep."""


@dataclass(frozen=True, eq=False)
class Job:
    """One run of a neuron layer over all timesteps."""

    current: Tensor
    """Input current `[T, ...]`."""
    decay: Scalar
    v_th: Tensor
    """Thresholds `[T]`, or of every neuron `[T, ...]`, broadcast to the current; without gradient."""
    kappa: Tensor
    """Widths `[T]`."""
    shapes: tuple[Surrogate, ...]
    """Of the surrogate: one, or one for each timestep."""
    reset: Reset
    keep_potentials: bool
    step: Step | None = None
    """Equations of the neurons' own, in the place of decay and reset."""
    spiking: Tensor | None = None
    """Which outputs are spikes, `[T, ...]` of truth values, the others analog; None: all are spikes."""

    @cached_property
    def needs_grad(self) -> bool:
        """Whether a backward pass may follow."""
        learned = isinstance(self.decay, Tensor) and self.decay.requires_grad
        inputs = self.current.requires_grad or learned or self.kappa.requires_grad
        return torch.is_grad_enabled() and inputs

    @property
    def needs(self) -> frozenset[str]:
        """What not every kernel can do."""
        wanted = {
            "soft reset": self.reset.soft,
            "detached reset": self.reset.detached,
            "thresholds by neuron": self.v_th.dim() > 1,
            "learned widths": self.kappa.requires_grad,
            "shapes by timestep": len(self.shapes) > 1,
            "equations of their own": self.step is not None,
            "analog outputs": self.spiking is not None,
            "other devices": self.current.device.type != "cpu",
            "other types": self.current.dtype not in (torch.float32, torch.float64, torch.bfloat16),
            "surrogates of no closed form": any(shape.form(1.0) is None for shape in self.shapes),
        }
        return frozenset(name for name, needed in wanted.items() if needed)


class Kernel(ABC):
    """One way to compute a job; all give the same spikes, bit for bit."""

    meaning: str
    can: frozenset[str] = frozenset()
    """Of `Job.needs`."""

    def missing(self) -> str | None:
        """What it lacks on this machine; None where it is usable."""
        return None

    @abstractmethod
    def run(self, job: Job) -> tuple[Tensor, Tensor | None]:
        """Spikes `[T, ...]`, and the pre-reset potentials where they were asked for or are at hand."""


def flattened(current: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """A current as `[T, M]` in memory's order, and what gives its like the current's shape and layout."""
    order = _memory_order(current)
    shape = [current.shape[axis] for axis in order]
    back = [order.index(axis) for axis in range(current.dim())]
    flat = current.permute(order).reshape(len(current), -1)
    return flat, lambda like: like.view(shape).permute(back)


def _memory_order(x: Tensor) -> list[int]:
    """Axes from the slowest to the fastest in memory, time first: channels-last maps stay as they are."""
    if x.is_contiguous():
        return list(range(x.dim()))
    return [0, *sorted(range(1, x.dim()), key=x.stride, reverse=True)]


def potential_dtype(current: Tensor) -> torch.dtype:
    """Potentials are accumulated in float32, or in float64 where the current is float64."""
    return torch.promote_types(current.dtype, torch.float32)
