"""Norse 1.1: LIF and LIFBox cells, LIF layers, with and without recurrent weights.

Each keeps the function of one timestep in its attribute `activation`. What goes into it is looked at, and the
decayed potential, which no state shows, is computed once more as Norse does. That this gives the neuron's
potentials is proved by the spikes.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
import torch.nn.functional as F
from norse.torch.functional.reset import reset_value
from norse.torch.functional.threshold import threshold
from norse.torch.module import lif, lif_box, snn
from torch import Tensor, nn

from mpdviz.errors import BadInput
from mpdviz.recording.adapters.base import Adapter, Observer, Reading
from mpdviz.recording.adapters.probed import Probed
from mpdviz.surrogates import Surrogate

CELLS = (lif.LIFCell, lif.LIFRecurrentCell, lif_box.LIFBoxCell)
LAYERS = (lif.LIF, lif.LIFRecurrent)


def adapt(module: nn.Module) -> Adapter | None:
    """How to read `module`; None where it is no spiking neuron layer.

    Raises:
        BadInput: a neuron that cannot be read faithfully.
    """
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
    return _Neuron(module)


class _Neuron(Adapter):
    def __init__(self, module: nn.Module) -> None:
        super().__init__(module)
        neuron: Any = module
        self._neuron = neuron
        parameters = neuron.p
        method, alpha = parameters.method, parameters.alpha
        self._surrogate = Probed(lambda x: threshold(x, method, alpha), method)
        self._v_th = float(parameters.v_th)
        self._left: Tensor | None = None  # the potential that the last call left
        self._start: Tensor | None = None  # the one that this call was given; None where it starts from rest
        self._potentials: list[Tensor] = []

    @property
    def v_th(self) -> float:
        return self._v_th

    @property
    def strict(self) -> bool:
        return True

    @property
    def decay(self) -> float:
        return float(1 - self._neuron.dt * self._neuron.p.tau_mem_inv)

    @property
    def surrogate(self) -> Surrogate:
        return self._surrogate

    @property
    def stepped(self) -> bool:
        return type(self.module) in CELLS

    @property
    def carries(self) -> tuple[bool, bool]:
        return True, getattr(self._neuron.p, "reset_method", reset_value) is not reset_value

    @property
    def predictable(self) -> bool:
        return False

    def watch(self, observer: Observer) -> Callable[[], None]:
        neuron, step = self._neuron, self._neuron.activation

        @wraps(step)
        def looked_at(x: Tensor, state: Any, *others: Any) -> Any:
            with torch.no_grad():
                self._potentials.append(_decayed(x, state, *others))
            return step(x, state, *others)

        def before(_: nn.Module, args: tuple[Any, ...], given: dict[str, Any]) -> None:
            state = given.get("state", args[1] if len(args) > 1 else None)
            self._start, self._potentials = None if state is None else state.v, []

        @torch.no_grad()
        def after(_: nn.Module, args: tuple[Any, ...], given: dict[str, Any], output: Any) -> None:
            spikes, state = output
            observer(self._read(args[0] if args else given["input_tensor"], spikes))
            self._left, self._start, self._potentials = state.v, None, []

        hooks = (
            self.module.register_forward_pre_hook(before, with_kwargs=True),
            self.module.register_forward_hook(after, with_kwargs=True),
        )
        neuron.activation = looked_at

        def stop() -> None:
            for hook in hooks:
                hook.remove()
            neuron.activation = step

        return stop

    def _read(self, current: Tensor, spikes: Tensor) -> Reading:
        start, left = self._start, self._left
        emitted = spikes.unsqueeze(0) if self.stepped else spikes
        v = torch.stack(self._potentials).expand_as(emitted)
        v_th = self._neuron.p.v_th.to(v)
        unlike = ""
        if not torch.equal((v - v_th > 0).to(emitted.dtype), emitted):
            unlike = "the spikes it emits are not those of its potentials and threshold"
        # Handed back, detached or not, what the last call left is the same memory.
        same = start is not None and left is not None and start.data_ptr() == left.data_ptr()
        at_rest = start is None or bool((start == self._neuron.p.v_leak).all())
        return Reading(
            current,
            v,
            v.new_ones(len(v)),
            v_th.expand(len(v)),
            fresh=at_rest and not same,
            goes_on=same and self.stepped,
            unlike=unlike,
        )


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
