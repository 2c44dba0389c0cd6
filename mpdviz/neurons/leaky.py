"""The dynamics of leaky integrate-and-fire neurons, whatever their decay comes from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import torch
from torch import Tensor
from typing_extensions import override

from mpdviz import kernels
from mpdviz.kernels import Reset
from mpdviz.neurons.base import Dynamics
from mpdviz.surrogates import Surrogate


@dataclass(frozen=True)
class Leaky(Dynamics):
    """Decay, charge, fire at v >= v_th, reset; `kernels.eager` has the equations."""

    mixes: ClassVar[bool] = True

    decay: Tensor | float
    resets: Reset
    spiking: Tensor | None = None
    """Which outputs are spikes; None: all."""

    @property
    @override
    def reset(self) -> str:
        return self.resets.name

    @property
    @override
    def unknown(self) -> Mapping[str, str]:
        soft = "predictions are for neurons that a spike resets to 0, these subtract the threshold (soft)"
        return {"predicted_ratio": soft} if self.resets.soft else {}

    @property
    @override
    def predictable(self) -> bool:
        return not self.resets.soft

    @property
    def carries(self) -> tuple[bool, bool]:
        """A hard reset cuts the way back through a spike, a soft one does not, detached or not.

        Where the decay is a constant 0 there is no way back.
        """
        keeps = isinstance(self.decay, Tensor) or self.decay > 0
        return keeps, keeps and self.resets.soft

    @property
    @override
    def recurrence(self) -> tuple[float, bool] | None:
        # An analog output resets by its own value.
        if self.spiking is not None:
            return None
        decay = self.decay.detach() if isinstance(self.decay, Tensor) else self.decay
        return float(decay), self.resets.soft

    @override
    def potentials(self, current: Tensor, v_th: Tensor) -> Tensor:
        return kernels.potentials(current, self.decay, v_th, self.resets)

    @override
    def run(
        self,
        current: Tensor,
        v_th: Tensor | float,
        kappa: Tensor | float,
        shapes: Surrogate | Sequence[Surrogate],
        *,
        keep_potentials: bool,
    ) -> tuple[Tensor, Tensor | None]:
        return kernels.multistep_lif(
            current,
            self.decay,
            v_th,
            kappa,
            shapes,
            reset=self.resets,
            keep_potentials=keep_potentials,
            spiking=self.spiking,
        )

    @override
    def mixing(self, spiking: Tensor) -> Self:
        return replace(self, spiking=spiking)

    @override
    def follow(self, current: Tensor, rule: Callable[[Tensor], Tensor]) -> None:
        kernels.follow(current, self.decay, rule, self.resets)

    @override
    def spike_path(self, v: Tensor, spikes: Tensor, total: Tensor) -> Tensor:
        """dL/dv(t) - decay c(t) dL/dv(t + 1): c(t) = 1 - s(t) with a hard reset, 1 with a soft one."""
        kept = carried_back(spikes, soft=self.resets.soft).to(total.dtype)
        decay = self.decay.detach().to(total) if isinstance(self.decay, Tensor) else self.decay
        path = total.clone()
        path[:-1] -= decay * kept[:-1] * total[1:]
        return path


def carried_back(spikes: Tensor, *, soft: bool) -> Tensor:
    """What the gradient of a carried potential enters the potential times, the spikes held fixed."""
    return torch.ones_like(spikes) if soft else 1 - spikes
