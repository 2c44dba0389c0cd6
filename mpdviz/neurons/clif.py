"""`clif`: leaky integrate-and-fire with a complementary potential that deepens the reset."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from mpdviz.kernels import Carried
from mpdviz.neurons.base import ConstantDecay
from mpdviz.neurons.stepped import Stepped
from mpdviz.surrogates import Surrogate


@dataclass(frozen=True)
class Complementary(Stepped):
    """Charge, fire at v >= v_th, reset by v_th and by what the complementary potential holds of spikes."""

    decay: float

    @property
    @override
    def unknown(self) -> Mapping[str, str]:
        return {
            "predicted_ratio": "predictions are for neurons that a spike resets to 0, clif has its own reset"
        }

    @property
    @override
    def reset(self) -> str:
        return "own"

    @property
    def carries(self) -> tuple[bool, bool]:
        """A spike subtracts, so that the way back stays open."""
        return True, True

    @override
    def charge(self, current: Tensor, carried: Carried | None) -> Tensor:
        return current if carried is None else self.decay * carried[0] + current

    @override
    def settle(self, v: Tensor, spikes: Tensor, v_th: Tensor, carried: Carried | None) -> Carried:
        memory = spikes if carried is None else carried[1] * torch.sigmoid((1 - self.decay) * v) + spikes
        return v - spikes * (v_th + torch.sigmoid(memory)), memory

    @override
    def spike_path(self, v: Tensor, spikes: Tensor, total: Tensor) -> Tensor:
        """What is left of dL/dv(t) without the ways through w(t) and m(t), the spikes held fixed.

        With f(t) = sigmoid((1 - decay) v(t)) and f' its derivative by v(t):

            dL/dw(t) = decay dL/dv(t+1)
            dL/dm(t) = dL/dm(t+1) f(t+1) - dL/dw(t) s(t) sigmoid'(m(t))
            path(t)  = dL/dv(t) - dL/dw(t) - dL/dm(t) m(t-1) f'(t)
        """
        forgets = torch.sigmoid((1 - self.decay) * v)
        memory = [spikes[0]]
        for t in range(1, len(v)):
            memory.append(memory[-1] * forgets[t] + spikes[t])
        path = total.clone()
        grad_memory = torch.zeros_like(total[0])
        for t in range(len(v) - 2, -1, -1):
            grad_kept = self.decay * total[t + 1]
            squashed = torch.sigmoid(memory[t])
            grad_memory = grad_memory * forgets[t + 1] - grad_kept * spikes[t] * squashed * (1 - squashed)
            path[t] -= grad_kept
            if t:
                slope = (1 - self.decay) * forgets[t] * (1 - forgets[t])
                path[t] -= grad_memory * memory[t - 1] * slope
        return path


class CLIF(ConstantDecay):
    """Complementary leaky integrate-and-fire (Huang et al., ICML 2024).

        v(t) = decay * w(t-1) + current(t),   s(t) = 1[v(t) >= v_th]
        m(t) = m(t-1) * sigmoid((1 - decay) * v(t)) + s(t)
        w(t) = v(t) - s(t) * (v_th + sigmoid(m(t)))

    from w(0) = m(0) = 0. The paper writes decay = 1 - 1/tau, so that its sigmoid(v / tau) is
    sigmoid((1 - decay) v); it has tau = 2 and v_th = 1, which is decay = 0.5 here. The reset is the neuron's
    own, and the gradient flows through it. Source: the paper's equations and the authors' single-step code;
    their multi-step code squashes m in place at each timestep (`torch.sigmoid_(m)`), the paper does not.
    """

    kind: ClassVar[str] = "clif"

    def __init__(self, decay: float = 0.5, v_th: float = 1.0, surrogate: Surrogate | None = None) -> None:
        """Set the constants; the defaults are the paper's.

        Raises:
            BadInput: `decay` outside [0, 1] or `v_th` not positive.
        """
        super().__init__(decay, v_th, surrogate)

    @property
    def dynamics(self) -> Complementary:
        """Complementary, with this decay."""
        return Complementary(self.decay)
