"""What every regulariser shares: it watches a forward, layer by layer, and makes one number of it."""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from mpdviz.errors import BadInput
from mpdviz.networks import SpikingNetwork
from mpdviz.networks.blocks import SpikingLayer
from mpdviz.neurons.leaky import Leaky
from mpdviz.surrogates import Surrogate
from mpdviz.system.team import all_gather


@dataclass(frozen=True, eq=False)
class Forward:
    """One forward of one neuron layer."""

    layer: SpikingLayer
    current: Tensor
    """`[T, N, C, ...]`, with its gradient."""
    v: Tensor
    """Pre-reset potentials, like it, without a gradient."""
    spikes: Tensor
    """Like it, with the surrogate gradient."""
    kappa: Tensor
    """Widths `[T]`, without a gradient."""
    v_th: Tensor
    """Thresholds in force `[T]`."""
    shapes: Sequence[Surrogate]
    """Of the surrogate, one a timestep."""

    @property
    def dynamics(self) -> Leaky:
        """The neurons'; `Regularizer.check` refused all others."""
        dynamics = self.layer.neuron.dynamics
        assert isinstance(dynamics, Leaky)
        return dynamics


class Regularizer(ABC):
    """A penalty on potentials, added to the loss: weight * `of_layers` of the layers' `of_layer`.

    A kind is a subclass with `name`, `source`, `of_layer` and `of_layers`; its options are the constructor's
    arguments, numbers.
    """

    name: ClassVar[str]
    source: ClassVar[str]

    def __init__(self, weight: float) -> None:
        """Set the penalty's weight in the loss.

        Raises:
            BadInput: it is no positive number.
        """
        if not 0 < weight < math.inf:
            raise BadInput(f"regularizer {self.name!r}: weight={weight}", "give a positive number")
        self.weight = float(weight)
        self.synchronised = False
        """Whether means are to be those of the batches of all ranks."""

    def check(self, network: SpikingNetwork) -> None:
        """Refuse a network whose potentials it does not know.

        Raises:
            BadInput: its neurons do not integrate as LIF and PLIF do.
        """
        for _, layer in network.spiking_layers():
            if type(layer.neuron.dynamics) is not Leaky:
                kind = layer.neuron.kind
                raise BadInput(
                    f"regularizer {self.name!r} with neuron {kind!r}, whose potential is no leaky sum",
                    "choose `neuron` lif or plif, or leave `regularize` out",
                )

    @abstractmethod
    def of_layer(self, forward: Forward) -> Tensor:
        """What one layer adds, 0-d."""

    @abstractmethod
    def of_layers(self, terms: Tensor) -> Tensor:
        """The penalty, 0-d, from the terms of all layers `[layers]`."""

    @contextmanager
    def watching(self, network: SpikingNetwork) -> Iterator[list[Tensor]]:
        """Collect the terms of the layers that run inside the block, in the order in which they run."""
        terms: list[Tensor] = []
        watched = [(layer, partial(self._watch, layer, terms)) for _, layer in network.spiking_layers()]
        for layer, watch in watched:
            layer.neuron.observers.append(watch)
        try:
            yield terms
        finally:
            for layer, watch in watched:
                layer.neuron.observers.remove(watch)

    def penalty(self, terms: Sequence[Tensor]) -> Tensor:
        """What is added to the loss, 0-d, from the terms that `watching` collected."""
        return self.weight * self.of_layers(torch.stack(list(terms)))

    def mean(self, own: Tensor) -> Tensor:
        """This process's mean as that over the equal batches of all ranks.

        The value is everybody's, the gradient a rank's own: the average of the ranks' gradients, which
        training takes, is that of everybody's mean.
        """
        if not self.synchronised:
            return own
        return own + (all_gather(own.detach()).mean(0) - own.detach())

    def _watch(
        self,
        layer: SpikingLayer,
        terms: list[Tensor],
        current: Tensor,
        v: Tensor,
        spikes: Tensor,
        kappa: Tensor,
        v_th: Tensor,
        shapes: Sequence[Surrogate],
    ) -> None:
        terms.append(self.of_layer(Forward(layer, current, v, spikes, kappa, v_th, shapes)))


def potentials(forward: Forward) -> Tensor:
    """Pre-reset potentials `[T, N, ...]` that carry the gradient, through time and the reset.

    The recurrence of `kernels.eager`, run again on the current and on the spikes that the neurons gave of it:
    since those carry the surrogate's gradient, that of whatever is made of these potentials is the one of
    backpropagation through time.
    """
    decay, reset = forward.dynamics.decay, forward.dynamics.resets
    spikes = forward.spikes.detach() if reset.detached else forward.spikes
    steps = [forward.current[0]]
    for current, spike, v_th in zip(forward.current[1:], spikes, forward.v_th, strict=False):
        kept = steps[-1] - v_th * spike if reset.soft else steps[-1] * (1 - spike)
        steps.append(decay * kept + current)
    return torch.stack(steps)
