"""Weights averaged over the steps of a run, exponentially (Polyak & Juditsky 1992; `ema` of a run)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from mpdviz.networks import SpikingNetwork


class Averaged:
    """A second set of weights and buffers of a network, which follows the first.

    After step n: average <- d average + (1 - d) current, with d = min(keep, (1 + n) / (10 + n)), so that the
    first weights are soon forgotten (as TensorFlow's ExponentialMovingAverage does with `num_updates`).
    What is no floating-point number, and what a strategy has yet to size, is taken as it is.
    """

    def __init__(self, network: SpikingNetwork, keep: float) -> None:
        """Start from the weights of `network`; `keep` is the share that a step keeps."""
        self._network, self._keep = network, keep
        self.values = {name: value.clone() for name, value in network.state_dict().items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Follow the network after its `step`-th step, from 1."""
        keep = min(self._keep, (1 + step) / (10 + step))
        averages, currents = [], []
        for name, value in self._network.state_dict().items():
            average = self.values.get(name)
            if average is not None and value.is_floating_point() and average.shape == value.shape:
                averages.append(average)
                currents.append(value)
            else:
                self.values[name] = value.clone()
        torch._foreach_lerp_(averages, currents, 1 - keep)

    def restore(self, values: Mapping[str, Tensor]) -> None:
        """Take back what `values` was."""
        device = next(iter(self.values.values())).device
        self.values = {name: value.to(device, copy=True) for name, value in values.items()}

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The averages in the network inside the block, its own weights afterwards."""
        own = {name: value.clone() for name, value in self._network.state_dict().items()}
        self._network.load_state_dict(self.values)
        try:
            yield
        finally:
            self._network.load_state_dict(own)
