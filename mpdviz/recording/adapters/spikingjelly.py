"""SpikingJelly's neurons, of version 2, of 0.0.0.0.14 and of its predecessor `clock_driven`.

All of them fire by a surrogate function of v - v_threshold; what is added is the threshold, the decay and
the reset. Where a fused kernel fires (on a GPU, or scripted code of the older versions in evaluation), no
function is seen; the charge of the plain neurons is then computed once more, by their own operations in
their order.
"""

from typing import Any, Self

import torch
from torch import Tensor, nn
from typing_extensions import override

from mpdviz.recording.adapters.base import NAN, Adapter, Carries, Potentials, number
from mpdviz.recording.trail import Call, Start
from mpdviz.surrogates.probed import probe, shifted
from mpdviz.surrogates.steps import NotAStep

PLAIN = (
    "IFNode",
    "LIFNode",
    "ParametricLIFNode",
    "MultiStepIFNode",
    "MultiStepLIFNode",
    "MultiStepParametricLIFNode",
)
STATELESS = ("PSN", "MaskedPSN", "SlidingPSN")
_OWN_STEPS = (
    "neuronal_charge",
    "neuronal_fire",
    "neuronal_reset",
    "single_step_functional_forward",
    "multi_step_functional_forward",
)


class SpikingJelly(Adapter):
    """Knows a neuron of any version."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__(module)
        self._node: Any = module
        # The class of SpikingJelly's that the module is, or is derived from.
        self._base = next(base for base in type(module).__mro__ if _is_theirs(base))
        self._kind = self._base.__name__.removeprefix("MultiStep")

    @classmethod
    @override
    def adapt(cls, module: nn.Module) -> Self | None:
        theirs = [base.__name__ for base in type(module).__mro__ if _is_theirs(base)]
        # Some spike without a surrogate function; readouts do not.
        spikes = hasattr(module, "surrogate_function") or any(
            name.endswith(("Node", "SN")) for name in theirs
        )
        return cls(module) if theirs and spikes and not any("NonSpiking" in name for name in theirs) else None

    @property
    @override
    def threshold(self) -> Tensor | float | None:
        if self._kind in STATELESS:
            return 0.0
        value = getattr(self._node, "v_threshold", None)
        return value if isinstance(value, Tensor | float | int) and self._plain_fire else None

    @property
    def _plain_fire(self) -> bool:
        return self._kind not in ("GatedLIFNode",)

    @property
    @override
    def silent(self) -> str:
        value = getattr(self._node, "v_threshold", None)
        infinite = value == torch.inf if not isinstance(value, Tensor) else bool((value == torch.inf).all())
        return "its threshold is infinite: it never spikes" if infinite else ""

    @property
    @override
    def decay(self) -> float:
        if self._kind == "IFNode":
            return 1.0
        if self._kind == "LIFNode":
            return 1 - 1 / number(self._node.tau)
        if self._kind == "ParametricLIFNode":
            return 1 - number(self._node.w.detach().double().sigmoid())
        return NAN

    @property
    @override
    def carries(self) -> Carries | None:
        if self._kind in STATELESS:
            return False, False
        return (True, self._node.v_reset is None) if self._kind in PLAIN else None

    @property
    @override
    def predictable(self) -> bool:
        plain = self._kind in PLAIN and self._node.v_reset == 0
        return bool(plain and not getattr(self._node, "decay_input", self._kind != "IFNode"))

    @property
    @override
    def follows(self) -> bool:
        return bool(self._kind in PLAIN and self._node.v_reset == 0)

    @property
    @override
    def factor(self) -> float:
        return 1 - self.decay if getattr(self._node, "decay_input", False) and self._kind in PLAIN else 1.0

    @property
    @override
    def kept(self) -> bool:
        if self._kind in STATELESS:
            return bool(getattr(self._node, "queue", None))
        return isinstance(getattr(self._node, "v", None), Tensor)

    @override
    def start(self, call: Call) -> Start | None:
        if self._kind in STATELESS:
            # Stepped, those that look back keep their inputs.
            return "goes on" if not self._multi_step and getattr(self._node, "queue", None) else "rest"
        v = getattr(self._node, "v", None)
        self._start = v.detach() if isinstance(v, Tensor) else None
        if v is None:
            return None
        x = call.inputs[0] if call.inputs else None
        if isinstance(v, Tensor) and isinstance(x, Tensor):
            # A potential of another shape is what another batch left: the node itself starts anew then.
            return "goes on" if v.shape == (x.shape[1:] if self._multi_step else x.shape) else "rest"
        return "rest"

    @property
    def _multi_step(self) -> bool:
        mode = getattr(self._node, "step_mode", None)
        kinds = [base.__name__ for base in type(self._node).__mro__]
        always = "PSN" in kinds or any(kind.startswith("MultiStep") for kind in kinds)
        return mode == "m" or (mode is None and always)

    @override
    def whole(self, call: Call, u: Tensor) -> Tensor | None:
        x = call.inputs[0] if call.inputs else None
        if not (self._multi_step and isinstance(x, Tensor)):
            return None
        same = x.dim() > 1 and u.dim() > 1 and len(u) == len(x) and u.numel() == x.numel()
        return u.reshape(x.shape) if same and (self._kind in STATELESS or u.shape == x.shape) else None

    @override
    def potentials(self, call: Call, output: Any, epsilon: float) -> Potentials | None:
        x = call.inputs[0] if call.inputs else None
        unchanged = all(
            getattr(type(self._node), step, None) is getattr(self._base, step, None) for step in _OWN_STEPS
        )
        if (
            self._kind not in PLAIN
            or not unchanged
            or not isinstance(x, Tensor)
            or not isinstance(output, Tensor)
        ):
            return None
        if self.silent or x.shape != output.shape:
            return None
        node = self._node
        threshold = torch.as_tensor(node.v_threshold, dtype=x.dtype, device=x.device).detach()
        try:
            function = probe(
                node.surrogate_function, type(node.surrogate_function).__name__, like=x, epsilon=epsilon
            )
        except NotAStep:
            return None
        xs, spikes = (
            values if self._multi_step else values.unsqueeze(0) for values in (x.detach(), output.detach())
        )
        rest = 0.0 if node.v_reset is None else node.v_reset
        start = self._start
        v = torch.full_like(xs[0], rest) if start is None or start.shape != xs.shape[1:] else start.to(xs)
        charged = []
        for step, s in zip(xs, spikes, strict=True):
            h = self._charged(step, v, rest)
            charged.append(h)
            v = h - s * threshold if node.v_reset is None else s * rest + (1.0 - s) * h
        potentials = torch.stack(charged)
        if threshold.numel() == 1:
            return Potentials(potentials, spikes, shifted(function, float(threshold)))
        return Potentials(potentials - threshold, spikes, function)

    def _charged(self, x: Tensor, v: Tensor, rest: float) -> Tensor:
        """The pre-reset potential, in the order of operations of `spikingjelly._ops.*.reference`."""
        node = self._node
        if self._kind == "IFNode":
            charged: Tensor = v + x
            return charged
        above: Tensor = v - rest
        if self._kind == "LIFNode":
            tau: float = node.tau
            return v + (x - above) / tau if node.decay_input else v - above / tau + x
        share: Tensor = node.w.detach().sigmoid()
        return v + (x - above) * share if node.decay_input else v - above * share + x


def _is_theirs(kind: type) -> bool:
    return kind.__module__.startswith(
        ("spikingjelly.activation_based.neuron", "spikingjelly.clock_driven.neuron")
    )
