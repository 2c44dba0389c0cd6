"""`plif`: leaky integrate-and-fire whose decay is learned."""

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from mpdviz.errors import BadInput
from mpdviz.kernels import Reset
from mpdviz.neurons.base import Neuron
from mpdviz.neurons.leaky import Leaky
from mpdviz.surrogates import Surrogate


class PLIF(Neuron):
    """LIF whose decay is learned: decay = sigmoid(w), one scalar w for the layer (Fang et al. 2021)."""

    kind: ClassVar[str] = "plif"
    takes: ClassVar[frozenset[str]] = frozenset({"decay", "reset"})

    def __init__(
        self,
        init_decay: float = 0.2,
        v_th: float = 0.5,
        surrogate: Surrogate | None = None,
        reset: Reset = Reset(),  # noqa: B008 - frozen
    ) -> None:
        """Start from `init_decay`; the reference's init_a = 5 is init_decay = 1 / init_a.

        Raises:
            BadInput: `init_decay` outside (0, 1) or `v_th` not positive.
        """
        super().__init__(v_th, surrogate)
        if not 0 < init_decay < 1:
            raise BadInput(
                f"`decay` {init_decay} to start from (init_decay)",
                "give a number between 0 and 1, both excluded",
            )
        self.w = nn.Parameter(torch.tensor(-math.log(1 / init_decay - 1)))
        self.reset = reset

    @property
    def decay(self) -> Tensor:
        """sigmoid(w), a 0-d tensor that carries w's gradient."""
        return self.w.sigmoid()

    @property
    def dynamics(self) -> Leaky:
        """Leaky, with the decay of this moment."""
        return Leaky(self.decay, self.reset)

    def extra_repr(self) -> str:
        """Current decay and constants, for print(network)."""
        return f"decay={self.decay_value:.4g} (learned), v_th={self.v_th:g}, surrogate={self.surrogate.name}"
