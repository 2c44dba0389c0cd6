"""Gradient hooks: what reaches the potentials, and the weights of the synapses before them."""

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.utils.hooks import RemovableHandle
from torch.utils.weak import WeakTensorKeyDictionary

from mpdviz.accumulations.gradients import GradientFlow

Synapse = _ConvNd | nn.Linear


class FlowMeter:
    """Sums up, at each backward pass, the gradients at every neuron layer's input current."""

    def __init__(self) -> None:
        """Know no layer yet."""
        self.flows: dict[str, GradientFlow] = {}
        self._synapse: nn.Module | None = None  # the one that ran last
        self._owner: dict[Tensor, str] = {}  # weight -> the layer whose current it makes
        self._handles: list[RemovableHandle] = []
        self._leaves: WeakTensorKeyDictionary = WeakTensorKeyDictionary()  # currents that have their hook
        self._fresh: set[str] = set()  # layers that a gradient reached and whose weight's is to come
        self._attached = False

    def attach(self, model: nn.Module) -> list[RemovableHandle]:
        """Watch which synapses run before which neurons; returns the hooks to remove at the end."""
        self._attached = True
        return [
            module.register_forward_hook(self._remember)
            for module in model.modules()
            if isinstance(module, Synapse)
        ]

    def detach(self) -> None:
        """Take the hooks off the weights and the leaves; graphs that live on add nothing any more."""
        self._attached = False
        for handle in self._handles:
            handle.remove()
        self._handles, self._synapse = [], None
        self._owner.clear()
        self._leaves = WeakTensorKeyDictionary()

    def watch(self, name: str, current: Tensor, first: int, *, stepped: bool = False) -> None:
        """Add the gradient of this forward's `current` `[T, ...]` to layer `name`, from timestep `first`.

        Of a layer that is `stepped` the current is that of one timestep `[...]`.
        """
        if not current.requires_grad:
            return
        if current not in self._leaves:
            handle = current.register_hook(partial(self._add, name, first, stepped))
            if current.is_leaf:  # it outlives its graph
                self._leaves[current] = True
                self._handles.append(handle)
        weight = getattr(self._synapse, "weight", None)
        if weight is not None and weight.requires_grad and weight not in self._owner:
            self._owner[weight] = name
            self._handles.append(weight.register_hook(partial(self._add_weight, name)))
        self._synapse = None

    def _remember(self, module: nn.Module, *_: Any) -> None:
        self._synapse = module

    @torch.no_grad()
    def _add(self, name: str, first: int, stepped: bool, gradient: Tensor) -> None:
        if not self._attached:
            return
        self._fresh.add(name)
        flat = (gradient.unsqueeze(0) if stepped else gradient).detach().flatten(1)
        products = torch.zeros(len(flat), dtype=torch.float64)
        for t in range(len(flat) - 1):
            products[t] = (flat[t].double() * flat[t + 1].double()).sum()
        products[-1] = torch.nan  # the next timestep is not in this call, or there is none
        flow = GradientFlow(
            passes=np.ones(len(flat), np.int64),
            count=np.full(len(flat), flat.shape[1], np.int64),
            zeros=np.array([int((step == 0).sum()) for step in flat], np.int64),
            squares=np.array([float(step.double().square().sum()) for step in flat]),
            products=products.numpy(),
            weight_passes=0,
            weight_squares=0.0,
        )
        before = self.flows.get(name)
        timesteps = first + len(flat)
        if before is not None:
            timesteps = max(len(before.count), timesteps)
        flow = flow.at(first, timesteps)
        self.flows[name] = flow if before is None else before.at(0, timesteps) + flow

    @torch.no_grad()
    def _add_weight(self, name: str, gradient: Tensor) -> None:
        # A backward pass of a recorded forward has come by the layer's current just before.
        if name in self._fresh:
            self._fresh.remove(name)
            self.flows[name].weight_passes += 1
            self.flows[name].weight_squares += float(gradient.double().square().sum())
