"""SpikingJelly 2.0: IFNode, LIFNode and ParametricLIFNode, single- and multi-step.

Nothing in the layer is touched: from its input, the potentials it started from and the spikes it emitted the
charge is computed once more, by its own operations in their order. That this gives the layer's potentials is
proved by the spikes: they are those of the recomputed potentials, or the layer is not read.
"""

from collections.abc import Callable
from typing import Any, Self

import torch
from spikingjelly.activation_based import neuron, surrogate
from torch import Tensor, nn
from typing_extensions import override

from mpdviz.errors import BadInput
from mpdviz.recording.adapters.base import Adapter, Observer, Reading, refutation
from mpdviz.surrogates import ATan, Rectangular, Sigmoid, Surrogate, Triangular
from mpdviz.surrogates.probed import Probed

READABLE = (neuron.IFNode, neuron.LIFNode, neuron.ParametricLIFNode)
SHAPES: dict[type, Callable[[float], Surrogate]] = {
    surrogate.PiecewiseQuadratic: lambda alpha: Triangular(1 / alpha),
    surrogate.Sigmoid: Sigmoid,
    surrogate.ATan: ATan,
}
"""Surrogate functions that are shapes of ours, by their slope alpha."""
_STEPS = (
    "forward",
    "single_step_forward",
    "multi_step_forward",
    "single_step_functional_forward",
    "multi_step_functional_forward",
    "materialize_states",
)


class SpikingJelly(Adapter):
    """Reads a neuron layer from its input and output."""

    @classmethod
    @override
    def adapt(cls, module: nn.Module) -> Self | None:
        kind = type(module)
        if isinstance(module, neuron.NonSpikingBaseNode) or not any(
            base.__module__.startswith(neuron.__name__) for base in kind.__mro__
        ):
            return None
        for known in READABLE:
            if isinstance(module, known) and all(
                getattr(kind, step) is getattr(known, step) for step in _STEPS
            ):
                return cls(module)
        raise BadInput(
            f"SpikingJelly's {kind.__name__} cannot be read",
            "readable are " + ", ".join(known.__name__ for known in READABLE),
        )

    def __init__(self, module: nn.Module) -> None:
        super().__init__(module)
        self._node: Any = module
        self._known: tuple[Any, Surrogate, float] = (None, Rectangular(), 1.0)
        self._look_up()
        self._start: Tensor | None = None

    @property
    @override
    def v_th(self) -> float:
        return float(self._node.v_threshold)

    @property
    @override
    def decay(self) -> float:
        if isinstance(self._node, neuron.IFNode):
            return 1.0
        if isinstance(self._node, neuron.LIFNode):
            return float(1 - 1 / self._node.tau)
        return 1 - float(self._node.w.detach().double().sigmoid())

    @property
    @override
    def surrogate(self) -> Surrogate:
        return self._known[1]

    def _look_up(self) -> float:
        """The width; function or slope may have been changed during training."""
        function = self._node.surrogate_function
        key = (function, dict(getattr(function, "_sg_params", {})))
        if key != self._known[0]:
            self._known = (key, *_known(function))
        return self._known[2]

    @property
    @override
    def stepped(self) -> bool:
        return bool(self._node.step_mode == "s")

    @property
    @override
    def carries(self) -> tuple[bool, bool]:
        return True, self._node.v_reset is None

    @property
    @override
    def predictable(self) -> bool:
        return self._node.v_reset == 0 and not getattr(self._node, "decay_input", False)

    @override
    def reset(self) -> None:
        self._node.reset()

    @override
    def watch(self, observer: Observer) -> Callable[[], None]:
        def before(node: nn.Module, _: Any) -> None:
            self._start = node.v.detach() if isinstance(node.v, Tensor) else None

        @torch.no_grad()
        def after(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            observer(self._read(inputs[0], output))
            self._start = None

        hooks = (
            self.module.register_forward_pre_hook(before),
            self.module.register_forward_hook(after),
        )

        def stop() -> None:
            for hook in hooks:
                hook.remove()

        return stop

    def _read(self, current: Tensor, output: Tensor) -> Reading:
        node = self._node
        x, spikes = (values.unsqueeze(0) if self.stepped else values for values in (current, output))
        rest = 0.0 if node.v_reset is None else node.v_reset
        # A potential of another shape is what another batch left: the node itself starts anew then.
        fresh = self._start is None or self._start.shape != x.shape[1:]
        v = torch.full_like(x[0], rest) if fresh or self._start is None else self._start.to(x)
        potentials = []
        for step, s in zip(x, spikes, strict=True):
            h = self._charged(step, v, rest)
            potentials.append(h)
            v = h - s * node.v_threshold if node.v_reset is None else s * rest + (1.0 - s) * h
        potential = torch.stack(potentials)
        return Reading(
            current,
            potential,
            potential.new_full((len(x),), self._look_up()),
            potential.new_full((len(x),), node.v_threshold),
            fresh,
            not fresh,
            refutation(potential >= node.v_threshold, spikes),
        )

    def _charged(self, x: Tensor, v: Tensor, rest: float) -> Tensor:
        """The pre-reset potential, in the order of operations of `spikingjelly._ops.*.reference`."""
        node = self._node
        if isinstance(node, neuron.IFNode):
            charged: Tensor = v + x
            return charged
        above: Tensor = v - rest
        if isinstance(node, neuron.LIFNode):
            tau: float = node.tau
            return v + (x - above) / tau if node.decay_input else v - above / tau + x
        share: Tensor = node.w.sigmoid()
        return v + (x - above) * share if node.decay_input else v - above * share + x


def _known(function: Any) -> tuple[Surrogate, float]:
    """A surrogate function as one of our shapes and its width; any other is probed."""
    kind = type(function)
    if kind is surrogate.Rect:
        return Rectangular(), 1 / function._sg_params["alpha"]
    if kind in SHAPES:
        return SHAPES[kind](function._sg_params["alpha"]), 1.0
    return Probed(function, kind.__name__), 1.0
