"""`psn`: the parallel spiking neuron, which weighs all timesteps at once and keeps no state."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from typing_extensions import override

from mpdviz import kernels
from mpdviz.errors import BadInput
from mpdviz.kernels import Reset
from mpdviz.kernels.base import potential_dtype
from mpdviz.neurons.base import Dynamics, Neuron
from mpdviz.surrogates import Surrogate


class Stateless(Dynamics):
    """Fire at v >= v_th, v being the current: a leaky neuron that keeps nothing."""

    @property
    @override
    def unknown(self) -> Mapping[str, str]:
        return {
            "decay": "psn neurons keep no potential from one timestep to the next",
            "predicted_ratio": "predictions need a decay, psn has none",
        }

    @property
    @override
    def reset(self) -> str:
        return "none"

    @property
    def carries(self) -> tuple[bool, bool]:
        """Given the currents each potential stands alone: no gradient comes back from a later one."""
        return False, False

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
        return kernels.multistep_lif(current, 0.0, v_th, kappa, shapes, keep_potentials=keep_potentials)

    @override
    def follow(self, current: Tensor, rule: Callable[[Tensor], Tensor]) -> None:
        kernels.follow(current, 0.0, rule, Reset())

    @override
    def spike_path(self, v: Tensor, spikes: Tensor, total: Tensor) -> Tensor:
        """All of it."""
        return total


class PSN(Neuron):
    """Parallel spiking neuron: weighs all timesteps at once (Fang et al., NeurIPS 2023, arXiv 2304.12760).

        h = W current + b over time,   s = 1[h >= 0],   W `[T, T]` and b `[T]` learned, one each for the layer

    Here the threshold stays positive: v(t) = h(t) + v_th is the potential that is compared with v_th, and
    recorded. W starts Kaiming-uniform (a = sqrt 5), as the source's; b at -v_th, which is the source's -1 at
    its v_th = 1, so that v = W current at first. No potential is carried and nothing is reset, there is no
    decay, and W belongs to one T. Earlier potentials see later currents: W is a full matrix.

    Observers are shown W current + b + v_th as the current: what enters the potential.
    """

    kind: ClassVar[str] = "psn"
    takes: ClassVar[frozenset[str]] = frozenset({"timesteps"})

    def __init__(self, v_th: float = 0.5, surrogate: Surrogate | None = None, *, timesteps: int) -> None:
        """Draw W from torch's global random numbers.

        Raises:
            BadInput: `v_th` not positive, or fewer than one timestep.
        """
        super().__init__(v_th, surrogate)
        if timesteps < 1:
            raise BadInput(f"`timesteps` {timesteps}", "give at least 1")
        self.timesteps = timesteps
        self.weight = nn.Parameter(torch.empty(timesteps, timesteps))
        self.bias = nn.Parameter(torch.full((timesteps,), -self.v_th))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))

    @property
    def decay(self) -> float:
        """NaN: nothing is kept."""
        return math.nan

    @property
    def dynamics(self) -> Stateless:
        """Of the weighed currents."""
        return Stateless()

    def forward(
        self,
        current: Tensor,
        kappa: Tensor | float | None = None,
        v_th: Tensor | None = None,
        shape: Surrogate | Sequence[Surrogate] | None = None,
        spiking: Tensor | None = None,
    ) -> Tensor:
        """Spikes of the neurons driven by `current`; see `Neuron.forward`.

        Raises:
            BadInput: another number of timesteps than W is for, or as `Neuron.forward`.
        """
        return super().forward(self._weighed(current), kappa, v_th, shape, spiking).to(current.dtype)

    @override
    def follow(self, current: Tensor, rule: Callable[[Tensor], Tensor]) -> None:
        super().follow(self._weighed(current).detach(), rule)

    def _weighed(self, current: Tensor) -> Tensor:
        if len(current) != self.timesteps:
            raise BadInput(
                f"psn neurons of T={self.timesteps} given T={len(current)}",
                "use the network with the T it was made for",
            )
        dtype = potential_dtype(current)
        # Potentials keep their precision where the rest of the network is computed in less.
        with torch.autocast(current.device.type, enabled=False):
            flat = current.to(dtype).flatten(1)
            shift = (self.bias.to(dtype) + self.v_th).unsqueeze(1)
            return torch.addmm(shift, self.weight.to(dtype), flat).view(current.shape)

    def extra_repr(self) -> str:
        """T and constants, for print(network)."""
        return f"T={self.timesteps}, v_th={self.v_th:g}, surrogate={self.surrogate.name}"
