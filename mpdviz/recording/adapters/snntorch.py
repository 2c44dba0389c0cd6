"""snnTorch 1.0: Leaky, RLeaky, Synaptic, Alpha and Lapicque.

All of them put the potential that decides about the spikes through their method `fire`; looking there
changes nothing. Every call is one timestep. A sequence goes on while a layer is given back the potential that
its last call left, and begins where it is given another one, by `init_leaky()` or `utils.reset(net)`.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

import snntorch as snn
import torch
from snntorch._neurons.neurons import SpikingNeuron
from torch import Tensor, nn

from mpdviz.errors import BadInput
from mpdviz.recording.adapters.base import Adapter, Observer, Reading
from mpdviz.recording.adapters.probed import Probed
from mpdviz.surrogates import Surrogate

READABLE = (snn.Leaky, snn.RLeaky, snn.Synaptic, snn.Alpha, snn.Lapicque)


def adapt(module: nn.Module) -> Adapter | None:
    """How to read `module`; None where it is no spiking neuron layer.

    Raises:
        BadInput: a neuron that cannot be read faithfully.
    """
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
    return _Neuron(module)


class _Neuron(Adapter):
    def __init__(self, module: SpikingNeuron) -> None:
        super().__init__(module)
        self._neuron: Any = module
        self._v_th = float(self._neuron.threshold.detach())
        function = self._neuron.spike_grad
        name = getattr(function, "__qualname__", type(function).__name__)
        self._surrogate = Probed(function, name.partition(".")[0])
        self._left: Tensor | None = None  # the potential that the last call left in the layer
        self._start: Tensor | None = None  # the one that this call starts from
        self._fired: Tensor | None = None  # the one that decided about its spikes

    @property
    def v_th(self) -> float:
        return self._v_th

    @property
    def strict(self) -> bool:
        return True

    @property
    def decay(self) -> float:
        neuron = self._neuron
        if isinstance(neuron, snn.Lapicque):
            return 1 - float((neuron.time_step / (neuron.R * neuron.C)).detach())
        return float(neuron.beta.detach().double().clamp(0, 1).mean())

    @property
    def surrogate(self) -> Surrogate:
        return self._surrogate

    @property
    def stepped(self) -> bool:
        return True

    @property
    def carries(self) -> tuple[bool, bool]:
        if isinstance(self._neuron, snn.Alpha):
            return False, False  # its potential is made of synaptic currents anew at every timestep
        return True, bool(self._neuron.reset_mechanism != "zero")

    @property
    def predictable(self) -> bool:
        plain = type(self.module) is snn.Leaky and self._neuron.reset_mechanism == "zero"
        return bool(plain and self._neuron.beta.numel() == 1)

    def reset(self) -> None:
        self._neuron.reset_mem()

    def watch(self, observer: Observer) -> Callable[[], None]:
        neuron, fire = self._neuron, self._neuron.fire
        before_us = vars(neuron).get("fire")

        @wraps(fire)
        def looked_at(mem: Tensor) -> Tensor:
            self._fired = mem
            spikes: Tensor = fire(mem)
            return spikes

        def before(_: nn.Module, args: tuple[Any, ...], given: dict[str, Any]) -> None:
            mem = given.get("mem", args[-1] if len(args) > 1 else None)
            self._start = neuron.mem if mem is None else mem

        @torch.no_grad()
        def after(_: nn.Module, args: tuple[Any, ...], given: dict[str, Any], output: Any) -> None:
            spikes = output[0] if isinstance(output, tuple) else output
            observer(self._read(args[0] if args else given["input_"], spikes))
            self._left, self._start, self._fired = neuron.mem, None, None

        hooks = (
            self.module.register_forward_pre_hook(before, with_kwargs=True),
            self.module.register_forward_hook(after, with_kwargs=True),
        )
        neuron.fire = looked_at

        def stop() -> None:
            for hook in hooks:
                hook.remove()
            del neuron.fire  # the class's own shows again
            if before_us is not None:
                neuron.fire = before_us

        return stop

    def _read(self, current: Tensor, spikes: Tensor) -> Reading:
        neuron, v, start, left = self._neuron, self._fired, self._start, self._left
        assert v is not None
        assert start is not None
        threshold = neuron.threshold.detach()
        unlike = ""
        if not torch.equal((v - threshold > 0).to(spikes.dtype) * neuron.graded_spikes_factor, spikes):
            unlike = "the spikes it emits are not those of its potentials and threshold"
        # Handed back or kept, detached or not: what the last call left is the same memory.
        same = left is not None and start.shape == left.shape and start.data_ptr() == left.data_ptr()
        at_rest = start.shape != v.shape or not bool(start.any())
        return Reading(
            current,
            v.detach().unsqueeze(0),
            v.new_ones(1),
            threshold.to(v.dtype).reshape(1),
            fresh=not same and at_rest,
            goes_on=same,
            unlike=unlike,
        )
