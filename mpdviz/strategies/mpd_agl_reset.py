"""`mpd-agl-reset`: the width from the prediction that models the reset."""

import math
from typing import ClassVar

import torch
from torch import Tensor

from mpdviz.strategies.base import Situation, Strategy


class MPDAGLReset(Strategy):
    """Width equal to twice the spread predicted with the reset (ours).

    As in `analysis.predict.reset`, every channel c of the batch norm is one normal component whose mean m and
    standard deviation s follow, with a = (v_th - m) / s and Phi, phi the normal distribution and density,

        E1 = m Phi(a) - s phi(a),   E2 = (m^2 + s^2) Phi(a) - s phi(a) (m + v_th)
        m' = decay E1 + beta_c,     s'^2 = decay^2 (E2 - E1^2) + (gamma_c v_th)^2

    from m = beta_c, s = |gamma_c| v_th at t = 1. The half-width at t is the standard deviation of their
    equally weighted mixture: spread within the channels and between their means, at least FLOOR v_th. Behind
    a norm with factors p_t, beta_c and gamma_c are p_t times as large at timestep t.
    """

    name: ClassVar[str] = "mpd-agl-reset"
    scope: ClassVar[str] = "layer x timestep"
    source: ClassVar[str] = "ours, after Jiang et al., IJCAI 2025"
    knows_factors: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset({"decay", "hard reset"})

    FLOOR: ClassVar[float] = 0.01

    @torch.no_grad()
    def widths(self, situation: Situation) -> Tensor:
        """Twice the spread of the mixture at each timestep."""
        keep, v_th = situation.decay64, situation.v_th
        gamma, factors = situation.gamma, situation.factors
        each = gamma.new_ones(situation.timesteps) if factors is None else factors
        noises = torch.outer(each.double(), gamma.double()).abs() * v_th
        means = torch.outer(each.double(), situation.beta.double())
        m, s = means[0], noises[0]
        widths = []
        for t in range(situation.timesteps):
            if t:
                a = (v_th - m) / s.clamp_min(1e-30)
                below = torch.special.ndtr(a)
                density = torch.exp(-a.clamp(-40, 40).square() / 2) / math.sqrt(2 * math.pi)
                e1 = m * below - s * density
                e2 = (m * m + s * s) * below - s * density * (m + v_th)
                m = keep * e1 + means[t]
                s = (keep * keep * (e2 - e1 * e1).clamp_min(0) + noises[t].square()).sqrt()
            spread = (s.square().mean() + m.var(correction=0)).sqrt()
            widths.append(2 * spread.clamp_min(self.FLOOR * v_th))
        return torch.stack(widths).to(situation.gamma.dtype)
