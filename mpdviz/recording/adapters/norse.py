"""Norse's cells and layers: what their parameters say. Readouts without spikes are no neurons here.

A cell hands its state back to its caller; a sequence goes on while it is given that of its last call.
"""

from collections.abc import Sequence
from types import CodeType
from typing import Any, Self

import torch
from norse.torch.functional.reset import reset_value
from norse.torch.module import snn
from torch import Tensor, nn
from typing_extensions import override

from mpdviz.recording.adapters.base import NAN, Adapter, Carries, keyword, number
from mpdviz.recording.trail import Call, Start

PLAIN = ("LIFCell", "LIFRecurrentCell", "LIF", "LIFRecurrent", "LIFBoxCell")
READOUTS = ("LI", "LICell", "LILinearCell", "LIBox", "LIBoxCell")


class Norse(Adapter):
    """Knows a module with Norse's parameters `p`."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__(module)
        self._neuron: Any = module
        self._left: Tensor | None = None
        kinds = (base.__name__ for base in type(module).__mro__ if base.__module__.startswith("norse."))
        self._kind = next(kinds)

    @classmethod
    @override
    def adapt(cls, module: nn.Module) -> Self | None:
        if not isinstance(module, snn.SNNCell | snn.SNNRecurrentCell | snn.SNN | snn.SNNRecurrent):
            return None
        return None if type(module).__name__ in READOUTS else cls(module)

    @property
    @override
    def threshold(self) -> Tensor | float | None:
        if self._kind.startswith("LSNN"):  # each neuron's own, another at every timestep
            return None
        p = self._neuron.p
        p = getattr(p, "lif", getattr(p, "lif_adex", p))  # of neurons with a refractory period
        return getattr(p, "v_th", getattr(p, "v_thresh", None))

    @override
    def fires(self, codes: Sequence[CodeType]) -> bool:
        """Whether neurons are still refractory is asked by the same function as whether they spike."""
        return not any(code.co_name == "compute_refractory_update" for code in codes)

    @property
    @override
    def decay(self) -> float:
        if self._kind not in PLAIN:
            return NAN
        return 1 - number(self._neuron.dt * torch.as_tensor(self._neuron.p.tau_mem_inv))

    @property
    @override
    def carries(self) -> Carries | None:
        if self._kind not in PLAIN:
            return None
        return True, getattr(self._neuron.p, "reset_method", reset_value) is not reset_value

    @override
    def start(self, call: Call) -> Start | None:
        state = call.inputs[1] if len(call.inputs) > 1 else keyword(call, "state")
        if state is None:
            return "rest"
        v = getattr(state, "v", None)
        if not isinstance(v, Tensor):
            return None
        left = self._left
        at_rest = bool((v == torch.as_tensor(getattr(self._neuron.p, "v_leak", 0.0), device=v.device)).all())
        if left is not None and left.shape == v.shape and torch.equal(left, v.detach()):
            return "rest" if at_rest and left.data_ptr() != v.data_ptr() else "goes on"
        return "rest" if at_rest else "elsewhere"

    @override
    def ended(self, call: Call, output: Any) -> None:
        v = getattr(output[1], "v", None) if isinstance(output, tuple) and len(output) > 1 else None
        self._left = v.detach() if isinstance(v, Tensor) else None
