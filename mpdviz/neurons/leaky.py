"""The dynamics of leaky integrate-and-fire neurons, whatever their decay comes from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

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
    reset: Reset
    spiking: Tensor | None = None
    """Which outputs are spikes; None: all."""

    @property
    def carries(self) -> tuple[bool, bool]:
        """A hard reset cuts the way back through a spike, a soft one does not."""
        return True, self.reset.soft

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
            reset=self.reset,
            keep_potentials=keep_potentials,
            spiking=self.spiking,
        )

    @override
    def mixing(self, spiking: Tensor) -> Self:
        return replace(self, spiking=spiking)

    @override
    def follow(self, current: Tensor, rule: Callable[[Tensor], Tensor]) -> None:
        kernels.follow(current, self.decay, rule, self.reset)
