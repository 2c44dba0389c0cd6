"""What every strategy shares: the situation it is asked in, its response, and what it may watch."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from mpdviz.surrogates import Surrogate

Follow = Callable[[Callable[[Tensor], Tensor]], None]
"""Runs the neurons of a forward with the threshold that a rule makes of each timestep's potentials."""


@dataclass(frozen=True)
class Situation:
    """What a strategy may know of the layer and of the training when a forward begins."""

    timesteps: int
    """T."""
    decay: Tensor | float
    """The neurons' decay, in [0, 1]; a tensor where it is learned."""
    v_th: float
    """The neurons' threshold."""
    gamma: Tensor
    """Weights `[C]` of the tdBN just before the neurons, v_th excluded."""
    beta: Tensor
    """Its biases `[C]`."""
    learns: bool = False
    """Whether moving averages may take in this forward."""
    epoch: int = 0
    """Epochs of training that are finished."""
    progress: float = 0.0
    """Share of the whole training that is done, from 0 to 1."""

    @property
    def decay64(self) -> Tensor:
        """The decay in float64 on gamma's device, cut off from any gradient."""
        return torch.as_tensor(self.decay, dtype=torch.float64, device=self.gamma.device).detach()


@dataclass(frozen=True)
class Response:
    """What the neurons of one forward are to run with."""

    kappa: Tensor
    """Full widths of the surrogate `[T]`, in units of potential; what requires a gradient gets one."""
    shape: Surrogate | Sequence[Surrogate] | None = None
    """Shape of the surrogate, one or one for each timestep; None: the neurons' own."""
    thresholds: Tensor | None = None
    """Thresholds `[T]`; None: the neurons' own."""


class Strategy(nn.Module, ABC):
    """One way to set the surrogate; `scope` says what one width is shared by."""

    name: ClassVar[str]
    scope: ClassVar[str]
    source: ClassVar[str]
    changes_forward: ClassVar[bool] = False
    """Whether it alters spikes too, not only their gradient."""
    observes: ClassVar[bool] = False
    """Whether it is shown the potentials of each training step, see `observe`."""
    sees_currents: ClassVar[bool] = False
    """Whether it is shown the currents of each training step, see `see`."""

    follows_training: ClassVar[bool] = False
    """Whether it is told `epoch` and `progress` of the training; 0 for others."""

    shape: Surrogate | None = None
    """The shape it was asked to use (`NAME:shape=atan`); None: the neurons' own."""

    @abstractmethod
    def widths(self, situation: Situation) -> Tensor:
        """Full widths of the surrogate `[T]` on gamma's device, in units of potential."""

    def respond(self, situation: Situation, follow: Follow) -> Response:
        """Widths, shape and thresholds of one forward.

        Args:
            situation: the layer and the training as the forward begins.
            follow: for strategies whose thresholds are made of the potentials themselves, see `Follow`.
        """
        return Response(self.widths(situation), self.shape)

    def kappa(
        self,
        timesteps: int,
        decay: Tensor | float,
        v_th: float,
        gamma: Tensor,
        beta: Tensor | None = None,
    ) -> Tensor:
        """Full widths `[T]` for these constants; the arguments are those of `Situation`, `beta` None is 0."""
        beta = torch.zeros_like(gamma) if beta is None else beta
        return self.widths(Situation(timesteps, decay, v_th, gamma, beta))

    def observe(self, v: Tensor, v_th: float) -> None:
        """What the widths of this forward led to, after it, in training and only where `observes` is true.

        Args:
            v: pre-reset potentials `[T, N, ...]`, detached.
            v_th: the neuron's threshold.
        """

    def see(self, current: Tensor) -> None:
        """What drove the neurons, after each forward in training and only where `sees_currents` is true.

        Args:
            current: `[T, N, C, ...]`, detached.
        """
