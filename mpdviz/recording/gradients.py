"""Gradients that reach the potentials, and the weights of the synapses before them, as backward passes go by.

dL/dv(t), the whole gradient at a potential, is what autograd hands to the operation that made it; the spike
path, dL/dS(t) h, is what the spike function hands back. Hooks lie on the graph, never on the network.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.utils.weak import WeakTensorKeyDictionary

from mpdviz.accumulations.gradients import GradientFlow
from mpdviz.recording.trail import Call

Synapse = _ConvNd | nn.Linear
Key = int
"""A layer, by identity."""


class FlowMeter:
    """Sums up, at each backward pass, the gradients at every neuron layer's potentials."""

    def __init__(self) -> None:
        """Know no layer yet."""
        self.flows: dict[Key, GradientFlow] = {}
        self._synapse: nn.Module | None = None  # the one that ran last
        self._owner = WeakTensorKeyDictionary()  # weight -> the layer whose current it makes
        self._handles: list[Any] = []
        self._leaves = WeakTensorKeyDictionary()  # potentials that have their hook and outlive their graph
        self._fresh: set[Key] = set()  # layers that a gradient reached and whose weight's is to come
        self._later: dict[Key, tuple[int, Tensor]] = {}  # the gradient of the timestep that came last
        self._attached = False

    def attach(self) -> None:
        """Begin to count."""
        self._attached = True

    def detach(self) -> None:
        """Take the hooks off the weights and the leaves; graphs that live on add nothing any more."""
        self._attached = False
        for handle in self._handles:
            handle.remove()
        self._handles, self._synapse = [], None
        self._owner, self._leaves = WeakTensorKeyDictionary(), WeakTensorKeyDictionary()
        self._later = {}

    def left(self, call: Call, output: Any) -> None:
        """A module's forward is over."""
        del output
        if isinstance(call.module, Synapse):
            self._synapse = call.module

    def watch_current(
        self,
        layer: Key,
        current: Tensor,
        first: int,
        *,
        factor: float = 1.0,
        stepped: bool = False,
        path: Callable[[Tensor], Tensor | None] | None = None,
    ) -> None:
        """Add the gradient of this forward's `current` `[T, ...]`, from timestep `first` on.

        Args:
            layer: the layer that it drives.
            current: its input; v takes it in times `factor`, so that dL/dv = dL/dcurrent / factor.
            first: timestep of its first row, from 0.
            factor: see `current`.
            stepped: whether the current is that of one timestep `[...]`.
            path: gives the spike path's share of dL/dv, or None; None: not known.
        """
        if not current.requires_grad:
            return

        def arrived(gradient: Tensor) -> None:
            total = (gradient.detach().unsqueeze(0) if stepped else gradient.detach()) / factor
            self._add(layer, first, total, None if path is None else path(total))

        self._hook(current, arrived)
        self._watch_weight(layer)

    def watch_site(
        self,
        layer: Key,
        timestep: int,
        u: Tensor,
        spikes: Tensor,
        argument: int,
        subtracted: bool,
        *,
        rows: int = 1,
        derivative: Callable[[], Tensor] | None = None,
    ) -> None:
        """Add the gradients of one call of a spike function.

        Args:
            layer: the layer.
            timestep: from 0.
            u: the function's argument, of the network's graph.
            spikes: what it returned, of the graph.
            argument: which of the function's tensors u is.
            subtracted: whether u = v - threshold, made by a subtraction.
            rows: how many timesteps u holds.
            derivative: gives h at u, where no single operation hands the spike path back.
        """
        node = spikes.grad_fn
        if node is None or not u.requires_grad:
            return
        got: list[Tensor] = []

        def fired(inputs: tuple[Tensor | None, ...], outputs: tuple[Tensor | None, ...]) -> None:
            del outputs
            if self._attached and argument < len(inputs) and inputs[argument] is not None:
                got[:] = [inputs[argument].detach()]  # type: ignore[union-attr]

        def spiked(gradient: Tensor) -> None:
            if self._attached and derivative is not None:
                got[:] = [gradient.detach() * derivative()]

        if derivative is None:
            node.register_hook(fired)
        else:
            spikes.register_hook(spiked)

        def arrived(gradient: Tensor) -> None:
            spike = got.pop() if got else torch.zeros_like(gradient)
            self._add(layer, timestep, gradient.detach().reshape(rows, -1), spike.reshape(rows, -1))

        above = _subtraction(u) if subtracted else None
        if above is None:
            self._hook(u, arrived)
        else:
            maker, output = above

            def before(gradients: tuple[Tensor | None, ...]) -> None:
                gradient = gradients[output]
                if gradient is not None:
                    arrived(gradient)

            maker.register_prehook(before)
        self._watch_weight(layer)

    def _hook(self, tensor: Tensor, arrived: Callable[[Tensor], None]) -> None:
        if tensor in self._leaves:
            return
        handle = tensor.register_hook(arrived)
        if tensor.is_leaf:  # it outlives its graph
            self._leaves[tensor] = True
            self._handles.append(handle)

    def _watch_weight(self, layer: Key) -> None:
        weight = getattr(self._synapse, "weight", None)
        if weight is not None and weight.requires_grad and weight not in self._owner:
            self._owner[weight] = layer
            self._handles.append(weight.register_hook(partial(self._add_weight, layer)))
        self._synapse = None

    @torch.no_grad()
    def _add(self, layer: Key, first: int, total: Tensor, spike: Tensor | None) -> None:
        """Add gradients `[T, ...]` from timestep `first` on."""
        if not self._attached:
            return
        self._fresh.add(layer)
        flat = total.flatten(1)
        known = flat.isfinite()
        values = torch.where(known, flat, 0).double()
        products = np.full(len(flat), np.nan)
        for t in range(len(flat)):
            following = values[t + 1] if t + 1 < len(flat) else self._following(layer, first + t, values[t])
            if following is not None:
                products[t] = float((values[t] * following).sum())
        self._later[layer] = (first, values[0])
        paths = None if spike is None else spike.flatten(1)
        flow = GradientFlow(
            passes=np.ones(len(flat), np.int64),
            count=np.full(len(flat), flat.shape[1], np.int64),
            zeros=(flat == 0).sum(1).cpu().numpy().astype(np.int64),
            squares=values.square().sum(1).cpu().numpy(),
            products=products,
            nonfinite=(~known).sum(1).cpu().numpy().astype(np.int64),
            **_of_path(paths, len(flat)),
            weight_passes=0,
            weight_squares=0.0,
        )
        before = self.flows.get(layer)
        timesteps = max(first + len(flat), 0 if before is None else len(before.count))
        flow = flow.at(first, timesteps)
        self.flows[layer] = flow if before is None else before.at(0, timesteps) + flow

    def _following(self, layer: Key, timestep: int, values: Tensor) -> Tensor | None:
        """The gradient of the next timestep, which a backward pass meets just before."""
        later = self._later.get(layer)
        if later is None or later[0] != timestep + 1 or later[1].shape != values.shape:
            return None
        return later[1]

    @torch.no_grad()
    def _add_weight(self, layer: Key, gradient: Tensor) -> None:
        # A backward pass of a recorded forward has come by the layer's potentials just before.
        if layer in self._fresh:
            self._fresh.remove(layer)
            flow = self.flows[layer]
            square = float(gradient.double().square().sum())
            self.flows[layer] = replace(
                flow, weight_passes=flow.weight_passes + 1, weight_squares=flow.weight_squares + square
            )


def _of_path(paths: Tensor | None, timesteps: int) -> dict[str, Any]:
    """What a flow says of the spike path `[T, M]`; nothing is known of it where there is none."""
    if paths is None:
        return {
            "spike_passes": np.zeros(timesteps, np.int64),
            "spike_count": np.zeros(timesteps, np.int64),
            "spike_squares": np.zeros(timesteps),
            "spike_zeros": np.zeros(timesteps, np.int64),
        }
    known = paths.isfinite()
    return {
        "spike_passes": np.ones(timesteps, np.int64),
        "spike_count": known.sum(1).cpu().numpy().astype(np.int64),
        "spike_squares": torch.where(known, paths, 0).double().square().sum(1).cpu().numpy(),
        "spike_zeros": (paths == 0).sum(1).cpu().numpy().astype(np.int64),
    }


def _subtraction(u: Tensor) -> tuple[Any, int] | None:
    """What made v, and which of its outputs v is, where u = v - threshold; None where that cannot be told."""
    node: Any = u.grad_fn
    if node is None or not type(node).__name__.startswith("SubBackward"):
        return None
    # v comes first and has the shape of u, whatever the threshold is: a leaf, made of one, or another state.
    maker, output = node.next_functions[0]
    if maker is None or type(maker).__name__ == "AccumulateGrad":
        return None
    if tuple(maker._input_metadata[output].shape) != tuple(u.shape):
        return None
    return maker, output
