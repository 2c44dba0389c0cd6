"""Spiking neurons: LIF with a constant decay, PLIF with a learned one.

Both run all timesteps in one call on time-major currents `[T, ...]` and start each call from rest.
"""

import math
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn

from mpdviz import kernels
from mpdviz.errors import BadInput, unknown_name
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


class LIF(Neuron):
    """Leaky integrate-and-fire with a constant decay and a hard reset to 0.

    v(t) = decay * v(t-1) * (1 - s(t-1)) + current(t),  s(t) = 1[v(t) >= v_th].
    """

    kind: ClassVar[str] = "lif"

    def __init__(self, decay: float = 0.2, v_th: float = 0.5, surrogate: Surrogate | None = None) -> None:
        """Set the constants; the defaults are the reference's.

        Raises:
            BadInput: `decay` outside [0, 1] or `v_th` not positive.
        """
        super().__init__(v_th, surrogate)
        if not 0 <= decay <= 1:
            raise BadInput(f"decay={decay}", "give a number from 0 (no memory) to 1 (no leak)")
        self._decay = float(decay)

    @property
    def decay(self) -> float:
        """The constant decay."""
        return self._decay

    def extra_repr(self) -> str:
        """Constants, for print(network)."""
        return f"decay={self.decay:g}, v_th={self.v_th:g}, surrogate={self.surrogate.name}"


class PLIF(Neuron):
    """LIF whose decay is learned: decay = sigmoid(w), one scalar w for the layer (Fang et al. 2021)."""

    kind: ClassVar[str] = "plif"

    def __init__(
        self, init_decay: float = 0.2, v_th: float = 0.5, surrogate: Surrogate | None = None
    ) -> None:
        """Start from `init_decay`; the reference's init_a = 5 is init_decay = 1 / init_a.

        Raises:
            BadInput: `init_decay` outside (0, 1) or `v_th` not positive.
        """
        super().__init__(v_th, surrogate)
        if not 0 < init_decay < 1:
            raise BadInput(f"init_decay={init_decay}", "give a number between 0 and 1, both excluded")
        self.w = nn.Parameter(torch.tensor(-math.log(1 / init_decay - 1)))

    @property
    def decay(self) -> Tensor:
        """sigmoid(w), a 0-d tensor that carries w's gradient."""
        return self.w.sigmoid()

    def extra_repr(self) -> str:
        """Current decay and constants, for print(network)."""
        return f"decay={self.decay_value:.4g} (learned), v_th={self.v_th:g}, surrogate={self.surrogate.name}"


KINDS: tuple[str, ...] = (LIF.kind, PLIF.kind)


def get(kind: str, *, decay: float = 0.2, v_th: float = 0.5, surrogate: Surrogate | None = None) -> Neuron:
    """A neuron layer of the given kind; `decay` is where a learned one starts.

    Raises:
        BadInput: unknown kind, or constants out of range.
    """
    if kind == LIF.kind:
        return LIF(decay, v_th, surrogate)
    if kind == PLIF.kind:
        return PLIF(decay, v_th, surrogate)
    raise unknown_name("neuron", kind, KINDS)
