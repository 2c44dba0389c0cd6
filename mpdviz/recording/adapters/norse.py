"""Norse 1.1: LIF and LIFBox cells, LIF layers, with and without recurrent weights.

Each keeps the function of one timestep in its attribute `activation`. What goes into it is looked at, and the
decayed potential, which no state shows, is computed once more as Norse does. That this gives the neuron's
potentials is proved by the spikes.
"""

from typing import Any, Self

import torch
import torch.nn.functional as F
from norse.torch.functional.reset import reset_value
from norse.torch.functional.threshold import threshold
from norse.torch.module import lif, lif_box, snn
from torch import Tensor, nn
from typing_extensions import override

from mpdviz.errors import BadInput
from mpdviz.recording.adapters.stepfunction import StepFunction
from mpdviz.surrogates.probed import Probed

CELLS = (lif.LIFCell, lif.LIFRecurrentCell, lif_box.LIFBoxCell)
LAYERS = (lif.LIF, lif.LIFRecurrent)


class Norse(StepFunction):
    """Reads a neuron layer through its function of one timestep."""

    function = "activation"

    @classmethod
    @override
    def adapt(cls, module: nn.Module) -> Self | None:
        if not isinstance(module, snn.SNNCell | snn.SNNRecurrentCell | snn.SNN | snn.SNNRecurrent):
            return None
        kind = type(module)
        if kind not in (*CELLS, *LAYERS):
            known = ", ".join(known.__name__ for known in (*CELLS, *LAYERS))
            raise BadInput(f"Norse's {kind.__name__} cannot be read", f"readable are {known}")
        parameters: Any = module.p
        if parameters.method == "adjoint":
            raise BadInput(f"a {kind.__name__} of method adjoint has no surrogate", "choose another method")
        if any(torch.as_tensor(value).numel() > 1 for value in (parameters.v_th, parameters.tau_mem_inv)):
            raise BadInput(f"a {kind.__name__} has v_th or tau_mem_inv for each neuron", "give all the same")
        return cls(module)

    def __init__(self, module: nn.Module) -> None:
        neuron: Any = module
        method, alpha = neuron.p.method, neuron.p.alpha
        surrogate = Probed(lambda x: threshold(x, method, alpha), method)
        super().__init__(module, float(neuron.p.v_th), surrogate)
        self._neuron = neuron

    @property
    @override
    def decay(self) -> float:
        return float(1 - self._neuron.dt * self._neuron.p.tau_mem_inv)

    @property
    @override
    def stepped(self) -> bool:
        return type(self.module) in CELLS

    @property
    @override
    def carries(self) -> tuple[bool, bool]:
        return True, getattr(self._neuron.p, "reset_method", reset_value) is not reset_value

    @property
    @override
    def predictable(self) -> bool:
        return False

    @property
    @override
    def threshold(self) -> Tensor:
        v_th: Tensor = self._neuron.p.v_th
        return v_th

    @override
    def potential(self, *arguments: Any) -> Tensor:
        return _decayed(*arguments)

    @override
    def given(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor | None:
        state = kwargs.get("state", args[1] if len(args) > 1 else None)
        return None if state is None else state.v

    @override
    def left(self, output: Any) -> Tensor:
        v: Tensor = output[1].v
        return v

    @override
    def at_rest(self, start: Tensor, v: Tensor) -> bool:
        return bool((start == self._neuron.p.v_leak).all())


def _decayed(x: Tensor, state: Any, *others: Any) -> Tensor:
    """The potential before spike and reset, in the order of operations of `norse.torch.functional`."""
    *weights, p, dt = others
    if not hasattr(state, "i"):
        potential: Tensor = state.v + dt * p.tau_mem_inv * (x + p.v_leak - state.v)
        return potential
    driven = state.i + (F.linear(x, weights[0]) if weights else x)
    if weights:
        driven = driven + F.linear(state.z, weights[1])
    potential = state.v + dt * p.tau_mem_inv * ((p.v_leak - state.v) + driven)
    return potential
