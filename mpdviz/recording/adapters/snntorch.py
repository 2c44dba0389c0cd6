"""snnTorch 1.0: Leaky, RLeaky, Synaptic, Alpha and Lapicque.

All of them put the potential that decides about the spikes through their method `fire`; looking there
changes nothing. Every call is one timestep. A sequence goes on while a layer is given back the potential that
its last call left, and begins where it is given another one, by `init_leaky()` or `utils.reset(net)`.
"""

from typing import Any, Self

import snntorch as snn
from snntorch._neurons.neurons import SpikingNeuron
from torch import Tensor, nn
from typing_extensions import override

from mpdviz.errors import BadInput
from mpdviz.recording.adapters.stepfunction import StepFunction
from mpdviz.surrogates.probed import Probed

READABLE = (snn.Leaky, snn.RLeaky, snn.Synaptic, snn.Alpha, snn.Lapicque)


class SnnTorch(StepFunction):
    """Reads a neuron layer through its method `fire`."""

    function = "fire"

    @classmethod
    @override
    def adapt(cls, module: nn.Module) -> Self | None:
        # What snnTorch itself builds neurons of is not in its name space.
        if not any(getattr(snn, base.__name__, None) is base for base in type(module).__mro__):
            return None
        if not isinstance(module, SpikingNeuron) or type(module) not in READABLE:
            raise BadInput(
                f"snnTorch's {type(module).__name__} cannot be read",
                "readable are " + ", ".join(known.__name__ for known in READABLE),
            )
        for name, value in (
            ("threshold", module.threshold),
            ("graded_spikes_factor", module.graded_spikes_factor),
        ):
            if value.numel() > 1:
                raise BadInput(f"a {type(module).__name__} has a {name} for each neuron", "give all the same")
        if module.inhibition or module.state_quant:
            raise BadInput(
                f"a {type(module).__name__} with inhibition or state_quant cannot be read", "leave both out"
            )
        return cls(module)

    def __init__(self, module: SpikingNeuron) -> None:
        neuron: Any = module
        spike = neuron.spike_grad
        name = getattr(spike, "__qualname__", type(spike).__name__).partition(".")[0]
        super().__init__(module, float(neuron.threshold.detach()), Probed(spike, name))
        self._neuron = neuron

    @property
    @override
    def decay(self) -> float:
        neuron = self._neuron
        if isinstance(neuron, snn.Lapicque):
            return 1 - float((neuron.time_step / (neuron.R * neuron.C)).detach())
        return float(neuron.beta.detach().double().clamp(0, 1).mean())

    @property
    @override
    def stepped(self) -> bool:
        return True

    @property
    @override
    def carries(self) -> tuple[bool, bool]:
        if isinstance(self._neuron, snn.Alpha):
            return False, False  # its potential is made of synaptic currents anew at every timestep
        return True, bool(self._neuron.reset_mechanism != "zero")

    @property
    @override
    def predictable(self) -> bool:
        plain = type(self.module) is snn.Leaky and self._neuron.reset_mechanism == "zero"
        return bool(plain and self._neuron.beta.numel() == 1)

    @property
    @override
    def threshold(self) -> Tensor:
        v_th: Tensor = self._neuron.threshold
        return v_th

    @property
    @override
    def factor(self) -> Tensor:
        graded: Tensor = self._neuron.graded_spikes_factor
        return graded

    @override
    def reset(self) -> None:
        self._neuron.reset_mem()

    @override
    def potential(self, *arguments: Any) -> Tensor:
        (mem,) = arguments
        potential: Tensor = mem
        return potential

    @override
    def given(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor | None:
        mem = kwargs.get("mem", args[-1] if len(args) > 1 else None)
        start: Tensor = self._neuron.mem if mem is None else mem
        return start

    @override
    def left(self, output: Any) -> Tensor:
        mem: Tensor = self._neuron.mem
        return mem

    @override
    def at_rest(self, start: Tensor, v: Tensor) -> bool:
        # Of another shape the layer itself starts anew.
        return start.shape != v.shape or not bool(start.any())
