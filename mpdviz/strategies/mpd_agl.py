"""`mpd-agl`: the width from what batch norm and decay predict."""

import warnings
from typing import ClassVar

import torch
from torch import Tensor

from mpdviz.errors import BadInput, MpdvizWarning
from mpdviz.strategies.base import Situation, Strategy
from mpdviz.strategies.covering import half_width


class MPDAGL(Strategy):
    """Width equal to twice the predicted spread of the potential (Jiang et al., IJCAI 2025).

    With gamma_mean the mean of the tdBN's weights:

        kappa(1)     = 2 gamma_mean v_th
        kappa(t > 1) = 2 sqrt(1 + decay^2) gamma_mean v_th

    so the half-width is the standard deviation that Theorems 1 and 2 predict. Behind a norm with factors p_t
    the current of timestep t has the standard deviation |p_t| gamma_mean v_th, so the same theorems give

        kappa(1)     = 2 |p_1| gamma_mean v_th
        kappa(t > 1) = 2 sqrt(p_t^2 + decay^2 p_(t-1)^2) gamma_mean v_th

    with factors of gamma_mean v_th of at least 2 FLOOR (ours). The released code gives a
    surrogate that is zero everywhere (gamma_mean < 0) or NaN (gamma_mean = 0); a spread is a magnitude,
    so here gamma_mean <= 0 counts as max(|gamma_mean|, FLOOR), with a warning.

    A narrow law lies below the threshold by many of its spreads, and its own width holds next to nothing of
    it: 0.1 % at gamma_mean = 0.25. With `least` (ours) the width is never less than what holds that share of
    the law that the theorems predict, N(beta_mean, (kappa / 2)^2) at t = 1 and N(beta_mean (1 + decay),
    (kappa / 2)^2) later (see `covering.half_width`). Where the law's own width holds more, it stays as it is.
    """

    name: ClassVar[str] = "mpd-agl"
    scope: ClassVar[str] = "layer, t = 1 against t > 1"
    needs: ClassVar[frozenset[str]] = frozenset({"decay"})
    source: ClassVar[str] = "Jiang et al., IJCAI 2025, arXiv 2505.11863"
    knows_factors: ClassVar[bool] = True

    FLOOR: ClassVar[float] = 0.01

    def __init__(self, least: float = 0.0) -> None:
        """Set the least predicted share inside; 0 leaves the widths to the paper.

        Raises:
            BadInput: `least` not in [0, 1).
        """
        super().__init__()
        if not 0 <= least < 1:
            raise BadInput(f"strategy 'mpd-agl': least={least}", "give a share from 0 to below 1, e.g. 0.3")
        self.least = float(least)

    def widths(self, situation: Situation) -> Tensor:
        """2 gamma_mean v_th, then sqrt(1 + decay^2) times that; no less than `least` takes."""
        own = self._own(situation)
        if self.least:
            before = situation.decay64 * torch.ones(situation.timesteps, device=own.device).double()
            before[0] = 0
            p = torch.ones_like(before) if situation.factors is None else situation.factors.double()
            means = situation.beta.double().mean() * (p + before * p.roll(1))
            own = torch.maximum(own, 2 * half_width(self.least, means, own / 2, situation.v_th))
        return own.to(situation.gamma.dtype)

    def _own(self, situation: Situation) -> Tensor:
        """The paper's widths, in float64."""
        gamma, decay = situation.gamma, situation.decay64
        # The mean in gamma's precision, the rest in float64 and rounded once: exactly the reference's widths.
        gamma_mean = gamma.detach().mean().double()
        _warn_if_not_positive(gamma_mean, self.FLOOR)
        spread = torch.where(gamma_mean > 0, gamma_mean, gamma_mean.abs().clamp_min(self.FLOOR))
        first = 2 * spread * situation.v_th
        if situation.factors is not None:
            p = situation.factors.detach().double()
            before = torch.cat([p.new_zeros(1), p[:-1]])
            growth = torch.sqrt(p * p + (decay * before).square()).clamp_min(self.FLOOR)
            return first * growth
        later = first * torch.sqrt(1 + decay * decay)
        return torch.cat([first.reshape(1), later.expand(situation.timesteps - 1)])


def _warn_if_not_positive(gamma_mean: Tensor, floor: float) -> None:
    # Looking at a value on an accelerator would make every layer wait for it; training writes the widths
    # after each epoch on the CPU, so the warning is not lost there.
    if gamma_mean.device.type == "cpu" and not torch.compiler.is_compiling() and gamma_mean <= 0:
        warnings.warn(
            "mpd-agl: a layer's mean batch-norm weight is not positive, where the method defines no width; "
            f"its magnitude (at least {floor}) is used",
            MpdvizWarning,
            stacklevel=4,
        )
