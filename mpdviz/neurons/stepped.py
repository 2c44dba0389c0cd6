"""Dynamics that are written as one timestep, through which autograd finds the way back."""

from collections.abc import Callable, Sequence

from torch import Tensor
from typing_extensions import override

from mpdviz import kernels
from mpdviz.kernels import Step
from mpdviz.neurons.base import Dynamics
from mpdviz.surrogates import Surrogate


class Stepped(Dynamics, Step):
    """Runs its own `charge` and `settle`, timestep by timestep."""

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
        return kernels.multistep(current, self, v_th, kappa, shapes, keep_potentials=keep_potentials)

    @override
    def follow(self, current: Tensor, rule: Callable[[Tensor], Tensor]) -> None:
        kernels.follow_step(current, self, rule)
