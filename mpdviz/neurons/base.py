"""What every spiking neuron of ours shares."""

import math
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn

from mpdviz import kernels
from mpdviz.errors import BadInput
from mpdviz.surrogates import Rectangular, Surrogate

Observer = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], None]
"""Called after a forward: (current, potentials, spikes, kappa, v_th), `[T, ...]` thrice, `[T]` twice."""


class Neuron(nn.Module):
    """What every spiking neuron of ours shares: a threshold, a decay, a surrogate, and who is watching."""

    kind: ClassVar[str]

    def __init__(self, v_th: float, surrogate: Surrogate | None) -> None:
        """Set the threshold (> 0) and the surrogate (None: rectangular).

        Raises:
            BadInput: `v_th` is not a positive number.
        """
        super().__init__()
        if not (math.isfinite(v_th) and v_th > 0):
            raise BadInput(f"threshold v_th={v_th}", "give a positive number")
        self.v_th = float(v_th)
        self.surrogate = surrogate if surrogate is not None else Rectangular()
        self.observers: list[Observer] = []

    @property
    def decay(self) -> Tensor | float:
        """Share of the potential kept from one timestep to the next, in [0, 1]."""
        raise NotImplementedError

    @property
    def decay_value(self) -> float:
        """The decay as a number, cut off from any gradient."""
        return float(torch.as_tensor(self.decay, dtype=torch.float64).detach())

    def forward(
        self, current: Tensor, kappa: Tensor | float | None = None, v_th: Tensor | None = None
    ) -> Tensor:
        """Spikes of the neurons driven by `current`.

        Args:
            current: `[T, ...]`, time first.
            kappa: full width of the surrogate, a number or one per timestep `[T]`; None means 1.
            v_th: thresholds of this forward, one per timestep `[T]`; None means the neurons' own.

        Returns:
            Spikes (0 or 1) of the shape and dtype of `current`.

        Raises:
            BadInput: `kappa` or `v_th` holds another number of values than there are timesteps.
        """
        width = 1.0 if kappa is None else kappa
        threshold = self.v_th if v_th is None else v_th
        for name, given in (("kappa", width), ("v_th", threshold)):
            if isinstance(given, Tensor) and given.dim() and given.shape != current.shape[:1]:
                raise BadInput(
                    f"{name} has shape {list(given.shape)} for a current {list(current.shape)}",
                    "give one number, or one for each timestep",
                )
        spikes, potentials = kernels.multistep_lif(
            current, self.decay, threshold, width, self.surrogate, keep_potentials=bool(self.observers)
        )
        if self.observers:
            assert potentials is not None
            each = [
                torch.as_tensor(values, dtype=potentials.dtype, device=potentials.device)
                .detach()
                .expand(len(current))
                for values in (width, threshold)
            ]
            for observer in self.observers:
                observer(current, potentials, spikes, *each)
        return spikes
