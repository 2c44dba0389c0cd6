"""`ds-atgo`: threshold and width that follow the potentials of every timestep."""

import math
from typing import Any, ClassVar

import torch
from torch import Tensor

from mpdviz.errors import BadInput
from mpdviz.strategies.base import Follow, Strategy


class DSATGO(Strategy):
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
    source: ClassVar[str] = "Jiang et al., AAAI 2026; options kappa, v_th0, factor, momentum"
    changes_forward: ClassVar[bool] = True

    thresholds: Tensor
    spreads: Tensor

    def __init__(
        self, kappa: float = 1.0, v_th0: float = 1.0, factor: float = 1.0, momentum: float = 0.1
    ) -> None:
        """Set the constants above and the weight of the newest batch.

        Raises:
            BadInput: one of them is out of range.
        """
        super().__init__()
        for option, value in (("kappa", kappa), ("factor", factor)):
            if not 0 < value < math.inf:
                raise BadInput(f"strategy 'ds-atgo': {option}={value}", "give a positive number")
        if not math.isfinite(v_th0):
            raise BadInput(f"strategy 'ds-atgo': v_th0={v_th0}", "give a finite number")
        if not 0 < momentum <= 1:
            raise BadInput(f"strategy 'ds-atgo': momentum={momentum}", "give a number in (0, 1], e.g. 0.1")
        self.kappa_0, self.v_th0 = float(kappa), float(v_th0)
        self.factor, self.momentum = float(factor), float(momentum)
        # T is known from the first batch on.
        self.register_buffer("thresholds", torch.zeros(0))
        self.register_buffer("spreads", torch.zeros(0))

    def kappa(
        self,
        timesteps: int,
        decay: Tensor | float,
        v_th: float,
        gamma: Tensor,
        beta: Tensor | None = None,
    ) -> Tensor:
        """The width at the averaged spreads, see the class.

        Raises:
            BadInput: the averages belong to another T.
        """
        if not len(self.spreads):
            return gamma.new_full((timesteps,), self.kappa_0)
        self._check(timesteps)
        return self._width(self.spreads).to(gamma.dtype)

    @torch.no_grad()
    def respond(
        self,
        follow: Follow,
        timesteps: int,
        decay: Tensor | float,
        v_th: float,
        gamma: Tensor,
        beta: Tensor,
        *,
        learns: bool,
    ) -> tuple[Tensor | None, Tensor]:
        """See the class."""
        if not self.training:
            known = self.thresholds if len(self.thresholds) else None
            return known, self.kappa(timesteps, decay, v_th, gamma)
        thresholds, spreads = [], []

        def rule(v: Tensor) -> Tensor:
            spread, mean = torch.std_mean(v)
            thresholds.append(self.factor * (mean + spread))
            spreads.append(spread)
            return thresholds[-1]

        follow(rule)
        now, spread = torch.stack(thresholds), torch.stack(spreads)
        if learns:
            self._take_in(now, spread, v_th)
        return now, self._width(spread)

    def _width(self, spread: Tensor) -> Tensor:
        return self.kappa_0 * (1 + torch.tanh(spread - self.v_th0))

    def _take_in(self, thresholds: Tensor, spreads: Tensor, v_th: float) -> None:
        if not len(self.thresholds):
            self.thresholds = torch.full_like(thresholds, v_th)
            self.spreads = torch.full_like(spreads, self.v_th0)
        self._check(len(thresholds))
        self.thresholds = torch.lerp(self.thresholds, thresholds, self.momentum)
        self.spreads = torch.lerp(self.spreads, spreads, self.momentum)

    def _check(self, timesteps: int) -> None:
        if len(self.spreads) != timesteps:
            raise BadInput(
                f"strategy 'ds-atgo' holds averages of T={len(self.spreads)}, not of T={timesteps}",
                "use the network with the T it was trained with",
            )

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        for name in ("thresholds", "spreads"):
            saved = state_dict.get(prefix + name)
            if saved is not None:
                setattr(self, name, torch.zeros_like(saved, device=getattr(self, name).device))
        super()._load_from_state_dict(state_dict, prefix, *args)
