"""`lsg`: the width from the decay alone, which PLIF neurons learn."""

from typing import ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from mpdviz.strategies.base import Situation, Strategy


class LSG(Strategy):
    """Width by the decay alone, a constant unless plif neurons learn it (Lian et al., IJCAI 2023).

        kappa = 2 v_th sqrt(1 + decay^2)    at every timestep,

    the spread at batch norm's initial weights: the case gamma = 1, beta = 0 of `mpd-agl` at t > 1. The
    published method learns the decay, one a layer, starting at 0.2: take `plif` neurons for it; with `lif`
    neurons the width is a constant. The width itself passes no gradient to the decay.
    """

    name: ClassVar[str] = "lsg"
    scope: ClassVar[str] = "layer (plif), network (lif)"
    source: ClassVar[str] = "Lian et al., IJCAI 2023"
    knows_factors: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset({"decay"})

    def widths(self, situation: Situation) -> Tensor:
        """2 v_th sqrt(1 + decay^2), T times."""
        decay, gamma = situation.decay64, situation.gamma
        width = 2 * situation.v_th * torch.sqrt(1 + decay * decay)
        return width.to(gamma.dtype).expand(situation.timesteps)

    @override
    def caution(self, situation: Situation) -> str | None:
        if isinstance(situation.decay, Tensor):
            return None
        width = float(self.widths(situation)[0])
        return (
            f"strategy lsg with neurons of constant decay is one fixed width, kappa = {width:.4g}; "
            "choose `neuron` plif to have it learned"
        )
