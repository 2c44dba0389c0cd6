"""What every strategy shares: the situation it is asked in, its response, and what it may watch."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from mpdviz.errors import BadInput
from mpdviz.surrogates import Surrogate

Follow = Callable[[Callable[[Tensor], Tensor]], None]
"""Runs the neurons of a forward with the threshold that a rule makes of each timestep's potentials."""


@dataclass(frozen=True)
class Place:
    """Which neuron layer of which network a strategy is for."""

    number: int
    """Of the layer, from 1."""
    names: tuple[str, ...]
    """Names of all neuron layers, in execution order."""
    timesteps: int
    """T of the network."""

    @property
    def name(self) -> str:
        """Of the layer."""
        return self.names[self.number - 1]


@dataclass(frozen=True)
class Situation:
    """What a strategy may know of the layer and of the training when a forward begins."""

    timesteps: int
    """T."""
    decay: Tensor | float
    """The neurons' decay, in [0, 1]; a tensor where it is learned; NaN where they have none."""
    v_th: float
    """The neurons' threshold."""
    gamma: Tensor
    """Weights `[C]` of the norm just before the neurons, v_th excluded."""
    beta: Tensor
    """Its biases `[C]`."""
    learns: bool = False
    """Whether moving averages may take in this forward."""
    epoch: int = 0
    """Epochs of training that are finished."""
    progress: float = 0.0
    """Share of the whole training that is done, from 0 to 1."""
    factors: Tensor | None = None
    """What gamma and beta are multiplied by at each timestep `[T]` (norm `tebn`); None: nothing."""

    @property
    def decay64(self) -> Tensor:
        """The decay in float64 on gamma's device, cut off from any gradient.

        Raises:
            BadInput: the neurons have none.
        """
        if isinstance(self.decay, float) and math.isnan(self.decay):
            raise BadInput(
                "a strategy needs a decay, the neurons have none", "take `strategy` fixed or observed"
            )
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
    spiking: Callable[[Tensor], Tensor] | None = None
    """From the current `[T, N, ...]`, which outputs are spikes (truth values of its shape); the others are
    the surrogate's integral. None: all are spikes."""


class Strategy(nn.Module, ABC):
    """One way to set the surrogate; `scope` says what one width is shared by."""

    name: ClassVar[str]
    scope: ClassVar[str]
    source: ClassVar[str]
    changes_forward: ClassVar[bool] = False
    """Whether it alters spikes too, not only their gradient."""
    needs: ClassVar[frozenset[str]] = frozenset()
    """What its widths take from the neurons besides the threshold: `decay`, `hard reset`."""
    observes: ClassVar[bool] = False
    """Whether it is shown the potentials of each training step, see `observe`."""
    sees_currents: ClassVar[bool] = False
    """Whether it is shown the currents of each training step, see `see`."""

    knows_factors: ClassVar[bool] = False
    """Whether its widths are right where gamma and beta differ by timestep (`Situation.factors`); a network
    whose norm has factors refuses the others."""

    follows_training: ClassVar[bool] = False
    """Whether it is told `epoch` and `progress` of the training; 0 for others."""

    texts: ClassVar[tuple[str, ...]] = ()
    """Options that are no numbers; the first is also what stands alone behind the name: `prescribed:FILE`."""
    own_shape: ClassVar[str | None] = None
    """Name of the one shape that it is defined with and sets itself; None: it takes any."""
    mixes: ClassVar[bool] = False
    """Whether it has some outputs of the neurons analog, which not all neurons can."""

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

    def place(self, place: Place) -> None:
        """Know which layer it is for: once for a network that is built, once for one that training resumes.

        A network that is loaded from a checkpoint is not placed: its state is all there is to know.
        """

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

    def caution(self, situation: Situation) -> str | None:
        """What someone should know, in a line, before training in this situation; None: nothing."""
        return None

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
