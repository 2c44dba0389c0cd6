"""`ds-atgo`: threshold and width that follow the potentials of every timestep."""

import math
from typing import ClassVar

import torch
from torch import Tensor

from mpdviz.errors import BadInput
from mpdviz.strategies.averaging import Averaging
from mpdviz.strategies.base import Follow, Response, Situation
from mpdviz.system.team import all_gather


class DSATGO(Averaging):
    """Threshold one spread above the mean, width by the spread (Jiang et al., AAAI 2026, arXiv 2511.13050).

    Over all potentials of the layer at a timestep, mean m(t) and sample standard deviation s(t),

        v_th(t) = factor (m(t) + s(t)),    kappa(t) = kappa_0 (1 + tanh(s(t) - v_th0))

    neither of which carries a gradient. Training uses those of the batch. Evaluation uses moving averages of
    v_th(t) and s(t), which start at the neurons' threshold and at v_th0 and are saved with the network. The
    paper has v_th0 = kappa_0 = 1 and a threshold of 1 to start from; its released code keeps averages of the
    thresholds alone, since without training it needs no width.
    """

    name: ClassVar[str] = "ds-atgo"
    scope: ClassVar[str] = "layer x timestep"
    source: ClassVar[str] = "Jiang et al., AAAI 2026"
    knows_factors: ClassVar[bool] = True
    changes_forward: ClassVar[bool] = True
    averages: ClassVar[tuple[str, ...]] = ("thresholds", "spreads")

    thresholds: Tensor
    spreads: Tensor

    def __init__(
        self, kappa: float = 1.0, v_th0: float = 1.0, factor: float = 1.0, momentum: float = 0.1
    ) -> None:
        """Set the constants above and the weight of the newest batch.

        Raises:
            BadInput: one of them is out of range.
        """
        super().__init__(momentum)
        for option, value in (("kappa", kappa), ("factor", factor)):
            if not 0 < value < math.inf:
                raise BadInput(f"strategy 'ds-atgo': {option}={value}", "give a positive number")
        if not math.isfinite(v_th0):
            raise BadInput(f"strategy 'ds-atgo': v_th0={v_th0}", "give a finite number")
        self.kappa_0, self.v_th0, self.factor = float(kappa), float(v_th0), float(factor)

    def widths(self, situation: Situation) -> Tensor:
        """kappa_0 (1 + tanh(s - v_th0)) at the averaged spreads s; kappa_0 before the first batch.

        Raises:
            BadInput: the averages belong to another T.
        """
        if not self.known(situation.timesteps):
            return situation.gamma.new_full((situation.timesteps,), self.kappa_0)
        return self._width(self.spreads).to(situation.gamma.dtype)

    @torch.no_grad()
    def respond(self, situation: Situation, follow: Follow) -> Response:
        """Thresholds and widths of this batch in training, of the averages in evaluation.

        Raises:
            BadInput: the averages belong to another T.
        """
        if not self.training:
            averaged = self.thresholds if self.known(situation.timesteps) else None
            return Response(self.widths(situation), self.shape, averaged)
        thresholds, spreads = [], []

        def rule(v: Tensor) -> Tensor:
            spread, mean = self._spread_and_mean(v)
            thresholds.append(self.factor * (mean + spread))
            spreads.append(spread)
            return thresholds[-1]

        follow(rule)
        now, spread = torch.stack(thresholds), torch.stack(spreads)
        if situation.learns:
            self.known(situation.timesteps)
            self.take_in("thresholds", now, torch.full_like(now, situation.v_th))
            self.take_in("spreads", spread, torch.full_like(spread, self.v_th0))
        return Response(self._width(spread), self.shape, now)

    def _spread_and_mean(self, v: Tensor) -> tuple[Tensor, Tensor]:
        if not self.synchronised:
            return torch.std_mean(v)
        variances, means = all_gather(torch.stack(torch.var_mean(v, correction=0))).unbind(1)
        mean = means.mean()
        values = len(means) * v.numel()
        variance = (variances + (means - mean).square()).mean() * (values / (values - 1))
        return variance.sqrt(), mean

    def _width(self, spread: Tensor) -> Tensor:
        return self.kappa_0 * (1 + torch.tanh(spread - self.v_th0))
