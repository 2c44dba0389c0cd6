"""`klif`: leaky integrate-and-fire that compares a learned multiple of its charge, cut off below 0."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from typing_extensions import override

from mpdviz.kernels import Carried, Reset
from mpdviz.neurons.base import ConstantDecay
from mpdviz.neurons.leaky import carried_back
from mpdviz.neurons.stepped import Stepped
from mpdviz.surrogates import Surrogate


@dataclass(frozen=True)
class Scaled(Stepped):
    """Charge, times k, cut off below 0, fire at v >= v_th, reset."""

    decay: float
    k: Tensor
    resets: Reset

    floor: ClassVar[float] = 0.0

    @property
    @override
    def unknown(self) -> Mapping[str, str]:
        return {
            "predicted_ratio": "predictions are for neurons that compare their charge, klif relu(k charge)"
        }

    @property
    @override
    def factor(self) -> float:
        return float(self.k.detach())

    @property
    @override
    def reset(self) -> str:
        return self.resets.name

    @property
    def carries(self) -> tuple[bool, bool]:
        """As of a leaky neuron, for potentials above the floor."""
        return self.decay > 0, self.decay > 0 and self.resets.soft

    @override
    def charge(self, current: Tensor, carried: Carried | None) -> Tensor:
        charged = current if carried is None else self.decay * carried[0] + current
        return torch.relu(self.k.to(charged.dtype) * charged)

    @override
    def settle(self, v: Tensor, spikes: Tensor, v_th: Tensor, carried: Carried | None) -> Carried:
        fired = spikes.detach() if self.resets.detached else spikes
        return (v - v_th * fired if self.resets.soft else v * (1 - fired),)

    @override
    def spike_path(self, v: Tensor, spikes: Tensor, total: Tensor) -> Tensor:
        """With g(t) the gradient at k charge(t), g(t) - decay k c(t) g(t + 1) where v(t) > 0, else 0."""
        kept = carried_back(spikes, soft=self.resets.soft) * (v > self.floor)
        path = total.clone()
        path[:-1] -= self.decay * self.k.detach().to(total) * kept[:-1].to(total) * total[1:]
        return path


class KLIF(ConstantDecay):
    """Leaky integrate-and-fire on relu(k charge), k learned (Jiang & Zhang 2023, arXiv 2302.09238).

        charge(t) = decay * w(t-1) + current(t),   v(t) = relu(k * charge(t)),   s(t) = 1[v(t) >= v_th]
        w(t) = v(t) * (1 - s(t)), or, with a soft reset, v(t) - v_th * s(t)

    from w(0) = 0, with one scalar k for the layer that starts at 1. The reset acts on v, which is what is
    carried on: the paper's ReLU "selectively delivers membrane potential to spike firing and resetting", and
    so does SpikingJelly's `KLIFNode(scale_reset=False)`.

    What is compared with the threshold, and recorded, is v. Where the charge is not positive v is 0 and
    relu lets no gradient through, so v = 0 never counts as available, however wide the surrogate; the
    gradient recorded is that at k charge, just before relu, which for v > 0 is dL/dv.
    """

    kind: ClassVar[str] = "klif"
    takes: ClassVar[frozenset[str]] = frozenset({"decay", "reset"})

    def __init__(
        self,
        decay: float = 0.2,
        v_th: float = 0.5,
        surrogate: Surrogate | None = None,
        reset: Reset = Reset(),  # noqa: B008 - frozen
    ) -> None:
        """Set the constants and start from k = 1.

        Raises:
            BadInput: `decay` outside [0, 1] or `v_th` not positive.
        """
        super().__init__(decay, v_th, surrogate)
        self.reset = reset
        self.k = nn.Parameter(torch.ones(()))

    @property
    def dynamics(self) -> Scaled:
        """With the k of this moment."""
        return Scaled(self.decay, self.k, self.reset)

    def extra_repr(self) -> str:
        """Current k and constants, for print(network)."""
        return f"k={float(self.k.detach()):.4g} (learned), {super().extra_repr()}"
