"""snnTorch's neurons.

All of them put the potential that decides about the spikes through their method `fire`, and evaluate the same
function once more for the reset: only the first fires. A sequence goes on while a layer is given back the
potential that its last call left, and begins where it is given that of rest.
"""

from collections.abc import Sequence
from types import CodeType
from typing import Any, Self

import torch
from snntorch._neurons.leakyparallel import LeakyParallel
from snntorch._neurons.neurons import SpikingNeuron
from torch import Tensor, nn
from typing_extensions import override

from mpdviz.recording.adapters.base import NAN, Adapter, Carries, keyword, number
from mpdviz.recording.trail import Call, Start

WHOLE = ("LeakyParallel", "StateLeaky", "LinearLeaky", "AssociativeLeaky")
"""Neurons that are given whole sequences `[T, N, ...]`, and fire once for all of them."""


class SnnTorch(Adapter):
    """Knows a spiking neuron of snnTorch's, or derived from it."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__(module)
        self._neuron: Any = module
        self._kind = next(
            base.__name__ for base in type(module).__mro__ if base.__module__.startswith("snntorch")
        )
        self._left: Tensor | None = None

    @classmethod
    @override
    def adapt(cls, module: nn.Module) -> Self | None:
        return cls(module) if isinstance(module, SpikingNeuron | LeakyParallel) else None

    @property
    @override
    def threshold(self) -> Tensor | float | None:
        threshold: Tensor = self._neuron.threshold
        return threshold

    @property
    @override
    def decay(self) -> float:
        neuron = self._neuron
        if self._kind == "Lapicque":
            return 1 - number(neuron.time_step / (neuron.R * neuron.C))
        if self._kind in ("Leaky", "RLeaky", "Synaptic", "RSynaptic", "Alpha"):
            return number(neuron.beta.detach().double().clamp(0, 1))
        return NAN

    @property
    @override
    def carries(self) -> Carries | None:
        if self._kind == "Alpha":
            return False, False  # its potential is made of synaptic currents anew at every timestep
        if self._kind in ("Leaky", "RLeaky", "Synaptic", "RSynaptic", "Lapicque"):
            return True, self._neuron.reset_mechanism != "zero"
        return None

    @property
    @override
    def predictable(self) -> bool:
        return self._kind == "Leaky" and self._neuron.reset_mechanism == "zero"

    @property
    @override
    def silent(self) -> str:
        inhibited = getattr(self._neuron, "inhibition", False)
        return (
            "it lets only one of its spikes through, whatever its potentials (inhibition)"
            if inhibited
            else ""
        )

    @override
    def whole(self, call: Call, u: Tensor) -> Tensor | None:
        if self._kind not in WHOLE:
            return None
        return u if u.dim() > 2 else u.unsqueeze(1)

    @override
    def fires(self, codes: Sequence[CodeType]) -> bool:
        return self._kind == "LeakyParallel" or any(
            code.co_name in ("fire", "fire_inhibition") for code in codes
        )

    @property
    @override
    def kept(self) -> bool:
        mem = getattr(self._neuron, "mem", None)
        hidden = getattr(self._neuron, "init_hidden", False)
        return bool(hidden and isinstance(mem, Tensor) and mem.any())

    @override
    def start(self, call: Call) -> Start | None:
        if self._kind in WHOLE:
            return "rest"
        start = call.inputs[-1] if len(call.inputs) > 1 else keyword(call, "mem")
        if start is None:
            start = getattr(self._neuron, "mem", None)
        if not isinstance(start, Tensor):
            return None
        left = self._left
        if left is not None and left.shape == start.shape:
            kept = left.data_ptr() == start.data_ptr()
            if kept or (torch.equal(left, start) and bool(start.any())):
                return "goes on"
        # Of another shape the layer itself starts anew.
        x = call.inputs[0] if call.inputs else None
        at_rest = not bool(start.any()) or start.dim() == 0 or not start.numel()
        return "rest" if at_rest or (isinstance(x, Tensor) and len(start) != len(x)) else "elsewhere"

    @override
    def ended(self, call: Call, output: Any) -> None:
        left = output[-1] if isinstance(output, tuple) else getattr(self._neuron, "mem", None)
        # Detached: its memory is needed to know it again, its graph is not.
        self._left = left.detach() if isinstance(left, Tensor) else None
