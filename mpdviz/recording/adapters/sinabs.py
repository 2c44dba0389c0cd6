"""sinabs's neurons: IF and LIF, recurrent and squeezed ones too.

A layer is given whole sequences `[N, T, ...]`, or `[N * T, ...]` where it is squeezed, and loops over them
itself. It keeps its potential for the next call until the network's states are reset.
"""

from collections.abc import Mapping
from typing import Any, Self

import torch
from sinabs.activation import MaxSpike, MembraneReset, MembraneSubtract, MultiSpike
from sinabs.layers import LIF, LIFRecurrent, SqueezeMixin
from torch import Tensor, nn
from typing_extensions import override

from mpdviz.recording.adapters.base import Adapter, Carries, number
from mpdviz.recording.trail import Call, Start

CLIPPED = "potentials are clipped at `min_v_mem`, where their gradient ends"


class Sinabs(Adapter):
    """Knows a spiking layer of sinabs's, or derived from it."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__(module)
        self._neuron: Any = module

    @classmethod
    @override
    def adapt(cls, module: nn.Module) -> Self | None:
        return cls(module) if isinstance(module, LIF) and module.does_spike else None

    @property
    @override
    def decay(self) -> float:
        return number(self._neuron.alpha_mem_calculated)

    @property
    @override
    def carries(self) -> Carries | None:
        if self._neuron.min_v_mem is not None:
            return None
        if isinstance(self._neuron.reset_fn, MembraneReset):
            return True, False
        return (True, True) if isinstance(self._neuron.reset_fn, MembraneSubtract) else None

    @property
    @override
    def unknown(self) -> Mapping[str, str]:
        return {} if self._neuron.min_v_mem is None else {"reach_ratio": CLIPPED}

    @property
    @override
    def follows(self) -> bool:
        neuron, reset = self._neuron, self._neuron.reset_fn
        plain = neuron.min_v_mem is None and neuron.alpha_syn_calculated is None
        to_zero = isinstance(reset, MembraneReset) and reset.reset_value == 0
        return plain and to_zero and not isinstance(neuron, LIFRecurrent)

    @property
    @override
    def predictable(self) -> bool:
        return self.follows and self.factor == 1

    @property
    @override
    def factor(self) -> float:
        return 1 - self.decay if self._neuron.norm_input else 1.0

    @property
    @override
    def silent(self) -> str:
        fires = self._neuron.spike_fn
        several = isinstance(fires, MaxSpike) and fires.max_num_spikes_per_bin != 1
        if fires is MultiSpike or several:
            name = "MultiSpike" if fires is MultiSpike else "MaxSpike"
            return f"it spikes several times a timestep (`{name}`); with `SingleSpike` it is read"
        return ""

    @property
    @override
    def kept(self) -> bool:
        return any(bool(state.any()) for state in self._neuron.buffers())

    @override
    def start(self, call: Call) -> Start | None:
        if not self.kept:
            return "rest"
        current, left = self.current(call), self._neuron.v_mem
        # Of a batch of another size each sample goes on where any of the last ones ended.
        return "goes on" if current is None or current.shape[1:] == left.shape else "elsewhere"

    @override
    def current(self, call: Call) -> Tensor | None:
        x = super().current(call)
        if x is None:
            return None
        if isinstance(self._neuron, SqueezeMixin):
            x = x.reshape(self._neuron.batch_size, self._neuron.num_timesteps, *x.shape[1:])
        return torch.transpose(x, 0, 1) if x.dim() > 1 else None
